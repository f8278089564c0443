//! Plain text, whole.

use crate::find::find;
use crate::{DataError, Places, Source, registry};
use std::path::Path;

/// The story written for this project.
const SAMPLE_STORY: &str = include_str!("../../../datasets/sample/story.txt");

/// The byte order mark.
const MARK: char = '\u{feff}';

/// A text and where it came from.
#[derive(Debug, Clone)]
pub struct TextCorpus {
    /// Where it came from.
    pub source: Source,
    /// The text, as it is in the file, less a byte order mark.
    pub text: String,
}

/// The corpus `name` of the registry, or what `places.data` names, or the built-in story.
///
/// # Errors
/// A name that the registry does not have, a file that cannot be read, is empty or is not UTF-8.
pub fn load(name: &str, places: &Places) -> Result<TextCorpus, DataError> {
    let source = find(registry::corpus(name)?, places)?;
    let text = match &source.path {
        None => SAMPLE_STORY.to_string(),
        Some(path) => read(path)?,
    };
    Ok(TextCorpus { source, text })
}

/// Reads a UTF-8 text file.
///
/// # Errors
/// A file that cannot be read, is empty or is not UTF-8.
pub fn read(path: &Path) -> Result<String, DataError> {
    if path.is_dir() {
        return Err(DataError::content(path, "this is a folder; give a UTF-8 text file"));
    }
    let text = utf8(path, std::fs::read(path).map_err(|e| DataError::io(path, e))?)?;
    if text.is_empty() {
        return Err(DataError::content(path, "the file is empty; give a UTF-8 text file"));
    }
    Ok(text)
}

/// The text that `bytes` of `path` are, less a byte order mark.
///
/// # Errors
/// Bytes that are not UTF-8.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, DataError> {
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let problem = format!("byte {at} is not UTF-8; convert it to UTF-8, as iconv -f ENCODING -t UTF-8 does");
        DataError::content(path, problem)
    })?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}

/// The text as the lesson prepares it ("Deep Learning with Keras", Gulli and Pal, 2017): each line stripped, lower-cased
/// and reduced to ASCII, empty lines dropped, the rest joined with single spaces.
pub fn lesson(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_ascii().chars().filter(char::is_ascii).collect::<String>());
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).map(|line| line.to_ascii_lowercase()).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lessons_text_is_lower_case_ascii_on_one_line() {
        assert_eq!(lesson("  ALICE\u{2019}S \r\n\n\u{201c}\u{201d}\nRabbit-Hole\n"), "alices rabbit-hole");
    }

    #[test]
    fn the_built_in_story_is_long_enough_to_learn_from() {
        let corpus = load("alice", &Places::default()).expect("built in");
        assert!(corpus.source.is_sample());
        assert!(corpus.text.len() >= 20_000 && corpus.text.is_ascii());
    }

    #[test]
    fn files_that_are_no_text_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.txt");
        let wrong = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read(&path).expect_err("no text").to_string()
        };
        assert!(wrong(b"ab\xff").contains("x.txt: byte 2 is not UTF-8; convert it to UTF-8, as iconv"));
        assert!(wrong(b"").ends_with("the file is empty; give a UTF-8 text file"));
        assert!(wrong(b"\xef\xbb\xbf").ends_with("the file is empty; give a UTF-8 text file"));
        assert!(read(folder.path()).expect_err("folder").to_string().contains("this is a folder"));
        std::fs::write(&path, "\u{feff}Москва 東京").expect("written");
        assert_eq!(read(&path).expect("text"), "Москва 東京");
    }
}
