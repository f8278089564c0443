//! `sentiment train`: the lesson's model on IMDb, with any of its settings changed.

use crate::config::{RunConfig, TrainArgs};
use crate::data::{Data, Encoded, majority_share, split, vocabulary};
use crate::model::Model;
use crate::run::{PROGRAM, WORDS};
use rnn_core::CellKind;
use rnn_data::Source;
use rnn_data::reviews::Review;
use rnn_harness::options::Session;
use rnn_harness::progress::{Waiting, waiting};
use rnn_harness::training::{Examples, Tested, evaluate, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{EpochRecord, Figures, Flow, Keys, Task};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    cell: CellKind,
    seed: u64,
    device: &'a str,
    #[serde(flatten)]
    training: Map<String, Value>,
    /// The share of the larger class in the training reviews, which is the accuracy of always answering with it.
    train_majority_share: f64,
    /// The name of the test set. Without a test the test's figures are null.
    test_corpus: Option<&'a str>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    test_seconds: Option<f64>,
    test_reviews: usize,
    /// The share of the larger class in the test reviews.
    majority_share: Option<f64>,
    run: String,
}

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let reading = waiting("reading the reviews and making the model");
    let (config, data) = match saved {
        Some(config) => {
            let data = config.data.load_again()?;
            (config, data)
        }
        None => args.config(&session)?,
    };
    train(&config, data, &session, reading)
}

/// Trains and tests.
fn train(config: &RunConfig, data: Data, session: &Session, reading: Waiting) -> Result<(), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    let keys = Keys::new(training.seed);
    let Data { train, test, source, tested: test_source, has_own_test } = data;
    let held_out = training.validation_items(train.len());
    let (train, validation) = split(train, held_out, keys.validation);
    sizes.check(training.batch.min(train.len()))?;

    let device = &session.device.device;
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let vocabulary = vocabulary(&train, config.data.tokenizer);
    let encode = |reviews: &[Review]| Encoded::new(reviews, &vocabulary, sizes);
    let in_order = |encoded: Encoded| encoded.batches(sizes.test_batch(), None, keys.dropout, device);
    let examples = Examples {
        train: encode(&train)?.batches(training.batch, Some(keys.order), keys.dropout, device),
        validation: if held_out > 0 { Some(in_order(encode(&validation)?)) } else { None },
        unit: "reviews",
    };
    let test_batches = encode(&test)?;
    test_batches.words().warn();
    let test_batches = in_order(test_batches);
    drop(reading);

    let run = session.run(config, &[(WORDS, vocabulary.to_text().as_bytes())])?;
    let of = if has_own_test { format!(" of {test_source}") } else { String::new() };
    let to_validate = if held_out > 0 { format!(", {held_out} to validate") } else { String::new() };
    print_line!(
        "{} on {source}: {} reviews to train{to_validate}, {}{of} to test",
        sizes.cell,
        train.len(),
        test.len()
    );
    let share = majority_share(&train);
    let after_epoch = move |_: &Model, record: &EpochRecord| {
        let EpochRecord { epoch, train, validation, seconds, .. } = record;
        let validated = validation.as_ref().map_or(String::new(), |figures| {
            format!(", validation loss {:.4}, accuracy {:.4}", figures.loss, accuracy(figures))
        });
        let (loss, trained) = (train.loss, beside(accuracy(train), share));
        Ok((format!("epoch {epoch}: training loss {loss:.4}, {trained}{validated}, {seconds:.1} s"), Flow::Continue))
    };
    let mut outcome = session.fit(&run, config, model, examples, Box::new(after_epoch))?;
    let tested = match test.is_empty() {
        true => None,
        false => Some(evaluate(&outcome.model(), &test_batches, Model::FIGURES, "reviews")?),
    };

    let figures = tested.as_ref().map(|test| &test.figures);
    let metrics = Metrics {
        corpus: &config.data.corpus,
        cell: sizes.cell,
        seed: training.seed,
        device: &session.device.name,
        training: summary(&outcome),
        train_majority_share: share,
        test_corpus: figures.map(|_| test_source.corpus.as_str()),
        test_loss: figures.map(|figures| figures.loss),
        test_accuracy: figures.map(accuracy),
        test_seconds: tested.as_ref().map(|test| test.seconds),
        test_reviews: test.len(),
        majority_share: figures.map(|_| majority_share(&test)),
        run: run.path().display().to_string(),
    };
    run.write_summary(&metrics)?;
    print_line!("model: {}", run.path().display());
    match &tested {
        Some(tested) => print_line!("{}", verdict(&test_source, tested, &test)),
        None => {
            print_line!(
                "nothing was tested: {source} has no test part; --test FILE or sentiment eval --data FILE tests"
            )
        }
    }
    if session.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// The accuracy among the figures of a model.
pub fn accuracy(figures: &Figures) -> f64 {
    figures.others.first().copied().unwrap_or(f64::NAN)
}

/// An accuracy, with that of always answering with the larger class for comparison.
fn beside(accuracy: f64, majority_share: f64) -> String {
    format!("accuracy {accuracy:.4} (the larger class alone: {majority_share:.4})")
}

/// The result of a test on `reviews`, in one line.
pub fn verdict(source: &Source, tested: &Tested, reviews: &[Review]) -> String {
    let Tested { figures, seconds } = tested;
    let (accuracy, all) = (beside(accuracy(figures), majority_share(reviews)), reviews.len());
    let figures = format!("test loss {:.4}, {accuracy} on {all} reviews, {seconds:.1} s", figures.loss);
    if source.is_sample() { format!("{figures}; only the built-in sample, where chance gives 0.5") } else { figures }
}
