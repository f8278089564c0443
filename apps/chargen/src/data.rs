//! A text as ids, and mini-batches of its windows.

use crate::model::{Batch, Reading};
use crate::split::Split;
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::chars::Vocabulary;
use rnn_data::{Ids, Places, Source, text};
use rnn_harness::{Failure, say};
use rnn_train::{Batches, Keys};
use serde::{Deserialize, Serialize};
use std::ops::Range;
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
    /// How to prepare the text
    #[arg(long, value_enum, default_value = "lesson")]
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

/// The lesson's preparation may drop at most one in this many characters, not counting white space.
const DROPPED: usize = 10;

impl Prepare {
    /// Prepares a text and reports on stderr what it loses.
    pub fn text(self, text: String) -> Result<String, Failure> {
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
        if lesson.text.is_empty() {
            return Err(Failure::input(
                "the text has only white space, of which the lesson's preparation leaves nothing; give another text, or \
                 use --prepare none",
            ));
        }
        if let Some(lost) = lost(lesson.joined, &lesson.dropped) {
            say!("{lost}, and capitals small letters, as in the lesson; --prepare none keeps the text as it is");
        }
        Ok(lesson.text)
    }
}

/// The number of dropped characters that a message names.
const NAMED: usize = 5;

/// The message about a preparation: the line ends that become spaces, and the dropped characters. `None` if there are
/// none.
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

/// The data a model is trained on; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataConfig {
    /// The name of the corpus in results.
    pub corpus: String,
    /// The value of `--data`.
    data: Option<PathBuf>,
    /// The value of `--corpus`.
    name: String,
    /// The preparation of the text.
    pub prepare: Prepare,
    /// SHA-256 of the prepared text.
    fingerprint: String,
}

/// The loaded text.
pub struct Data {
    /// Its source.
    pub source: Source,
    /// Its distinct characters.
    pub vocabulary: Vocabulary,
    /// The id of each character of the text.
    pub ids: Arc<Ids>,
}

impl DataConfig {
    /// The requested data. [`load`](Self::load) fills in the other fields.
    pub fn new(args: &DataArgs) -> Self {
        Self {
            data: args.data.clone(),
            name: args.corpus.clone(),
            prepare: args.prepare,
            corpus: String::new(),
            fingerprint: String::new(),
        }
    }

    /// Loads and prepares the text; reports its source on stderr.
    ///
    /// # Errors
    /// A text that cannot be read or prepared.
    pub fn load(&mut self) -> Result<Data, Failure> {
        let corpus = text::load(&self.name, &Places::from_env(self.data.clone())).map_err(Failure::input)?;
        if let Some(note) = &corpus.source.note {
            say!("no {}: {note}", self.name);
        }
        say!("text: {}", corpus.source);
        let text = self.prepare.text(corpus.text)?;
        self.corpus = corpus.source.corpus.clone();
        self.fingerprint = rnn_data::fingerprint([text.as_bytes()]);
        let vocabulary = Vocabulary::build(&text);
        let ids = Arc::new(Ids::encode(&vocabulary, &text).map_err(Failure::failed)?);
        Ok(Data { source: corpus.source, vocabulary, ids })
    }

    /// The same with an absolute path, because a run may be resumed in another working folder.
    pub fn with_absolute_paths(mut self) -> Self {
        self.data = self.data.map(rnn_data::absolute);
        self
    }

    /// Loads the text again for a run that is resumed.
    ///
    /// # Errors
    /// As [`load`](Self::load); a text that has changed.
    pub fn load_again(&self) -> Result<Data, Failure> {
        let mut now = self.clone();
        let data = now.load()?;
        if now.fingerprint != self.fingerprint {
            return Err(Failure::input(format!(
                "the text {} has changed since the training began; restore it, or start a new run",
                self.corpus
            )));
        }
        Ok(data)
    }
}

/// `1 character`, `2 characters`.
pub fn characters(count: usize) -> String {
    format!("{count} character{}", if count == 1 { "" } else { "s" })
}

