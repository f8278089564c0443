//! A training in a run folder: shown on the terminal, stopped by Ctrl-C, saved after each epoch, resumed.

use crate::interrupt::{listen, stopped};
use crate::options::Session;
use crate::progress::{Pass, Progress, Renderer, clear};
use crate::report::{Epochs, Validations};
use crate::run_dir::{CONFIG, Config, RunDir};
use crate::shown::figure;
use crate::{Failure, printable_text, say};
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::{InferenceStep, Interrupter};
use rnn_train::{
    Batch, Batches, Ended, EpochRecord, Figure, Figures, Flow, Hooks, LOSS, Outcome, StepOutput, Task, TrainError,
    TrainState, Training, Validation,
};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;
use std::time::Instant;

/// What is trained on, and on what it is validated after each epoch.
pub struct Examples<M: Task> {
    /// The training set.
    pub train: Batches<Batch<M>>,
    /// The validation set.
    pub validation: Option<Batches<Batch<M>>>,
    /// What an example is called: `reviews`.
    pub unit: &'static str,
}

/// What a program does after an epoch with the model as it is then: gives the lines to print, and whether training
/// goes on.
pub type AfterEpoch<M> = Box<dyn FnMut(&M, &EpochRecord) -> Result<(String, Flow), Failure>>;

impl Session {
    /// Trains `model` as `config` says, in the folder of `run`, or goes on from its last checkpoint. After each epoch
    /// the model is saved: with a validation set the best one, without one the last.
    ///
    /// # Errors
    /// A loss or weights that are not finite, an error of `after_epoch`, an interruption; a checkpoint that cannot be
    /// used.
    pub fn fit<M: Task>(
        &self,
        run: &RunDir,
        config: &impl Config,
        model: M,
        examples: Examples<M>,
        after_epoch: AfterEpoch<M>,
    ) -> Result<Outcome<M>, Failure> {
        listen()?;
        self.device.tell_half_storage(&config.layer())?;
        let plan = config.training().plan;
        let epochs = plan.total_steps(examples.train.steps()).div_ceil(examples.train.steps().max(1) as u64);
        let may_end_sooner = plan.patience.is_some() || plan.max_steps.is_some();
        let steps = examples.train.steps();
        let progress = Progress::new(examples.unit, epochs as usize, examples.train.batch());
        let total_steps = plan.total_steps(examples.train.steps());
        let interrupter = Interrupter::new();
        let training = Training::new(plan, examples.train)
            .with_validation(examples.validation)
            .with_checkpoints(run.checkpoints(), self.checkpoint_every)
            .with_devices(self.device.all())
            .with_unit(examples.unit)
            .with_interrupter(interrupter.clone(), stopped);
        let resume = self.resumed.is_some() && rnn_train::has_checkpoint(&run.checkpoints())?;
        if self.resumed.is_some() && !resume {
            say!("{} has no checkpoint; the training starts from the beginning", run.path().display());
        }
        let state = training.state(model, resume)?;
        let first_epoch = state.history().len() + 1;
        let renderer: Box<dyn MetricsRenderer> = match self.tui {
            true => Box::new(TuiMetricsRendererWrapper::new(interrupter, Some(first_epoch))),
            false => Box::new(Renderer::new(progress.may_end_sooner(may_end_sooner), first_epoch)),
        };
        let lines = Rc::new(RefCell::new(Vec::new()));
        let hooks = Saving { run: run.clone(), after_epoch, steps, lines: lines.clone(), held_back: self.tui };
        let outcome = training.run(state, renderer, hooks);
        print_all(&lines, run)?;
        is_there(run)?;
        let mut outcome = outcome.map_err(|error| diverged(error, run))?;
        run.save_model(&outcome.model())?;
        run.write_epochs(&all_figures(&outcome.state, steps))?;
        if outcome.ended == Ended::Interrupted {
            let (step, path) = (outcome.state.step(), run.path().display());
            return Err(Failure::Interrupted(format!(
                "after step {step} of {total_steps}, of which there is a checkpoint; resume it with --resume {path}"
            )));
        }
        if let (Ended::EarlyStopped, Some(patience)) = (outcome.ended, plan.patience) {
            let (step, epoch) = (outcome.state.step(), outcome.state.history().len());
            let s = if patience == 1 { "" } else { "s" };
            println!(
                "{}",
                match plan.validate_every {
                    Some(_) =>
                        format!("stopped after step {step}: no lower validation loss in {patience} validation{s}"),
                    None => format!("stopped after epoch {epoch}: no lower validation loss in {patience} epoch{s}"),
                }
            );
        }
        let table = epoch_figures::<M>(outcome.state.history()).table(outcome.state.best().map(|best| best.epoch));
        if !table.is_empty() {
            println!("{table}");
        }
        Ok(outcome)
    }
}

