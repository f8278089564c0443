//! A text as the model reads it, and how much of it the model does not know.

use rnn_data::words::{OUT_OF_RANGE, START, Tokenizer, Vocabulary, pad_front};
use rnn_harness::say;
use serde::Serialize;
use std::ops::AddAssign;

/// The words of a text, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WordCounts {
    /// All.
    pub words: usize,
    /// Those that the model reads, the last ones: it sees a number of known or rare words, and what lies between.
    pub words_read: usize,
    /// Words read that the model knows.
    pub known_words: usize,
    /// Words read that the model does not know: rare ones, and words of no training text.
    pub unknown_words: usize,
}

impl AddAssign for WordCounts {
    fn add_assign(&mut self, other: Self) {
        self.words += other.words;
        self.words_read += other.words_read;
        self.known_words += other.known_words;
        self.unknown_words += other.unknown_words;
    }
}

/// The ids of a text, padded and cut in front to `tokens`, and its words.
pub fn encode(
    text: &str,
    vocabulary: &Vocabulary,
    tokenizer: Tokenizer,
    num_words: usize,
    tokens: usize,
) -> (Vec<u32>, WordCounts) {
    let found = vocabulary.look_up(tokenizer, text, num_words as u32);
    let ids: Vec<u32> = std::iter::once(START).chain(found.iter().copied().flatten()).collect();
    // The first word that is read is the one whose id is the first that is left; without a cut it is the first of all.
    let cut = ids.len().saturating_sub(tokens).saturating_sub(1);
    let unread = match cut {
        0 => 0,
        _ => found.iter().enumerate().filter(|(_, id)| id.is_some()).nth(cut).map_or(found.len(), |(word, _)| word),
    };
    let words_read = found.len() - unread;
    let known_words = found[unread..].iter().flatten().filter(|&&id| id > OUT_OF_RANGE).count();
    let counts = WordCounts { words: found.len(), words_read, known_words, unknown_words: words_read - known_words };
    (pad_front(&ids, tokens), counts)
}

/// The words of several texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many texts.
    #[serde(skip)]
    pub texts: usize,
    /// Texts of which only the end is read.
    pub cut_texts: usize,
    /// Texts of whose words the model knows none.
    pub unknown_texts: usize,
    /// Of all texts together.
    #[serde(flatten)]
    pub words: WordCounts,
}

impl Totals {
    /// Those of a single text.
    pub fn of(words: WordCounts) -> Self {
        let mut totals = Self::default();
        totals.add(words);
        totals
    }

    /// Counts one more.
    pub fn add(&mut self, words: WordCounts) {
        self.texts += 1;
        self.cut_texts += usize::from(words.words_read < words.words);
        self.unknown_texts += usize::from(words.known_words == 0);
        self.words += words;
    }

    /// Says on stderr how many words the model does not know, and how many texts are longer than it reads.
    pub fn say(&self, tokens: usize) {
        for line in self.lines(tokens) {
            say!("{line}");
        }
    }

    fn lines(&self, tokens: usize) -> Vec<String> {
        let WordCounts { words, words_read, unknown_words, .. } = self.words;
        let s = |count| if count == 1 { "" } else { "s" };
        let mut lines = Vec::new();
        if unknown_words > 0 {
            lines.push(format!(
                "the model does not know {unknown_words} of the {words_read} word{} it read",
                s(words_read)
            ));
        }
        if self.cut_texts > 0 {
            let which = match (self.texts, self.cut_texts) {
                (1, _) => "the review is".to_string(),
                (texts, 1) => format!("1 of {texts} reviews is"),
                (texts, cut) => format!("{cut} of {texts} reviews are"),
            };
            let all = if self.texts == 1 { format!(" of its {words} words") } else { String::new() };
            let last = if self.texts == 1 {
                format!("the last {words_read}{all}")
            } else {
                format!("their last {tokens} words")
            };
            lines.push(format!("{which} longer than the {tokens} words that the model sees: it read only {last}"));
        }
        lines
    }

    /// Warns on stderr where hardly any text has a word that the model knows, so that figures from them mean nothing.
    pub fn warn(&self) {
        let known = self.texts - self.unknown_texts;
        if self.texts > 0 && known * HARDLY < self.texts {
            say!(
                "warning: only {known} of {} test reviews have a word that the model can know: are they in the language \
                 of the training reviews, and are their words separated by spaces?",
                self.texts
            );
        }
    }
}

/// Fewer than one text in this many is hardly any.
const HARDLY: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str, tokens: usize) -> (Vec<u32>, [usize; 4]) {
        let vocabulary = Vocabulary::build(["a a a a b b b c c d"]);
        let (ids, counts) = encode(text, &vocabulary, Tokenizer::Unicode, 7, tokens); // d is rare
        let WordCounts { words, words_read, known_words, unknown_words } = counts;
        (ids, [words, words_read, known_words, unknown_words])
    }

    #[test]
    fn words_are_counted_as_far_as_they_are_read() {
        assert_eq!(counted("a x b d", 5), (vec![0, 1, 4, 5, 2], [4, 4, 2, 2]));
        assert_eq!(counted("a x b d", 4), (vec![1, 4, 5, 2], [4, 4, 2, 2]));
        assert_eq!(counted("a x b d", 3), (vec![4, 5, 2], [4, 4, 2, 2])); // only the start is cut off
        assert_eq!(counted("a x b d", 2), (vec![5, 2], [4, 2, 1, 1]));
        assert_eq!(counted("x y a z", 1), (vec![4], [4, 4, 1, 3]));
        assert_eq!(counted("b x y a z", 1), (vec![4], [5, 2, 1, 1]));
        assert_eq!(counted("x y", 2), (vec![0, 1], [2, 2, 0, 2]));
        assert_eq!(counted("", 2), (vec![0, 1], [0, 0, 0, 0]));
    }

    #[test]
    fn what_is_said_of_them() {
        let totals = |texts: &[&str], tokens| {
            let mut totals = Totals::default();
            let vocabulary = Vocabulary::build(["a b"]);
            texts.iter().for_each(|text| totals.add(encode(text, &vocabulary, Tokenizer::Unicode, 100, tokens).1));
            totals.lines(tokens)
        };
        assert_eq!(totals(&["a b"], 3), Vec::<String>::new());
        assert_eq!(totals(&["a x"], 3), ["the model does not know 1 of the 2 words it read"]);
        let one = "the review is longer than the 2 words that the model sees: it read only the last 2 of its 3 words";
        assert_eq!(totals(&["a b a"], 2), [one]);
        let two = "1 of 2 reviews is longer than the 2 words that the model sees: it read only their last 2 words";
        assert_eq!(totals(&["a b a", "a"], 2), [two]);
    }
}
