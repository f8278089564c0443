//! Plain text files.

use crate::find::find;
use crate::{DataError, Places, Source, registry};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The story written for this project.
const SAMPLE_STORY: &str = include_str!("../../../datasets/sample/story.txt");

/// The byte order mark.
const MARK: char = '\u{feff}';

/// The largest text in bytes. Training takes about 8 bytes per character, here 4.3 GB.
const MOST_BYTES: u64 = 1 << 29;

/// A text and where it came from.
#[derive(Debug, Clone)]
pub struct TextCorpus {
    /// Where it came from.
    pub source: Source,
    /// The text without a byte order mark; every line ends with a line feed.
    pub text: String,
}

/// The corpus `name` of the registry, or what `places.data` names, or the built-in story.
///
/// # Errors
/// A name that the registry does not have, and what [`read`] refuses.
pub fn load(name: &str, places: &Places) -> Result<TextCorpus, DataError> {
    let source = find(registry::corpus(name)?, places)?;
    let text = match &source.path {
        None => SAMPLE_STORY.to_string(),
        Some(path) => read(path)?,
    };
    Ok(TextCorpus { source, text })
}

/// Reads a UTF-8 text file. LF, CR LF and CR end a line; all of them become LF.
///
/// # Errors
/// A file that cannot be read, is empty, has more than 512 MiB, is not UTF-8 or has NUL bytes.
pub fn read(path: &Path) -> Result<String, DataError> {
    if path.is_dir() {
        return Err(DataError::content(path, "this is a folder; give a UTF-8 text file"));
    }
    let io = |e| DataError::io(path, e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let too_long = |length: &str| {
        let problem = format!("the text has {length} the {MOST_BYTES} bytes that are possible here; give a part of it");
        DataError::content(path, problem)
    };
    if length > MOST_BYTES {
        return Err(too_long(&format!("{length} bytes, more than")));
    }
    // A pipe has no length.
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(too_long("more than"));
    }
    let text = utf8(path, bytes)?;
    if text.is_empty() {
        return Err(DataError::content(path, "the file is empty; give a UTF-8 text file"));
    }
    Ok(line_feeds(text))
}

/// `text` with a line feed for each CR LF and each CR.
pub fn line_feeds(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}

/// Decodes `bytes` of `path` as UTF-8, without a byte order mark.
///
/// # Errors
/// Bytes that are not UTF-8, or NUL bytes; the message guesses the encoding.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, DataError> {
    let mut text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let problem = match encoding(e.as_bytes()) {
            None => format!("byte {at} is not UTF-8; convert it to UTF-8, as iconv -f ENCODING -t UTF-8 does"),
            Some(from) => format!(
                "byte {at} is not UTF-8; the text seems to be {from}: convert it to UTF-8, as iconv -f {from} -t UTF-8 \
                 does"
            ),
        };
        DataError::content(path, problem)
    })?;
    // U+0001 to U+0008 are rare in a text, and the upper bytes of UTF-16 in many scripts.
    if let Some(at) = text.bytes().position(|byte| byte <= 8) {
        // About half of the bytes of UTF-16 that happens to be UTF-8 are such; a few among many others are slips.
        let is_wide = text.len() < 64 || 4 * text.bytes().filter(|byte| *byte <= 8).count() >= text.len();
        match encoding(text.as_bytes()).filter(|_| is_wide) {
            Some(from) => {
                let problem = format!(
                    "byte {at} is {}; the text seems to be {from}: convert it to UTF-8, as iconv -f {from} -t UTF-8 \
                     does",
                    if text.as_bytes()[at] == 0 { "NUL" } else { "a control character" }
                );
                return Err(DataError::content(path, problem));
            }
            None => {
                if let Some(at) = text.bytes().position(|byte| byte == 0) {
                    let problem = format!("byte {at} is NUL, which no text has; give a text in UTF-8");
                    return Err(DataError::content(path, problem));
                }
            }
        }
    }
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}

/// Guesses UTF-16 or UTF-32 from the byte order mark or from the positions of NUL bytes: in these encodings spaces and
/// line ends contain NUL bytes in every script.
fn encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => return Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some("UTF-16"),
        _ => {}
    }
    let bytes = &bytes[..bytes.len().min(1 << 16) / 4 * 4];
    let (mut nul, mut low) = ([0; 4], [0; 2]); // counts by position modulo 4, and modulo 2
    for (i, &byte) in bytes.iter().enumerate() {
        nul[i % 4] += usize::from(byte == 0);
        low[i % 2] += usize::from(byte < b' ' && !byte.is_ascii_whitespace());
    }
    let fours = bytes.len() / 4;
    // The upper bytes are small in all scripts except East Asian ones, where only spaces and line ends show the order.
    let is_wide = |low, nul, other| 20 * other <= nul && (low > fours || nul > 1 && 16 * nul >= fours);
    match nul {
        [_, _, c, d] if fours > 0 && d == fours && 2 * c > fours => Some("UTF-32LE"),
        [a, b, _, _] if fours > 0 && a == fours && 2 * b > fours => Some("UTF-32BE"),
        [a, b, c, d] if is_wide(low[1], b + d, a + c) => Some("UTF-16LE"),
        [a, b, c, d] if is_wide(low[0], a + c, b + d) => Some("UTF-16BE"),
        _ => None,
    }
}

