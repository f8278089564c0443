//! The model of a run.

use super::{MODEL, RunDir};
use crate::Failure;
use burn::module::{Module, ModuleVisitor, Param};
use burn::store::ModuleRecord;
use burn::tensor::Tensor;

impl RunDir {
    /// Writes the model's parameters.
    ///
    /// # Errors
    /// Parameters that are not finite: training has diverged at its last step. Else as
    /// [`write_bytes`](Self::write_bytes).
    pub fn save_model<M: Module>(&self, model: &M) -> Result<(), Failure> {
        let mut finite = Finite(true);
        model.visit(&mut finite);
        if !finite.0 {
            return Err(Failure::failed(
                "the model's weights became NaN or infinite: training has diverged; try a smaller --learning-rate",
            ));
        }
        let bytes = model
            .clone()
            .into_record()
            .into_bytes()
            .map_err(|e| Failure::failed(format!("cannot write the model: {e}")))?;
        self.write_bytes(MODEL, &bytes)
    }

    /// Reads the model's parameters into `model`, which must be of the same shape. They come back bit for bit.
    ///
    /// # Errors
    /// A file that is damaged, or of a model of another shape.
    pub fn load_model<M: Module>(&self, model: M) -> Result<M, Failure> {
        let bytes = self.read_bytes(MODEL)?;
        let wrong = |e: &dyn std::fmt::Display| {
            let path = self.path().join(MODEL);
            Failure::input(format!("{} is damaged or of another model: {e}", path.display()))
        };
        // A damaged header can make the reader of the format panic.
        let load = || {
            let record = ModuleRecord::from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes))?;
            model.try_load_record(record)
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)) {
            Ok(Ok(model)) => Ok(model),
            Ok(Err(error)) => Err(wrong(&error)),
            Err(_) => Err(wrong(&"it cannot be read")),
        }
    }
}

/// Whether all parameters seen so far are finite.
struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 &= param.val().is_finite().all().into_scalar::<bool>();
    }
}
