//! A training: its plan, and its run on burn-train.

use crate::TrainError;
use crate::batches::{Batches, Loader};
use crate::checkpoint;
use crate::devices::Devices;
use crate::figures::{Figures, LOSS};
use crate::metric::Mean;
use crate::optim::OptimizerConfig;
use crate::schedule::Schedule;
use crate::state::{EpochRecord, TrainState, Validation};
use crate::strategy::{Ended, Loop, Strategy};
use crate::task::{Batch, Task};
use burn::tensor::Device;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::store::{Aggregate, Direction, Split};
use burn::train::renderer::MetricsRenderer;
use burn::train::{
    Interrupter, Learner, MetricEarlyStoppingStrategy, StoppingCondition, SupervisedTraining, TrainingStrategy,
};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// How a model is trained. Together with the data and the initial weights it determines the result; saved with a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The number of passes over all items.
    pub epochs: usize,
    /// The largest number of mini-batches; it may end the last epoch early.
    #[serde(default)]
    pub max_steps: Option<u64>,
    /// The optimizer and its settings.
    pub optimizer: OptimizerConfig,
    /// The schedule of the learning rate.
    #[serde(default)]
    pub schedule: Schedule,
    /// The number of mini-batches whose gradients make one update.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// The decay of an exponential average of the weights. The average is then validated and saved in place of the
    /// weights.
    #[serde(default)]
    pub average: Option<f64>,
    /// The number of validations without a lower loss after which training stops.
    #[serde(default)]
    pub patience: Option<usize>,
    /// The number of mini-batches after which the model is validated, beside the validation after each epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate_every: Option<u64>,
}

fn one() -> usize {
    1
}

impl Plan {
    /// `epochs` epochs with a constant learning rate.
    pub fn new(epochs: usize, optimizer: OptimizerConfig) -> Self {
        Self {
            epochs,
            max_steps: None,
            optimizer,
            schedule: Schedule::default(),
            accumulate: 1,
            average: None,
            patience: None,
            validate_every: None,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn check(&self) -> Result<(), TrainError> {
        self.optimizer.check()?;
        let refuse = |name, problem: String| Err(TrainError::setting(name, problem));
        let none = |name| refuse(name, "0 is not possible; give 1 or more".into());
        if self.epochs == 0 {
            return none("epochs");
        }
        if self.max_steps == Some(0) {
            return none("max_steps");
        }
        if self.accumulate == 0 {
            return none("accumulate");
        }
        if self.patience == Some(0) {
            return none("patience");
        }
        if self.validate_every == Some(0) {
            return none("validate_every");
        }
        match self.average.filter(|decay| !(0.0..1.0).contains(decay)) {
            Some(decay) => refuse("average", format!("{decay} is not possible; give 0 or more and less than 1")),
            None => Ok(()),
        }
    }

    /// The number of mini-batches in the whole training.
    pub fn total_steps(&self, steps_per_epoch: usize) -> u64 {
        let all = self.epochs as u64 * steps_per_epoch as u64;
        self.max_steps.map_or(all, |most| all.min(most))
    }
}

/// Whether training continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It continues.
    Continue,
    /// It ends successfully: the model is good enough.
    Stop,
}

/// Callbacks between steps and epochs: the place to print, to save a model, to inspect it.
pub trait Hooks<M: Task> {
    /// After each update of the weights.
    ///
    /// # Errors
    /// An error ends the training.
    fn after_step(&mut self, state: &mut TrainState<M>) -> Result<Flow, TrainError> {
        let _ = state;
        Ok(Flow::Continue)
    }

    /// After a validation within an epoch, before its checkpoint. `is_best` is true if its loss is the lowest so far.
    ///
    /// # Errors
    /// An error ends the training.
    fn after_validation(
        &mut self,
        state: &mut TrainState<M>,
        validation: &Validation,
        is_best: bool,
    ) -> Result<(), TrainError> {
        let _ = (state, validation, is_best);
        Ok(())
    }

    /// After each epoch and its validation, before the checkpoint. `is_best` is true if the validation loss is the
    /// lowest so far, and without a validation set always.
    ///
    /// # Errors
    /// An error ends the training.
    fn after_epoch(
        &mut self,
        state: &mut TrainState<M>,
        record: &EpochRecord,
        is_best: bool,
    ) -> Result<Flow, TrainError>;

