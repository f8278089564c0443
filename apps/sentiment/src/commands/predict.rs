//! `sentiment predict`: the label and probability of single reviews, in their order.

use super::explain::explain;
use crate::judge::{Logits, probabilities};
use crate::measures::judged;
use crate::run::Trained;
use crate::words::{Totals, WordCounts};
use rnn_data::{reviews, text};
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, printable_text, say};
use serde::Serialize;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// Reviews of a file that are judged before the first of them is answered.
const AT_ONCE: usize = 5000;
/// Reviews without known words that messages name.
const NAMED: usize = 3;

/// Says of each review whether it is positive, and with what probability.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    /// Reviews, each in quotes; without any they are read from stdin, one a line
    reviews: Vec<String>,
    /// File with one review a line, or a .csv, .tsv or .jsonl table
    #[arg(long, value_name = "FILE", conflicts_with = "reviews")]
    file: Option<PathBuf>,
    /// Column or key of a table that holds the reviews [default: text, review, sentence or content]
    #[arg(long, value_name = "NAME", requires = "file", conflicts_with = "reviews")]
    column: Option<String>,
    /// How answers are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print the N likeliest classes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    top: Option<u16>,
    /// Print the probability after every word, coloured on a terminal
    #[arg(long, conflicts_with_all = ["json", "top", "format"])]
    explain: bool,
    /// Write what --explain prints to a page
    #[arg(long, value_name = "FILE", requires = "explain")]
    html: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Label, probability and review
    Text,
    /// A table with a header
    Csv,
    /// An object a line
    Jsonl,
}

/// The most bytes of a review, and of all where they are read at once: what a text may have elsewhere.
const MOST_BYTES: usize = 1 << 29;

/// A class and its probability.
#[derive(Debug, Serialize)]
struct ClassShare {
    label: String,
    probability: f64,
}

#[derive(Debug, Serialize)]
struct Prediction {
    /// The number of the review or input line, counted from 1, blank ones included.
    number: u64,
    /// `None` for a blank review.
    label: Option<String>,
    /// That of the label.
    probability: Option<f64>,
    /// The likeliest classes, with --top.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<ClassShare>>,
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
    let reviews: Given = match &args.file {
        None if !is_lines => Box::new(args.reviews.iter().cloned().map(Ok)),
        None => Box::new(lines(std::io::stdin(), "stdin".into())),
        Some(file) => {
            let name = format!("--file {}", file.display());
            let is_table = reviews::is_table_name(file);
            if let (Some(column), false) = (&args.column, is_table) {
                let problem = format!(
                    "{name} is no table that could have a column {column:?}; a table ends in .csv, .tsv or .jsonl"
                );
                return Err(Failure::input(problem));
            }
            if is_table {
                let texts = reviews::unlabelled(file, args.column.as_deref()).map_err(Failure::input)?;
                return answer(args, Box::new(texts.into_iter().map(Ok)), "row", is_typed);
            }
            let opened = std::fs::File::open(file).map_err(|e| Failure::input(format!("{name}: {e}")))?;
            Box::new(lines(opened, name))
        }
    };
    answer(args, reviews, if is_lines { "line" } else { "review" }, is_typed)
}

/// Reviews in their order.
type Given<'a> = Box<dyn Iterator<Item = Result<String, Failure>> + 'a>;

/// Loads the model and answers. `what` is what messages call a review.
fn answer<'a>(args: &'a PredictArgs, mut reviews: Given<'a>, what: &str, is_typed: bool) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    if is_typed {
        say!("type reviews, one on each line; Ctrl-D on an empty line ends (on Windows Ctrl-Z and Enter)");
    }
    if args.json {
        let all = all(reviews)?;
        reviews = Box::new(all.into_iter().map(Ok));
    }
    let shown = Shown { format: args.format, top: args.top.map(usize::from), classes: &trained.config.data.classes };
    if args.explain {
        let all = all(reviews)?;
        return explain(&trained, &all, args.html.as_deref());
    }
    let tokens = trained.config.model.tokens;
    let mut predictions = Vec::new();
    let mut totals = Totals::default();
    let (mut given, mut blank, mut unknown) = (0, 0, 0);
    let mut out = std::io::stdout().lock();
    shown.head(&mut out)?;
    // Of a file, many reviews are judged at once; what is typed or piped is answered line by line.
    let at_once = if args.file.is_some() { AT_ONCE } else { 1 };
    loop {
        let chunk: Vec<String> = reviews.by_ref().take(at_once).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            break;
        }
        let words: Vec<&str> = chunk.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
        let judged = trained.judge.many(&words);
        let mut judged = judged.into_iter();
        for text in chunk {
            given += 1;
            let answer = if text.trim().is_empty() { None } else { judged.next() };
            if let Some((_, words)) = answer {
                totals.add(words);
                if words.known_words == 0 && trained.judge.ngrams.is_none() {
                    unknown += 1;
                    if is_typed || unknown <= NAMED {
                        say!("{what} {given} has no word that the model knows: the answer says nothing of it");
                    }
                } else if is_typed {
                    Totals::of(words).say(tokens);
                }
            } else {
                blank += 1;
            }
            let prediction = shown.prediction(given, text, answer);
            shown.line(&mut out, &prediction)?;
            if args.json {
                predictions.push(prediction);
            }
        }
    }
    drop(out);
    if given == 0 {
        return Err(Failure::input("no review was given; give them as arguments, with --file, or one a line on stdin"));
    }
    if blank == given {
        return Err(Failure::input(format!("all reviews given are blank ({blank}); give one with words in it")));
    }
    if !is_typed {
        if unknown > NAMED {
            say!("{unknown} of {given} {what}s have no word that the model knows");
        }
        totals.say(tokens);
    }
    if args.json {
        let run = trained.path.display().to_string();
        json_line(&Predictions { corpus: trained.config.data.corpus, device: selected.name, run, predictions })?;
    }
    Ok(())
}

