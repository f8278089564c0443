//! Supervised training on burn-train: seeded batches, a progress line, a hook after each epoch, Ctrl-C.
//!
//! burn-train drives: its `SupervisedTraining` launches a `Learner` through a learning strategy of our own, because the
//! stock one shuffles anew on resume and has no place for a hook.

mod batches;
mod silent;

pub use batches::Batches;

use crate::Failure;
use crate::interrupt::{listen, stopped};
use crate::optim::OptimizerConfig;
use crate::progress::Progress;
use burn::module::{Param, ParamId};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::{
    InferenceStep, ItemLazy, Learner, LearnerModel, SupervisedLearningStrategy, SupervisedTraining,
    SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents, TrainingStrategy, ValidLoader,
};
use rnn_core::optim::LazyTable;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What a model's training step gives besides its gradients.
#[derive(Debug)]
pub struct StepOutput {
    /// The mean loss of the batch, one value.
    pub loss: Tensor<1>,
    /// How many items of the batch were answered right, one value.
    pub correct: Tensor<1>,
    /// Items in the batch.
    pub items: usize,
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, burn::tensor::ExecutionError> {
        Ok(self)
    }
}

/// The figures of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochStats {
    /// Counted from 1.
    pub epoch: usize,
    /// The mean loss over all items.
    pub loss: f64,
    /// The share of items answered right.
    pub accuracy: f64,
    /// How long it took.
    pub seconds: f64,
}

/// Reads losses off the device only when somebody wants to see them.
#[derive(Default)]
struct Totals {
    pending: Vec<StepOutput>,
    loss: f64,
    correct: f64,
    items: f64,
}

impl Totals {
    /// The mean loss and accuracy so far.
    fn read(&mut self) -> (f64, f64) {
        for output in self.pending.drain(..) {
            let items = output.items as f64;
            self.loss += f64::from(output.loss.into_scalar::<f32>()) * items;
            self.correct += f64::from(output.correct.into_scalar::<f32>());
            self.items += items;
        }
        (self.loss / self.items, self.correct / self.items)
    }
}

/// The mean loss and accuracy of `model` over all `batches`, with a progress line.
///
/// # Errors
/// A loss that is not finite, an interruption.
pub fn evaluate<M>(model: &M, batches: &Batches<M::Input>, unit: &'static str) -> Result<EpochStats, Failure>
where
    M: InferenceStep<Output = StepOutput>,
{
    let start = Instant::now();
    let mut progress = Progress::new(unit, 1, batches.steps() as u64);
    progress.begin_epoch(1);
    let mut totals = Totals::default();
    for batch in batches.in_order() {
        let output = model.step(batch);
        let due = progress.step(output.items as u64);
        totals.pending.push(output);
        if due {
            let (loss, accuracy) = totals.read();
            if progress.show(loss, &format!("accuracy {accuracy:.4}")).is_err() {
                return Err(Failure::failed(format!("the loss became {loss} in a test: train the model anew")));
            }
        }
        if stopped() {
            progress.end();
            return Err(Failure::Interrupted("before the end of the test; the model is kept".into()));
        }
    }
    progress.end();
    let (loss, accuracy) = totals.read();
    Ok(EpochStats { epoch: 1, loss, accuracy, seconds: start.elapsed().as_secs_f64() })
}

/// Where a model that begins with a table of embeddings has it, and where a batch has the ids that name its rows. A training
/// step must need neither for anything else: it is given a table of fewer rows, and ids to match.
pub struct Lookup<M: TrainStep> {
    /// The table, `[n, d]`.
    pub table: fn(&mut M) -> &mut Param<Tensor<2>>,
    /// The ids, below n.
    pub ids: fn(&mut M::Input) -> &mut Vec<u32>,
}

impl<M: TrainStep> Clone for Lookup<M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: TrainStep> Copy for Lookup<M> {}

/// Trains `model` for `epochs` epochs and returns it, without autodiff, with the figures of each epoch.
///
/// With a `lookup`, and a table that trains on the CPU, a step's model has only the rows that its batch names for its table,
/// with ids to match; the others wait for their updates ([`LazyTable`]). On `flex` that changes no number, but for the last
/// digits of the norm where that of all gradients is clipped.
///
/// After each epoch `after_epoch` gets the model as it is then, without autodiff: the place to save it.
///
/// # Errors
/// A loss that is not finite, an error of the hook, an interruption.
pub fn fit<M, H>(
    model: M,
    optimizer: &OptimizerConfig,
    epochs: usize,
    batches: Batches<<M as TrainStep>::Input>,
    lookup: Option<Lookup<M>>,
    unit: &'static str,
    after_epoch: H,
) -> Result<(M, Vec<EpochStats>), Failure>
where
    M: LearnerModel + TrainStep<Output = StepOutput> + InferenceStep<Input = <M as TrainStep>::Input>,
    H: FnMut(&M, &EpochStats) -> Result<(), Failure> + 'static,
{
    listen()?;
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let strategy = Strategy {
        unit,
        optimizer: *optimizer,
        steps: batches.steps() as u64,
        lookup,
        after_epoch: Mutex::new(after_epoch),
        outcome: outcome.clone(),
    };
    let none = batches.empty();
    let training = SupervisedTraining::<M>::new(".", Arc::new(batches), Arc::new(none))
        .num_epochs(epochs)
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
        .renderer(Box::new(silent::Silent))
        .with_training_strategy(TrainingStrategy::Custom(Arc::new(strategy)));
    let result = training.launch(Learner::new(model, optimizer.init(), optimizer.learning_rate));
    let outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(|e| e.into_inner()));
    if let Some(failure) = outcome.failure {
        return Err(failure);
    }
    if let Some(error) = result.error {
        return Err(Failure::failed(error));
    }
    if outcome.epochs.len() < epochs {
        return Err(Failure::Interrupted(match outcome.epochs.len() {
            0 => "before the end of the first epoch; no model was saved".into(),
            n => format!("the model as it was after epoch {n} of {epochs} is kept"),
        }));
    }
    Ok((result.model, outcome.epochs))
}