    /// After the checkpoint of an epoch, or of a validation within one.
    ///
    /// # Errors
    /// Whatever ends the training.
    fn after_checkpoint(&mut self) -> Result<(), TrainError> {
        Ok(())
    }
}

/// A builder of a training; [`run`](Self::run) executes it.
pub struct Training<M: Task> {
    plan: Plan,
    train: Batches<Batch<M>>,
    validation: Option<Batches<Batch<M>>>,
    checkpoints: Option<PathBuf>,
    checkpoint_every: Option<u64>,
    devices: Vec<Device>,
    unit: &'static str,
    interrupter: Interrupter,
    stopped: Box<dyn Fn() -> bool>,
}

/// How a training ended.
#[derive(Debug)]
pub struct Outcome<M: Task> {
    /// The final state.
    pub state: TrainState<M>,
    /// The reason of its end.
    pub ended: Ended,
}

impl<M: Task> Training<M> {
    /// A training on `train`.
    pub fn new(plan: Plan, train: Batches<Batch<M>>) -> Self {
        Self {
            plan,
            train,
            validation: None,
            checkpoints: None,
            checkpoint_every: None,
            devices: Vec::new(),
            unit: "items",
            interrupter: Interrupter::new(),
            stopped: Box::new(|| false),
        }
    }

    /// Validates the model on `validation` after each epoch.
    pub fn with_validation(mut self, validation: Option<Batches<Batch<M>>>) -> Self {
        self.validation = validation;
        self
    }

    /// Writes checkpoints into `folder`, which is made where the folder above is there: after each epoch, on
    /// interruption, and after `every` mini-batches.
    pub fn with_checkpoints(mut self, folder: PathBuf, every: Option<u64>) -> Self {
        self.checkpoints = Some(folder);
        self.checkpoint_every = every;
        self
    }

    /// Shares the mini-batches of each update ([`Plan::accumulate`]) among `devices`, of which the model lies on the first
    /// one, and the optimizer with it. A device may be named several times. No bit changes with the number of devices, as
    /// long as they are of one kind.
    pub fn with_devices(mut self, devices: Vec<Device>) -> Self {
        self.devices = devices;
        self
    }

