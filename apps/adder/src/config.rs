//! The arguments of the command line, and the checked configuration made from them.

use crate::model::{BITS, ModelConfig, UNITS};
use rnn_core::{AnyConfig, CellKind, Key};
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

/// Trains on random additions until every checked pair is right.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
pub struct TrainArgs {
    /// Set of defaults for the options below
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// The recurrent cell [default: rnn]
    #[arg(long, value_parser = cell_parser())]
    cell: Option<CellKind>,
    /// Bits of the sum; the operands have one bit less [default: 8]
    #[arg(long, value_parser = whole::<u32>(BITS))]
    bits: Option<u32>,
    /// Train on additions of 2 bits to a longest length, which grows from FROM to TO bits over the first 1000
    /// mini-batches, such as 4..32; the training then has at least 4000 mini-batches [default: all additions have
    /// --bits bits]
    #[arg(long, value_name = "FROM..TO", value_parser = Lengths::parse)]
    lengths: Option<Lengths>,
    /// Units of the recurrent layer [default: 16]
    #[arg(long, value_parser = whole::<u64>(UNITS))]
    hidden: Option<u64>,
    /// Additions in a mini-batch [default: 64]
    #[arg(long, value_parser = whole::<u64>(BATCHES))]
    batch: Option<u64>,
    /// Most mini-batches of the training, which ends earlier at the first check without a wrong answer
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u64>(STEPS))]
    steps: u64,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// A set of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Preset {
    /// Learns from additions of at most 32 bits, and adds two numbers of 64 bits: --bits 65 --lengths 4..32
    Long,
}

/// The curriculum: additions of 2 to L bits, where L grows in a straight line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lengths {
    /// L at the first step.
    pub from: u32,
    /// L from step [`GROWTH`] on.
    pub to: u32,
}

/// The steps over which the longest addition of a curriculum grows.
const GROWTH: u64 = 1000;
/// A training with a curriculum does not end before this step.
pub const CURRICULUM: u64 = 4 * GROWTH;

impl Lengths {
    fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        let (from, to) = numbers.ok_or("give two whole numbers, as in 4..32")?;
        let lengths = Self { from, to };
        lengths.check(*BITS.end() as u32).map(|()| lengths).map_err(|e| e.to_string())
    }

    /// Checks that no addition is longer than `most` bits.
    fn check(self, most: u32) -> Result<(), Failure> {
        let Self { from, to } = self;
        match (2..=most).contains(&from) && (from..=most).contains(&to) {
            true => Ok(()),
            false => Err(Failure::input(format!(
                "--lengths {from}..{to} is not possible; give numbers from 2 to {most} (--bits), the smaller one first"
            ))),
        }
    }

    /// The bits of the additions of mini-batch `step`, drawn from `key`.
    pub fn bits(self, step: u64, key: Key) -> u32 {
        let longest = self.from + (u64::from(self.to - self.from) * step.min(GROWTH) / GROWTH) as u32;
        2 + (key.uniforms(1).sum::<f64>() * f64::from(longest - 1)) as u32
    }
}

/// The configuration of a model and its training; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// The lengths of the additions it learns from; without them they are as long as the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// The settings of its training.
    pub training: TrainConfig,
}

impl TrainArgs {
    /// The checked configuration.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn config(&self, session: &Session) -> Result<RunConfig, Failure> {
        self.config_of(self.cell, session)
    }

    /// The cells of a comparison: the one that was asked for, or those that learn to carry.
    pub fn cells(&self) -> Vec<CellKind> {
        let carrying = || vec![CellKind::Rnn, CellKind::Lstm, CellKind::Gru];
        self.cell.map_or_else(carrying, |cell| vec![cell])
    }

    /// [`config`](Self::config) with another cell.
    ///
    /// # Errors
    /// A setting outside its range.
    pub fn config_of(&self, cell: Option<CellKind>, session: &Session) -> Result<RunConfig, Failure> {
        let (usual_bits, usual_lengths) = match self.preset {
            None => (8, None),
            Some(Preset::Long) => (65, Some(Lengths { from: 4, to: 32 })),
        };
        if let (None, Some(Lengths { from, to }), Some(bits)) = (self.lengths, usual_lengths, self.bits)
            && bits < to
        {
            return Err(Failure::input(format!(
                "--bits {bits} is too short for --preset long, which learns from --lengths {from}..{to}; give --bits {to} \
                 or more, or other --lengths"
            )));
        }
        let epochs = self.steps.div_ceil(EPOCH as u64) as usize;
        let plan = Plan { max_steps: Some(self.steps), ..self.training.plan(epochs, OptimizerName::Adam) };
        let (cell, bits) = (cell.unwrap_or(CellKind::Rnn), self.bits.unwrap_or(usual_bits));
        let config = RunConfig {
            model: ModelConfig { cell, bits, hidden: self.hidden.unwrap_or(16) as usize },
            lengths: self.lengths.or(usual_lengths),
            training: TrainConfig::new(session, self.batch.unwrap_or(64) as usize, None, plan),
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
        self.model.check(self.training.batch)?;
        if let Some(lengths) = self.lengths {
            lengths.check(self.model.bits)?;
        }
        self.training.check()
    }

    fn layer(&self) -> AnyConfig {
        self.model.layer()
    }

    fn num_weights(&self) -> usize {
        self.layer().num_weights()
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
    /// For the pairs of `generalise`, which no training saw.
    pub trials: Key,
    /// For the lengths of a curriculum.
    pub lengths: Key,
}

impl Keys {
    /// The keys of `seed`.
    pub fn new(seed: u64) -> Self {
        let seed = Key::new(seed);
        Self {
            weights: seed.child(0),
            additions: seed.child(1),
            checks: seed.child(2),
            trials: seed.child(3),
            lengths: seed.child(4),
        }
    }
}
