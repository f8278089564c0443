//! `sentiment predict --explain`: the probability after every word.

use crate::commands::eval::write_page;
use crate::judge::probabilities;
use crate::measures::judged;
use crate::run::Trained;
use rnn_harness::html::{Page, Shaded, shade};
use rnn_harness::{Failure, print_line, printable_text, say};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Words of a review at most: each is read again for every word after it.
const MOST_WORDS: usize = 2000;

/// A text's piece up to the end of a word, and the probability after it.
type Step = (String, f64);

/// Explains each of `reviews`: on a terminal in colours, elsewhere a line a word; and as a page if `html` is given.
pub fn explain(trained: &Trained, reviews: &[String], html: Option<&Path>) -> Result<(), Failure> {
    let classes = &trained.config.data.classes;
    let mut page = Page::new("The probability after every word");
    let mut explained = 0;
    for review in reviews.iter().filter(|review| !review.trim().is_empty()) {
        let (class, steps) = steps(trained, review)?;
        explained += 1;
        let name = &classes[class];
        let last = steps.last().map_or(f64::NAN, |(_, p)| *p);
        print_line!("probability of {name}: {last:.4}");
        if std::io::stdout().is_terminal() {
            let mut out = std::io::stdout().lock();
            for (text, p) in &steps {
                let [red, green, blue] = rgb(&shade(2.0 * p - 1.0));
                write!(out, "\x1b[48;2;{red};{green};{blue}m\x1b[30m{}\x1b[0m", printable_text(text))?;
            }
            writeln!(out)?;
        } else {
            for (text, p) in &steps {
                print_line!("{p:.4} {}", text.trim());
            }
        }
        let span = |(text, p): Step| Shaded { text, value: 2.0 * p - 1.0, title: format!("{p:.4}") };
        let spans: Vec<Shaded> = steps.into_iter().map(span).collect();
        let about =
            format!("probability of {name} at the end: {last:.4}; blue: above one half after this word, red: below");
        page = page.text(&about).shaded(&spans);
    }
    if explained == 0 {
        return Err(Failure::input("no review with words in it was given"));
    }
    match html {
        Some(path) => write_page(path, &page.finish()),
        None => Ok(()),
    }
}

/// The class to explain, and the probability of it after each word: of two classes the second one, else the one that
/// is given to the whole text.
fn steps(trained: &Trained, review: &str) -> Result<(usize, Vec<Step>), Failure> {
    let mut ends = Vec::new();
    let mut in_word = false;
    for (i, c) in review.char_indices() {
        if c.is_whitespace() && in_word {
            ends.push(i);
        }
        in_word = !c.is_whitespace();
    }
    if in_word {
        ends.push(review.len());
    }
    if ends.len() > MOST_WORDS {
        say!("only the first {MOST_WORDS} of {} words are explained", ends.len());
        ends.truncate(MOST_WORDS);
    }
    let prefixes: Vec<&str> = ends.iter().map(|&end| &review[..end]).collect();
    let mut all: Vec<Vec<f64>> = Vec::with_capacity(prefixes.len());
    for chunk in prefixes.chunks(trained.config.model.test_batch()) {
        all.extend(trained.judge.batch(chunk).iter().map(|(logits, _)| probabilities(logits)));
    }
    let Some(last) = all.last() else { return Err(Failure::input("no review with words in it was given")) };
    let class = if last.len() == 2 { 1 } else { judged(last) };
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let pieces = starts.zip(&ends).map(|(start, &end)| review[start..end].to_string());
    Ok((class, pieces.zip(all.iter().map(|p| p[class])).collect()))
}

/// `#rrggbb` as numbers.
fn rgb(colour: &str) -> [u8; 3] {
    [1, 3, 5].map(|i| colour.get(i..i + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0))
}
