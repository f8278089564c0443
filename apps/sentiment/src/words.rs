//! Encodes texts for the model, and counts the words that it does not know.

use rnn_data::words::{OUT_OF_RANGE, START, Tokenizer, Vocabulary};
use rnn_harness::say;
use serde::Serialize;
use std::ops::AddAssign;

/// Counts of words in one or more texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WordCounts {
    /// All words.
    pub words: usize,
    /// The words that the model reads: the last ones, counted from the first known or rare word within its length.
    pub words_read: usize,
    /// The words read that the model knows.
    pub known_words: usize,
    /// The words read that the model does not know: rare words, and words in no training text.
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

/// Encodes a text as ids, the last `tokens` of them, and counts its words.
pub fn encode(
    text: &str,
    vocabulary: &Vocabulary,
    tokenizer: Tokenizer,
    num_words: usize,
    tokens: usize,
) -> (Vec<u32>, WordCounts) {
    let found = vocabulary.look_up(tokenizer, text, num_words as u32);
    let ids: Vec<u32> = std::iter::once(START).chain(found.iter().copied().flatten()).collect();
    // The first word read is the one with the first remaining id; without a cut it is the first word of the text.
    let cut = ids.len().saturating_sub(tokens).saturating_sub(1);
    let unread = match cut {
        0 => 0,
        _ => found.iter().enumerate().filter(|(_, id)| id.is_some()).nth(cut).map_or(found.len(), |(word, _)| word),
    };
    let words_read = found.len() - unread;
    let known_words = found[unread..].iter().flatten().filter(|&&id| id > OUT_OF_RANGE).count();
    let counts = WordCounts { words: found.len(), words_read, known_words, unknown_words: words_read - known_words };
    (ids[ids.len().saturating_sub(tokens)..].to_vec(), counts)
}

/// Counts of words and texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// The number of texts.
    #[serde(skip)]
    pub texts: usize,
    /// The texts of which only the end is read.
    pub cut_texts: usize,
    /// The texts without a word that the model knows.
    pub unknown_texts: usize,
    /// The words of all texts together.
    #[serde(flatten)]
    pub words: WordCounts,
}

impl Totals {
    /// The counts of a single text.
    pub fn of(words: WordCounts) -> Self {
        let mut totals = Self::default();
        totals.add(words);
        totals
    }

    /// Adds a text.
    pub fn add(&mut self, words: WordCounts) {
        self.texts += 1;
        self.cut_texts += usize::from(words.words_read < words.words);
        self.unknown_texts += usize::from(words.known_words == 0);
        self.words += words;
    }

    /// Reports on stderr the number of unknown words, and of texts that are longer than the model reads.
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
            let seen = |n: usize| if n == 1 { "word".to_string() } else { format!("{n} words") };
            let last = match (self.texts, words_read) {
                (1, 1) => format!("the last one{all}"),
                (1, _) => format!("the last {words_read}{all}"),
                _ => format!("their last {}", seen(tokens)),
            };
            lines.push(format!("{which} longer than the {} that the model sees: it read only {last}", seen(tokens)));
        }
        lines
    }

    /// Warns on stderr if hardly any text has a word that the model knows: then the figures mean nothing.
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

/// Fewer than one text in this many counts as hardly any.
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
        assert_eq!(counted("a x b d", 5), (vec![1, 4, 5, 2], [4, 4, 2, 2]));
        assert_eq!(counted("a x b d", 4), (vec![1, 4, 5, 2], [4, 4, 2, 2]));
        assert_eq!(counted("a x b d", 3), (vec![4, 5, 2], [4, 4, 2, 2])); // only the start is cut off
        assert_eq!(counted("a x b d", 2), (vec![5, 2], [4, 2, 1, 1]));
        assert_eq!(counted("x y a z", 1), (vec![4], [4, 4, 1, 3]));
        assert_eq!(counted("b x y a z", 1), (vec![4], [5, 2, 1, 1]));
        assert_eq!(counted("x y", 2), (vec![1], [2, 2, 0, 2]));
        assert_eq!(counted("", 2), (vec![1], [0, 0, 0, 0]));
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
        let one = "the review is longer than the word that the model sees: it read only the last one of its 2 words";
        assert_eq!(totals(&["a b"], 1), [one]);
        let two = "2 of 2 reviews are longer than the word that the model sees: it read only their last word";
        assert_eq!(totals(&["a b", "b a"], 1), [two]);
    }
}
