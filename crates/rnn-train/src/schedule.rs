//! The learning rate over a training, composed of Burn's schedulers.

use crate::TrainError;
use burn::lr_scheduler::LrSchedulerConfig;
use burn::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::sequential::SequentialLrSchedulerConfig;
use serde::{Deserialize, Serialize};

/// The curve of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// The rate does not change.
    #[default]
    Constant,
    /// Linearly down to 0.
    Linear,
    /// Down to 0 along half a cosine (Loshchilov and Hutter, 2017).
    Cosine,
    /// Up from 1/25 of the rate over the first 30 % of the steps, then down to 0 along half a cosine (Smith and Topin,
    /// 2019).
    OneCycle,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Constant, Self::Linear, Self::Cosine, Self::OneCycle];

    /// Its name: `constant`, `linear`, `cosine`, `one-cycle`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::OneCycle => "one-cycle",
        }
    }
}

impl std::str::FromStr for Shape {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self, TrainError> {
        Self::ALL.into_iter().find(|shape| shape.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            TrainError::setting("schedule", format!("{name:?} is not known; the names are {names}"))
        })
    }
}

/// The learning rate over a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schedule {
    /// The curve after the warm-up.
    pub shape: Shape,
    /// The number of steps in which the rate first rises linearly. Must be 0 for one-cycle, which has its own rise.
    pub warm_up: u64,
}

/// One-cycle starts at the rate divided by this.
const ONE_CYCLE_START: f64 = 25.0;
/// The share of steps in which one-cycle rises.
const ONE_CYCLE_RISE: f64 = 0.3;

impl Schedule {
    /// Burn's scheduler for a training of `steps` steps, advanced by `done` steps.
    ///
    /// # Errors
    /// A warm-up as long as the training, or together with one-cycle; a rate above 1 with a schedule, which Burn's
    /// schedulers refuse.
    pub fn scheduler(&self, rate: f64, steps: u64, done: u64) -> Result<ModuleLrScheduler, TrainError> {
        let Self { shape, warm_up } = *self;
        let setting = |name, problem: String| Err(TrainError::setting(name, problem));
        if shape == Shape::OneCycle && warm_up > 0 {
            return setting(
                "warm_up",
                format!("{warm_up} is not possible: one-cycle has a warm-up of its own; leave it out"),
            );
        }
        if warm_up >= steps && warm_up > 0 {
            return setting("warm_up", format!("{warm_up} is as long as the training of {steps} steps; give fewer"));
        }
        if shape == Shape::Constant && warm_up == 0 {
            return Ok(ModuleLrScheduler::from(rate));
        }
        if rate > 1.0 {
            return setting(
                "learning_rate",
                format!("{rate} is too large for a schedule; give at most 1, or a constant rate"),
            );
        }
        let (start, rise) = match shape {
            Shape::OneCycle => (rate / ONE_CYCLE_START, (steps as f64 * ONE_CYCLE_RISE) as u64),
            _ => (rate / (warm_up + 1) as f64, warm_up),
        };
        let fall = (steps - rise).max(1) as usize;
        let then = match shape {
            Shape::Constant => LrSchedulerConfig::Constant(rate),
            Shape::Linear => LrSchedulerConfig::Linear(LinearLrSchedulerConfig::new(rate, 0.0, fall)),
            Shape::Cosine | Shape::OneCycle => {
                LrSchedulerConfig::Cosine(CosineAnnealingLrSchedulerConfig::new(rate, fall))
            }
        };
        let parts = match rise {
            0 => (vec![then], vec![]),
            rise => {
                let first = LrSchedulerConfig::Linear(LinearLrSchedulerConfig::new(start, rate, rise as usize));
                (vec![first, then], vec![rise as usize])
            }
        };
        let scheduler = SequentialLrSchedulerConfig::new(parts.0, parts.1).init();
        let mut scheduler = scheduler.map_err(|problem| TrainError::setting("schedule", problem))?;
        // A scheduler's state depends only on the number of steps made.
        (0..done).for_each(|_| drop(scheduler.step()));
        Ok(scheduler)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(shape: Shape, warm_up: u64, steps: u64) -> Vec<f64> {
        let mut scheduler = Schedule { shape, warm_up }.scheduler(0.1, steps, 0).expect("possible");
        (0..steps).map(|_| scheduler.step().base()).collect()
    }

    fn near(found: &[f64], want: &[f64]) {
        assert_eq!(found.len(), want.len());
        assert!(found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?} {want:?}");
    }

    #[test]
    fn rates_go_as_their_shape_says() {
        near(&rates(Shape::Constant, 0, 3), &[0.1, 0.1, 0.1]);
        near(&rates(Shape::Constant, 2, 4), &[0.1 / 3.0, 0.2 / 3.0, 0.1, 0.1]);
        near(&rates(Shape::Linear, 0, 4), &[0.1, 0.075, 0.05, 0.025]);
        near(&rates(Shape::Cosine, 0, 4), &[0.1, 0.085_355_339_059, 0.05, 0.014_644_660_940]);
        let cycle = rates(Shape::OneCycle, 0, 10);
        near(&cycle[..4], &[0.004, 0.036, 0.068, 0.1]);
        assert!(cycle[3..].is_sorted_by(|a, b| a > b) && cycle[9] < 0.01, "{cycle:?}");
    }

    #[test]
    fn a_resumed_schedule_is_where_it_was() {
        for shape in Shape::ALL {
            let schedule = Schedule { shape, warm_up: if shape == Shape::OneCycle { 0 } else { 3 } };
            let mut whole = schedule.scheduler(0.1, 12, 0).expect("possible");
            (0..7).for_each(|_| drop(whole.step()));
            let mut resumed = schedule.scheduler(0.1, 12, 7).expect("possible");
            for _ in 7..12 {
                assert_eq!(whole.step().base().to_bits(), resumed.step().base().to_bits());
            }
        }
    }

    #[test]
    fn impossible_schedules_are_refused() {
        let error = |shape, warm_up, rate| {
            Schedule { shape, warm_up }.scheduler(rate, 5, 0).err().expect("refused").to_string()
        };
        assert!(error(Shape::OneCycle, 1, 0.1).contains("a warm-up of its own"));
        assert!(error(Shape::Linear, 5, 0.1).contains("warm_up 5 is as long as the training of 5 steps"));
        assert!(error(Shape::Cosine, 0, 1.5).contains("is too large for a schedule"));
    }
}
