//! What a run folder holds: `config.json`, `words.txt`, `model.bpk`, `checkpoints`, `summary.json`; with n-grams also
//! `ngrams.bin` and `blend.json`.

use crate::config::RunConfig;
use crate::judge::{Blend, Judge};
use crate::ngrams::Ngrams;
use burn::tensor::Device;
use rnn_data::words::Vocabulary;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, say};
use std::path::PathBuf;

/// The program's name under `runs`.
pub const PROGRAM: &str = "sentiment";
/// The file of the vocabulary.
pub const WORDS: &str = "words.txt";
/// The file of the n-gram part.
pub const NGRAMS: &str = "ngrams.bin";
/// The file of the weights of both parts.
pub const BLEND: &str = "blend.json";

/// A trained model with its configuration and vocabulary.
pub struct Trained {
    pub path: PathBuf,
    pub config: RunConfig,
    pub judge: Judge,
}

impl Trained {
    /// Loads the run onto `device` and reports its name on stderr.
    pub fn load(args: &RunArgs, device: &Device) -> Result<Self, Failure> {
        let run = args.open(PROGRAM)?;
        let config: RunConfig = run.read_config()?;
        let vocabulary = Vocabulary::from_text(&run.read_text(WORDS)?).with_tokenizer(config.data.tokenizer);
        let model = config.model.zeros(device).map_err(Failure::input)?;
        let model = run.load_model(model)?;
        let ngrams = match config.ngrams {
            None => None,
            Some(_) => {
                let ngrams = Ngrams::from_bytes(&run.read_bytes(NGRAMS)?);
                Some(ngrams.map_err(|e| Failure::input(format!("{}: {e}", run.path().join(NGRAMS).display())))?)
            }
        };
        let blend = match ngrams.is_some() && run.path().join(BLEND).exists() {
            true => run.read_json(BLEND)?,
            false => Blend::default(),
        };
        let (path, corpus) = (run.path().to_path_buf(), &config.data.corpus);
        say!("model: {}, trained on {corpus}{}", path.display(), run.unfinished());
        let judge = Judge { model, sizes: config.model.clone(), vocabulary, ngrams, blend };
        Ok(Trained { path, config, judge })
    }
}
