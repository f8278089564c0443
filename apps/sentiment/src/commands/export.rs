//! `sentiment export`: a trained model for PyTorch or onnxruntime.

use crate::data::Encoded;
use crate::model::{Model, ModelConfig, Pooling};
use crate::run::{PROGRAM, Trained, WORDS};
use rnn_core::Key;
use rnn_export::{Answer, Dense, ExportError, Network, Read, int8, table};
use rnn_harness::Failure;
use rnn_harness::export::{ExportArgs, Rounded, or_not_measured};
use rnn_harness::progress::waiting;

impl Model {
    /// What is exported. It names every field, so that a new one cannot be left out of the export by mistake.
    fn network(&self, sizes: &ModelConfig) -> Result<Network, ExportError> {
        let Self { embedding, layer, dense, pooling, noise: _ } = self; // noise acts in training alone
        let read = match pooling {
            Pooling::Last => Read::Last,
            Pooling::Max => Read::Pooled { max: true, mean: false },
            Pooling::Mean => Read::Pooled { max: false, mean: true },
            Pooling::Both => Read::Pooled { max: true, mean: true },
        };
        let network = Network::new(table(embedding.weight.val()), layer, read, Dense::of(dense))?;
        let network = network.with_lengths(sizes.masked);
        Ok(network.with_answer(if sizes.classes == 2 { Answer::Sigmoid } else { Answer::Softmax }))
    }

    /// With recurrent weights that int8 can hold.
    fn rounded(&self) -> Self {
        let mut rounded = self.clone();
        rounded.layer = int8::rounded(rounded.layer);
        rounded
    }
}

/// Loads the model, writes it, and measures on the run's test reviews what int8 costs.
pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    args.check()?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let sizes = &trained.config.model;
    if trained.judge.ngrams.is_some() {
        return Err(Failure::input(
            "this model has n-grams beside the recurrent part, which export cannot write; train without --ngrams",
        ));
    }
    let network = trained.judge.model.network(sizes)?;
    let rounded = if args.int8 { measure(&trained, &selected.device)? } else { None };
    let words = trained.judge.vocabulary.to_text();
    args.write(PROGRAM, &trained.config.data.corpus, &network, Some((WORDS, &words)), rounded)
}

fn measure(trained: &Trained, device: &burn::tensor::Device) -> Result<Option<Rounded>, Failure> {
    let reading = waiting("reading the reviews");
    let Some(data) = or_not_measured(trained.config.data.load_again())? else { return Ok(None) };
    let sizes = &trained.config.model;
    let (reviews, of) =
        if data.test.is_empty() { (data.train, "training reviews") } else { (data.test, "test reviews") };
    let encoded = Encoded::new(&reviews, &trained.judge.vocabulary, sizes)?;
    let batches = encoded.batches(sizes.test_batch(), None, Key::new(0), device);
    drop(reading);
    let model = &trained.judge.model;
    Rounded::measure(model, &model.rounded(), &batches, of).map(Some)
}
