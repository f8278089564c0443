//! The training loop, as a learning strategy of burn-train. Its events feed metrics, early stopping and dashboard.
//!
//! burn-train's own strategies have no hooks or checkpoints within an epoch, and their `Learner` keeps the old weights
//! while it computes the new ones, so each step copies all weights. Here model and optimizer belong to the
//! [`TrainState`].

use crate::TrainError;
use crate::batches::Batches;
use crate::checkpoint;
use crate::devices::Devices;
use crate::evaluate::evaluate;
use crate::events::{Events, Part};
use crate::figures::{Figures, TotalsRead};
use crate::group::Group;
use crate::state::{EpochRecord, TrainState, Validation};
use crate::task::{Batch, Task};
use crate::training::{Flow, Hooks, Plan};
use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::train::{
    InferenceStep, Learner, SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader,
    TrainingComponents, ValidLoader,
};
use rnn_core::optim::clip_grad_norm;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All steps of the plan were made.
    Complete,
    /// The validation loss did not fall for as many epochs as the patience allows.
    EarlyStopped,
    /// A hook ended it.
    Stopped,
    /// It was asked to stop; the checkpoint has the last step.
    Interrupted,
}

/// The time between two reports of figures to burn-train.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A loss of so many times the one at the beginning ends the training.
const GREW: f64 = 100.0;

/// The parts of a training that do not change, and its hooks.
pub(crate) struct Loop<M: Task> {
    pub plan: Plan,
    pub total_steps: u64,
    pub train: Batches<Batch<M>>,
    pub validation: Option<Batches<Batch<M>>>,
    pub checkpoints: Option<PathBuf>,
    pub checkpoint_every: Option<u64>,
    /// Several devices that share the mini-batches of an update.
    pub devices: Option<Devices<M>>,
    pub unit: &'static str,
    pub stopped: Box<dyn Fn() -> bool>,
    pub scheduler: ModuleLrScheduler,
    pub hooks: Box<dyn Hooks<M>>,
}

/// The course of an epoch.
struct Epoch<'a, M: Task> {
    /// Counted from 1.
    number: usize,
    /// The number of its steps, and of their items.
    steps: usize,
    items: usize,
    /// What was reported. After resuming within an epoch, the first report includes the steps before the checkpoint.
    reported: TotalsRead,
    last_report: Option<Instant>,
    /// The step of the last update.
    updated_at: u64,
    /// The seconds of training until `start`.
    before: f64,
    start: Instant,
    /// Its first mini-batch, on which new weights are tried before they are saved.
    trial: &'a dyn Fn() -> Batch<M>,
}

type Slot<M> = Rc<RefCell<Option<(TrainState<M>, Result<Ended, TrainError>)>>>;

/// The loop with its initial state, and the slot for its final state.
pub(crate) struct Strategy<M: Task> {
    start: RefCell<Option<(Loop<M>, TrainState<M>)>>,
    end: Slot<M>,
}

impl<M: Task> Strategy<M> {
    pub fn new(inner: Loop<M>, state: TrainState<M>, end: Slot<M>) -> Self {
        Self { start: RefCell::new(Some((inner, state))), end }
    }
}

impl<M: Task> SupervisedLearningStrategy<M> for Strategy<M> {
    fn fit(
        &self,
        components: TrainingComponents<M>,
        learner: Learner<M>,
        _: TrainLoader<M>,
        _: ValidLoader<M>,
        _: usize,
    ) -> (M, SupervisedTrainingEventProcessor<M>) {
        // A second handle on the weights would make each step copy them.
        let model = learner.model();
        drop(learner);
        let Some((mut inner, state)) = self.start.borrow_mut().take() else {
            return (model, components.event_processor);
        };
        drop(model);
        let mut burn = Events::new(components, inner.unit);
        let (state, ended) = inner.epochs(state, &mut burn);
        burn.finish();
        let model = state.model.clone();
        *self.end.borrow_mut() = Some((state, ended));
        (model, burn.components.event_processor)
    }
}

