//! What a run folder holds: `config.json`, `words.txt`, `model.bpk`, `metrics.json`.

use crate::model::{Model, ModelConfig};
use burn::tensor::Device;
use rnn_data::reviews::TableId;
use rnn_data::words::{Tokenizer, Vocabulary};
use rnn_harness::optim::OptimizerConfig;
use rnn_harness::options::RunArgs;
use rnn_harness::options::SIZES;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::{Failure, check_range, say};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The program's name under `runs`.
pub const PROGRAM: &str = "sentiment";
const CONFIG: &str = "config.json";
const WORDS: &str = "words.txt";

/// How a model was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// What it was trained on.
    pub corpus: String,
    /// The table that all of it came from, if it is one that does not say which rows are for the test.
    #[serde(default)]
    pub table: Option<TableId>,
    /// How its texts were split into words; runs that do not say it were made with Keras'.
    #[serde(default)]
    pub tokenizer: Tokenizer,
    /// Seed of weights, order and dropout.
    pub seed: u64,
    /// Times over all training reviews.
    pub epochs: usize,
    /// Reviews in a step.
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
        self.model.layer().num_weights().saturating_add(self.model.table())
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
        let vocabulary = Vocabulary::from_text(&run.read_text(WORDS)?).with_tokenizer(config.tokenizer);
        let model = config.model.zeros(device).map_err(Failure::input)?;
        let model = run.load_model(model)?;
        let path: &Path = run.path();
        say!("model: {}, trained on {}{}", path.display(), config.corpus, run.unfinished());
        Ok(Trained { path: path.to_path_buf(), config, vocabulary, model })
    }
}

/// Writes what is known before training.
pub fn begin(run: &RunDir, config: &RunConfig, vocabulary: &Vocabulary) -> Result<(), Failure> {
    run.write_json(CONFIG, config)?;
    run.write_bytes(WORDS, vocabulary.to_text().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of before there was a choice.
    #[test]
    fn a_run_that_says_no_tokenizer_is_keras() {
        let json = r#"{
            "model": {"num_words": 20000, "tokens": 80, "embedding": 8, "cell": "lstm", "layers": 1,
                "direction": "forward", "hidden": 8, "dropout": {"input": 0.2, "recurrent": 0.2, "masks": "per-gate"}},
            "corpus": "sample", "seed": 0, "epochs": 2, "batch": 10,
            "optimizer": {"name": "adam", "learning_rate": 0.001, "momentum": 0.0, "clip_norm": null}
        }"#;
        let config: RunConfig = serde_json::from_str(json).expect("a config");
        assert_eq!(config.tokenizer, Tokenizer::Keras);
    }
}
