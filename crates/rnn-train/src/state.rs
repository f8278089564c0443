//! All that a training has: what a checkpoint saves and what resuming loads.

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

/// The epoch with the lowest validation loss, or that after which a hook ended the training.
#[derive(Debug, Clone)]
pub struct Best<M> {
    /// Counted from 1.
    pub epoch: usize,
    /// Its validation loss.
    pub loss: f64,
    /// The model after it, without autodiff.
    pub model: M,
}

/// All that a training has. Nothing outside it, the plan and the data changes what comes out.
pub struct TrainState<M: Task> {
    pub(crate) model: M,
    pub(crate) optimizer: ModuleOptimizer,
    /// The table of embeddings, where its rows wait for their updates; the model's own is out of date then.
    pub(crate) table: Option<(ParamId, LazyTable)>,
    pub(crate) average: Option<M>,
    /// Mini-batches behind it.
    pub(crate) step: u64,
    /// The figures of the epoch so far.
    pub(crate) totals: Totals,
    /// The seconds of the epoch so far.
    pub(crate) seconds: f64,
    pub(crate) best: Option<Best<M>>,
    pub(crate) history: Vec<EpochRecord>,
    /// Whether a hook ended it.
    pub(crate) stopped: bool,
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
            stopped: false,
        }
    }

    /// Mini-batches behind it.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The figures of the whole epochs so far.
    pub fn history(&self) -> &[EpochRecord] {
        &self.history
    }

    /// The epoch with the lowest validation loss, if there is a validation set; the last one if a hook ended the training.
    pub fn best(&self) -> Option<&Best<M>> {
        self.best.as_ref()
    }

    /// The model as it is now, without autodiff: its table of embeddings has all its updates. With an average of the
    /// weights, it is the average.
    pub fn model(&mut self) -> M {
        self.merge();
        self.average.as_ref().unwrap_or(&self.model).valid()
    }

    /// Gives the model's table the updates that wait.
    pub(crate) fn merge(&mut self) {
        if let Some((id, table)) = &mut self.table {
            self.model = with_value(self.model.clone(), *id, table.weights());
        }
    }

    /// Has the rows of the model's table of embeddings updated when a mini-batch names them, where that is possible.
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
        // A model whose first step does not look the table up by `Input::ids` reads it in another way, and has read it whole:
        // from here on it is updated whole.
        if rows.is_some() || table.steps() > 0 {
            self.table = Some((id, table));
        }
        (output, rows)
    }

    /// One update of the weights.
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
