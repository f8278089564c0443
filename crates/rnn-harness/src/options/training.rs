//! The options about how a model is trained, and what of them a run's configuration keeps.

use super::{OptimizerArgs, SIZES, Session, size};
use crate::{Failure, check_range};
use rnn_train::Plan;
use rnn_train::optim::OptimizerName;
use serde::{Deserialize, Serialize};

/// The options about training, the same in every program. What depends on the program (epochs, mini-batches) is its
/// own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TrainingArgs {
    #[command(flatten)]
    optimizer: OptimizerArgs,
    /// Number of mini-batches whose gradients make one update [default: 1, or one for each --device]
    #[arg(long, value_name = "N", value_parser = size())]
    accumulate: Option<u64>,
    /// Validate and save an exponential average of the weights in place of the weights; its decay, such as 0.999
    /// [default: no average]
    #[arg(long, value_name = "DECAY")]
    average: Option<f64>,
    /// Stop after N validations in a row without a lower loss; each epoch ends with a validation [default: never]
    #[arg(long, value_name = "N", value_parser = size())]
    patience: Option<u64>,
    /// Validate after every N mini-batches too, not only after each epoch [default: never]
    #[arg(long, value_name = "N", value_parser = size())]
    validate_every: Option<u64>,
}

impl TrainingArgs {
    /// Checks what does not depend on the data; `validation` is the share to validate on, `optimizer` the program's default.
    ///
    /// # Errors
    /// A setting outside its range; a patience without a validation set.
    pub fn check(&self, validation: Option<f64>, optimizer: OptimizerName) -> Result<(), Failure> {
        self.plan(1, optimizer).check()?;
        let options = [("--patience", self.patience), ("--validate-every", self.validate_every)];
        match options.into_iter().find(|(_, given)| given.is_some() && validation.is_none()) {
            Some((option, _)) => Err(Failure::input(format!(
                "{option} needs a validation set; add --validation SHARE, such as --validation 0.1"
            ))),
            None => Ok(()),
        }
    }

    /// `plan`, a preset's, with the person's choices in place of its own. [`TrainConfig::check`] checks it.
    pub fn over(&self, plan: Plan) -> Plan {
        Plan {
            optimizer: self.optimizer.over(plan.optimizer),
            schedule: self.optimizer.schedule_over(plan.schedule),
            accumulate: self.accumulate.map_or(plan.accumulate, |n| n as usize),
            average: self.average.or(plan.average),
            patience: self.patience.map(|n| n as usize).or(plan.patience),
            validate_every: self.validate_every.or(plan.validate_every),
            ..plan
        }
    }

    /// A plan of `epochs` epochs with the person's choices, or `optimizer`. [`TrainConfig::check`] checks it.
    pub fn plan(&self, epochs: usize, optimizer: OptimizerName) -> Plan {
        Plan {
            schedule: self.optimizer.schedule(),
            accumulate: self.accumulate.unwrap_or(1) as usize,
            average: self.average,
            patience: self.patience.map(|n| n as usize),
            validate_every: self.validate_every,
            ..Plan::new(epochs, self.optimizer.optimizer(optimizer))
        }
    }
}

/// How a model is trained: the part of a run's configuration that all programs have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Seed of the weights, the order of the examples and dropout.
    pub seed: u64,
    /// Examples in a mini-batch.
    pub batch: usize,
    /// The share of the training data that is validated on instead.
    pub validation: Option<f64>,
    /// Epochs, optimizer, learning rate, early stopping.
    pub plan: Plan,
    /// The device, such as `flex`. Another one gives other last digits.
    pub device: String,
    /// CPU threads. Another number gives other last digits.
    pub threads: usize,
}

impl TrainConfig {
    /// For the device and seed of `session`.
    pub fn new(session: &Session, batch: usize, validation: Option<f64>, plan: Plan) -> Self {
        let (device, threads) = (session.device.name.clone(), session.device.threads);
        // Each device has a mini-batch of every update.
        let plan = Plan { accumulate: plan.accumulate.max(1 + session.device.others.len()), ..plan };
        Self { seed: session.seed, batch, validation, plan, device, threads }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A setting outside its range, by its option's name.
    pub fn check(&self) -> Result<(), Failure> {
        check_range("--batch", self.batch, &SIZES)?;
        check_range("--epochs", self.plan.epochs, &SIZES)?;
        self.plan.check()?;
        match self.validation.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            Some(share) => Err(Failure::input(format!(
                "--validation {share} is not possible; give a share above 0 and below 1, such as 0.1"
            ))),
            None => Ok(()),
        }
    }

    /// How many of `items` are for validation: at least one and all but one at most.
    pub fn validation_items(&self, items: usize) -> usize {
        match self.validation {
            Some(share) => ((items as f64 * share).round() as usize).clamp(1, items.saturating_sub(1).max(1)),
            None => 0,
        }
    }
}
