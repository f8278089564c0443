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

/// The lesson's preparation may drop at most one in this many of the characters that are no white space.
const DROPPED: usize = 10;

impl Prepare {
    /// Prepares a text and says on stderr what it loses by it.
    fn text(self, text: String) -> Result<String, Failure> {
        if self == Self::None {
            return Ok(text);
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
        let lesson = text::prepare(&text);
        if let Some(lost) = lost(lesson.joined, &lesson.dropped) {
            say!("{lost}, and capitals small letters, as in the lesson; --prepare none keeps the text as it is");
        }
        Ok(lesson.text)
    }
}

/// The dropped characters that are named.
const NAMED: usize = 5;

/// What a preparation does to a text: line ends that become spaces, and characters that it drops.
pub fn lost(joined: usize, dropped: &[(char, usize)]) -> Option<String> {
    let mut parts = Vec::new();
    let all: usize = dropped.iter().map(|(_, count)| count).sum();
    if all > 0 {
        let (s, are) = if all == 1 { ("", "is") } else { ("s", "are") };
        let named: Vec<String> =
            dropped.iter().take(NAMED).map(|(c, count)| format!("{} {count}", c.escape_debug())).collect();
        let more = if dropped.len() > NAMED { ", …" } else { "" };
        parts.push(format!("{all} character{s} that {are} not ASCII {are} left out ({}{more})", named.join(", ")));
    }
    match joined {
        0 => {}
        1 => parts.push("1 line end becomes a space".into()),
        n => parts.push(format!("{n} line ends become spaces")),
    }
    (!parts.is_empty()).then(|| parts.join(" and "))
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
        Ok((corpus.source, self.prepare.text(corpus.text)?))
    }
}

/// Every window of the text and the character that comes after it, in batches.
pub fn batches(
    ids: Arc<Vec<u32>>,
    sizes: &ModelConfig,
    batch: usize,
    order: Key,
    dropout: Key,
    device: &Device,
) -> Batches<Batch> {
    let window = sizes.window;
    let (device, windows) = (device.clone(), ids.len() - window);
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
        let error = Prepare::Lesson.text("Москва".into()).expect_err("no ASCII").to_string();
        assert!(error.starts_with("6 of the text's 6 characters are not ASCII"), "{error}");
        assert_eq!(Prepare::None.text("Москва".into()).expect("as it is"), "Москва");
        assert_eq!(Prepare::Lesson.text("It\u{2019}s HERE\nand there".into()).expect("ASCII"), "its here and there");
    }

    #[test]
    fn what_is_lost_is_said_in_one_line() {
        assert_eq!(lost(0, &[]), None);
        assert_eq!(lost(1, &[]).as_deref(), Some("1 line end becomes a space"));
        let dropped = [('é', 700), ('\u{301}', 3), ('à', 2), ('è', 1), ('ê', 1), ('ù', 1)];
        let said = "708 characters that are not ASCII are left out (é 700, \\u{301} 3, à 2, è 1, ê 1, …) and 12 line \
                    ends become spaces";
        assert_eq!(lost(12, &dropped).as_deref(), Some(said));
    }
}
