//! `chargen export`: a trained model for PyTorch or onnxruntime.

use crate::model::Model;
use crate::run::{PROGRAM, SYMBOLS, Trained};
use rnn_export::{Dense, ExportError, Input, Network, Read, int8};
use rnn_harness::Failure;
use rnn_harness::export::{ExportArgs, Rounded, or_not_measured};
use rnn_harness::progress::waiting;
use rnn_train::Keys;

impl Model {
    /// What is exported. It answers at every step, so that a text can be written with the state carried.
    fn network(&self) -> Result<Network, ExportError> {
        Network::new(Input::Symbols, &self.layer, Read::EveryStep, Dense::of(&self.dense))
    }

    /// With recurrent weights that int8 can hold.
    fn rounded(&self) -> Self {
        Self { layer: int8::rounded(self.layer.clone()), ..self.clone() }
    }
}

/// Loads the model, writes it, and measures on the run's text what int8 costs.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    args.check()?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let network = trained.model.network()?;
    let rounded = if args.int8 { measure(&trained, &selected.device)? } else { None };
    let symbols = serde_json::to_string_pretty(&trained.vocabulary).map_err(Failure::failed)?;
    args.write(PROGRAM, &trained.config.data.corpus, &network, Some((SYMBOLS, &symbols)), rounded)
}

fn measure(trained: &Trained, device: &burn::tensor::Device) -> Result<Option<Rounded>, Failure> {
    let reading = waiting("reading the text");
    let Some(data) = or_not_measured(trained.config.data.load_again())? else { return Ok(None) };
    let training = &trained.config.training;
    let (windows, keys) = (data.windows(&trained.config.model, training)?, Keys::new(training.seed));
    let (batches, of) = match windows.validation(&data.ids, training.batch, keys, device) {
        Some(batches) => (batches, "validation windows"),
        None => (windows.train(&data.ids, training.batch, keys, device), "training windows"),
    };
    drop(reading);
    Rounded::measure(&trained.model, &trained.model.rounded(), &batches, of).map(Some)
}