/// All reviews at once, where the answer needs them.
fn all(reviews: Given) -> Result<Vec<String>, Failure> {
    let mut bytes = 0;
    let counted = |review: Result<String, Failure>| {
        let review = review?;
        bytes += review.len();
        match bytes > MOST_BYTES {
            true => Err(too_long("the reviews have")),
            false => Ok(review),
        }
    };
    reviews.map(counted).collect()
}

fn too_long(what: &str) -> Failure {
    Failure::input(format!("{what} more than the {MOST_BYTES} bytes that are possible here; give a part of it"))
}

/// How predictions are shown.
struct Shown<'a> {
    format: Format,
    top: Option<usize>,
    classes: &'a [String],
}

impl Shown<'_> {
    fn prediction(&self, number: u64, review: String, answer: Option<(Logits, WordCounts)>) -> Prediction {
        let Some((logits, words)) = answer else {
            let words = WordCounts::default();
            return Prediction { number, label: None, probability: None, classes: None, words, review };
        };
        let p = probabilities(&logits);
        let label = judged(&p);
        let probability = Some(p[label]);
        let classes = self.top.map(|top| {
            let mut all: Vec<(usize, f64)> = p.iter().copied().enumerate().collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1)); // stable
            let class =
                |(class, probability): (usize, f64)| ClassShare { label: self.classes[class].clone(), probability };
            all.into_iter().take(top).map(class).collect()
        });
        Prediction { number, label: Some(self.classes[label].clone()), probability, classes, words, review }
    }

    /// What stands above all lines.
    fn head(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.format == Format::Csv {
            let top = if self.top.is_some() { ",top" } else { "" };
            writeln!(out, "number,label,probability{top},review")?;
        }
        Ok(())
    }

    fn line(&self, out: &mut impl Write, prediction: &Prediction) -> Result<(), Failure> {
        let Prediction { number, label, probability, classes, review, .. } = prediction;
        let top = classes.as_ref().map(|classes| {
            let class = |class: &ClassShare| format!("{} {:.4}", class.label, class.probability);
            classes.iter().map(class).collect::<Vec<_>>().join("; ")
        });
        match (self.format, label, probability) {
            (Format::Jsonl, ..) => {
                let line = serde_json::to_string(prediction).map_err(|e| Failure::failed(format!("JSON: {e}")))?;
                writeln!(out, "{line}")?;
            }
            (Format::Csv, label, probability) => {
                let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
                let label = label.as_deref().map(quoted).unwrap_or_default();
                let probability = probability.map(|p| format!("{p:.6}")).unwrap_or_default();
                let top = self.top.map(|_| format!(",{}", top.map(|top| quoted(&top)).unwrap_or_default()));
                writeln!(out, "{number},{label},{probability}{},{}", top.unwrap_or_default(), quoted(review))?;
            }
            (Format::Text, Some(label), Some(probability)) => {
                let review = review.replace(char::is_control, " "); // one line per review
                match top {
                    Some(top) => writeln!(out, "{}  {review}", printable_text(&top))?,
                    None => writeln!(out, "{} {probability:.4}  {review}", printable_text(label))?,
                }
            }
            (Format::Text, ..) => writeln!(out, "blank")?,
        }
        Ok(())
    }
}

/// The lines of `reader` as they arrive; LF, CR LF or CR ends a line.
fn lines(reader: impl Read + 'static, name: String) -> impl Iterator<Item = Result<String, Failure>> {
    let mut reader = BufReader::new(reader);
    let mut after_cr = false;
    (1u64..).map_while(move |number| {
        let line = next_line(&mut reader, &mut after_cr).transpose()?;
        let line = line.map_err(|e| Failure::input(format!("{name}: {e}")));
        let name = format!("{name}, line {number}");
        Some(line.and_then(|line| match line.len() > MOST_BYTES {
            true => Err(too_long(&format!("{name}: it has"))),
            false => text::utf8(Path::new(&name), line).map_err(Failure::input),
        }))
    })
}

/// The next line without its line end, `None` after the last one. A line that ends with CR is returned at once; a
/// following LF is skipped when the next line is read. Of a line without end, as `/dev/zero` has, no more is read than
/// tells that it is too long.
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
        if end.is_some() || line.len() > MOST_BYTES {
            return Ok(Some(line));
        }
    }
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