    /// The name of the items, such as `reviews`.
    pub fn with_unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Stops the training when `interrupter` says so (the dashboard's handle) or when `stopped` returns true, which is
    /// asked after each step.
    pub fn with_interrupter(mut self, interrupter: Interrupter, stopped: impl Fn() -> bool + 'static) -> Self {
        self.interrupter = interrupter;
        self.stopped = Box::new(stopped);
        self
    }

    /// The initial state, or with `resume` the state of the newest checkpoint.
    ///
    /// # Errors
    /// Settings outside their range; with `resume`, a checkpoint that cannot be used.
    pub fn state(&self, model: M, resume: bool) -> Result<TrainState<M>, TrainError> {
        self.plan.check()?;
        if self.devices.len() > self.plan.accumulate.max(1) {
            let (devices, accumulate) = (self.devices.len(), self.plan.accumulate);
            return Err(TrainError::setting(
                "devices",
                format!(
                    "are {devices}, but an update takes {accumulate} mini-batch{} (--accumulate), one for a device at a \
                     time: give no more devices than that",
                    if accumulate == 1 { "" } else { "es" }
                ),
            ));
        }
        let mut state = match &self.checkpoints {
            Some(folder) if resume => {
                let state = checkpoint::load(folder, model, &self.plan.optimizer)?;
                self.check_place(folder, &state)?;
                state
            }
            _ => TrainState::new(model, &self.plan.optimizer),
        };
        if self.plan.average.is_some() && state.average.is_none() {
            state.average = Some(state.model.clone());
        }
        // Averaging and accumulation need the whole table at each step.
        let whole = self.plan.average.is_some() || self.plan.accumulate > 1;
        if state.table.is_none() && !whole {
            state.begin_table(|table| self.plan.optimizer.lazy(table));
        }
        Ok(state)
    }

    /// Refuses a checkpoint that cannot be one of this training.
    fn check_place(&self, folder: &Path, state: &TrainState<M>) -> Result<(), TrainError> {
        let (steps, done) = (self.train.steps() as u64, state.history.len() as u64);
        let total = self.plan.total_steps(self.train.steps());
        let begun = done.saturating_mul(steps).min(total);
        let within = state.step.checked_sub(begun).filter(|&within| within <= steps && state.step <= total);
        let figures = 1 + M::FIGURES.len();
        let totals = state.totals.read();
        let fits = within.is_some_and(|within| totals.items as usize == self.train.items_in(within as usize))
            && (totals.items == 0 || totals.sums.len() == figures)
            && state.history.iter().all(|record| {
                let validation = record.validation.as_ref();
                record.train.others.len() + 1 == figures
                    && validation.is_some() == self.validation.is_some()
                    && validation.is_none_or(|validation| validation.others.len() + 1 == figures)
            })
            && state.best.as_ref().is_none_or(|best| best.epoch > 0 && best.step <= state.step)
            && state.best.as_ref().is_none_or(|best| best.figures.others.len() + 1 == figures)
            && state.validations.iter().all(|validation| validation.step <= state.step)
            && state.average.is_some() == self.plan.average.is_some();
        match fits {
            true => Ok(()),
            false => Err(TrainError::checkpoint(
                folder,
                "the newest checkpoint is of another training (its steps, items or figures do not fit this one); start a \
                 new run",
            )),
        }
    }

    /// Trains to the end of the plan, an early stop or an interruption. `renderer` shows the progress.
    ///
    /// # Errors
    /// A loss or weights that are not finite, a checkpoint that cannot be written, an error of a hook.
    pub fn run(
        self,
        state: TrainState<M>,
        renderer: Box<dyn MetricsRenderer>,
        hooks: impl Hooks<M> + 'static,
    ) -> Result<Outcome<M>, TrainError> {
        let steps = self.plan.total_steps(self.train.steps());
        let scheduler = self.plan.schedule.scheduler(self.plan.optimizer.learning_rate, steps, state.step)?;
        let epochs = steps.div_ceil(self.train.steps().max(1) as u64) as usize;
        let done = state.history.len();
        let learner = Learner::new(state.model.clone(), state.optimizer.clone(), scheduler.clone());
        let valid = self.validation.clone().unwrap_or_else(|| self.train.none());
        let mut training = SupervisedTraining::<M>::new(
            ".",
            Arc::new(Loader::new(self.train.clone(), done)),
            Arc::new(Loader::new(valid, 0)),
        )
        .num_epochs(epochs)
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_interrupter(self.interrupter.clone())
        .renderer(renderer);
        for (place, figure) in std::iter::once(LOSS).chain(M::FIGURES.iter().copied()).enumerate() {
            let mean = Mean::new(figure, place);
            training = training.metric_train_numeric(mean.clone()).metric_valid_numeric(mean);
        }
        // burn-train's event store knows epochs only; with validations between them the loop counts by itself.
        let patience = self.plan.patience.filter(|_| self.validation.is_some() && self.plan.validate_every.is_none());
        if let Some(n_epochs) = patience {
            training = training.early_stopping(MetricEarlyStoppingStrategy::new(
                &Mean::new(LOSS, 0),
                Aggregate::Mean,
                Direction::Lowest,
                Split::Valid,
                StoppingCondition::NoImprovementSince { n_epochs },
            ));
        }
        let inner = Loop {
            plan: self.plan,
            total_steps: steps,
            train: self.train,
            validation: self.validation,
            checkpoints: self.checkpoints,
            checkpoint_every: self.checkpoint_every,
            devices: (self.devices.len() > 1).then(|| Devices::new(&self.devices)),
            unit: self.unit,
            stopped: self.stopped,
            scheduler,
            hooks: Box::new(hooks),
        };
        let slot = Rc::new(RefCell::new(None));
        let strategy = Strategy::new(inner, state, slot.clone());
        let strategy = TrainingStrategy::Custom(Arc::new(strategy));
        let result = training.with_training_strategy(strategy).launch(learner);
        if let Some(error) = result.error {
            return Err(TrainError::Burn(error.to_string()));
        }
        let outcome = slot.borrow_mut().take();
        let (state, ended) = outcome.ok_or_else(|| TrainError::Burn("burn-train did not run the strategy".into()))?;
        Ok(Outcome { state, ended: ended? })
    }
}

impl<M: Task> Outcome<M> {
    /// The trained model, without autodiff: the one with the lowest validation loss; without a validation set, or if a
    /// hook ended the training, the last one.
    pub fn model(&mut self) -> M {
        match &self.state.best {
            Some(best) => best.model.clone(),
            None => self.state.model(),
        }
    }

    /// The validation figures of [`model`](Self::model); `None` without a validation set.
    pub fn validation(&self) -> Option<&Figures> {
        self.state.best.as_ref().map(|best| &best.figures)
    }

    /// The figures of the epoch of [`model`](Self::model); those of the last epoch if that one did
    /// not end, and `None` before the end of the first one.
    pub fn record(&self) -> Option<&EpochRecord> {
        let history = &self.state.history;
        let best = self.state.best.as_ref();
        best.and_then(|best| history.iter().find(|record| record.epoch == best.epoch)).or(history.last())
    }
}
