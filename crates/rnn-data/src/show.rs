//! How messages quote the content of files, safely and briefly.

use std::path::Path;

/// The most characters of a quotation.
const LONGEST: usize = 60;
/// The most characters of a path, and of a whole message.
const LONGEST_MESSAGE: usize = 1000;
/// The most names in a list.
const MOST_NAMES: usize = 8;

/// Control characters, which a terminal obeys, and invisible characters: marks of direction, zero-width characters.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The first `longest` characters of `text`, with control and invisible characters escaped: `\t`, `\u{1b}`.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == longest {
            shown.push('…');
            break;
        }
        if is_unseen(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// `text` in quotes, short and safe for a terminal.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text, LONGEST))
}

/// The first of `names`, quoted, and the number of the others.
pub(crate) fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let all = names.len();
    let mut shown: Vec<String> = names.take(MOST_NAMES).map(quoted).collect();
    if all > MOST_NAMES {
        shown.push(format!("and {} more", all - MOST_NAMES));
    }
    shown.join(", ")
}

/// A whole message, a few lines at most and safe for a terminal.
pub(crate) fn message(text: &str) -> String {
    shortened(text, LONGEST_MESSAGE)
}

/// A path, safe for a terminal.
pub(crate) fn path(path: &Path) -> String {
    message(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotations_are_short_and_do_nothing_to_a_terminal() {
        assert_eq!(quoted("a \"b\" é\u{301}"), "\"a \"b\" é\u{301}\"");
        assert_eq!(quoted("\x1b[31m\t\0\u{9b}\u{202e}"), r#""\u{1b}[31m\t\u{0}\u{9b}\u{202e}""#);
        assert_eq!(quoted(&"x".repeat(6_000_000)), format!("\"{}…\"", "x".repeat(LONGEST)));
        assert_eq!(quoted(&"x".repeat(LONGEST)).len(), LONGEST + 2);
        let names: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
        assert!(list(names.iter().map(String::as_str)).ends_with("\"7\", and 9992 more"));
    }
}
