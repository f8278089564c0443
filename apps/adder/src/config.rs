//! The arguments of the command line, and the checked configuration made from them.

use crate::model::{BITS, ModelConfig, UNITS};
use rnn_core::{CellKind, Key};
use rnn_harness::options::{Session, SessionArgs, TrainConfig, TrainingArgs, cell_parser, defaults_to};
use rnn_harness::run_dir::Config;
use rnn_harness::{Failure, check_range, whole};
use rnn_train::Plan;
use rnn_train::optim::OptimizerName;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of additions in a mini-batch.
const BATCHES: RangeInclusive<u64> = 1..=65_536;
/// The number of mini-batches in an epoch. The pairs are checked after each epoch.
pub const EPOCH: usize = 250;
/// The range of mini-batches in a training.
const STEPS: RangeInclusive<u64> = 1..=250_000_000;
/// The number of pairs in one forward pass of a check.
pub const CHECK_BATCH: usize = 4096;

/// Trains on random additions until every checked pair is right.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
pub struct TrainArgs {
    /// The recurrent cell
    #[arg(long, default_value = "rnn", value_parser = cell_parser())]
    cell: CellKind,
    /// Bits of the sum; the operands have one less
    #[arg(long, default_value_t = 8, value_parser = whole::<u32>(BITS))]
    bits: u32,
    /// Units of the recurrent layer
    #[arg(long, default_value_t = 16, value_parser = whole::<u64>(UNITS))]
    hidden: u64,
    /// Additions in a mini-batch
    #[arg(long, default_value_t = 64, value_parser = whole::<u64>(BATCHES))]
    batch: u64,
    /// Mini-batches at most; training ends sooner, at the first check without a wrong answer
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u64>(STEPS))]
    steps: u64,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The configuration of a model and its training; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// The settings of its training.
    pub training: TrainConfig,
}

impl TrainArgs {
    /// The checked configuration.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn config(&self, session: &Session) -> Result<RunConfig, Failure> {
        let epochs = self.steps.div_ceil(EPOCH as u64) as usize;
        let plan = Plan { max_steps: Some(self.steps), ..self.training.plan(epochs, OptimizerName::Adam) };
        let config = RunConfig {
            model: ModelConfig { cell: self.cell, bits: self.bits, hidden: self.hidden as usize },
            training: TrainConfig::new(session, self.batch as usize, None, plan),
        };
        config.check()?;
        Ok(config)
    }
}

impl Config for RunConfig {
    fn training(&self) -> &TrainConfig {
        &self.training
    }

    fn check(&self) -> Result<(), Failure> {
        check_range("--batch", self.training.batch, &BATCHES)?;
        self.model.check(self.training.batch.max(CHECK_BATCH))?;
        self.training.check()
    }

    fn num_weights(&self) -> usize {
        self.model.layer().num_weights()
    }
}

/// The keys of all random numbers, by purpose. The child numbers must not change, or every seed would give another
/// model.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// For the initial weights.
    pub weights: Key,
    /// For the additions to train on.
    pub additions: Key,
    /// For the pairs to check, where not all are checked.
    pub checks: Key,
}

impl Keys {
    /// The keys of `seed`.
    pub fn new(seed: u64) -> Self {
        let seed = Key::new(seed);
        Self { weights: seed.child(0), additions: seed.child(1), checks: seed.child(2) }
    }
}
