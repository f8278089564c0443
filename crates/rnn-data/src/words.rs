//! Words as numbers, as Keras' `imdb.load_data` has them.

use crate::plain::plain;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// The id of padding.
pub const PADDING: u32 = 0;
/// The id every review starts with.
pub const START: u32 = 1;
/// The id of a word whose rank is beyond the model's vocabulary.
pub const OUT_OF_RANGE: u32 = 2;
/// A word's id is its rank, counted from 1, plus this.
pub const OFFSET: u32 = 3;

/// Whether `c` stands between words: white space and ASCII punctuation, of which the apostrophe is not.
fn separates(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n') || (c.is_ascii_punctuation() && c != '\'')
}

/// The words of a text, in the case in which they are written.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(separates).filter(|word| !word.is_empty())
}

/// The words of a text as Keras' IMDb has them ([`Tokenizer::Keras`]): ASCII letters lower-cased, split at spaces and
/// at ASCII punctuation other than the apostrophe. All other characters, other white space too, are parts of words.
pub fn tokens(text: &str) -> impl Iterator<Item = String> {
    split(text).map(str::to_ascii_lowercase)
}

/// How a text is split into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokenizer {
    /// As [`tokens`], which gives the sequences of Keras' IMDb.
    #[default]
    Keras,
    /// [`tokens`] of the text's [`plain`](crate::plain()) form. On printable ASCII, tabs and line feeds it is the same.
    Unicode,
}

/// The numbers of IMDb's training and test reviews and their sizes in bytes, by which IMDb is recognised.
const IMDB: [(usize, usize); 2] = [(25_000, 33_132_823), (25_000, 32_350_685)];

impl Tokenizer {
    /// `Keras` for the training or test reviews of IMDb, wherever they were read from, and `Unicode` for all other
    /// texts.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let size = texts.into_iter().fold((0, 0), |(texts, bytes), text| (texts + 1, bytes + text.len()));
        if IMDB.contains(&size) { Self::Keras } else { Self::Unicode }
    }

    /// The words of a text.
    pub fn tokens(self, text: &str) -> Vec<String> {
        tokens(&self.prepared(text)).collect()
    }

    /// The text that is split into words.
    fn prepared(self, text: &str) -> Cow<'_, str> {
        // Of this ASCII the plain form differs in case alone, which a word loses later.
        let is_typed = |byte: &u8| matches!(byte, b'\t' | b'\n' | b' '..=b'~');
        match self {
            Self::Keras => Cow::Borrowed(text),
            Self::Unicode if text.as_bytes().iter().all(is_typed) => Cow::Borrowed(text),
            Self::Unicode => Cow::Owned(plain(text)),
        }
    }
}

/// All words of the training texts by rank: the most frequent first, equally frequent words in the order of their first
/// occurrence.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    /// The words by rank, end to end: a string for each would make loading twice as slow.
    text: String,
    /// Where each word ends, with a 0 in front.
    ends: Vec<usize>,
    /// A hash table with linear probing: a power of two of ranks, 0 where there is none.
    slots: Vec<u32>,
    hash: RandomState,
    /// Ranks of words that differ from their plain form, by that form, unless another word is spelled so. Keras'
    /// vocabulary has a few.
    by_plain_form: HashMap<String, u32>,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.tokenizer == other.tokenizer && self.text == other.text && self.ends == other.ends
    }
}

impl Eq for Vocabulary {}

