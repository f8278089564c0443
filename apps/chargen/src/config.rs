//! The arguments of the command line, and the checked configuration made from them.

use crate::data::{Data, DataArgs, DataConfig};
use crate::model::ModelConfig;
use crate::split::{Parts, Split};
use rnn_core::{AnyConfig, CellKind};
use rnn_harness::Failure;
use rnn_harness::options::{LayerArgs, Session, SessionArgs, TrainConfig, TrainingArgs, defaults_to, size};
use rnn_harness::run_dir::Config;
use rnn_train::optim::{OptimizerConfig, OptimizerName};
use rnn_train::{Keys, Plan, Schedule, Shape};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The lesson's settings (the default)
    Lesson,
    /// More epochs, for the short built-in story (the default for it)
    Sample,
    /// A large LSTM with --mode streams, for a text of about a megabyte: some 15 minutes on 2 cores
    Best,
}

/// How a text is cut for training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All windows in random order; each predicts the one character after it, as in the lesson
    #[default]
    Windows,
    /// Rows of contiguous text, whose next piece begins with the state after the last one; every character is predicted
    Streams,
}

/// Trains a model and shows a generated sample after each epoch.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "rmsprop; best: adam")))]
#[command(mut_arg("cell", |arg| defaults_to(arg, "gru; best: lstm")))]
#[command(mut_arg("hidden", |arg| defaults_to(arg, "128; best: 512")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0")))]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Share of the text to validate on after each epoch: its end, or what comes before the test part; 0 for none
    /// [default: 0.1 with streams, and for your own text of 10,000 characters or more; best: 0.05; else none]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Share of the text to test on after the training: its end [default: none; best: 0.05]
    #[arg(long, value_name = "SHARE")]
    test: Option<f64>,
    /// Set of defaults for the options below
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// How the text is cut for training [default: windows; best: streams]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Number of characters that the model reads to predict the next one; with streams, how many characters back
    /// gradients flow [default: 10; streams: 64]
    #[arg(long, value_name = "N", value_parser = size())]
    window: Option<u64>,
    /// Width of a learned vector for each character [default: one-hot rows instead]
    #[arg(long, value_name = "N", value_parser = size())]
    embedding: Option<u64>,
    /// Use the characters' vectors as the weights of the output scores too
    #[arg(long, requires = "embedding")]
    tied: bool,
    #[command(flatten)]
    layer: LayerArgs,
    /// Dropout rate of each layer's output: between layers, with a new mask for each step, and with streams also before
    /// the output scores, with one mask for a window [default: 0; best: 0.2]
    #[arg(long, value_name = "P")]
    layer_dropout: Option<f64>,
    /// Dropout rate of the recurrent weights, with a new mask for each mini-batch [default: 0]
    #[arg(long, value_name = "P")]
    weight_dropout: Option<f64>,
    /// Windows in a mini-batch; with streams, rows that are read side by side [default: 128; streams: 32]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Passes over the training part; the lesson advises 25 [default: 1; sample: 10; best: 16]
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
    /// How the text is cut.
    #[serde(default)]
    pub mode: Mode,
    /// The share to test on.
    #[serde(default)]
    pub test: Option<f64>,
    /// Whether the settings are the lesson's, whose model writes the most probable characters.
    #[serde(default = "yes")]
    pub lesson: bool,
    /// A window of the text: the default prime of `generate`.
    pub prime: String,
    /// The settings of its training.
    pub training: TrainConfig,
}

fn yes() -> bool {
    true // runs from before there was anything else
}

/// What a preset fixes.
struct Defaults {
    mode: Mode,
    cell: CellKind,
    hidden: usize,
    window: usize,
    batch: usize,
    layer_dropout: f64,
    weight_dropout: f64,
    plan: Plan,
    split: Split,
}

impl Preset {
    fn defaults(self, mode: Option<Mode>) -> Defaults {
        let rmsprop = OptimizerConfig::new(OptimizerName::Rmsprop);
        let epochs = if self == Self::Sample { 10 } else { 1 };
        let mode = mode.unwrap_or(if self == Self::Best { Mode::Streams } else { Mode::Windows });
        let (window, batch, held_out) = match mode {
            Mode::Windows => (10, 128, None),
            Mode::Streams => (64, 32, Some(0.1)),
        };
        let lesson = Defaults {
            mode,
            cell: CellKind::Gru,
            hidden: 128,
            window,
            batch,
            layer_dropout: 0.0,
            weight_dropout: 0.0,
            plan: Plan::new(epochs, rmsprop),
            split: Split { validation: held_out, test: None },
        };
        if self != Self::Best {
            return lesson;
        }
        let adam = OptimizerConfig::new(OptimizerName::Adam);
        let adam = OptimizerConfig { learning_rate: 3e-3, clip_norm: Some(1.0), ..adam };
        Defaults {
            cell: CellKind::Lstm,
            hidden: 512,
            layer_dropout: 0.2,
            plan: Plan {
                schedule: Schedule { shape: Shape::Cosine, warm_up: 100 },
                average: Some(0.995),
                ..Plan::new(16, adam)
            },
            split: Split { validation: Some(0.05), test: Some(0.05) },
            ..lesson
        }
    }
}

