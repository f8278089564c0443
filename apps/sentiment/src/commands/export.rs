//! `sentiment export`: a trained model for PyTorch or onnxruntime.

use crate::data::Encoded;
use crate::model::Model;
use crate::run::{PROGRAM, Trained, WORDS};
use rnn_core::Key;
use rnn_export::{Answer, Dense, ExportError, Network, Read, int8, table};
use rnn_harness::Failure;
use rnn_harness::export::{ExportArgs, Rounded, or_not_measured};
use rnn_harness::progress::waiting;

impl Model {
    /// What is exported.
    fn network(&self) -> Result<Network, ExportError> {
        let words = table(self.embedding.weight.val());
        let network = Network::new(words, &self.layer, Read::Last, Dense::of(&self.dense))?;
        Ok(network.with_answer(Answer::Sigmoid))
    }

    /// With recurrent weights that int8 can hold.
    fn rounded(&self) -> Self {
        Self { layer: int8::rounded(self.layer.clone()), ..self.clone() }
    }
}

/// Loads the model, writes it, and measures on the run's test reviews what int8 costs.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    args.check()?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let network = trained.model.network()?;
    let rounded = if args.int8 { measure(&trained, &selected.device)? } else { None };
    let words = trained.vocabulary.to_text();
    args.write(PROGRAM, &trained.config.data.corpus, &network, Some((WORDS, &words)), rounded)
}

fn measure(trained: &Trained, device: &burn::tensor::Device) -> Result<Option<Rounded>, Failure> {
    let reading = waiting("reading the reviews");
    let Some(data) = or_not_measured(trained.config.data.load_again())? else { return Ok(None) };
    let sizes = &trained.config.model;
    let (reviews, of) =
        if data.test.is_empty() { (data.train, "training reviews") } else { (data.test, "test reviews") };
    let encoded = Encoded::new(&reviews, &trained.vocabulary, sizes.num_words, sizes.tokens)?;
    let batches = encoded.batches(sizes.test_batch(), None, Key::new(0), device);
    drop(reading);
    Rounded::measure(&trained.model, &trained.model.rounded(), &batches, of).map(Some)
}