/// Whether the run's folder is there, which somebody may have deleted while the training ran.
///
/// # Errors
/// If it is not: what would be written next would be a run without its configuration.
fn is_there(run: &RunDir) -> Result<(), Failure> {
    match run.path().join(CONFIG).exists() {
        true => Ok(()),
        false => {
            Err(Failure::failed(format!("the run folder {} is gone; the training has ended", run.path().display())))
        }
    }
}

/// The message about a training that diverged names the model and the checkpoint that stay.
fn diverged(error: TrainError, run: &RunDir) -> Failure {
    let kept = error.is_divergence() && rnn_train::has_checkpoint(&run.checkpoints()).unwrap_or(false);
    match kept {
        true => Failure::failed(format!("{error}; {} keeps the last good checkpoint", run.path().display())),
        false => error.into(),
    }
}

/// Saves the model after each epoch.
struct Saving<M: Task> {
    run: RunDir,
    after_epoch: AfterEpoch<M>,
    /// Mini-batches in an epoch.
    steps: usize,
    /// Lines to print after the checkpoint, so that what is printed is saved.
    lines: Rc<RefCell<Vec<String>>>,
    /// Whether they wait until the dashboard has left the terminal.
    held_back: bool,
}

/// Prints the lines.
///
/// # Errors
/// If nobody reads them any more; the training can then be resumed.
fn print_all(lines: &RefCell<Vec<String>>, run: &RunDir) -> Result<(), Failure> {
    let lines = lines.take();
    if !lines.is_empty() {
        clear();
    }
    for line in lines {
        writeln!(std::io::stdout(), "{}", printable_text(&line)).map_err(|e| {
            Failure::failed(format!("cannot print the figures: {e}; resume with --resume {}", run.path().display()))
        })?;
    }
    Ok(())
}

impl<M: Task> Hooks<M> for Saving<M> {
    fn after_validation(
        &mut self,
        state: &mut TrainState<M>,
        validation: &Validation,
        is_best: bool,
    ) -> Result<(), TrainError> {
        is_there(&self.run).map_err(TrainError::hook)?;
        self.run.write_epochs(&all_figures(state, self.steps)).map_err(TrainError::hook)?;
        if is_best {
            self.run.save_model(&state.model()).map_err(TrainError::hook)?;
        }
        let figures = names::<M>().zip(values(&validation.figures));
        let figures: Vec<String> = figures.map(|(name, value)| format!("{name} {}", figure(value))).collect();
        let best = if is_best { ", the best so far" } else { "" };
        self.lines.borrow_mut().push(format!("step {}: validation {}{best}", validation.step, figures.join(", ")));
        Ok(())
    }

    fn after_epoch(
        &mut self,
        state: &mut TrainState<M>,
        record: &EpochRecord,
        is_best: bool,
    ) -> Result<Flow, TrainError> {
        is_there(&self.run).map_err(TrainError::hook)?;
        self.run.write_epochs(&all_figures(state, self.steps)).map_err(TrainError::hook)?;
        let model = state.model();
        let (lines, flow) = (self.after_epoch)(&model, record).map_err(TrainError::hook)?;
        if is_best || flow == Flow::Stop {
            self.run.save_model(&model).map_err(TrainError::hook)?;
        }
        if !lines.is_empty() {
            self.lines.borrow_mut().push(lines);
        }
        Ok(flow)
    }

    fn after_checkpoint(&mut self) -> Result<(), TrainError> {
        if self.held_back { Ok(()) } else { print_all(&self.lines, &self.run).map_err(TrainError::hook) }
    }
}

/// Figures of a model over a data set, and how long that took.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// The loss and the task's figures.
    pub figures: Figures,
    /// Seconds.
    pub seconds: f64,
}

