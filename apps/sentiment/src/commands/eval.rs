//! `sentiment eval`: a trained model on test reviews.

use crate::commands::train::{Tested, verdict};
use crate::data::{DataArgs, majority_share};
use crate::judge::probabilities;
use crate::measures::{CLASS_COLUMNS, Measures, judged, table};
use crate::ngrams::{Labelled, NgramConfig, Ngrams};
use crate::run::Trained;
use crate::words::Totals;
use rnn_data::reviews::Review;
use rnn_harness::device::DeviceArgs;
use rnn_harness::html::Page;
use rnn_harness::options::RunArgs;
use rnn_harness::progress::waiting;
use rnn_harness::{Failure, json_line, print_line, say, write_file};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Tests a trained model on the test part of a corpus, or on all of a table that has no parts.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Reviews to test on, in any form that --data takes; the same as --data
    #[arg(long, value_name = "PATH", conflicts_with = "data")]
    test: Option<PathBuf>,
    /// Also test logistic regression on n-grams to 3 that naive Bayes weights, trained on the run's training reviews
    #[arg(long)]
    baseline: bool,
    /// Number of the most confident mistakes to show
    #[arg(long, value_name = "N", default_value_t = 3)]
    mistakes: usize,
    /// Write all figures, the reliability plot and mistakes to a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the results as a JSON object in the last line
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
    #[serde(flatten)]
    measures: &'a Measures,
    /// Of the baseline.
    baseline_accuracy: Option<f64>,
    baseline_loss: Option<f64>,
    run: String,
}

/// Characters of a mistake that the terminal shows.
const SHOWN: usize = 160;

/// A review that was judged wrong.
struct Mistake<'a> {
    review: &'a Review,
    given: usize,
    probability: f64,
}

/// Loads the model, tests it, prints the figures.
pub fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let (config, classes) = (&trained.config, trained.config.data.classes.as_slice());
    let reading = waiting("reading the reviews and their words");
    let reviews = args.data.to_test(args.test.clone(), classes)?;
    let trained_on_these = match (&reviews.table, &config.data.table) {
        (Some(table), Some(known)) => table.is_same(known),
        _ => false,
    };
    if trained_on_these {
        say!(
            "the model was trained on rows of this very table: the figures show what it has memorised, not how well it \
             judges new reviews"
        );
    }
    print_line!("{} on {}: {} reviews", config.model.cell, reviews.source, reviews.test.len());
    drop(reading);
    let tested = Tested::of(&trained.judge, &reviews.test, classes)?;
    print_line!("{}", verdict(&reviews.source, &tested, &reviews.test));
    let measures = &tested.measures;
    let header = |first: &[&str]| first.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    print_line!("{}", table(&header(&CLASS_COLUMNS), &measures.class_rows()));
    let confusion: Vec<String> =
        std::iter::once("is".to_string()).chain(classes.iter().map(|class| format!("given {class}"))).collect();
    print_line!("{}", table(&confusion, &measures.confusion_rows()));
    print_line!("expected calibration error {:.4}", measures.expected_calibration_error);
    let mistakes = mistakes(&tested, &reviews.test, args.mistakes);
    for Mistake { review, given, probability } in &mistakes {
        let whole = without_tags(&review.text);
        let mut text: String = whole.chars().take(SHOWN).collect();
        if text.len() < whole.len() {
            text.push('…');
        }
        let (given, is) = (&classes[*given], &classes[review.class]);
        print_line!("given {given} with {probability:.4}, is {is}: {}", text.replace(char::is_control, " "));
    }
    let baseline = if args.baseline { Some(baseline(&trained, &reviews.test)?) } else { None };
    if let Some(baseline) = &baseline {
        let (loss, accuracy) = (baseline.loss, baseline.accuracy);
        print_line!(
            "baseline, logistic regression on NB-weighted n-grams to 3: test loss {loss:.4}, accuracy {accuracy:.4}"
        );
    }
    tested.words.say(config.model.tokens);
    tested.words.warn();
    if let Some(path) = &args.html {
        let confusion: Vec<&str> = confusion.iter().map(String::as_str).collect();
        let mut page = Page::new(&format!("sentiment on {}", reviews.source))
            .text(&verdict(&reviews.source, &tested, &reviews.test))
            .heading("Classes")
            .table(&CLASS_COLUMNS, &measures.class_rows())
            .heading("Confusion")
            .table(&confusion, &measures.confusion_rows())
            .heading("Calibration")
            .picture(&measures.reliability());
        if let Some(baseline) = &baseline {
            page = page.heading("Baseline: logistic regression on NB-weighted n-grams to 3");
            let (loss, accuracy) = (baseline.loss, baseline.accuracy);
            page = page.text(&format!("test loss {loss:.4}, accuracy {accuracy:.4}"));
            page = page.table(&CLASS_COLUMNS, &baseline.class_rows());
        }
        if !mistakes.is_empty() {
            page = page.heading("The most confident mistakes");
        }
        for Mistake { review, given, probability } in &mistakes {
            let (given, is) = (&classes[*given], &classes[review.class]);
            page =
                page.text(&format!("given {given} with {probability:.4}, is {is}:")).text(&without_tags(&review.text));
        }
        write_page(path, &page.finish())?;
    }
    if args.json {
        json_line(&Metrics {
            corpus: &reviews.source.corpus,
            trained_on: &config.data.corpus,
            device: &selected.name,
            test_loss: measures.loss,
            test_accuracy: measures.accuracy,
            test_seconds: tested.seconds,
            test_reviews: reviews.test.len(),
            majority_share: majority_share(&reviews.test),
            trained_on_these,
            words: tested.words,
            measures,
            baseline_accuracy: baseline.as_ref().map(|baseline| baseline.accuracy),
            baseline_loss: baseline.as_ref().map(|baseline| baseline.loss),
            run: trained.path.display().to_string(),
        })?;
    }
    Ok(())
}

