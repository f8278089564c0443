//! The arguments of the command line, and the checked configuration made from them.

use crate::data::{Data, DataArgs, DataConfig};
use crate::model::{ModelConfig, Pooling, WORDS};
use crate::ngrams::{NgramConfig, ORDERS};
use crate::noise::{Noise, NoiseArgs};
use rnn_core::{AnyConfig, CellKind, Direction};
use rnn_harness::Failure;
use rnn_harness::options::{LayerArgs, Session, SessionArgs, TrainConfig, TrainingArgs, defaults_to, size};
use rnn_harness::run_dir::Config;
use rnn_harness::{check_range, say, whole};
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Plan, Schedule, Shape};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The lesson's settings (the default)
    Lesson,
    /// The strongest model within ten minutes on two cores: both directions, whole reviews, pooling, n-grams of up to 3
    /// words
    Best,
    /// For few reviews: small batches, more epochs, a small model (the default for less than 2,000)
    Sample,
}

/// Trains a model and tests it.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
#[command(mut_arg("cell", |arg| defaults_to(arg, "lstm")))]
#[command(mut_arg("hidden", |arg| defaults_to(arg, "128; sample: 32")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0.2")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0.2")))]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Reviews to test on instead of a part of --data, in any form that --data takes
    #[arg(long, value_name = "PATH")]
    test: Option<PathBuf>,
    /// Share of the training reviews to validate on after each epoch, drawn by the seed; 0 for none [default: 0.1 with
    /// best, and for your own table of 200 training reviews or more; else none]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Set of defaults for the options below
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Size of the vocabulary: the most frequent words, and one id each for padding, the start and all rare words
    /// [default: 20000]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(WORDS))]
    words: Option<u64>,
    /// Number of words that the model reads of a review: its last ones [default: 80]
    #[arg(long, value_name = "N", value_parser = size())]
    tokens: Option<u64>,
    /// Width of a word's vector [default: 128; sample: 32]
    #[arg(long, value_name = "N", value_parser = size())]
    embedding: Option<u64>,
    /// Read each review in both directions
    #[arg(long)]
    bidirectional: bool,
    #[command(flatten)]
    layer: LayerArgs,
    /// What the dense layer reads from the recurrent layer [default: last; best: both]
    #[arg(long, value_enum)]
    pooling: Option<Pooling>,
    /// Do not read the padding of short reviews [default: read it, as in Keras' lesson; best: do not]
    #[arg(long)]
    masked: bool,
    #[command(flatten)]
    noise: NoiseArgs,
    /// Add a linear classifier of the n-grams of up to N words, and blend its answers with the recurrent part's
    /// [default: none; best: 3]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(ORDERS))]
    ngrams: Option<u64>,
    /// Reviews in a mini-batch [default: 50; sample: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Passes over all training reviews [default: 1; sample: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    epochs: Option<u64>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The configuration of a model, its data and its training; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// The data it is trained on.
    pub data: DataConfig,
    /// The settings of its training.
    pub training: TrainConfig,
    /// The n-grams beside the recurrent part.
    #[serde(default)]
    pub ngrams: Option<NgramConfig>,
}

