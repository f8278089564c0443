//! What is trained.

use crate::figures::{Figure, StepOutput};
use burn::module::Param;
use burn::tensor::Tensor;
use burn::train::{InferenceStep, LearnerModel, TrainStep};

/// A model with its loss and figures: burn-train's steps, whose output is a [`StepOutput`]. Regression and classification
/// differ in [`FIGURES`](Self::FIGURES) only.
pub trait Task:
    LearnerModel + TrainStep<Output = StepOutput> + InferenceStep<Input = <Self as TrainStep>::Input, Output = StepOutput>
{
    /// The figures beside the loss that a step gives, in this order.
    const FIGURES: &'static [Figure];

    /// The table of embeddings that the model begins with, if it has one. On a CPU a step then costs no pass over the whole
    /// table.
    const LOOKUP: Option<Lookup<Self>> = None;
}

/// A mini-batch of a task.
pub type Batch<M> = <M as TrainStep>::Input;

/// Where a model has its table of embeddings, and where a mini-batch has the ids that name its rows. A training step must
/// need neither for anything else: it gets a table of the named rows only, and ids to match.
pub struct Lookup<M: TrainStep + ?Sized> {
    /// The table, `[n, d]`.
    pub table: fn(&mut M) -> &mut Param<Tensor<2>>,
    /// The ids, below n.
    pub ids: fn(&mut M::Input) -> &mut Vec<u32>,
}

impl<M: TrainStep + ?Sized> Clone for Lookup<M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: TrainStep + ?Sized> Copy for Lookup<M> {}