/// A review without the line breaks of a web page, which IMDb's have.
fn without_tags(text: &str) -> String {
    text.replace("<br /><br />", " ").replace("<br />", " ")
}

/// The reviews that were judged wrong with the highest probability, at most `most`.
fn mistakes<'a>(tested: &Tested, reviews: &'a [Review], most: usize) -> Vec<Mistake<'a>> {
    let wrong = |(review, logits): (&'a Review, &Vec<f64>)| {
        let p = probabilities(logits);
        let given = judged(&p);
        (given != review.class).then(|| Mistake { review, given, probability: p[given] })
    };
    let mut all: Vec<Mistake> = reviews.iter().zip(&tested.logits).filter_map(wrong).collect();
    all.sort_by(|a, b| b.probability.total_cmp(&a.probability)); // stable
    all.truncate(most);
    all
}

/// The figures of logistic regression on n-grams, trained on the reviews that the run was trained and validated on.
fn baseline(trained: &Trained, test: &[Review]) -> Result<Measures, Failure> {
    let data = trained.config.data.load_again().map_err(|failure| match failure {
        Failure::Input(why) => Failure::input(format!("--baseline learns from the run's training reviews: {why}")),
        other => other,
    })?;
    let _learning = waiting("learning the weights of n-grams for the baseline");
    let train: Vec<Labelled> = data.train.iter().map(|review| (review.text.as_str(), review.class)).collect();
    let classes = trained.config.data.classes.as_slice();
    let ngrams = Ngrams::train(&train, classes.len(), NgramConfig::new(3));
    let logits = |review: &Review| {
        let scores = ngrams.scores(&review.text);
        if classes.len() == 2 { vec![0.0, scores[0]] } else { scores }
    };
    let logits: Vec<Vec<f64>> = test.iter().map(logits).collect();
    let labels: Vec<usize> = test.iter().map(|review| review.class).collect();
    Ok(Measures::of(&logits, &labels, classes))
}

/// Writes a page and says so.
pub fn write_page(path: &Path, html: &str) -> Result<(), Failure> {
    write_file(path, html)?;
    say!("page: {}", path.display());
    Ok(())
}