impl TrainArgs {
    /// The checked configuration, and the reviews, on which some defaults depend.
    ///
    /// # Errors
    /// Reviews that cannot be read; a setting outside its range.
    pub fn config(&self, session: &Session) -> Result<(RunConfig, Data), Failure> {
        let is_best = self.preset == Some(Preset::Best);
        let cell = self.layer.cell.unwrap_or(CellKind::Lstm);
        let dropout = match is_best {
            true => self.layer.dropout.resolve_for(cell, BEST_DROPOUT, 0.0)?,
            false => self.layer.dropout.resolve_for(cell, 0.2, 0.2)?,
        };
        let asked = self.validation.map(|share| (share != 0.0).then_some(share));
        self.training.check(asked.unwrap_or(Some(VALIDATION)), OptimizerName::Adam)?;
        let mut data = DataConfig::new(&self.data, self.test.as_deref());
        let loaded = data.load()?;
        let by_default = is_best || self.preset.is_none() && loaded.is_own_table() && loaded.train.len() >= LEAST;
        let validation = asked.unwrap_or(by_default.then_some(VALIDATION));
        self.training.check(validation, OptimizerName::Adam)?;
        let preset = match self.preset {
            Some(preset) => preset,
            None if loaded.source.is_sample() => Preset::Sample,
            None if loaded.is_own_table() && loaded.train.len() < FEW => {
                say!("{} reviews are few: the defaults are those of --preset sample", loaded.train.len());
                Preset::Sample
            }
            None => Preset::Lesson,
        };
        let pick = |given: Option<u64>, [lesson, sample, best]: [usize; 3]| match (given, preset) {
            (Some(given), _) => given as usize,
            (None, Preset::Lesson) => lesson,
            (None, Preset::Sample) => sample,
            (None, Preset::Best) => best,
        };
        let epochs = pick(self.epochs, [1, 10, 3]);
        let plan = self.training.over(match is_best {
            true => best_plan(epochs),
            false => Plan::new(epochs, OptimizerConfig::new(OptimizerName::Adam)),
        });
        let noise = if is_best { BEST_NOISE } else { Noise::default() };
        let pooling = if is_best { Pooling::Both } else { Pooling::Last };
        let both_ways = self.bidirectional || is_best;
        let config = RunConfig {
            model: ModelConfig {
                num_words: pick(self.words, [20_000, 20_000, 30_000]),
                tokens: pick(self.tokens, [80, 80, 400]),
                embedding: pick(self.embedding, [128, 32, 100]),
                cell,
                layers: pick(self.layer.layers, [1; 3]),
                direction: if both_ways { Direction::Bidirectional } else { Direction::Forward },
                hidden: pick(self.layer.hidden, [128, 32, 64]),
                dropout,
                classes: data.classes.len(),
                pooling: self.pooling.unwrap_or(pooling),
                masked: self.masked || is_best,
                noise: self.noise.resolve(noise),
                half_storage: self.layer.half_storage,
            },
            data: data.with_absolute_paths(),
            training: TrainConfig::new(session, pick(self.batch, [50, 10, 32]), validation, plan),
            ngrams: self.ngrams.map(|n| n as usize).or(is_best.then_some(3)).map(NgramConfig::new),
        };
        config.check()?;
        Ok((config, loaded))
    }
}

/// The share to validate on by default.
const VALIDATION: f64 = 0.1;
/// A tenth of fewer reviews says nothing.
const LEAST: usize = 200;
/// Of fewer reviews one epoch of large mini-batches is too few updates to learn anything.
const FEW: usize = 2000;

/// Chosen on the validation reviews of seed 0.
const BEST_DROPOUT: f64 = 0.4;
/// The same.
const BEST_NOISE: Noise = Noise { words: 0.4, vocabulary: 0.0, weights: 0.0, pooled: 0.5 };

fn best_plan(epochs: usize) -> Plan {
    let adam = OptimizerConfig::new(OptimizerName::Adam);
    let optimizer = OptimizerConfig { clip_norm: Some(1.0), ..adam };
    Plan { schedule: Schedule { shape: Shape::Linear, warm_up: 0 }, ..Plan::new(epochs, optimizer) }
}

impl Config for RunConfig {
    fn training(&self) -> &TrainConfig {
        &self.training
    }

    fn check(&self) -> Result<(), Failure> {
        self.training.check()?;
        if let Some(ngrams) = &self.ngrams {
            check_range("--ngrams", ngrams.order, &ORDERS)?;
        }
        if self.data.classes.len() != self.model.classes {
            let (named, classes) = (self.data.classes.len(), self.model.classes);
            return Err(Failure::input(format!("{named} classes are named, but the model has {classes}")));
        }
        self.model.check(1) // a training checks its own mini-batches
    }

    fn layer(&self) -> AnyConfig {
        self.model.layer()
    }

    fn num_weights(&self) -> usize {
        self.layer().num_weights().saturating_add(self.model.table())
    }
}