impl Vocabulary {
    /// The vocabulary of `texts` as Keras splits them.
    pub fn build<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::build_with(Tokenizer::Keras, texts)
    }

    /// The vocabulary of `texts`.
    pub fn build_with<'a>(tokenizer: Tokenizer, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut counts: Vec<u64> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for token in texts.into_iter().flat_map(|text| tokenizer.tokens(text)) {
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
        Self::from_ranked(order.into_iter().map(|place| words[place].as_str())).with_tokenizer(tokenizer)
    }

    /// A vocabulary from words by rank, of [`Tokenizer::Keras`].
    pub fn from_ranked<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut text, mut ends) = (String::new(), vec![0]);
        for word in words {
            text.push_str(word);
            ends.push(text.len());
        }
        let slots = vec![0; (2 * ends.len()).next_power_of_two()];
        let (tokenizer, hash) = (Tokenizer::Keras, RandomState::new());
        let mut all = Self { tokenizer, text, ends, slots, hash, by_plain_form: HashMap::new() };
        for rank in 1..all.ends.len() as u32 {
            if let Err(slot) = all.slot(all.at(rank)) {
                all.slots[slot] = rank;
            }
        }
        let mut by_plain_form = HashMap::new();
        for (rank, word) in (1u32..).zip(all.words()).filter(|(_, word)| !word.is_ascii()) {
            let mut tokens = Tokenizer::Unicode.tokens(word).into_iter();
            if let (Some(form), None) = (tokens.next(), tokens.next())
                && all.rank(&form).is_none()
            {
                by_plain_form.entry(form).or_insert(rank); // the most frequent one wins
            }
        }
        Self { by_plain_form, ..all }
    }

    /// The word of a rank that there is.
    fn at(&self, rank: u32) -> &str {
        let rank = rank as usize;
        &self.text[self.ends[rank - 1]..self.ends[rank]]
    }

    /// The rank of `word`, or the place in the hash table where it would stand.
    fn slot(&self, word: &str) -> Result<u32, usize> {
        let mut slot = self.hash.hash_one(word) as usize;
        loop {
            slot &= self.slots.len() - 1;
            match self.slots[slot] {
                0 => return Err(slot),
                rank if self.at(rank) == word => return Ok(rank),
                _ => slot += 1,
            }
        }
    }

    /// The same words with another `tokenizer`.
    pub fn with_tokenizer(self, tokenizer: Tokenizer) -> Self {
        Self { tokenizer, ..self }
    }

    /// The tokenizer that split the training texts.
    pub fn tokenizer(&self) -> Tokenizer {
        self.tokenizer
    }

    /// The tokenizer for `texts`: `Keras` for IMDb's reviews if the vocabulary was made with it, else `Unicode`.
    pub fn tokenizer_for<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Tokenizer {
        match self.tokenizer {
            Tokenizer::Keras => Tokenizer::of(texts),
            Tokenizer::Unicode => Tokenizer::Unicode,
        }
    }

    /// The words by rank.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &str> {
        self.ends.windows(2).map(|ends| &self.text[ends[0]..ends[1]])
    }

    /// The word of a rank, counted from 1.
    pub fn word(&self, rank: u32) -> Option<&str> {
        (rank > 0 && (rank as usize) < self.ends.len()).then(|| self.at(rank))
    }

    /// A word's rank, counted from 1.
    pub fn rank(&self, word: &str) -> Option<u32> {
        self.slot(word).ok()
    }

    /// The ids of a text as `imdb.load_data(num_words=num_words)` gives them: [`START`], then for each word its
    /// rank + 3, or [`OUT_OF_RANGE`] where that is `num_words` or more. Words that are not in the vocabulary are
    /// dropped.
    pub fn encode(&self, text: &str, num_words: u32) -> Vec<u32> {
        let ids = self.look_up(Tokenizer::Keras, text, num_words);
        std::iter::once(START).chain(ids.into_iter().flatten()).collect()
    }

    /// The id of each word of a text, as in [`encode`](Self::encode); `None` for an unknown word.
    ///
    /// With [`Tokenizer::Unicode`] a word matches the vocabulary's word with the same plain form. Where several have
    /// it, as the two spellings of "it's" in Keras' vocabulary, the exact spelling wins.
    pub fn look_up(&self, tokenizer: Tokenizer, text: &str, num_words: u32) -> Vec<Option<u32>> {
        let rank = |word: &str| match tokenizer {
            Tokenizer::Keras => self.rank(word),
            Tokenizer::Unicode => self.rank(word).or_else(|| self.by_plain_form.get(word).copied()),
        };
        let id = |rank| if rank + OFFSET < num_words { rank + OFFSET } else { OUT_OF_RANGE };
        let mut lower = String::new();
        let of_word = |word: &str| {
            lower.clear();
            lower.push_str(word);
            lower.make_ascii_lowercase();
            rank(&lower).map(id)
        };
        split(&tokenizer.prepared(text)).map(of_word).collect()
    }

    /// The content of a vocabulary file: one word per line, by rank.
    pub fn to_text(&self) -> String {
        self.words().collect::<Vec<_>>().join("\n")
    }

    /// Parses the output of [`to_text`](Self::to_text), with [`Tokenizer::Keras`].
    pub fn from_text(text: &str) -> Self {
        Self::from_ranked(text.split('\n').filter(|word| !word.is_empty()))
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
        assert!(vocabulary.words().eq(["b", "a", "c"]));
        assert_eq!([0, 1, 3, 4].map(|rank| vocabulary.word(rank)), [None, Some("b"), Some("c"), None]);
        assert_eq!(vocabulary.encode("A b x c", 6), [START, 5, 4, OUT_OF_RANGE]);
        assert_eq!(Vocabulary::from_text(&vocabulary.to_text()), vocabulary);
        assert!(Vocabulary::build(["y x y x z"]).words().eq(["y", "x", "z"])); // ties: the first to occur
    }

    #[test]
    fn a_plain_text_has_the_same_words_by_either_tokenizer() {
        let text = "It's GREAT,<br />isn't it?\t'tis\nso_so ~ 10/10";
        assert_eq!(Tokenizer::Unicode.tokens(text), Tokenizer::Keras.tokens(text));
        assert_eq!(Tokenizer::of([text]), Tokenizer::Unicode);
    }

    #[test]
    fn a_word_is_found_in_its_plain_form() {
        // With Keras' tokenizer the typographic spelling is a different word, and capitals outside ASCII stay.
        let keras =
            Vocabulary::build(["it's it's it\u{2019}s \u{c9}t\u{e9} \u{e9}t\u{e9} \u{e9}t\u{e9} \u{d6}l x\u{85}y"]);
        assert!(keras.words().eq(["it's", "\u{e9}t\u{e9}", "it\u{2019}s", "\u{c9}t\u{e9}", "\u{d6}l", "x\u{85}y"]));
        let ids = |text| keras.look_up(Tokenizer::Unicode, text, u32::MAX);
        assert_eq!(ids("It\u{2019}s"), [Some(4)]);
        assert_eq!(ids("\u{c9}T\u{c9} e\u{301}te\u{301}"), [Some(5), Some(5)]);
        assert_eq!(ids("\u{f6}l x\u{85}y"), [Some(8), None, None]);
        assert_eq!(
            keras.look_up(Tokenizer::Keras, "It\u{2019}s \u{f6}l x\u{85}y", 8),
            [Some(6), None, Some(OUT_OF_RANGE)]
        );

        let own = Vocabulary::build_with(Tokenizer::Unicode, ["it's it\u{2019}s \u{c9}t\u{e9}"]);
        assert!(own.words().eq(["it's", "\u{e9}t\u{e9}"]));
    }

    #[test]
    fn padding_and_truncation_are_in_front() {
        assert_eq!(pad_front(&[1, 2, 3], 5), [0, 0, 1, 2, 3]);
        assert_eq!(pad_front(&[1, 2, 3], 2), [2, 3]);
        assert_eq!(pad_front(&[], 1), [0]);
    }
}
