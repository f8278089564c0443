//! The arguments of the command line, and the checked configuration made from them.

use crate::data::{Data, DataArgs, DataConfig};
use crate::model::ModelConfig;
use rnn_core::CellKind;
use rnn_harness::Failure;
use rnn_harness::options::{LayerArgs, Session, SessionArgs, TrainConfig, TrainingArgs, defaults_to, size};
use rnn_harness::run_dir::Config;
use rnn_train::Keys;
use rnn_train::optim::OptimizerName;
use serde::{Deserialize, Serialize};

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The lesson's settings (the default)
    Lesson,
    /// For the short story of the built-in sample: more epochs (the default there)
    Sample,
}

/// Trains a model and shows a generated sample after each epoch.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "rmsprop")))]
#[command(mut_arg("cell", |arg| defaults_to(arg, "gru")))]
#[command(mut_arg("hidden", |arg| defaults_to(arg, "128")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0")))]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Share of the text, its end, to validate on after each epoch [default: none]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Set of defaults for the options below
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Characters that the model reads to predict the next one [default: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    window: Option<u64>,
    #[command(flatten)]
    layer: LayerArgs,
    /// Windows in a mini-batch [default: 128]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Passes over the whole text; the lesson advises 25 [default: 1; sample: 10]
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
    /// A window of the text: the default prime of `generate`.
    pub prime: String,
    /// The settings of its training.
    pub training: TrainConfig,
}

impl TrainArgs {
    /// The checked configuration, and the text, on which some defaults depend.
    ///
    /// # Errors
    /// A text that cannot be read; a setting outside its range.
    pub fn config(&self, session: &Session) -> Result<(RunConfig, Data), Failure> {
        let dropout = self.layer.dropout.resolve(0.0)?;
        self.training.check(self.validation, OptimizerName::Rmsprop)?;
        let mut data = DataConfig::new(&self.data);
        let loaded = data.load()?;
        let preset = match self.preset {
            Some(preset) => preset,
            None if loaded.source.is_sample() => Preset::Sample,
            None => Preset::Lesson,
        };
        let epochs = match preset {
            Preset::Lesson => 1,
            Preset::Sample => 10,
        };
        let plan = self.training.plan(self.epochs.map_or(epochs, |n| n as usize), OptimizerName::Rmsprop);
        let model = ModelConfig {
            symbols: loaded.vocabulary.len(),
            window: self.window.unwrap_or(10) as usize,
            cell: self.layer.cell.unwrap_or(CellKind::Gru),
            layers: self.layer.layers.unwrap_or(1) as usize,
            hidden: self.layer.hidden.unwrap_or(128) as usize,
            dropout,
        };
        let training = TrainConfig::new(session, self.batch.unwrap_or(128) as usize, self.validation, plan);
        training.check()?;
        let windows = loaded.windows(&model, &training)?;
        let prime = loaded.decode(&loaded.ids[windows.random(Keys::new(training.seed), 0)]);
        let config = RunConfig { model, data: data.with_absolute_paths(), prime, training };
        config.check()?;
        Ok((config, loaded))
    }
}

impl Config for RunConfig {
    fn training(&self) -> &TrainConfig {
        &self.training
    }

    fn check(&self) -> Result<(), Failure> {
        self.training.check()?;
        self.model.check(1) // a training checks its own mini-batches
    }

    fn num_weights(&self) -> usize {
        let dense = self.model.hidden.saturating_mul(self.model.symbols);
        self.model.layer().num_weights().saturating_add(dense)
    }
}
