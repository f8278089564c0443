//! What a run folder holds: `config.json`, `symbols.json`, `model.bpk`, `metrics.json`.

use crate::data::Prepare;
use crate::model::{Model, ModelConfig};
use burn::tensor::Device;
use rnn_data::chars::Vocabulary;
use rnn_harness::optim::OptimizerConfig;
use rnn_harness::options::RunArgs;
use rnn_harness::options::SIZES;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::{Failure, check_range, say};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The program's name under `runs`.
pub const PROGRAM: &str = "chargen";
const CONFIG: &str = "config.json";
const SYMBOLS: &str = "symbols.json";

/// How a model was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// What it was trained on.
    pub corpus: String,
    /// How the text was prepared.
    pub prepare: Prepare,
    /// A window of the text, to begin with when nobody gives another.
    pub prime: String,
    /// Seed of weights, order and dropout.
    pub seed: u64,
    /// Times over all windows.
    pub epochs: usize,
    /// Windows in a step.
    pub batch: usize,
    /// The optimizer and its settings.
    pub optimizer: OptimizerConfig,
}

impl Config for RunConfig {
    fn check(&self) -> Result<(), Failure> {
        check_range("--epochs", self.epochs, &SIZES)?;
        check_range("--batch", self.batch, &SIZES)?;
        self.model.check(1)?; // a training checks its own steps
        self.optimizer.check()
    }

    fn num_weights(&self) -> usize {
        let dense = self.model.hidden.saturating_mul(self.model.symbols);
        self.model.layer().num_weights().saturating_add(dense)
    }
}

/// A trained model with all it needs.
pub struct Trained {
    pub path: PathBuf,
    pub config: RunConfig,
    pub vocabulary: Vocabulary,
    pub model: Model,
}

impl Trained {
    /// Loads the run onto `device` and says on stderr which it is.
    pub fn load(args: &RunArgs, device: &Device) -> Result<Self, Failure> {
        let run = args.open(PROGRAM)?;
        let config: RunConfig = run.read_config(CONFIG)?;
        let vocabulary: Vocabulary = run.read_json(SYMBOLS)?;
        if vocabulary.len() != config.model.symbols {
            let path = run.path().display();
            let (found, expected) = (vocabulary.len(), config.model.symbols);
            return Err(Failure::input(format!("{path}/{SYMBOLS} has {found} symbols, but {CONFIG} says {expected}")));
        }
        let model = config.model.zeros(device).map_err(Failure::input)?;
        let model = run.load_model(model)?;
        say!("model: {}, trained on {}{}", run.path().display(), config.corpus, run.unfinished());
        Ok(Trained { path: run.path().to_path_buf(), config, vocabulary, model })
    }
}

/// Writes what is known before training.
pub fn begin(run: &RunDir, config: &RunConfig, vocabulary: &Vocabulary) -> Result<(), Failure> {
    run.write_json(CONFIG, config)?;
    run.write_json(SYMBOLS, vocabulary)
}
