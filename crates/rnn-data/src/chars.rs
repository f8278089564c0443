//! Characters as numbers.

use crate::{DataError, plain};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The distinct characters of a text, sorted by code point. A character's id is its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    symbols: Vec<char>,
}

impl Vocabulary {
    /// The characters that occur in `text`.
    pub fn build(text: &str) -> Self {
        let mut occurs = vec![false; char::MAX as usize + 1];
        for c in text.chars() {
            occurs[c as usize] = true;
        }
        Self { symbols: ('\0'..=char::MAX).filter(|&c| occurs[c as usize]).collect() }
    }

    /// The number of characters.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// Whether the vocabulary has `c`.
    pub fn contains(&self, c: char) -> bool {
        self.symbols.binary_search(&c).is_ok()
    }

    /// The id of `c`, if the vocabulary has it.
    pub fn id(&self, c: char) -> Option<u32> {
        self.symbols.binary_search(&c).ok().map(|id| id as u32)
    }

    /// The ids of the characters of `text`.
    ///
    /// # Errors
    /// A character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        // Reserves once: a vector that doubles would need twice the memory for a long text.
        let mut ids = Vec::with_capacity(text.chars().count());
        for c in text.chars() {
            let id = self.symbols.binary_search(&c).map_err(|_| DataError::UnknownCharacter(c))?;
            ids.push(id as u32);
        }
        Ok(ids)
    }

    /// `text` with each letter in the Unicode form (NFC or NFD) that the vocabulary has. A letter that it has in
    /// neither form is composed.
    pub fn in_known_form(&self, text: &str) -> String {
        let known = |text: &str| text.chars().all(|c| self.contains(c));
        if known(text) {
            return text.to_string();
        }
        let composed: String = text.nfc().collect();
        let mut result = String::with_capacity(text.len());
        let mut rest = composed.as_str();
        while !rest.is_empty() {
            // A letter and its combining marks.
            let end = rest.char_indices().skip(1).find(|&(_, c)| !is_combining_mark(c)).map_or(rest.len(), |(i, _)| i);
            let (letter, behind) = rest.split_at(end);
            let decomposed: String = letter.nfd().collect();
            result.push_str(if !known(letter) && known(&decomposed) { &decomposed } else { letter });
            rest = behind;
        }
        result
    }

    /// The characters of the vocabulary that differ from `c` only in case or typography.
    pub fn similar(&self, c: char) -> Vec<char> {
        let wanted = typed(c);
        self.symbols.iter().copied().filter(|&symbol| typed(symbol) == wanted).collect()
    }

    /// The character of an id.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Self::len).
    pub fn decode(&self, id: u32) -> char {
        self.symbols[id as usize]
    }
}

/// A character as messages name it: `U+00EB, LATIN SMALL LETTER E WITH DIAERESIS`.
pub fn name(c: char) -> String {
    let name = match c {
        '\t' => Some("TAB".to_string()), // Unicode gives control characters no name
        '\n' => Some("LINE FEED".to_string()),
        '\r' => Some("CARRIAGE RETURN".to_string()),
        _ => unicode_names2::name(c).map(|name| name.to_string()),
    };
    format!("U+{:04X}{}", u32::from(c), name.map(|name| format!(", {name}")).unwrap_or_default())
}

/// How a character is typed on a plain keyboard, in small letters.
fn typed(c: char) -> String {
    match c {
        '"' | '«' | '»' | '\u{201c}'..='\u{201f}' => "\"".into(),
        _ if c.is_whitespace() && c != '\n' => " ".into(),
        _ if c.general_category() == GeneralCategory::DashPunctuation => "-".into(),
        _ => match plain(c.encode_utf8(&mut [0; 4])) {
            form if form.trim().is_empty() => c.into(),
            form => form,
        },
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
        assert_eq!(
            error,
            "the character 'ë' does not occur in the text the model was trained on; it is U+00EB, LATIN SMALL LETTER E WITH DIAERESIS"
        );
    }

    #[test]
    fn a_text_is_found_in_either_form() {
        let (composed, decomposed) = ("caf\u{e9} \u{ad6d}", "cafe\u{301} \u{1100}\u{116e}\u{11a8}");
        for (form, other) in [(composed, decomposed), (decomposed, composed)] {
            let vocabulary = Vocabulary::build(form);
            assert_eq!(vocabulary.in_known_form(other), form);
            assert_eq!(vocabulary.in_known_form(form), form);
        }
        // The text has one letter in each form, so each letter is looked up by itself.
        let mixed = "\u{e9} o\u{302}";
        assert_eq!(Vocabulary::build(mixed).in_known_form("e\u{301} \u{f4}"), mixed);
        assert_eq!(Vocabulary::build("ab").in_known_form("ae\u{301}"), "a\u{e9}");
    }

    #[test]
    fn characters_that_look_alike_are_found() {
        let vocabulary = Vocabulary::build("It\u{2019}s \u{201c}\u{c9}t\u{c9}\u{201d}");
        assert_eq!(vocabulary.similar('\''), ['\u{2019}']);
        assert_eq!(vocabulary.similar('\u{e9}'), ['\u{c9}']);
        assert_eq!(vocabulary.similar('i'), ['I']);
        assert_eq!(vocabulary.similar('"'), ['\u{201c}', '\u{201d}']);
        assert_eq!(vocabulary.similar('\u{a0}'), [' ']);
        assert!(vocabulary.similar('-').is_empty());
        assert_eq!(Vocabulary::build("a\u{2014}b").similar('-'), ['\u{2014}']);
    }
}
