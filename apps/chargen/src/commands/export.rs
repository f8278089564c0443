//! `chargen export`: a trained model for PyTorch or onnxruntime.

use super::train::{Cut, cut};
use crate::model::Model;
use crate::run::{PROGRAM, SYMBOLS, Trained};
use rnn_export::{Dense, ExportError, Input, Network, Read, int8, table};
use rnn_harness::Failure;
use rnn_harness::export::{ExportArgs, Rounded, or_not_measured};
use rnn_harness::progress::waiting;
use rnn_train::Keys;

impl Model {
    /// What is exported. It answers at every step, so that a text can be written with the state carried. It names every
    /// field, so that a new one cannot be left out of the export by mistake.
    fn network(&self) -> Result<Network, ExportError> {
        // `linear` has the scores; dropout acts in training alone, and the export starts without a state.
        let Self { layer, embedding, dense: _, bias: _, dropout: _, carried: _, validating: _ } = self;
        let input = embedding.as_ref().map_or(Input::Symbols, |vectors| table(vectors.val()));
        Network::new(input, layer, Read::EveryStep, Dense::of(&self.linear()))
    }

    /// With recurrent weights that int8 can hold.
    fn rounded(&self) -> Self {
        let mut rounded = self.clone();
        rounded.layer = int8::rounded(rounded.layer);
        rounded
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
    let keys = Keys::new(trained.config.training.seed);
    let Cut { train, validation, test, .. } = cut(&trained.config, &data, keys, device)?;
    let (batches, of) = match (test, validation) {
        (Some(test), _) => (test, "test characters"),
        (None, Some(validation)) => (validation, "validation characters"),
        (None, None) => (train, "training characters"),
    };
    drop(reading);
    Rounded::measure(&trained.model, &trained.model.rounded(), &batches, of).map(Some)
}
