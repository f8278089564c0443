//! A line that fits the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a terminal is taken for that does not say how wide it is.
pub(super) const USUAL_COLUMNS: usize = 80;
/// What separates the parts.
const GAP: &str = "  ";

/// A part of the line.
pub(super) struct Part {
    /// The part with the largest number goes first where there is no room; that with 0 stays.
    rank: u8,
    text: String,
}

impl Part {
    pub(super) fn new(rank: u8, text: String) -> Self {
        Self { rank, text }
    }
}

/// The columns of the terminal that stderr is, if it is one and says them.
pub(super) fn columns_of_stderr() -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(std::io::stderr())?;
    (columns > 0).then_some(columns.into())
}

/// As many of `parts` as `columns` have room for. The last column stays empty: behind it some terminals wrap.
pub(super) fn fit(parts: &[Part], columns: usize) -> String {
    let room = columns.saturating_sub(1);
    let mut ranks: Vec<u8> = parts.iter().map(|part| part.rank).collect();
    ranks.sort_unstable();
    loop {
        let most = ranks.pop().unwrap_or_default();
        let texts: Vec<&str> = parts.iter().filter(|part| part.rank <= most).map(|part| part.text.as_str()).collect();
        let line = texts.join(GAP);
        if line.width() <= room {
            return line;
        }
        if ranks.is_empty() {
            return cut(&line, room);
        }
    }
}

/// The beginning of `line` that takes at most `room` columns.
fn cut(line: &str, room: usize) -> String {
    let mut left = room;
    line.chars()
        .take_while(|c| {
            let width = c.width().unwrap_or(0);
            let fits = width <= left;
            left = left.saturating_sub(width);
            fits
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_count_twice() {
        let parts = || vec![Part::new(0, "step 1".into()), Part::new(1, "正解 5".into())];
        assert_eq!(fit(&parts(), 15), "step 1  正解 5"); // 6 + 2 + 6 columns, and one that stays empty
        assert_eq!(fit(&parts(), 14), "step 1");
        assert_eq!(cut("正解正解", 5), "正解");
    }
}
