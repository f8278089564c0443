//! The prime: the beginning of a generated text, given by the user, in the characters of the training text.

use crate::data::{Prepare, lost};
use rnn_data::chars::{Vocabulary, name};
use rnn_data::{DataError, text};
use rnn_harness::{Failure, say};

/// Prepares a prime, or another text that the model reads, as the training text was prepared; `what` names it. Returns
/// it with its ids. Reports changed characters on stderr.
///
/// # Errors
/// A prime that becomes empty, or a character that the training text does not have.
pub fn read(what: &str, given: &str, prepare: Prepare, vocabulary: &Vocabulary) -> Result<(String, Vec<u32>), Failure> {
    if given.is_empty() {
        return Err(Failure::input(format!("{what} is empty; give at least one character that the model knows")));
    }
    // Older runs, from before line ends were unified, may have CR in their vocabulary.
    let prime = if vocabulary.contains('\r') { given.to_string() } else { text::line_feeds(given.to_string()) };
    let prime = match prepare {
        Prepare::None => prime,
        Prepare::Lesson => lesson(what, &prime),
    };
    if prime.is_empty() {
        return Err(Failure::input(format!(
            "{what} has no ASCII character, and the training text was prepared as in the lesson, which drops all others",
        )));
    }
    let known = vocabulary.in_known_form(&prime);
    let ids = vocabulary.encode(&known).map_err(|error| unknown_character(what, &error, vocabulary))?;
    if known != prime {
        say!("{what}: letters with accents are taken in the Unicode form (NFC or NFD) that the model's text has");
    }
    Ok((known, ids))
}

/// Keeps spaces at both ends, because a prime may end within a line.
fn lesson(what: &str, prime: &str) -> String {
    let last = prime.matches('\n').count();
    let mut joined = String::with_capacity(prime.len());
    for (i, line) in prime.split('\n').enumerate() {
        let line = if i > 0 { line.trim_ascii_start() } else { line };
        let line = if i < last { line.trim_ascii_end() } else { line };
        if i > 0 && !joined.ends_with(' ') {
            joined.push(' ');
        }
        joined.push_str(line);
    }
    if let Some(lost) = lost(last, &text::prepare(&joined).dropped) {
        say!("{what}: {lost}, because the training text was prepared as in the lesson");
    }
    joined.chars().filter(char::is_ascii).map(|c| c.to_ascii_lowercase()).collect()
}

fn unknown_character(what: &str, error: &DataError, vocabulary: &Vocabulary) -> Failure {
    let &DataError::UnknownCharacter(unknown) = error else {
        return Failure::input(format!("{what}: {error}"));
    };
    let similar: Vec<String> = vocabulary.similar(unknown).iter().map(|&c| format!("{c:?} ({})", name(c))).collect();
    let advice = match (unknown, similar.is_empty()) {
        ('\n', _) => "that text has no line ends: give the prime on one line".to_string(),
        (_, false) => format!("that text has {} in its place", similar.join(" or ")),
        (_, true) => "leave it out, or train on a text that has it".to_string(),
    };
    Failure::input(format!("{what}: {error}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prime(given: &str, prepare: Prepare, text: &str) -> Result<String, String> {
        let vocabulary = Vocabulary::build(text);
        let (prime, ids) = read("--prime", given, prepare, &vocabulary).map_err(|e| e.to_string())?;
        assert_eq!(ids.iter().map(|&id| vocabulary.decode(id)).collect::<String>(), prime);
        Ok(prime)
    }

    #[test]
    fn the_lessons_line_ends_are_spaces() {
        let text = "the cat and sea of";
        for (given, expected) in [
            ("The\nsea", "the sea"),
            ("the \r\n\r\n sea", "the sea"),
            ("the\rsea\n", "the sea "),
            ("\nsea ", " sea "),
            (" the  sea ", " the  sea "),
            ("thé sea", "th sea"),
        ] {
            assert_eq!(prime(given, Prepare::Lesson, text).as_deref(), Ok(expected), "{given:?}");
        }
        let nothing = prime("é", Prepare::Lesson, text).expect_err("nothing left");
        assert!(nothing.starts_with("--prime has no ASCII character"), "{nothing}");
        assert!(prime("", Prepare::Lesson, text).expect_err("empty").starts_with("--prime is empty"));
    }

    #[test]
    fn as_it_is_the_text_has_its_own_characters() {
        let plain = |given, text| prime(given, Prepare::None, text);
        assert_eq!(plain("a\r\nb\rc", "a\nbc").as_deref(), Ok("a\nb\nc"));
        assert_eq!(plain("a\r\nb", "a\r\nb").as_deref(), Ok("a\r\nb")); // an older run
        assert_eq!(plain("caf\u{e9}", "cafe\u{301}").as_deref(), Ok("cafe\u{301}"));
        assert_eq!(plain("cafe\u{301}", "caf\u{e9}").as_deref(), Ok("caf\u{e9}"));
    }

    #[test]
    fn an_unknown_character_is_named_with_what_to_do() {
        let told = |given, text| prime(given, Prepare::None, text).expect_err("unknown");
        let what =
            |c: &str| format!("--prime: the character {c} does not occur in the text the model was trained on; it is ");
        assert_eq!(
            told("x", "abc"),
            what("'x'") + "U+0078, LATIN SMALL LETTER X; leave it out, or train on a text that has it"
        );
        assert_eq!(
            told("it's", "it\u{2019}s"),
            what("'\\''")
                + "U+0027, APOSTROPHE; that text has '\u{2019}' (U+2019, RIGHT SINGLE QUOTATION MARK) in its place"
        );
        assert_eq!(
            told("A", "abc"),
            what("'A'")
                + "U+0041, LATIN CAPITAL LETTER A; that text has 'a' (U+0061, LATIN SMALL LETTER A) in its place"
        );
        assert_eq!(
            told("a\nb", "ab"),
            what("'\\n'") + "U+000A, LINE FEED; that text has no line ends: give the prime on one line"
        );
        assert!(told("a\u{200b}", "ab").starts_with(&what("'\\u{200b}'")));
    }
}
