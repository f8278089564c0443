//! A text as ids, and windows of it.

use crate::model::{Batch, ModelConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::{Places, Source, text};
use rnn_harness::training::Batches;
use rnn_harness::{Failure, say};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the text comes from and how it is prepared.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// A UTF-8 text file, or "sample" for the built-in story
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Without --data: the corpus to take from $RNN_DATASETS, the cache or the network, else the sample
    #[arg(long, value_name = "NAME", value_parser = ["alice", "tinyshakespeare"], default_value = "alice",
        conflicts_with = "data")]
    corpus: String,
    /// How to prepare the text [default: that of the lesson]
    #[arg(long, value_enum, default_value = "lesson", hide_default_value = true)]
    prepare: Prepare,
}

/// How a text is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Prepare {
    /// Lower-case ASCII; lines joined with spaces
    Lesson,
    /// As it is, in any language
    None,
}

/// Of the characters that are no white space the lesson's preparation may drop one in so many.
const DROPPED: usize = 10;

impl Prepare {
    fn text(self, text: &str) -> Result<String, Failure> {
        if self == Self::None {
            return Ok(text.to_string());
        }
        let all = text.chars().filter(|c| !c.is_whitespace()).count();
        let kept = text.chars().filter(|c| c.is_ascii() && !c.is_whitespace()).count();
        if (all - kept) * DROPPED > all {
            return Err(Failure::input(format!(
                "{} of the text's {all} characters are not ASCII and the lesson's preparation would drop them; use \
                 --prepare none",
                all - kept
            )));
        }
        if all > kept {
            say!("{}", left_out(all - kept));
        }
        Ok(text::lesson(text))
    }

    /// A prime is prepared like the text, but its spaces stay. Says on stderr how much is left out.
    pub fn prime(self, prime: &str) -> String {
        if self == Self::None {
            return prime.to_string();
        }
        let (kept, others): (String, String) = prime.chars().partition(char::is_ascii);
        if !others.is_empty() {
            say!("--prime: {}", left_out(others.chars().count()));
        }
        kept.to_ascii_lowercase()
    }
}

fn left_out(characters: usize) -> String {
    let (s, are) = if characters == 1 { ("", "is") } else { ("s", "are") };
    format!("{characters} character{s} that {are} not ASCII {are} left out, as in the lesson")
}

impl DataArgs {
    /// The chosen preparation.
    pub fn prepare(&self) -> Prepare {
        self.prepare
    }

    /// Loads the text, says on stderr where it comes from, and prepares it.
    pub fn load(&self) -> Result<(Source, String), Failure> {
        let places = Places::from_env(self.data.clone());
        let corpus = text::load(&self.corpus, &places).map_err(Failure::input)?;
        if let Some(note) = &corpus.source.note {
            say!("no {}: {note}", self.corpus);
        }
        say!("text: {}", corpus.source);
        Ok((corpus.source, self.prepare.text(&corpus.text)?))
    }
}

/// Every window of the text and the character that comes after it, in batches.
pub fn batches(
    ids: Vec<u32>,
    sizes: &ModelConfig,
    batch: usize,
    order: Key,
    dropout: Key,
    device: &Device,
) -> Batches<Batch> {
    let window = sizes.window;
    let (device, windows) = (device.clone(), ids.len() - window);
    let ids = Arc::new(ids);
    Batches::new(windows, batch, Some(order), move |indices, step| {
        let next: Vec<i32> = indices.iter().map(|&i| ids[i + window] as i32).collect();
        Batch {
            windows: indices.iter().flat_map(|&i| &ids[i..i + window]).copied().collect(),
            next: Tensor::from_data(TensorData::new(next, [indices.len()]), &device),
            dropout: dropout.child(step),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_another_script_is_not_dropped_in_silence() {
        let error = Prepare::Lesson.text("Москва").expect_err("no ASCII").to_string();
        assert!(error.starts_with("6 of the text's 6 characters are not ASCII"), "{error}");
        assert_eq!(Prepare::None.text("Москва").expect("as it is"), "Москва");
        assert_eq!(Prepare::Lesson.text("It\u{2019}s HERE\nand there").expect("ASCII"), "its here and there");
        assert_eq!(Prepare::Lesson.prime("Alice "), "alice ");
    }
}
