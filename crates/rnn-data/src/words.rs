//! Words as numbers, as Keras' `imdb.load_data` has them.

use std::collections::HashMap;

/// The id of padding.
pub const PADDING: u32 = 0;
/// The id every review starts with.
pub const START: u32 = 1;
/// The id of a word that is known but too rare.
pub const OUT_OF_RANGE: u32 = 2;
/// A word's id is its rank, counted from 1, plus this.
const OFFSET: u32 = 3;

/// What separates words besides the space. The apostrophe is not among them.
const SEPARATORS: &str = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

/// The words of a text: ASCII letters lower-cased, split at spaces and at ASCII punctuation other than the apostrophe.
/// Anything else, other white space included, is part of a word.
pub fn tokens(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c == ' ' || SEPARATORS.contains(c))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// All words of the training texts by their rank: the most frequent first, words that are equally frequent in the order
/// of their first occurrence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    ranks: HashMap<String, u32>,
}

impl Vocabulary {
    /// The vocabulary of `texts`.
    pub fn build<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for token in texts.into_iter().flat_map(tokens) {
            match places.get(&token) {
                Some(&place) => counts[place] += 1,
                None => {
                    places.insert(token.clone(), words.len());
                    words.push(token);
                    counts.push(1);
                }
            }
        }
        let mut order: Vec<usize> = (0..words.len()).collect();
        order.sort_by_key(|&place| std::cmp::Reverse(counts[place])); // stable
        Self::from_ranked(order.into_iter().map(|place| std::mem::take(&mut words[place])))
    }

    /// A vocabulary from words by rank.
    pub fn from_ranked(words: impl IntoIterator<Item = String>) -> Self {
        let words: Vec<String> = words.into_iter().collect();
        let ranks = (1u32..).zip(&words).map(|(rank, word)| (word.clone(), rank)).collect();
        Self { words, ranks }
    }

    /// The words by rank.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// A word's rank, counted from 1.
    pub fn rank(&self, word: &str) -> Option<u32> {
        self.ranks.get(word).copied()
    }

    /// The ids of a text as `imdb.load_data(num_words=num_words)` gives them: [`START`], then for each word its
    /// rank + 3, or [`OUT_OF_RANGE`] where that is `num_words` or more. Words that are not in the vocabulary are dropped.
    pub fn encode(&self, text: &str, num_words: u32) -> Vec<u32> {
        let ranks = tokens(text).filter_map(|token| self.rank(&token));
        let ids = ranks.map(|rank| if rank + OFFSET < num_words { rank + OFFSET } else { OUT_OF_RANGE });
        std::iter::once(START).chain(ids).collect()
    }

    /// As a file holds it: one word a line, by rank.
    pub fn to_text(&self) -> String {
        self.words.join("\n")
    }

    /// Reads what [`to_text`](Self::to_text) gives.
    pub fn from_text(text: &str) -> Self {
        Self::from_ranked(text.split('\n').filter(|word| !word.is_empty()).map(str::to_string))
    }
}

/// The last `length` ids, with [`PADDING`] in front where there are fewer: Keras' `pad_sequences(maxlen=length)`.
pub fn pad_front(ids: &[u32], length: usize) -> Vec<u32> {
    let tail = &ids[ids.len().saturating_sub(length)..];
    let padding = length - tail.len();
    std::iter::repeat_n(PADDING, padding).chain(tail.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_keras_splits_them() {
        let found: Vec<String> = tokens("It's GREAT,<br />isn't it? CAF\u{c9}\u{a0}x\ty\rz").collect();
        assert_eq!(found, ["it's", "great", "br", "isn't", "it", "caf\u{c9}\u{a0}x", "y\rz"]);
    }

    #[test]
    fn ids_are_those_of_load_data() {
        let vocabulary = Vocabulary::build(["b a b", "c b a"]);
        assert_eq!(vocabulary.words(), ["b", "a", "c"]);
        assert_eq!(vocabulary.encode("A b x c", 6), [START, 5, 4, OUT_OF_RANGE]);
        assert_eq!(Vocabulary::from_text(&vocabulary.to_text()), vocabulary);
        assert_eq!(Vocabulary::build(["y x y x z"]).words(), ["y", "x", "z"]); // ties: the first to occur
    }

    #[test]
    fn padding_and_truncation_are_in_front() {
        assert_eq!(pad_front(&[1, 2, 3], 5), [0, 0, 1, 2, 3]);
        assert_eq!(pad_front(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(pad_front(&[], 1), [0]);
    }
}
