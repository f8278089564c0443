//! `sentiment eval`: a trained model on test reviews.

use crate::commands::train::{accuracy, verdict};
use crate::data::{DataArgs, Encoded, majority_share};
use crate::model::Model;
use crate::run::Trained;
use crate::words::Totals;
use rnn_core::Key;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::progress::waiting;
use rnn_harness::training::evaluate;
use rnn_harness::{Failure, json_line, print_line, say};
use rnn_train::Task;
use serde::Serialize;

/// Tests a trained model on the test part of a corpus, or on all of a table that has no parts.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    trained_on: &'a str,
    device: &'a str,
    test_loss: f64,
    test_accuracy: f64,
    test_seconds: f64,
    test_reviews: usize,
    /// The share of the larger class, which is the accuracy of always answering with it.
    majority_share: f64,
    /// Whether the model was trained on this table.
    trained_on_these: bool,
    #[serde(flatten)]
    words: Totals,
    run: String,
}

/// Loads the model, tests it, prints the figures.
pub fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let reading = waiting("reading the reviews and their words");
    let reviews = args.data.to_test()?;
    let trained_on_these = match (&reviews.table, &trained.config.data.table) {
        (Some(table), Some(known)) => table.is_same(known),
        _ => false,
    };
    if trained_on_these {
        say!(
            "the model was trained on rows of this very table: the figures show what it has memorised, not how well it \
             judges new reviews"
        );
    }
    print_line!("{} on {}: {} reviews", trained.config.model.cell, reviews.source, reviews.test.len());
    let model = &trained.config.model;
    let encoded = Encoded::new(&reviews.test, &trained.vocabulary, model)?;
    let words = encoded.words();
    let batches = encoded.batches(model.test_batch(), None, Key::new(0), &selected.device);
    drop(reading);
    let tested = evaluate(&trained.model, &batches, Model::FIGURES, "reviews")?;
    print_line!("{}", verdict(&reviews.source, &tested, &reviews.test));
    words.say(model.tokens);
    words.warn();
    if args.json {
        json_line(&Metrics {
            corpus: &reviews.source.corpus,
            trained_on: &trained.config.data.corpus,
            device: &selected.name,
            test_loss: tested.figures.loss,
            test_accuracy: accuracy(&tested.figures),
            test_seconds: tested.seconds,
            test_reviews: reviews.test.len(),
            majority_share: majority_share(&reviews.test),
            trained_on_these,
            words,
            run: trained.path.display().to_string(),
        })?;
    }
    Ok(())
}