/// The share of one's own text to validate on by default.
const VALIDATION: f64 = 0.1;
/// A tenth of fewer characters says nothing.
const LEAST: usize = 10_000;

impl TrainArgs {
    /// The checked configuration, and the text, on which some defaults depend.
    ///
    /// # Errors
    /// A text that cannot be read; a setting outside its range.
    pub fn config(&self, session: &Session) -> Result<(RunConfig, Data), Failure> {
        let usual = self.preset.unwrap_or(Preset::Lesson).defaults(self.mode);
        let cell = self.layer.cell.unwrap_or(usual.cell);
        let dropout = self.layer.dropout.resolve_for(cell, 0.0, 0.0)?;
        let asked = self.validation.map(|share| (share != 0.0).then_some(share));
        let mut split =
            Split { validation: asked.unwrap_or(usual.split.validation), test: self.test.or(usual.split.test) };
        split.check()?;
        self.training.check(asked.unwrap_or(Some(VALIDATION)), OptimizerName::Rmsprop)?;
        let mut data = DataConfig::new(&self.data);
        let loaded = data.load()?;
        if asked.is_none() && self.preset.is_none() && loaded.is_own() && loaded.ids.len() >= LEAST {
            split.validation = split.validation.or(Some(VALIDATION));
            split.check()?;
        }
        self.training.check(split.validation, OptimizerName::Rmsprop)?;
        let preset = match self.preset {
            Some(preset) => preset,
            None if loaded.source.is_sample() => Preset::Sample,
            None => Preset::Lesson,
        };
        let defaults = preset.defaults(self.mode);
        let epochs = self.epochs.map_or(defaults.plan.epochs, |n| n as usize);
        let plan = self.training.over(Plan { epochs, ..defaults.plan });
        let model = ModelConfig {
            symbols: loaded.vocabulary.len(),
            window: self.window.map_or(defaults.window, |n| n as usize),
            cell,
            layers: self.layer.layers.unwrap_or(1) as usize,
            hidden: self.layer.hidden.map_or(defaults.hidden, |n| n as usize),
            dropout,
            embedding: self.embedding.map(|n| n as usize),
            tied: self.tied,
            layer_dropout: self.layer_dropout.unwrap_or(defaults.layer_dropout),
            weight_dropout: self.weight_dropout.unwrap_or(defaults.weight_dropout),
            half_storage: self.layer.half_storage,
        };
        if let (Some(rate), Mode::Windows, 1) =
            (self.layer_dropout.filter(|rate| *rate > 0.0), defaults.mode, model.layers)
        {
            return Err(Failure::input(format!(
                "--layer-dropout {rate} would change nothing: with --mode windows it acts between layers, and there is one; \
                 add --layers 2, or use --dropout"
            )));
        }
        let batch = self.batch.map_or(defaults.batch, |n| n as usize);
        let training = TrainConfig::new(session, batch, split.validation, plan);
        training.check()?;
        let keys = Keys::new(training.seed);
        let lesson = defaults.mode == Mode::Windows;
        let prime = String::new();
        let mut config = RunConfig {
            model,
            data: data.with_absolute_paths(),
            mode: defaults.mode,
            test: split.test,
            lesson,
            prime,
            training,
        };
        config.check()?;
        config.prime = loaded.decode(config.random(&loaded, keys, 0)?);
        Ok((config, loaded))
    }
}

impl RunConfig {
    /// The shares held out.
    pub fn split(&self) -> Split {
        Split { validation: self.training.validation, test: self.test }
    }

    /// Whether the model has learnt to carry its state on.
    pub fn carries_state(&self) -> bool {
        self.mode == Mode::Streams
    }

    /// The places of the characters that each part predicts. With windows the first of a part are those of its first
    /// window, so that the parts are those of the training.
    pub fn parts(&self, data: &Data) -> Result<Parts, Failure> {
        match self.mode {
            Mode::Streams => self.split().parts(data),
            Mode::Windows => {
                let windows = data.windows(self.model.window, &self.split())?;
                let train = windows.targets().end;
                let validation = train..train + windows.validation;
                Ok(Parts { train: 0..train, test: validation.end..data.ids.len(), validation })
            }
        }
    }

    /// A random window of the training part, a function of the seed and `epoch`: what a sample begins with.
    pub fn random(&self, data: &Data, keys: Keys, epoch: u64) -> Result<Range<usize>, Failure> {
        match self.mode {
            Mode::Windows => Ok(data.windows(self.model.window, &self.split())?.random(keys, epoch)),
            Mode::Streams => {
                let part = self.split().parts(data)?.train;
                let length = self.model.window.min(part.len() - 1);
                let start = keys.samples.child(epoch).uniforms(1).sum::<f64>() * (part.len() - length) as f64;
                Ok(start as usize..start as usize + length)
            }
        }
    }
}

impl Config for RunConfig {
    fn training(&self) -> &TrainConfig {
        &self.training
    }

    fn check(&self) -> Result<(), Failure> {
        self.training.check()?;
        self.split().check()?;
        self.model.check(1) // a training checks its own mini-batches
    }

    fn layer(&self) -> AnyConfig {
        self.model.layer()
    }

    fn num_weights(&self) -> usize {
        self.layer().num_weights().saturating_add(self.model.other_weights())
    }
}
