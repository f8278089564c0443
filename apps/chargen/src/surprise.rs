//! How surprising a model finds each character of a text, and how that is shown.

use crate::config::Mode;
use crate::ngram::NGrams;
use crate::run::Trained;
use rnn_core::RnnError;
use rnn_harness::html::{Shaded, shade};
use rnn_harness::interrupt::stopped;
use rnn_harness::printable_text;
use std::f64::consts::LN_2;

/// A surprise of this many nats or more has the full colour.
const FULL: f64 = 6.0;

/// `−ln P(c | everything before)` of each character of `ids` from `from` on, in nats; `None` if it was interrupted. A
/// model of windows reads the last window again for each character, as in its training.
pub fn of_model(trained: &Trained, ids: &[u32], from: usize) -> Result<Option<Vec<f64>>, RnnError> {
    let mut reader = trained.model.reader()?;
    let window = trained.config.model.window;
    let mut surprises = Vec::with_capacity(ids.len() - from);
    let streams = trained.config.mode == Mode::Streams;
    if streams && from > 1 {
        reader.read(&ids[..from - 1]);
    }
    for place in from..ids.len() {
        if place % 256 == 0 && stopped() {
            return Ok(None);
        }
        let logits = if streams {
            reader.read(&ids[place - 1..place])
        } else {
            reader.forget();
            reader.read(&ids[place.saturating_sub(window)..place])
        };
        surprises.push(surprise(logits, ids[place]));
    }
    Ok(Some(surprises))
}

/// `−ln softmax(logits)[id]`.
fn surprise(logits: &[f32], id: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&x| f64::from(x - most).exp()).sum();
    sum.ln() - f64::from(logits[id as usize] - most)
}

/// The same of an n-gram model.
pub fn of_grams(grams: &NGrams, ids: &[u32], from: usize) -> Vec<f64> {
    (from..ids.len()).map(|place| -grams.probability(&ids[..place], ids[place]).ln()).collect()
}

/// Mean surprise and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Mean {
    /// In nats a character: the cross-entropy.
    pub loss: f64,
    /// In bits a character.
    pub bits_per_character: f64,
    /// e to the loss: the number of equally likely characters with the same loss.
    pub perplexity: f64,
}

impl Mean {
    pub fn of(surprises: &[f64]) -> Self {
        let loss = surprises.iter().sum::<f64>() / surprises.len() as f64;
        Self { loss, bits_per_character: loss / LN_2, perplexity: loss.exp() }
    }
}

/// The text, each character with its surprise as a colour for [`shade`]: the redder, the more surprising.
pub fn spans(text: &[char], surprises: &[f64]) -> Vec<Shaded> {
    let span = |(c, surprise): (&char, &f64)| Shaded {
        text: c.to_string(),
        value: -(surprise / FULL).min(1.0),
        title: format!("{:.2} bits", surprise / LN_2),
    };
    text.iter().zip(surprises).map(span).collect()
}

/// The same for a terminal, in 24-bit colours. A line end has a sign of its own, so that its colour is seen.
pub fn coloured(spans: &[Shaded]) -> String {
    let mut text = String::new();
    for Shaded { text: character, value, .. } in spans {
        let colour = shade(*value);
        let part = |at: usize| colour.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(255);
        let (shown, end) = if character == "\n" { ("⏎".into(), "\n") } else { (printable_text(character), "") };
        text += &format!("\x1b[30;48;2;{};{};{}m{shown}\x1b[0m{end}", part(1), part(3), part(5));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surprise_is_that_of_the_softmax() {
        let logits = [1.0f32, 2.0, 4.0];
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        for id in 0..3u32 {
            assert!((surprise(&logits, id) - (sum.ln() - f64::from(logits[id as usize]))).abs() < 1e-12);
        }
        let Mean { loss, bits_per_character, perplexity } = Mean::of(&[0.0, 2.0 * LN_2]);
        assert!((loss - LN_2).abs() < 1e-12 && bits_per_character == 1.0 && (perplexity - 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_more_surprising_the_redder() {
        let spans = spans(&['a', '\n', 'c'], &[0.0, 3.0, 60.0]);
        assert_eq!(spans.iter().map(|span| span.value).collect::<Vec<_>>(), [-0.0, -0.5, -1.0]);
        assert_eq!(
            spans.iter().map(|span| span.title.as_str()).collect::<Vec<_>>(),
            ["0.00 bits", "4.33 bits", "86.56 bits"]
        );
        let text = coloured(&spans);
        assert!(text.starts_with("\x1b[30;48;2;255;255;255ma\x1b[0m\x1b["), "{text:?}");
        assert!(text.contains("⏎\x1b[0m\n"), "{text:?}");
    }
}