impl<M: Task> Loop<M> {
    /// Runs the remaining epochs.
    fn epochs(
        &mut self,
        mut state: TrainState<M>,
        events: &mut Events<M>,
    ) -> (TrainState<M>, Result<Ended, TrainError>) {
        let items = [self.train.items(), self.validation.as_ref().map_or(0, Batches::items)];
        if events.replay(&state.history, items) || self.is_out_of_patience(&state) {
            return (state, Ok(Ended::EarlyStopped));
        }
        if state.stopped {
            return (state, Ok(Ended::Stopped));
        }
        let epochs = self.total_steps.div_ceil(self.train.steps().max(1) as u64) as usize;
        while state.history.len() < epochs {
            let steps;
            (state, steps) = self.steps(state, events);
            let ended = match steps {
                Ok(None) => self.end_of_epoch(&mut state, events),
                ended => ended,
            };
            match ended {
                Ok(None) => {}
                Ok(Some(ended)) => return (state, Ok(ended)),
                Err(error) => return (state, Err(error)),
            }
        }
        (state, Ok(Ended::Complete))
    }

    /// Runs the remaining steps of an epoch; returns why they ended before the end of the epoch, if they did.
    fn steps(
        &mut self,
        mut state: TrainState<M>,
        events: &mut Events<M>,
    ) -> (TrainState<M>, Result<Option<Ended>, TrainError>) {
        let number = state.history.len();
        let first = number as u64 * self.train.steps() as u64;
        let from = (state.step - first) as usize;
        let steps = (self.total_steps - first).min(self.train.steps() as u64) as usize;
        let train = self.train.clone();
        let order = train.order(number);
        let trial = || order.batch(0, train.device());
        let mut epoch = Epoch {
            number: number + 1,
            steps,
            items: self.train.items_in(steps),
            reported: TotalsRead::default(),
            last_report: None,
            updated_at: state.step,
            before: state.seconds,
            start: Instant::now(),
            trial: &trial,
        };
        events.start(Part::Train, epoch.number, epoch.items);
        // An interruption may have come in the way of a validation.
        if from > 0 && from < steps {
            match self.validate_if_due(&mut state, &mut epoch, events) {
                Ok(None) => {}
                ended => return (state, ended),
            }
        }
        let mut group = Group::new(self.plan.accumulate);
        for step in from + 1..=steps {
            let (output, rows) = match &mut self.devices {
                None => state.forward(order.batch(step - 1, train.device())),
                Some(devices) => {
                    match devices.next(&state.model, &order, step - 1, group.missing().min(steps + 1 - step)) {
                        Ok(output) => (output, None),
                        Err(error) => return (state, Err(error)),
                    }
                }
            };
            let items = output.item.items;
            state.totals.add(output.item);
            state.step += 1;
            let rate = self.scheduler.step();
            let Some(mut grads) = group.add(&state.model, output.grads, items, step == steps) else { continue };
            if let Some(norm) = self.plan.optimizer.clip_norm {
                grads = clip_grad_norm(&state.model, grads, norm).0;
            }
            state = state.update(rate.base(), grads, rows, self.plan.average);
            match self.after_update(&mut state, &mut epoch, events, step, rate) {
                Ok(None) => {}
                ended => return (state, ended),
            }
        }
        events.end(Part::Train, epoch.number);
        (state, Ok(None))
    }

