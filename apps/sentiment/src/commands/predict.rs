//! `sentiment predict`: label and probability of single reviews, an answer for each, in their order.

use crate::data::encode;
use crate::run::Trained;
use rnn_data::text;
use rnn_data::words::OUT_OF_RANGE;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, say};
use serde::Serialize;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

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
    /// Which review or line of the input it is, counted from 1, blank ones too.
    number: u64,
    /// None of a blank review.
    label: Option<&'static str>,
    /// Of being positive.
    probability: Option<f64>,
    /// Of the words that the model sees, those that it can tell apart: if there are none, the answer says nothing.
    known_words: usize,
    review: String,
}

#[derive(Debug, Serialize)]
struct Predictions {
    corpus: String,
    device: String,
    run: String,
    predictions: Vec<Prediction>,
}

/// Answers line by line, as the reviews come; for JSON they are all read and checked before.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let is_lines = args.reviews.is_empty();
    let mut reviews: Box<dyn Iterator<Item = Result<String, Failure>>> = match &args.file {
        None if !is_lines => Box::new(args.reviews.iter().cloned().map(Ok)),
        None => Box::new(lines(std::io::stdin(), "stdin".into())),
        Some(file) => {
            let name = format!("--file {}", file.display());
            let opened = std::fs::File::open(file).map_err(|e| Failure::input(format!("{name}: {e}")))?;
            Box::new(lines(opened, name))
        }
    };
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    if args.json {
        let all: Vec<String> = reviews.collect::<Result<_, _>>()?;
        reviews = Box::new(all.into_iter().map(Ok));
    }
    let mut predictions = Vec::new();
    let (mut given, mut blank) = (0, 0);
    for text in reviews {
        let text = text?;
        given += 1;
        let judged = (!text.trim().is_empty()).then(|| judge(&trained, &text));
        let label = judged.map(|(probability, _)| if probability > 0.5 { "positive" } else { "negative" });
        match (label, judged) {
            (Some(label), Some((probability, known_words))) => {
                let shown = text.replace(char::is_control, " "); // a line each, whatever is in it
                writeln!(std::io::stdout(), "{label} {probability:.4}  {shown}")?;
                if known_words == 0 {
                    let what = if is_lines { "line" } else { "review" };
                    say!("{what} {given} has no word that the model knows: the answer says nothing of it");
                }
            }
            _ => {
                blank += 1;
                writeln!(std::io::stdout(), "blank")?;
            }
        }
        if args.json {
            let (probability, known_words) = judged.unzip();
            let known_words = known_words.unwrap_or(0);
            predictions.push(Prediction { number: given, label, probability, known_words, review: text });
        }
    }
    if given == 0 {
        return Err(Failure::input("no review was given; give them as arguments, with --file, or one a line on stdin"));
    }
    if blank == given {
        return Err(Failure::input(format!("all reviews given are blank ({blank}); give one with words in it")));
    }
    if args.json {
        let run = trained.path.display().to_string();
        json_line(&Predictions { corpus: trained.config.corpus, device: selected.name, run, predictions })?;
    }
    Ok(())
}

fn lines(reader: impl Read + 'static, name: String) -> impl Iterator<Item = Result<String, Failure>> {
    (1u64..).zip(BufReader::new(reader).split(b'\n')).map(move |(number, line)| {
        let mut line = line.map_err(|e| Failure::input(format!("{name}: {e}")))?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        text::utf8(Path::new(&format!("{name}, line {number}")), line).map_err(Failure::input)
    })
}

/// The probability that a review is positive, and how many words the model knows of it. Each goes through the model alone,
/// so that its probability does not depend on the others, to the last bit.
fn judge(trained: &Trained, review: &str) -> (f64, usize) {
    let sizes = &trained.config.model;
    let ids = encode(review, &trained.vocabulary, sizes.num_words, sizes.tokens);
    let known = ids.iter().filter(|&&id| id > OUT_OF_RANGE).count();
    let logit: f32 = trained.model.logits(&ids, sizes.tokens, None).into_scalar();
    (1.0 / (1.0 + (-f64::from(logit)).exp()), known)
}