/// What the strategy leaves behind.
#[derive(Default)]
struct Outcome {
    epochs: Vec<EpochStats>,
    failure: Option<Failure>,
}

struct Strategy<M: TrainStep, H> {
    unit: &'static str,
    optimizer: OptimizerConfig,
    steps: u64,
    lookup: Option<Lookup<M>>,
    after_epoch: Mutex<H>,
    outcome: Arc<Mutex<Outcome>>,
}

impl<M, H> SupervisedLearningStrategy<M> for Strategy<M, H>
where
    M: LearnerModel + TrainStep<Output = StepOutput>,
    H: FnMut(&M, &EpochStats) -> Result<(), Failure>,
{
    fn fit(
        &self,
        components: TrainingComponents<M>,
        learner: Learner<M>,
        train: TrainLoader<M>,
        _: ValidLoader<M>,
        first_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        // Not the learner's own steps: it keeps the old model until it has the new one, so that every step copies all
        // weights before it changes them.
        let mut model = learner.model();
        drop(learner);
        let mut optimizers = Optimizers {
            rest: self.optimizer.init(),
            lazy: self.lookup.and_then(|lookup| {
                let table = (lookup.table)(&mut model).val();
                let lazy = if table.is_require_grad() { self.optimizer.lazy(&table) } else { None };
                Some((lookup, lazy?))
            }),
        };
        let mut progress = Progress::new(self.unit, components.num_epochs, self.steps);
        for epoch in first_epoch..=components.num_epochs {
            let result;
            (model, result) = self.epoch(epoch, model, &mut optimizers, &train, &mut progress);
            progress.end();
            let mut outcome = self.outcome.lock().unwrap_or_else(|e| e.into_inner());
            match result {
                Ok(Some(stats)) => {
                    outcome.epochs.push(stats);
                    let mut hook = self.after_epoch.lock().unwrap_or_else(|e| e.into_inner());
                    if let Err(failure) = (*hook)(&model.valid(), &stats) {
                        outcome.failure = Some(failure);
                        break;
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    outcome.failure = Some(failure);
                    break;
                }
            }
            if stopped() {
                break;
            }
        }
        (model, components.event_processor)
    }
}

/// What updates a model: the table that the rows of a batch come from by itself, if there is one, and all the rest.
struct Optimizers<M: TrainStep> {
    lazy: Option<(Lookup<M>, LazyTable)>,
    rest: ModuleOptimizer,
}

/// The parameter with another value.
fn put(param: &mut Param<Tensor<2>>, value: Tensor<2>) -> ParamId {
    *param = Param::initialized(param.id, value);
    param.id
}

impl<M, H> Strategy<M, H>
where
    M: LearnerModel + TrainStep<Output = StepOutput>,
{
    /// One epoch; `None` where it was interrupted. The model has its whole table only after a whole epoch.
    fn epoch(
        &self,
        epoch: usize,
        mut model: M,
        optimizers: &mut Optimizers<M>,
        train: &TrainLoader<M>,
        progress: &mut Progress,
    ) -> (M, Result<Option<EpochStats>, Failure>) {
        let start = Instant::now();
        let mut totals = Totals::default();
        progress.begin_epoch(epoch);
        for batch in train.iter() {
            let mut batch = match batch {
                Ok(batch) => batch,
                Err(error) => return (model, Err(Failure::failed(error))),
            };
            let rate = self.optimizer.learning_rate;
            let named = optimizers.lazy.as_mut().map(|(lookup, table)| {
                let ids = (lookup.ids)(&mut batch);
                let mut rows = table.rows(ids);
                *ids = std::mem::take(&mut rows.places);
                (put((lookup.table)(&mut model), rows.values.clone()), rows, table)
            });
            let output = TrainStep::step(&model, batch);
            let mut grads = self.optimizer.clipped(&model, output.grads);
            if let Some((id, rows, table)) = named
                && let Some(grad) = grads.remove::<2>(id)
            {
                table.step(rate, &rows, grad);
            }
            model = model.optimize(&mut optimizers.rest, rate.into(), grads);
            let due = progress.step(output.item.items as u64);
            totals.pending.push(output.item);
            if due {
                let (loss, accuracy) = totals.read();
                if let Err(failure) = progress.show(loss, &format!("accuracy {accuracy:.4}")) {
                    return (model, Err(failure));
                }
            }
            if stopped() {
                return (model, Ok(None));
            }
        }
        if let Some((lookup, table)) = &mut optimizers.lazy {
            put((lookup.table)(&mut model), table.weights().require_grad());
        }
        let (loss, accuracy) = totals.read();
        (model, Ok(Some(EpochStats { epoch, loss, accuracy, seconds: start.elapsed().as_secs_f64() })))
    }
}
