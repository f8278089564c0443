//! What a run folder holds: `config.json`, `words.txt`, `model.bpk`, `checkpoints`, `summary.json`.

use crate::config::RunConfig;
use crate::model::Model;
use burn::tensor::Device;
use rnn_data::words::Vocabulary;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, say};
use std::path::PathBuf;

/// The program's name under `runs`.
pub const PROGRAM: &str = "sentiment";
/// The file of the vocabulary.
pub const WORDS: &str = "words.txt";

/// A trained model with its configuration and vocabulary.
pub struct Trained {
    pub path: PathBuf,
    pub config: RunConfig,
    pub vocabulary: Vocabulary,
    pub model: Model,
}

impl Trained {
    /// Loads the run onto `device` and reports its name on stderr.
    pub fn load(args: &RunArgs, device: &Device) -> Result<Self, Failure> {
        let run = args.open(PROGRAM)?;
        let config: RunConfig = run.read_config()?;
        let vocabulary = Vocabulary::from_text(&run.read_text(WORDS)?).with_tokenizer(config.data.tokenizer);
        let model = config.model.zeros(device).map_err(Failure::input)?;
        let model = run.load_model(model)?;
        say!("model: {}, trained on {}{}", run.path().display(), config.data.corpus, run.unfinished());
        Ok(Trained { path: run.path().to_path_buf(), config, vocabulary, model })
    }
}
