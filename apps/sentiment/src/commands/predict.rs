//! `sentiment predict`: the label and probability of single reviews, in their order.

use crate::data::padded;
use crate::run::Trained;
use crate::words::{Totals, WordCounts, encode};
use rnn_data::text;
use rnn_data::words::Tokenizer;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, say};
use serde::Serialize;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
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
    /// The number of the review or input line, counted from 1, blank ones included.
    number: u64,
    /// `None` for a blank review.
    label: Option<&'static str>,
    /// The probability of being positive.
    probability: Option<f64>,
    /// Without known words the answer means nothing.
    #[serde(flatten)]
    words: WordCounts,
    review: String,
}

#[derive(Debug, Serialize)]
struct Predictions {
    corpus: String,
    device: String,
    run: String,
    predictions: Vec<Prediction>,
}

/// Answers line by line as the reviews arrive; for JSON all reviews are read and checked first.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let is_lines = args.reviews.is_empty();
    let is_typed = is_lines && args.file.is_none() && std::io::stdin().is_terminal();
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
    if is_typed {
        say!("type reviews, one on each line; Ctrl-D on an empty line ends (on Windows Ctrl-Z and Enter)");
    }
    if args.json {
        let all: Vec<String> = reviews.collect::<Result<_, _>>()?;
        reviews = Box::new(all.into_iter().map(Ok));
    }
    let tokens = trained.config.model.tokens;
    let mut predictions = Vec::new();
    let mut totals = Totals::default();
    let (mut given, mut blank) = (0, 0);
    for text in reviews {
        let text = text?;
        given += 1;
        let judged = (!text.trim().is_empty()).then(|| judge(&trained, &text));
        let label = judged.map(|(probability, _)| if probability > 0.5 { "positive" } else { "negative" });
        match (label, judged) {
            (Some(label), Some((probability, words))) => {
                let shown = text.replace(char::is_control, " "); // one line per review
                writeln!(std::io::stdout(), "{label} {probability:.4}  {shown}")?;
                totals.add(words);
                if words.known_words == 0 {
                    let what = if is_lines { "line" } else { "review" };
                    say!("{what} {given} has no word that the model knows: the answer says nothing of it");
                } else if is_typed {
                    Totals::of(words).say(tokens);
                }
            }
            _ => {
                blank += 1;
                writeln!(std::io::stdout(), "blank")?;
            }
        }
        if args.json {
            let (probability, words) = judged.unzip();
            let words = words.unwrap_or_default();
            predictions.push(Prediction { number: given, label, probability, words, review: text });
        }
    }
    if given == 0 {
        return Err(Failure::input("no review was given; give them as arguments, with --file, or one a line on stdin"));
    }
    if blank == given {
        return Err(Failure::input(format!("all reviews given are blank ({blank}); give one with words in it")));
    }
    if !is_typed {
        totals.say(tokens);
    }
    if args.json {
        let run = trained.path.display().to_string();
        json_line(&Predictions { corpus: trained.config.data.corpus, device: selected.name, run, predictions })?;
    }
    Ok(())
}

/// The lines of `reader` as they arrive; LF, CR LF or CR ends a line.
fn lines(reader: impl Read + 'static, name: String) -> impl Iterator<Item = Result<String, Failure>> {
    let mut reader = BufReader::new(reader);
    let mut after_cr = false;
    (1u64..).map_while(move |number| {
        let line = next_line(&mut reader, &mut after_cr).transpose()?;
        let line = line.map_err(|e| Failure::input(format!("{name}: {e}")));
        let name = format!("{name}, line {number}");
        Some(line.and_then(|line| text::utf8(Path::new(&name), line).map_err(Failure::input)))
    })
}

/// The next line without its line end, `None` after the last one. A line that ends with CR is returned at once; a
/// following LF is skipped when the next line is read.
fn next_line(reader: &mut impl BufRead, after_cr: &mut bool) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let buffer = match reader.fill_buf() {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        if std::mem::take(after_cr) && buffer[0] == b'\n' {
            reader.consume(1);
            continue;
        }
        let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        line.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
        *after_cr = end.is_some_and(|end| buffer[end] == b'\r');
        let read = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(read);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// The probability that a review is positive, and its word counts. Each review is a mini-batch of its own, so that no
/// bit of its probability depends on other reviews.
fn judge(trained: &Trained, review: &str) -> (f64, WordCounts) {
    let sizes = &trained.config.model;
    let (ids, words) = encode(review, &trained.vocabulary, Tokenizer::Unicode, sizes.num_words, sizes.tokens);
    let logit: f32 = trained.model.logits(&padded(&[&ids], sizes.tokens, sizes.masked), None).into_scalar();
    (1.0 / (1.0 + (-f64::from(logit)).exp()), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_ends_a_line_once() {
        let text = "one\rtwo\r\nthree\nfour\r\rsix\n\neight";
        let expected = ["one", "two", "three", "four", "", "six", "", "eight"];
        for size in [1, 4, 100] {
            let (mut reader, mut after_cr) = (BufReader::with_capacity(size, text.as_bytes()), false);
            let next = || next_line(&mut reader, &mut after_cr).expect("in memory");
            let lines: Vec<Vec<u8>> = std::iter::from_fn(next).collect();
            assert_eq!(lines, expected.map(|line| line.as_bytes().to_vec()), "{size}");
        }
        let all = |text: &'static str| {
            lines(text.as_bytes(), "x".into()).map(|line| line.expect("UTF-8")).collect::<Vec<_>>()
        };
        assert_eq!(all("a\r"), ["a"]);
        assert_eq!(all("a\r\n"), ["a"]);
        assert_eq!(all("\r\n\n"), ["", ""]);
        assert!(all("").is_empty());
    }
}