    /// Reports figures, calls the hook, validates and saves a checkpoint, as far as they are due after `step`, counted from
    /// 1; returns why the training ended, if it did.
    fn after_update(
        &mut self,
        state: &mut TrainState<M>,
        epoch: &mut Epoch<M>,
        events: &mut Events<M>,
        step: usize,
        rate: ModuleLearningRate,
    ) -> Result<Option<Ended>, TrainError> {
        state.seconds = epoch.before + epoch.start.elapsed().as_secs_f64();
        let is_last = step == epoch.steps;
        if is_last || epoch.last_report.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            epoch.last_report = Some(Instant::now());
            if let Some(loss) = state.totals.means().first().copied().filter(|loss| !loss.is_finite()) {
                return Err(TrainError::Diverged { loss, epoch: epoch.number, step, rate: rate.base() });
            }
            if let Some((from, loss)) = self.grew(state, &epoch.reported) {
                return Err(TrainError::Grew { from, loss, epoch: epoch.number, step, rate: rate.base() });
            }
            let now = state.totals.read_all();
            events.report(Part::Train, &mut epoch.reported, now, epoch.items, Some((step, rate.clone())));
        }
        if self.hooks.after_step(state)? == Flow::Stop {
            return Ok(Some(Ended::Stopped));
        }
        // With accumulation an update need not be at a multiple of `every`.
        let every = self.checkpoint_every.map_or(u64::MAX, |every| every.max(1));
        let due = state.step / every > epoch.updated_at / every;
        epoch.updated_at = state.step;
        let stopped = events.stopped(&*self.stopped);
        if is_last || due || stopped || self.validation_is_due(state) {
            self.try_weights(state, epoch, step, rate)?;
        }
        // After the last step of an epoch its end validates and writes the checkpoint.
        if !is_last && let Some(ended) = self.validate_if_due(state, epoch, events)? {
            return Ok(Some(ended));
        }
        if stopped || due && !is_last {
            self.save(state)?;
        }
        Ok((stopped && state.step < self.total_steps).then_some(Ended::Interrupted))
    }

    /// Validates within an epoch, if it is time; returns why the training ended, if it did. Whether it is time is a function
    /// of the state, so that a validation that an interruption prevented is made after resuming.
    fn validate_if_due(
        &mut self,
        state: &mut TrainState<M>,
        epoch: &mut Epoch<M>,
        events: &mut Events<M>,
    ) -> Result<Option<Ended>, TrainError> {
        let Some(batches) = self.validation.as_ref().filter(|_| self.validation_is_due(state)) else {
            return Ok(None);
        };
        let begun = Instant::now();
        let figures = evaluate(&state.model(), batches, |_| !events.stopped(&*self.stopped));
        epoch.start += begun.elapsed(); // not a part of the seconds of training
        let Some(figures) = figures else {
            self.save(state)?;
            return Ok(Some(Ended::Interrupted));
        };
        let is_best = state.keep_if_best(epoch.number, &figures);
        let validation = Validation { step: state.step, figures };
        state.validations.push(validation.clone());
        events.flush();
        self.hooks.after_validation(state, &validation, is_best)?;
        self.save(state)?;
        self.hooks.after_checkpoint()?;
        Ok(self.is_out_of_patience(state).then_some(Ended::EarlyStopped))
    }

    fn validation_is_due(&self, state: &TrainState<M>) -> bool {
        let last = state.validations.last().map_or(0, |validation| validation.step);
        let due = |every| state.step / every > last / every;
        self.validation.is_some() && self.plan.validate_every.is_some_and(due)
    }

    /// Whether as many validations as the patience allows came after the best one. Without validations within epochs
    /// burn-train's early stopping decides.
    fn is_out_of_patience(&self, state: &TrainState<M>) -> bool {
        let best = state.best.as_ref().map_or(0, |best| best.step);
        let since = state.validations.iter().rev().take_while(|validation| validation.step > best).count();
        self.plan.patience.is_some_and(|patience| since >= patience)
    }

    /// The loss at the beginning and the mean loss since the last report, if it has grown too much. The beginning is the
    /// first report; after resuming from a checkpoint that lacks it, the first epoch.
    fn grew(&self, state: &mut TrainState<M>, reported: &TotalsRead) -> Option<(f64, f64)> {
        let now = state.totals.read();
        let sum = |totals: &TotalsRead| totals.sums.first().copied().unwrap_or(0.0);
        let loss = (sum(now) - sum(reported)) / (now.items - reported.items) as f64;
        let first = state.history.first().map_or(loss, |record| record.train.loss);
        let from = *state.first_loss.get_or_insert(first);
        (from > 0.0 && loss > GREW * from).then_some((from, loss))
    }

    /// Tries the weights before they are saved: a step's loss is measured before its update, so that no loss yet tells
    /// what the last update did. Without it a checkpoint could hold the weights of a training that has diverged.
    fn try_weights(
        &self,
        state: &mut TrainState<M>,
        epoch: &Epoch<M>,
        step: usize,
        rate: ModuleLearningRate,
    ) -> Result<(), TrainError> {
        state.merge();
        let model = state.model.valid();
        let output = rnn_core::evaluation(1, || InferenceStep::step(&model, (epoch.trial)()));
        let items = output.items as f64;
        let loss = output.into_sums().first().map_or(f64::NAN, |sum| sum / items);
        let (epoch, rate) = (epoch.number, rate.base());
        match state.first_loss {
            _ if !loss.is_finite() => Err(TrainError::Diverged { loss, epoch, step, rate }),
            Some(from) if from > 0.0 && loss > GREW * from => Err(TrainError::Grew { from, loss, epoch, step, rate }),
            _ => Ok(()),
        }
    }

    /// Validates, records the epoch, calls the hook, saves a checkpoint; returns why the training ended, if it did.
    fn end_of_epoch(&mut self, state: &mut TrainState<M>, events: &mut Events<M>) -> Result<Option<Ended>, TrainError> {
        let epoch = state.history.len() + 1;
        let validation = match &self.validation {
            None => None,
            Some(batches) => match events.validate(&state.model(), batches, epoch, &*self.stopped) {
                Some(figures) => Some(figures),
                None => {
                    self.save(state)?;
                    return Ok(Some(Ended::Interrupted));
                }
            },
        };
        let is_best = validation.as_ref().is_none_or(|figures| state.keep_if_best(epoch, figures));
        if let (Some(figures), Some(_)) = (&validation, self.plan.validate_every) {
            state.validations.push(Validation { step: state.step, figures: figures.clone() });
        }
        let record = EpochRecord {
            epoch,
            train: Figures::of(&mut state.totals),
            validation,
            learning_rate: self.scheduler_rate(state.step),
            seconds: state.seconds,
        };
        events.end_of_epoch(epoch);
        state.totals = Default::default();
        state.seconds = 0.0;
        state.history.push(record.clone());
        let flow = self.hooks.after_epoch(state, &record, is_best)?;
        if flow == Flow::Stop {
            state.stopped = true;
            if let Some(figures) = &record.validation {
                state.keep(epoch, figures);
            }
        }
        self.save(state)?;
        self.hooks.after_checkpoint()?;
        Ok(match flow {
            Flow::Stop => Some(Ended::Stopped),
            _ if events.stops_early(epoch) || self.is_out_of_patience(state) => Some(Ended::EarlyStopped),
            _ if state.step < self.total_steps && events.stopped(&*self.stopped) => Some(Ended::Interrupted),
            _ => None,
        })
    }

    /// The learning rate of step `steps`, counted from 1.
    fn scheduler_rate(&self, steps: u64) -> f64 {
        let rate = self.plan.optimizer.learning_rate;
        let scheduler = self.plan.schedule.scheduler(rate, self.total_steps, steps.saturating_sub(1));
        scheduler.map_or(rate, |mut scheduler| scheduler.step().base())
    }

    /// Saves a checkpoint, if there is a folder for it.
    fn save(&self, state: &mut TrainState<M>) -> Result<(), TrainError> {
        let Some(folder) = &self.checkpoints else { return Ok(()) };
        if !state.is_finite() {
            return Err(TrainError::Weights { step: state.step });
        }
        checkpoint::save(folder, state)
    }
}
