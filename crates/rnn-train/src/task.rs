//! The task: a model with its loss and figures.

use crate::figures::{Figure, StepOutput};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, LearnerModel, TrainOutput, TrainStep};
use rnn_core::optim::rows_gradient;

/// A model with its loss and figures: burn-train's steps, whose output is a [`StepOutput`]. Regression and
/// classification differ in [`FIGURES`](Self::FIGURES) only. Its training step ends with [`trained`].
///
/// A table of embeddings that the model gives to [`Input::ids`](rnn_core::Input::ids) is updated lazily on a CPU, if
/// it is the only one: a step then costs no pass over the whole table, and no number changes.
pub trait Task:
    LearnerModel
    + ModuleDisplay
    + TrainStep<Output = StepOutput>
    + InferenceStep<Input = <Self as TrainStep>::Input, Output = StepOutput>
{
    /// The figures of a step other than the loss, in the order of [`StepOutput::new`].
    const FIGURES: &'static [Figure];

    /// What the model carries from one training step to the next beside its weights, without autodiff: the state of a
    /// recurrent layer over contiguous text. A checkpoint keeps it, so that a training that is resumed within an epoch
    /// goes on from it.
    fn carried(&self) -> Vec<Tensor<2>> {
        Vec::new()
    }

    /// Takes what [`carried`](Self::carried) gave.
    fn carry(&self, tensors: Vec<Tensor<2>>) {
        let _ = tensors;
    }
}

/// A mini-batch of a task.
pub type Batch<M> = <M as TrainStep>::Input;

/// What a training step gives: the gradients of `loss` and what it measured.
///
/// # Panics
/// If a table of embeddings that is updated lazily was used in another way than by `Input::ids`.
pub fn trained<M: Module>(model: &M, loss: Tensor<1>, measured: StepOutput) -> TrainOutput<StepOutput> {
    let mut grads = loss.backward();
    let rows = rows_gradient(&mut grads);
    let mut output = TrainOutput::new(model, grads, measured);
    if let Some((id, grad)) = rows {
        assert!(
            output.grads.get::<2>(id).is_none(),
            "a training step uses a table of embeddings beside `Input::ids`; give `Input::ids` its values \
             (`embedding.weight.val()`), which updates all of it at each step"
        );
        output.grads.register(id, grad);
    }
    output
}
