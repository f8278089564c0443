//! Text of others (names of files, arguments, what stands in files and run folders) on a terminal: nothing in it
//! moves the cursor, changes colours or the order of letters, and no message is longer than a few lines.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

/// Characters of a message, about eight lines of 80.
const LONGEST: usize = 640;

/// `text` with every control character written as an escape such as `\u{1b}` or `\t`.
fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// `text` with every control character written as an escape; line ends and tabs stay, for a text of several lines.
pub fn printable_text(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escape = |c: char| is_control(c) && !stays(c);
    if !text.contains(escape) {
        return Cow::Borrowed(text);
    }
    let written = |c: char| if escape(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(written).collect())
}

/// Control characters, line separators, and the marks that change the direction of writing.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `message` as one printable line. The middle of a long one is left out: what is wrong stands in front, what would
/// be right at the end.
fn one_line(message: &str) -> String {
    // Before anything is copied more than once: a message may quote a file of many MB.
    let message = shortened(message, 2 * LONGEST);
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    shortened(&printable(&lines.join(" ")), LONGEST).into_owned()
}

fn shortened(text: &str, longest: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= longest {
        return Cow::Borrowed(text);
    }
    let at = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte);
    let (head, tail) = (&text[..at(longest / 2)], &text[at(length - longest / 2)..]);
    Cow::Owned(format!("{head} […] {tail}"))
}

/// Writes a line on stderr; [`say!`](crate::say) calls it.
pub fn say_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{}", one_line(&line.to_string()));
}

/// A figure with four decimals, or with an exponent where they would all be zeros.
pub(crate) fn figure(x: f64) -> String {
    if x != 0.0 && x.abs() < 5e-5 { format!("{x:.2e}") } else { format!("{x:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_letters_are_not() {
        assert_eq!(printable("ёлка 🎄 \\"), "ёлка 🎄 \\");
        assert_eq!(printable("a\x1b[31m\x07\0b\u{9b}\u{202e}"), "a\\u{1b}[31m\\u{7}\\u{0}b\\u{9b}\\u{202e}");
        assert_eq!(one_line("the columns are text\tlabel\n  and\r\nmore\n"), "the columns are text\\tlabel and more");
        assert_eq!(one_line("one\rtwo"), "one\\rtwo");
        assert_eq!(printable_text("a\tb\nc\r\x1b"), "a\tb\nc\\r\\u{1b}");
    }

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        for middle in ["x".repeat(6_000_000), "\x1b".repeat(500), "é\n".repeat(2000)] {
            let line = one_line(&format!("error at line 7: {middle}; write it so"));
            assert!(line.chars().count() <= LONGEST + 5, "{}", line.len());
            assert!(line.starts_with("error at line 7: ") && line.ends_with("; write it so"), "{line}");
            assert!(line.contains(" […] ") && !line.contains(char::is_control));
        }
    }

    #[test]
    fn figures_that_would_be_zeros_have_an_exponent() {
        assert_eq!([0.0, 0.00005, 2.563e-6, -12.5].map(figure), ["0.0000", "0.0001", "2.56e-6", "-12.5000"]);
    }
}
