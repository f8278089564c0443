//! Characters as numbers.

use crate::DataError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The distinct characters of a text, in the order of their code points; a character's id is its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    symbols: Vec<char>,
}

impl Vocabulary {
    /// The characters that occur in `text`.
    pub fn build(text: &str) -> Self {
        let symbols: BTreeSet<char> = text.chars().collect();
        Self { symbols: symbols.into_iter().collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The characters' ids.
    ///
    /// # Errors
    /// A character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let id = |c: char| self.symbols.binary_search(&c).map_err(|_| DataError::UnknownCharacter(c));
        text.chars().map(|c| Ok(id(c)? as u32)).collect()
    }

    /// The character of an id.
    ///
    /// # Panics
    /// If there is none: ids come from [`encode`](Self::encode) or are below [`len`](Self::len).
    pub fn decode(&self, id: u32) -> char {
        self.symbols[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_script_comes_back() {
        let text = "ёлка 🎄 élève";
        let vocabulary = Vocabulary::build(text);
        let ids = vocabulary.encode(text).expect("its own text");
        assert_eq!(ids.iter().map(|&id| vocabulary.decode(id)).collect::<String>(), text);
        assert_eq!(vocabulary.len(), 11);
        let error = vocabulary.encode("ëx").expect_err("not there").to_string();
        assert_eq!(error, "the character 'ë' does not occur in the text the model was trained on");
    }
}