/// The figures of `model` over all of `batches`, with a progress line; `names` are those of the task.
///
/// # Errors
/// A loss that is not finite, an interruption.
pub fn evaluate<M>(
    model: &M,
    batches: &Batches<M::Input>,
    names: &[Figure],
    unit: &'static str,
) -> Result<Tested, Failure>
where
    M: InferenceStep<Output = StepOutput>,
{
    listen()?;
    let start = Instant::now();
    let mut progress = Progress::new(unit, 1, batches.batch());
    progress.begin(Pass::Test, 1, batches.items());
    let names: Vec<&str> = std::iter::once(&LOSS).chain(names).map(|figure| figure.name).collect();
    let figures = rnn_train::evaluate(model, batches, |seen| {
        if progress.advance(seen.items) {
            let means = seen.totals.means();
            progress.show(&names.iter().copied().zip(means).collect::<Vec<_>>());
        }
        !stopped()
    });
    progress.end();
    match figures {
        None => Err(Failure::Interrupted("before the end of the test; the model is kept".into())),
        Some(figures) if !figures.loss.is_finite() && batches.items() > 0 => {
            Err(Failure::failed(format!("the loss became {} in a test: train the model anew", figures.loss)))
        }
        Some(figures) => Ok(Tested { figures, seconds: start.elapsed().as_secs_f64() }),
    }
}

/// What came of a training, for summary.json and the last line of `--json`: figures of the last epoch by name, such as
/// `train_loss` and `validation_accuracy`, the best epoch, seconds, a list of the epochs.
pub fn summary<M: Task>(outcome: &Outcome<M>) -> Map<String, Value> {
    let history = outcome.state.history();
    let mut all = Map::new();
    for (part, figures) in [("train", history.last().map(|record| &record.train)), ("validation", outcome.validation())]
    {
        let values: Vec<f64> = figures.map(|figures| values(figures).collect()).unwrap_or_default();
        for (number, name) in names::<M>().enumerate() {
            all.insert(format!("{part}_{name}"), json!(values.get(number)));
        }
    }
    all.insert("best_epoch".into(), json!(outcome.state.best().map(|best| best.epoch)));
    if !outcome.state.validations().is_empty() {
        all.insert("best_step".into(), json!(outcome.state.best().map(|best| best.step)));
    }
    all.insert("steps".into(), json!(outcome.state.step()));
    all.insert("train_seconds".into(), json!(history.iter().map(|record| record.seconds).sum::<f64>()));
    let epochs = epoch_figures::<M>(history);
    all.insert("epochs".into(), epochs.0.into_iter().map(Value::Object).collect());
    all
}

/// The names of the loss and of the task's figures.
fn names<M: Task>() -> impl Iterator<Item = &'static str> {
    std::iter::once(LOSS.name).chain(M::FIGURES.iter().map(|figure| figure.name))
}

/// The values that belong to [`names`].
fn values(figures: &Figures) -> impl Iterator<Item = f64> {
    std::iter::once(figures.loss).chain(figures.others.iter().copied())
}

/// The figures of each epoch and of each validation by name; an epoch has `steps` mini-batches.
fn all_figures<M: Task>(state: &TrainState<M>, steps: usize) -> Epochs {
    let validation = |Validation { step, figures }: &Validation| {
        let mut all = Map::new();
        all.insert("step".into(), json!(step));
        all.insert("epoch".into(), json!(*step as f64 / steps as f64));
        all.extend(names::<M>().zip(values(figures)).map(|(name, x)| (format!("validation_{name}"), json!(x))));
        all
    };
    let validations = Validations(state.validations().iter().map(validation).collect());
    Epochs(epoch_figures::<M>(state.history()).0, validations)
}

/// The figures of each epoch by name.
fn epoch_figures<M: Task>(history: &[EpochRecord]) -> Epochs {
    let epoch = |record: &EpochRecord| {
        let mut epoch = Map::new();
        epoch.insert("epoch".into(), json!(record.epoch));
        for (name, value) in names::<M>().zip(values(&record.train)) {
            epoch.insert(name.into(), json!(value));
        }
        if let Some(figures) = &record.validation {
            for (name, value) in names::<M>().zip(values(figures)) {
                epoch.insert(format!("validation_{name}"), json!(value));
            }
        }
        epoch.insert("learning_rate".into(), json!(record.learning_rate));
        epoch.insert("seconds".into(), json!(record.seconds));
        epoch
    };
    Epochs(history.iter().map(epoch).collect(), Validations::default())
}
