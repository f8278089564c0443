//! What a run folder holds: `config.json`, `words.txt`, `model.bpk`, `checkpoints`, `summary.json`; with n-grams also
//! `ngrams.bin` and `blend.json`.

use crate::config::RunConfig;
use crate::judge::{Blend, Judge};
use crate::ngrams::Ngrams;
use burn::tensor::Device;
use rnn_data::words::Vocabulary;
use rnn_harness::options::RunArgs;
use rnn_harness::run_dir::RunDir;
use rnn_harness::{Failure, say};
use std::panic::resume_unwind;
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
        // The n-grams are most of the bytes: another thread reads them meanwhile.
        let (model, vocabulary, ngrams) = std::thread::scope(|scope| {
            let ngrams = config.ngrams.map(|_| scope.spawn(|| ngrams(&run)));
            let model = run.load_model(config.model.zeros(device).map_err(Failure::input)?)?;
            let vocabulary = Vocabulary::from_text(&run.read_text(WORDS)?).with_tokenizer(config.data.tokenizer);
            let ngrams = ngrams.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).transpose()?;
            Ok::<_, Failure>((model, vocabulary, ngrams))
        })?;
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

/// The n-gram part of a run.
fn ngrams(run: &RunDir) -> Result<Ngrams, Failure> {
    let ngrams = Ngrams::from_bytes(run.read_bytes(NGRAMS)?);
    ngrams.map_err(|e| Failure::input(format!("{}: {e}", run.path().join(NGRAMS).display())))
}
