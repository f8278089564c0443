//! The whole state of a training, which a checkpoint saves and resuming loads.

use crate::figures::{Figures, StepOutput, Totals};
use crate::optim::OptimizerConfig;
use crate::parameters::{average, embedding, numbered, with_value};
use crate::task::{Batch, Task};
use burn::module::{ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn::train::{TrainOutput, TrainStep};
use rnn_core::optim::{LazyTable, Rows};
use serde::{Deserialize, Serialize};

/// The figures of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Over the mini-batches of training, each measured before its update.
    pub train: Figures,
    /// Over the validation set after the epoch, if there is one.
    pub validation: Option<Figures>,
    /// The learning rate of the last step.
    #[serde(with = "crate::exact")]
    pub learning_rate: f64,
    /// Seconds of training, without validation and checkpoints.
    #[serde(with = "crate::exact")]
    pub seconds: f64,
}

/// A validation within an epoch, or at the end of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The number of mini-batches before it.
    pub step: u64,
    /// What it gave.
    pub figures: Figures,
}

/// The validation with the lowest loss, or the one after which a hook ended the training.
#[derive(Debug, Clone)]
pub struct Best<M> {
    /// The epoch that it was made in or after, counted from 1.
    pub epoch: usize,
    /// The number of mini-batches before it.
    pub step: u64,
    /// What it gave.
    pub figures: Figures,
    /// The model that was validated, without autodiff.
    pub model: M,
}

/// The whole state of a training. Together with the plan and the data it determines the result.
pub struct TrainState<M: Task> {
    pub(crate) model: M,
    pub(crate) optimizer: ModuleOptimizer,
    /// The table of embeddings, if its rows are updated lazily; the model's own copy is then out of date.
    pub(crate) table: Option<(ParamId, LazyTable)>,
    pub(crate) average: Option<M>,
    /// The number of mini-batches made.
    pub(crate) step: u64,
    /// The figures of the epoch so far.
    pub(crate) totals: Totals,
    /// The seconds of the epoch so far.
    pub(crate) seconds: f64,
    pub(crate) best: Option<Best<M>>,
    pub(crate) history: Vec<EpochRecord>,
    /// All validations, if there are some within epochs too.
    pub(crate) validations: Vec<Validation>,
    /// Whether a hook ended the training.
    pub(crate) stopped: bool,
    /// The mean loss at the beginning of the training, once it is known.
    pub(crate) first_loss: Option<f64>,
}

impl<M: Task> std::fmt::Debug for TrainState<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainState").field("step", &self.step).field("history", &self.history).finish_non_exhaustive()
    }
}

impl<M: Task> TrainState<M> {
    /// Before the first step. `model` is on an autodiff device.
    pub fn new(model: M, optimizer: &OptimizerConfig) -> Self {
        let (model, optimizer) = (numbered(model), optimizer.init());
        let (totals, history) = (Totals::default(), Vec::new());
        Self {
            model,
            optimizer,
            table: None,
            average: None,
            step: 0,
            totals,
            seconds: 0.0,
            best: None,
            history,
            validations: Vec::new(),
            stopped: false,
            first_loss: None,
        }
    }

    /// The number of mini-batches made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The figures of the complete epochs.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// All validations, within epochs and after them; none if [`Plan::validate_every`](crate::Plan::validate_every) asks
    /// for none within epochs.
    pub fn validations(&self) -> &[Validation] {
        &self.validations
    }

    /// With a validation set, the validation with the lowest loss; the last one if a hook ended the training.
    pub fn best(&self) -> Option<&Best<M>> {
        self.best.as_ref()
    }

    /// The current model, without autodiff and with all updates of its table of embeddings. If the weights are
    /// averaged, the average.
    pub fn model(&mut self) -> M {
        self.merge();
        self.average.as_ref().unwrap_or(&self.model).valid()
    }

    /// Keeps the model with these validation figures, made in or after `epoch`, if their loss is the lowest so far.
    /// Returns whether it is.
    pub(crate) fn keep_if_best(&mut self, epoch: usize, figures: &Figures) -> bool {
        let is_best = figures.loss < self.best.as_ref().map_or(f64::INFINITY, |best| best.figures.loss);
        if is_best {
            self.keep(epoch, figures);
        }
        is_best
    }

    /// Keeps the model as the best one.
    pub(crate) fn keep(&mut self, epoch: usize, figures: &Figures) {
        self.best = Some(Best { epoch, step: self.step, figures: figures.clone(), model: self.model() });
    }

    /// Applies the pending updates to the model's table.
    pub(crate) fn merge(&mut self) {
        if let Some((id, table)) = &mut self.table {
            self.model = with_value(self.model.clone(), *id, table.weights());
        }
    }

    /// Starts lazy updates of the model's table of embeddings, where that is possible.
    pub(crate) fn begin_table(&mut self, lazy: impl FnOnce(&Tensor<2>) -> Option<LazyTable>) {
        let Some((id, table)) = embedding(&self.model) else { return };
        self.table = lazy(&table).map(|lazy| (id, lazy));
    }

    /// The training step on a mini-batch, and the rows of the table of embeddings that it looked up.
    pub(crate) fn forward(&mut self, batch: Batch<M>) -> (TrainOutput<StepOutput>, Option<Rows>) {
        let Some((id, table)) = self.table.take() else {
            return (TrainStep::step(&self.model, batch), None);
        };
        let (table, rows, output) = table.during(id, || TrainStep::step(&self.model, batch));
        // A model whose first step does not look the table up by `Input::ids` reads it in another way, and has read
        // it whole: from here on it is updated whole.
        if rows.is_some() || table.steps() > 0 {
            self.table = Some((id, table));
        }
        (output, rows)
    }

    /// Makes one update of the weights.
    pub(crate) fn update(
        mut self,
        rate: f64,
        mut grads: GradientsParams,
        rows: Option<Rows>,
        decay: Option<f64>,
    ) -> Self {
        if let (Some(rows), Some((id, table))) = (rows, &mut self.table)
            && let Some(grad) = grads.remove::<2>(*id)
        {
            table.step(rate, &rows, grad);
        }
        self.model = self.model.optimize(&mut self.optimizer, rate.into(), grads);
        if let (Some(decay), Some(old)) = (decay, self.average.take()) {
            self.average = Some(average(old, &self.model, decay));
        }
        self
    }

    /// Whether all weights are finite.
    pub(crate) fn is_finite(&mut self) -> bool {
        self.merge();
        let mut finite = Finite(true);
        self.model.visit(&mut finite);
        finite.0
    }
}

/// Whether all parameters seen so far are finite.
struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 &= param.val().is_finite().all().into_scalar::<bool>();
    }
}