/// A text as the lesson prepares it, and what the preparation changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lesson {
    /// The prepared text.
    pub text: String,
    /// The number of line ends that became spaces.
    pub joined: usize,
    /// The dropped characters outside ASCII with their counts, the most frequent first.
    pub dropped: Vec<(char, usize)>,
}

/// The text as the lesson prepares it ("Deep Learning with Keras", Gulli and Pal, 2017): each line stripped,
/// lower-cased and reduced to ASCII, empty lines dropped, the rest joined with single spaces.
pub fn lesson(text: &str) -> String {
    prepare(text).text
}

/// As [`lesson`], and reports what it changed.
pub fn prepare(text: &str) -> Lesson {
    let mut lesson = Lesson { text: String::with_capacity(text.len()), ..Lesson::default() };
    let mut dropped: HashMap<char, usize> = HashMap::new();
    for line in text.split(['\n', '\r']) {
        let end = lesson.text.len();
        if end > 0 {
            lesson.text.push(' ');
        }
        let start = lesson.text.len();
        for c in line.trim_ascii().chars() {
            if c.is_ascii() {
                lesson.text.push(c.to_ascii_lowercase());
            } else {
                *dropped.entry(c).or_default() += 1;
            }
        }
        if lesson.text.len() == start {
            lesson.text.truncate(end);
        } else if end > 0 {
            lesson.joined += 1;
        }
    }
    lesson.dropped = dropped.into_iter().collect();
    lesson.dropped.sort_unstable_by_key(|&(c, count)| (Reverse(count), c));
    lesson
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lessons_text_is_lower_case_ascii_on_one_line() {
        assert_eq!(lesson("  ALICE\u{2019}S \r\n\n\u{201c}\u{201d}\nRabbit-Hole\n"), "alices rabbit-hole");
        let prepared = prepare("Caf\u{e9} \u{e0} la\r\rcarte, \u{e9}t\u{e9}\r\n\u{2026}\n");
        assert_eq!(prepared.text, "caf  la carte, t");
        assert_eq!(prepared.joined, 1);
        assert_eq!(prepared.dropped, [('\u{e9}', 3), ('\u{e0}', 1), ('\u{2026}', 1)]);
    }

    #[test]
    fn every_line_end_is_a_line_feed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.txt");
        std::fs::write(&path, "a\rb\r\nc\nd\r\r\n").expect("written");
        assert_eq!(read(&path).expect("text"), "a\nb\nc\nd\n\n");
    }

    #[test]
    fn a_wide_encoding_is_named_and_nothing_else_taken_for_one() {
        let said = |bytes: Vec<u8>| utf8(Path::new("x"), bytes).expect_err("no UTF-8").to_string();
        let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let utf32 = |text: &str, order: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| order(c as u32)).collect();
        for text in [
            "text,label\ngood film,1\n",
            "\u{43e}\u{442}\u{43b}\u{438}\u{447}\u{43d}\u{44b}\u{439} \u{444}\u{438}\u{43b}\u{44c}\u{43c}\n",
        ] {
            for (bytes, name) in [
                (utf16(text, u16::to_le_bytes), "UTF-16LE"),
                (utf16(text, u16::to_be_bytes), "UTF-16BE"),
                (utf32(text, u32::to_le_bytes), "UTF-32LE"),
                (utf32(text, u32::to_be_bytes), "UTF-32BE"),
                (utf16(&format!("\u{feff}{text}"), u16::to_le_bytes), "UTF-16"),
                (utf32(&format!("\u{feff}{text}"), u32::to_be_bytes), "UTF-32"),
            ] {
                let told = said(bytes);
                let advice =
                    format!("the text seems to be {name}: convert it to UTF-8, as iconv -f {name} -t UTF-8 does");
                assert!(told.ends_with(&advice), "{told}");
            }
        }
        let one = utf16(
            "\u{43e}\u{442}\u{43b}\u{438}\u{447}\u{43d}\u{44b}\u{439} \u{444}\u{438}\u{43b}\u{44c}\u{43c}",
            u16::to_le_bytes,
        );
        assert!(said(one).contains("seems to be UTF-16LE"));
        let word = utf16("отличный", u16::to_le_bytes);
        assert!(said(word).starts_with("x: byte 1 is a control character; the text seems to be UTF-16LE"));
        assert!(utf8(Path::new("x"), b"a slip\x08 of the\x10 keys".to_vec()).is_ok());
        let japanese = utf16("\u{6620}\u{753b}\n\u{826f}\u{3044}\u{6620}\u{753b}\n\u{65e5}", u16::to_be_bytes);
        assert!(said(japanese).contains("seems to be UTF-16BE"));
        assert_eq!(said(b"one\0slip in a text".to_vec()), "x: byte 3 is NUL, which no text has; give a text in UTF-8");
        let slips = b"some words\0\n".repeat(50);
        assert_eq!(said(slips), "x: byte 10 is NUL, which no text has; give a text in UTF-8");
        assert!(
            said(b"caf\xe9 \0\0\0".to_vec())
                .ends_with("byte 3 is not UTF-8; convert it to UTF-8, as iconv -f ENCODING -t UTF-8 does")
        );
    }

    #[test]
    fn a_text_of_any_length_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.txt");
        let file = File::create(&path).expect("made");
        file.set_len(MOST_BYTES + 1).expect("a hole"); // takes no room on the disk
        let error = read(&path).expect_err("too long").to_string();
        assert!(error.ends_with(
            "the text has 536870913 bytes, more than the 536870912 bytes that are possible here; give a part of it"
        ));
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
