//! A run's configuration. A run folder may come from anybody: what it says is checked as the options of a training are.

use super::files::parse;
use super::{CONFIG, MODEL, RunDir};
use crate::Failure;
use crate::arguments::given::program;
use crate::options::TrainConfig;
use rnn_core::AnyConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version of run folders: of their configuration and checkpoints.
const FORMAT: u32 = 2;

/// How a model was made, as its run says it.
pub trait Config: Serialize + DeserializeOwned {
    /// The part that all programs have.
    fn training(&self) -> &TrainConfig;

    /// Refuses what the program's options would refuse.
    ///
    /// # Errors
    /// A value out of its range, with its option's name.
    fn check(&self) -> Result<(), Failure>;

    /// The model's recurrent layer.
    fn layer(&self) -> AnyConfig;

    /// Numbers that the model has at the least; the rest, such as biases, need not be counted.
    fn num_weights(&self) -> usize;
}

#[derive(Serialize)]
struct Written<'a, C> {
    format: u32,
    program: Option<&'a str>,
    #[serde(flatten)]
    config: &'a C,
}

#[derive(Deserialize)]
struct Format {
    format: Option<u32>,
}

impl RunDir {
    /// Writes the configuration.
    ///
    /// # Errors
    /// As [`write_bytes`](Self::write_bytes).
    pub fn write_config(&self, config: &impl Config) -> Result<(), Failure> {
        self.write_json(CONFIG, &Written { format: FORMAT, program: program(), config })
    }

    /// Reads and checks the configuration of a run whose training is resumed.
    ///
    /// # Errors
    /// As [`read_json`](Self::read_json); a run of another version; a configuration that no training of this program
    /// has.
    pub fn read_config_to_resume<C: Config>(&self) -> Result<C, Failure> {
        let path = self.path().join(CONFIG);
        let bytes = self.read_bytes(CONFIG)?;
        match parse::<Format>(&path, &bytes)?.format {
            Some(FORMAT) => {}
            None => {
                return Err(Failure::input(format!(
                    "{}: an earlier version of this program made this run, which this one cannot read; train again",
                    path.display()
                )));
            }
            Some(format) => {
                return Err(Failure::input(format!(
                    "{}: its format is {format}, but this version of the program reads {FORMAT}; use the version that made \
                     the run, or train again",
                    path.display()
                )));
            }
        }
        let config: C = parse(&path, &bytes)?;
        config.check().map_err(|e| Failure::input(format!("{}: {e}", path.display())))?;
        Ok(config)
    }

    /// Reads and checks the configuration, and that the model's file can hold as many weights as it says: before memory is
    /// taken for them.
    ///
    /// # Errors
    /// As [`read_config_to_resume`](Self::read_config_to_resume); a model's file that is too small.
    pub fn read_config<C: Config>(&self) -> Result<C, Failure> {
        let (path, config) = (self.path().join(CONFIG), self.read_config_to_resume::<C>()?);
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
