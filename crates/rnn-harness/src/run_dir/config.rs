//! A run's configuration. A run folder may come from anybody: what it says is checked as the options of a training are.

use super::{MODEL, RunDir};
use crate::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a model was made, as its run says it.
pub trait Config: Serialize + DeserializeOwned {
    /// Refuses what the program's options would refuse.
    ///
    /// # Errors
    /// A value out of its range, with its option's name.
    fn check(&self) -> Result<(), Failure>;

    /// Numbers that the model has at the least; the rest, such as biases, need not be counted.
    fn num_weights(&self) -> usize;
}

impl RunDir {
    /// Reads and checks the configuration `name`, and that the model's file can hold as many weights as it says: before
    /// memory is taken for them.
    ///
    /// # Errors
    /// As [`read_json`](Self::read_json), and a configuration that no training of this program has.
    pub fn read_config<C: Config>(&self, name: &str) -> Result<C, Failure> {
        let config: C = self.read_json(name)?;
        let path = self.path().join(name);
        config.check().map_err(|e| Failure::input(format!("{}: {e}", path.display())))?;
        let (weights, model) = (config.num_weights(), self.path().join(MODEL));
        let bytes = model.metadata().map_or(0, |metadata| metadata.len());
        if bytes / size_of::<f32>() as u64 >= weights as u64 {
            return Ok(config);
        }
        Err(Failure::input(format!(
            "{}: its sizes give {weights} weights or more, but {MODEL} has only {bytes} bytes; {MODEL} is damaged or of another run",
            path.display()
        )))
    }
}
