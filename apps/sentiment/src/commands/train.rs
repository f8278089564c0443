//! `sentiment train`: the lesson's model on IMDb, with any of its settings changed.

use crate::config::{RunConfig, TrainArgs};
use crate::data::{Data, Encoded, majority_share, split, vocabulary};
use crate::judge::{Blend, Judge, Logits};
use crate::measures::{Measures, OfClass};
use crate::model::{Batch, Model};
use crate::ngrams::{Labelled, Ngrams};
use crate::run::{BLEND, NGRAMS, PROGRAM, WORDS};
use crate::words::Totals;
use burn::tensor::Device;
use rnn_core::CellKind;
use rnn_data::Source;
use rnn_data::reviews::Review;
use rnn_harness::options::Session;
use rnn_harness::progress::{Waiting, waiting};
use rnn_harness::training::{Examples, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{Batches, EpochRecord, Figures, Flow, Keys};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Instant;

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
    /// Of each class in the test.
    test_classes: Option<&'a [OfClass]>,
    /// What the n-gram part took to train; `train_seconds` is the recurrent part's.
    ngrams_seconds: Option<f64>,
    /// Of both parts together on the validation reviews; `validation_accuracy` is the recurrent part's.
    blended_validation_accuracy: Option<f64>,
    blended_validation_loss: Option<f64>,
    run: String,
}

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (mut session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let reading = waiting("reading the reviews and making the model");
    let (config, data) = match saved {
        Some(config) => {
            let data = config.data.load_again()?;
            (config, data)
        }
        None => {
            let (mut config, data) = args.config(&session)?;
            config.training.device =
                session.decide(&config.training.plan, |device| fresh(&config, &data.train, device))?;
            (config, data)
        }
    };
    train(&config, data, &session, reading)
}

/// Reviews that are enough for the steps in which devices are compared.
const COMPARED: usize = 32;

