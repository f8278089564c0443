//! What a run folder holds: `config.json`, `model.bpk`, `checkpoints`, `summary.json`, `forecast.svg`.

use crate::config::RunConfig;
use crate::model::Model;
use burn::tensor::Device;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, say};
use std::path::PathBuf;

/// The program's name under `runs`.
pub const PROGRAM: &str = "forecast";

/// A trained model with its configuration.
pub struct Trained {
    pub path: PathBuf,
    pub config: RunConfig,
    pub model: Model,
}

impl Trained {
    /// Loads the run onto `device` and reports its name on stderr.
    pub fn load(args: &RunArgs, device: &Device) -> Result<Self, Failure> {
        let run = args.open(PROGRAM)?;
        let config: RunConfig = run.read_config()?;
        let model = config.model.zeros(device).map_err(Failure::input)?;
        let model = run.load_model(model)?;
        say!("model: {}, trained on {}{}", run.path().display(), config.data.corpus, run.unfinished());
        Ok(Self { path: run.path().to_path_buf(), config, model })
    }
}
