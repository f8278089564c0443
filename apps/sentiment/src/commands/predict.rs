//! `sentiment predict`: label and probability of single reviews.

use crate::data::{encode, tensor};
use crate::run::Trained;
use burn::tensor::Device;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line};
use serde::Serialize;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;

/// Says of each review whether it is positive, and with what probability.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// Reviews, each in quotes; without any they are read from stdin, one a line
    reviews: Vec<String>,
    /// File with one review a line
    #[arg(long, value_name = "FILE", conflicts_with = "reviews")]
    file: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Prediction {
    label: &'static str,
    /// Of being positive.
    probability: f64,
    review: String,
}

#[derive(Debug, Serialize)]
struct Predictions {
    corpus: String,
    device: String,
    run: String,
    predictions: Vec<Prediction>,
}

/// Answers line by line, as the reviews come.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let lines: Box<dyn Iterator<Item = Result<String, Failure>>> = match &args.file {
        None if !args.reviews.is_empty() => Box::new(args.reviews.iter().cloned().map(Ok)),
        None => Box::new(lines(std::io::stdin(), "stdin".into())),
        Some(file) => {
            let opened = std::fs::File::open(file);
            let opened = opened.map_err(|e| Failure::input(format!("{}: {e}", file.display())))?;
            Box::new(lines(opened, file.display().to_string()))
        }
    };
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let mut predictions = Vec::new();
    let (mut answered, mut blank) = (0, 0);
    for review in lines {
        let review = review?;
        if review.trim().is_empty() {
            blank += 1;
            continue;
        }
        answered += 1;
        let probability = probability(&trained, &review, &selected.device);
        let label = if probability > 0.5 { "positive" } else { "negative" };
        writeln!(std::io::stdout(), "{label} {probability:.4}  {review}")?;
        if args.json {
            predictions.push(Prediction { label, probability, review });
        }
    }
    if answered == 0 {
        return Err(Failure::input("no review was given; give them as arguments, with --file, or one a line on stdin"));
    }
    if blank > 0 {
        eprintln!("left out as blank: {blank}");
    }
    if args.json {
        let run = trained.path.display().to_string();
        json_line(&Predictions { corpus: trained.config.corpus, device: selected.name, run, predictions })?;
    }
    Ok(())
}

fn lines(reader: impl Read + 'static, name: String) -> impl Iterator<Item = Result<String, Failure>> {
    (1u64..).zip(BufReader::new(reader).lines()).map(move |(number, line)| {
        line.map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => Failure::input(format!("{name}: line {number} is not UTF-8")),
            _ => Failure::input(format!("{name}: {e}")),
        })
    })
}

/// Each review goes through the model alone, so that its probability does not depend on the others, to the last bit.
fn probability(trained: &Trained, review: &str, device: &Device) -> f64 {
    let sizes = &trained.config.model;
    let ids = encode(review, &trained.vocabulary, sizes.num_words, sizes.tokens);
    let logit: f32 = trained.model.logits(tensor(&ids, sizes.tokens, device), None).into_scalar();
    1.0 / (1.0 + (-f64::from(logit)).exp())
}