/// A new model on `device`, and mini-batches of some of the reviews.
fn fresh(config: &RunConfig, train: &[Review], device: &Device) -> Result<(Model, Batches<Batch>), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    sizes.check(training.batch.min(train.len()))?;
    let some = &train[..train.len().min(training.batch.saturating_mul(COMPARED))];
    let keys = Keys::new(training.seed);
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let encoded = Encoded::new(some, &vocabulary(some, config.data.tokenizer), sizes)?;
    Ok((model, encoded.batches(training.batch, Some(keys.order), keys.dropout, device)))
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
    encode(&test)?.words().warn();
    drop(reading);

    let classes = config.data.classes.as_slice();
    let started = Instant::now();
    let ngrams = config.ngrams.map(|ngrams| {
        let _learning = waiting("learning the weights of n-grams");
        let labelled: Vec<Labelled> = train.iter().map(|review| (review.text.as_str(), review.class)).collect();
        Ngrams::train(&labelled, classes.len(), ngrams)
    });
    let ngrams_seconds = ngrams.as_ref().map(|_| started.elapsed().as_secs_f64());
    let (words, table) = (vocabulary.to_text(), ngrams.as_ref().map(Ngrams::to_bytes));
    let files = [(WORDS, Some(words.as_bytes())), (NGRAMS, table)];
    let files: Vec<(&str, &[u8])> = files.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))).collect();
    let run = session.run(config, &files)?;
    drop(words);
    let of = if has_own_test { format!(" of {test_source}") } else { String::new() };
    let to_validate = if held_out > 0 { format!(", {held_out} to validate") } else { String::new() };
    print_line!(
        "{} on {source}: {} reviews to train{to_validate}, {}{of} to test",
        sizes.cell,
        train.len(),
        test.len()
    );
    if let (Some(ngrams), Some(seconds)) = (&ngrams, ngrams_seconds) {
        print_line!("{} n-grams of up to {} words have a weight, {seconds:.1} s", ngrams.count(), ngrams.order());
    }
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
    let mut judge = Judge { model: outcome.model(), sizes: sizes.clone(), vocabulary, ngrams, blend: Blend::default() };
    let blended = match &judge.ngrams {
        Some(_) if held_out > 0 => Some(blend(&mut judge, &validation, classes)?),
        _ => None,
    };
    if let (Some(_), Some(ngrams)) = (&blended, config.ngrams) {
        // Once weighed, the n-grams are learned from the validation reviews too.
        let _learning = waiting("learning the weights of n-grams from all reviews");
        let all = train.iter().chain(&validation).map(|review| (review.text.as_str(), review.class));
        let ngrams = Ngrams::train(&all.collect::<Vec<Labelled>>(), classes.len(), ngrams);
        run.write_bytes(NGRAMS, ngrams.to_bytes())?;
        judge.ngrams = Some(ngrams);
    }
    if judge.ngrams.is_some() {
        run.write_json(BLEND, &judge.blend)?;
    }
    let tested = match test.is_empty() {
        true => None,
        false => Some(Tested::of(&judge, &test, classes)?),
    };
    if let Some(tested) = &tested {
        run.write_bytes("reliability.svg", tested.measures.reliability().as_bytes())?;
    }

    let figures = tested.as_ref().map(|test| &test.measures);
    let metrics = Metrics {
        corpus: &config.data.corpus,
        cell: sizes.cell,
        seed: training.seed,
        device: &session.device.name,
        training: summary(&outcome),
        train_majority_share: share,
        test_corpus: figures.map(|_| test_source.corpus.as_str()),
        test_loss: figures.map(|figures| figures.loss),
        test_accuracy: figures.map(|figures| figures.accuracy),
        test_seconds: tested.as_ref().map(|test| test.seconds),
        test_reviews: test.len(),
        test_classes: figures.map(|figures| figures.classes.as_slice()),
        majority_share: figures.map(|_| majority_share(&test)),
        ngrams_seconds,
        blended_validation_accuracy: blended.map(|figures| figures.accuracy),
        blended_validation_loss: blended.map(|figures| figures.loss),
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
fn accuracy(figures: &Figures) -> f64 {
    figures.others.first().copied().unwrap_or(f64::NAN)
}

/// An accuracy, with that of always answering with the larger class for comparison.
fn beside(accuracy: f64, majority_share: f64) -> String {
    format!("accuracy {accuracy:.4} (the larger class alone: {majority_share:.4})")
}

/// Weighs both parts by the validation reviews, and says what each and both reach on them.
fn blend(judge: &mut Judge, validation: &[Review], classes: &[String]) -> Result<Blended, Failure> {
    let (recurrent, _) = judge.recurrent(validation)?;
    let ngrams = judge.ngrams_of(validation).unwrap_or_default();
    let labels: Vec<usize> = validation.iter().map(|review| review.class).collect();
    judge.blend = Blend::fitted(&recurrent, &ngrams, &labels);
    let both: Vec<Logits> = recurrent.iter().zip(&ngrams).map(|(r, g)| judge.blend.of(r, g)).collect();
    let figures = [&recurrent, &ngrams, &both].map(|logits| Measures::of(logits, &labels, classes));
    let [recurrent, ngrams, both] = &figures;
    print_line!(
        "validation accuracy: recurrent part {:.4}, n-grams {:.4}, together {:.4} (loss {:.4}, {:.4}, {:.4}); logits are \
         {:.3}·recurrent + {:.3}·n-grams",
        recurrent.accuracy,
        ngrams.accuracy,
        both.accuracy,
        recurrent.loss,
        ngrams.loss,
        both.loss,
        judge.blend.recurrent,
        judge.blend.ngrams
    );
    Ok(Blended { accuracy: both.accuracy, loss: both.loss })
}

/// Figures of both parts together.
#[derive(Debug, Clone, Copy)]
struct Blended {
    accuracy: f64,
    loss: f64,
}

/// A test and its figures.
pub struct Tested {
    pub logits: Vec<Logits>,
    pub measures: Measures,
    pub words: Totals,
    pub seconds: f64,
}

impl Tested {
    /// Of `judge` on `reviews`.
    pub fn of(judge: &Judge, reviews: &[Review], classes: &[String]) -> Result<Self, Failure> {
        let start = Instant::now();
        let (logits, words) = judge.all(reviews)?;
        let seconds = start.elapsed().as_secs_f64();
        let labels: Vec<usize> = reviews.iter().map(|review| review.class).collect();
        Ok(Self { measures: Measures::of(&logits, &labels, classes), logits, words, seconds })
    }
}

/// The result of a test on `reviews`, in one line.
pub fn verdict(source: &Source, tested: &Tested, reviews: &[Review]) -> String {
    let Tested { measures, seconds, .. } = tested;
    let (accuracy, all) = (beside(measures.accuracy, majority_share(reviews)), reviews.len());
    let figures = format!("test loss {:.4}, {accuracy} on {all} reviews, {seconds:.1} s", measures.loss);
    if source.is_sample() { format!("{figures}; only the built-in sample, where chance gives 0.5") } else { figures }
}