impl Data {
    /// Whether the text is the user's own, neither a corpus of the registry nor the sample.
    pub fn is_own(&self) -> bool {
        self.source.path.as_ref().is_some_and(|path| path.to_string_lossy() == self.source.corpus)
    }

    /// The windows of the text: the training set, and at its end the validation set.
    ///
    /// # Errors
    /// A text that is too short.
    pub fn windows(&self, window: usize, split: &Split) -> Result<Windows, Failure> {
        let length = self.ids.len() - split.test_characters(self.ids.len());
        let all = length.saturating_sub(window);
        let validation = split.validation_items(all);
        if all <= validation {
            let held_out = validation > 0 || split.test.is_some();
            let part = if held_out { " beside the parts held out" } else { "" };
            return Err(Failure::input(format!(
                "the text has {}, too few for --window {window} and the character after it{part}; give a \
                 smaller window or a longer text",
                characters(self.ids.len())
            )));
        }
        Ok(Windows { window, train: all - validation, validation })
    }

    /// The text of these characters.
    pub fn decode(&self, range: Range<usize>) -> String {
        self.ids.range(range).map(|id| self.vocabulary.decode(id)).collect()
    }
}

/// The windows of a text, each with the character after it.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// The characters in a window.
    window: usize,
    /// The number of windows in the training set, from the first window on.
    pub train: usize,
    /// The number of windows in the validation set, after the training set.
    pub validation: usize,
}

impl Windows {
    /// A random window of the training set, a function of the seed and `epoch`.
    pub fn random(&self, keys: Keys, epoch: u64) -> Range<usize> {
        let start = (keys.samples.child(epoch).uniforms(1).sum::<f64>() * self.train as f64) as usize;
        start..start + self.window
    }

    /// The positions of the characters to predict in training.
    pub fn targets(&self) -> Range<usize> {
        self.window..self.window + self.train
    }

    /// Mini-batches of the training set, in a new random order each epoch.
    pub fn train(&self, ids: &Arc<Ids>, batch: usize, keys: Keys, device: &Device) -> Batches<Batch> {
        self.batches(ids, 0, self.train, batch, Some(keys.order), keys, device)
    }

    /// Mini-batches of the validation set, in order.
    pub fn validation(&self, ids: &Arc<Ids>, batch: usize, keys: Keys, device: &Device) -> Option<Batches<Batch>> {
        let batches = || self.batches(ids, self.train, self.validation, batch, None, keys, device);
        (self.validation > 0).then(batches)
    }

    /// Mini-batches of the windows before these characters, in order; none if there are none.
    pub fn of_targets(
        &self,
        targets: Range<usize>,
        ids: &Arc<Ids>,
        batch: usize,
        keys: Keys,
        device: &Device,
    ) -> Option<Batches<Batch>> {
        let first = targets.start.max(self.window);
        let count = targets.end.saturating_sub(first);
        (count > 0).then(|| self.batches(ids, first - self.window, count, batch, None, keys, device))
    }

    #[expect(clippy::too_many_arguments, reason = "private")]
    fn batches(
        &self,
        ids: &Arc<Ids>,
        first: usize,
        count: usize,
        batch: usize,
        order: Option<Key>,
        keys: Keys,
        device: &Device,
    ) -> Batches<Batch> {
        let (ids, window) = (ids.clone(), self.window);
        Batches::new(count, batch, order, device, move |indices, step, device| {
            let starts = || indices.iter().map(|&i| first + i);
            let next: Vec<i32> = starts().map(|i| ids.get(i + window) as i32).collect();
            Batch {
                symbols: starts().flat_map(|i| ids.range(i..i + window)).collect(),
                rows: indices.len(),
                reading: Reading::Windows,
                next: Tensor::from_data(TensorData::new(next, [indices.len()]), device),
                dropout: keys.dropout.child(step),
            }
        })
    }
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
