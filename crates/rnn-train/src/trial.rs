//! Training steps that are made to be timed or watched, and whose model is then thrown away.

use crate::TrainError;
use crate::batches::Batches;
use crate::state::TrainState;
use crate::task::{Batch, Task};
use crate::training::{Plan, Training};
use burn::tensor::Device;
use rnn_core::optim::clip_grad_norm;
use std::time::{Duration, Instant};

/// Steps before anything is timed: kernels are compiled, memory is reserved.
const WARM_UP: usize = 2;
/// Steps whose mean is one figure; a GPU works on one while the next is being launched.
const STEPS: usize = 4;
/// Figures, of which the least counts: others may use the machine.
const ROUNDS: usize = 5;
/// No round begins after this time.
const BUDGET: Duration = Duration::from_millis(500);

/// Training steps as [`Training::run`] makes them, without epochs, figures and checkpoints.
pub struct Trial<'a, M: Task> {
    plan: Plan,
    batches: &'a Batches<Batch<M>>,
    /// The rest of the epoch.
    source: Box<dyn Iterator<Item = Batch<M>> + 'a>,
    /// Taken while a step changes it.
    state: Option<TrainState<M>>,
    devices: Vec<Device>,
}

impl<M: Task> std::fmt::Debug for Trial<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("plan", &self.plan).field("devices", &self.devices).finish_non_exhaustive()
    }
}

impl<'a, M: Task> Trial<'a, M> {
    /// Steps of a training of `model` by `plan`, on the first epoch of `batches` again and again.
    ///
    /// # Errors
    /// Settings outside their range; nothing to train on.
    pub fn new(plan: &Plan, model: M, batches: &'a Batches<Batch<M>>) -> Result<Self, TrainError> {
        if batches.items() == 0 {
            return Err(TrainError::setting("batch", "has nothing to train on"));
        }
        let devices = model.devices();
        let state = Some(Training::new(*plan, batches.clone()).state(model, false)?);
        Ok(Self { plan: *plan, batches, source: Box::new(batches.epoch(0, 0)), state, devices })
    }

    /// Makes `count` steps, waits for the devices, and gives the seconds that one took on average.
    ///
    /// # Errors
    /// A device that fails.
    pub fn steps(&mut self, count: usize) -> Result<f64, TrainError> {
        let start = Instant::now();
        for _ in 0..count {
            let batch = self.source.next().or_else(|| {
                self.source = Box::new(self.batches.epoch(0, 0));
                self.source.next()
            });
            let (Some(batch), Some(mut state)) = (batch, self.state.take()) else { break };
            let (output, rows) = state.forward(batch);
            state.totals.add(output.item);
            let grads = match self.plan.optimizer.clip_norm {
                Some(norm) => clip_grad_norm(&state.model, output.grads, norm).0,
                None => output.grads,
            };
            self.state = Some(state.update(self.plan.optimizer.learning_rate, grads, rows, self.plan.average));
        }
        for device in &self.devices {
            device.sync().map_err(|error| TrainError::Burn(error.to_string()))?;
        }
        if let Some(state) = &mut self.state {
            state.totals = Default::default();
        }
        Ok(start.elapsed().as_secs_f64() / count.max(1) as f64)
    }
}

/// Seconds that a step of a training of `model` takes, as `plan` says it, on the first epoch of `batches`. The model
/// trains meanwhile and is then gone; give a fresh one.
///
/// # Errors
/// As [`Trial::new`] and [`Trial::steps`].
pub fn seconds_per_step<M: Task>(plan: &Plan, model: M, batches: &Batches<Batch<M>>) -> Result<f64, TrainError> {
    let mut trial = Trial::new(plan, model, batches)?;
    trial.steps(WARM_UP)?;
    let start = Instant::now();
    let mut least = trial.steps(1)?;
    for _ in 0..ROUNDS {
        if start.elapsed() > BUDGET {
            break;
        }
        least = least.min(trial.steps(STEPS)?);
    }
    Ok(least)
}
