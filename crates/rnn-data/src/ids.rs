//! A text as numbers, in as few bytes a character as its vocabulary allows.

use crate::DataError;
use crate::chars::Vocabulary;
use std::ops::Range;

/// The ids of a text's characters: one byte each for up to 256 distinct ones, two for up to 65,536, else four.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Of up to 256 distinct characters.
    U8(Vec<u8>),
    /// Of up to 65,536.
    U16(Vec<u16>),
    /// Of more.
    U32(Vec<u32>),
}

/// `$values` of whichever width.
macro_rules! of_each {
    ($ids:expr, $values:ident => $result:expr) => {
        match $ids {
            Ids::U8($values) => $result,
            Ids::U16($values) => $result,
            Ids::U32($values) => $result,
        }
    };
}

impl Ids {
    /// The ids of the characters of `text`.
    ///
    /// # Errors
    /// A character that is not in the vocabulary.
    pub fn encode(vocabulary: &Vocabulary, text: &str) -> Result<Self, DataError> {
        let count = text.chars().count(); // a vector that doubles would need twice the memory for a long text
        let mut ids = match vocabulary.len() {
            0..=0x100 => Self::U8(Vec::with_capacity(count)),
            0x101..=0x1_0000 => Self::U16(Vec::with_capacity(count)),
            _ => Self::U32(Vec::with_capacity(count)),
        };
        for c in text.chars() {
            let id = vocabulary.id(c).ok_or(DataError::UnknownCharacter(c))?;
            match &mut ids {
                Self::U8(values) => values.push(id as u8),
                Self::U16(values) => values.push(id as u16),
                Self::U32(values) => values.push(id),
            }
        }
        Ok(ids)
    }

    /// The number of characters.
    pub fn len(&self) -> usize {
        of_each!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id of the character at `place`.
    ///
    /// # Panics
    /// If `place` is not below [`len`](Self::len).
    #[expect(clippy::unnecessary_cast, reason = "of one of the three widths")]
    pub fn get(&self, place: usize) -> u32 {
        of_each!(self, values => values[place] as u32)
    }

    /// The ids of a range of characters.
    ///
    /// # Panics
    /// If the range goes beyond the text.
    #[expect(clippy::unnecessary_cast, reason = "of one of the three widths")]
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = u32> + '_ {
        assert!(range.end <= self.len(), "{range:?} of {} characters", self.len());
        range.map(move |place| of_each!(self, values => values[place] as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_the_bytes_its_vocabulary_needs() {
        let alphabet = |n: u32| (0..n).filter_map(|i| char::from_u32(0x4e00 + i)).collect::<String>();
        for (n, width) in [(256, 1), (257, 2), (20_000, 2)] {
            let text = alphabet(n);
            let vocabulary = Vocabulary::build(&text);
            let ids = Ids::encode(&vocabulary, &text).expect("its own text");
            let bytes = match &ids {
                Ids::U8(_) => 1,
                Ids::U16(_) => 2,
                Ids::U32(_) => 4,
            };
            assert_eq!((bytes, ids.len()), (width, n as usize));
            assert_eq!(ids.range(0..ids.len()).map(|id| vocabulary.decode(id)).collect::<String>(), text);
            assert_eq!(ids.get(7), 7);
        }
        let error = Ids::encode(&Vocabulary::build("ab"), "abc").expect_err("no c");
        assert!(matches!(error, DataError::UnknownCharacter('c')));
    }
}
