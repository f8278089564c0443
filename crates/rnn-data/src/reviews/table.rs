//! Tables with a text and a label column, and an optional `split` column with the purpose of each row.

use super::labels::{LABELS, Label, PARTS, Part};
use super::{Parts, Review};
use crate::{DataError, show};
use std::borrow::Cow;
use std::path::Path;

pub(super) const TEXT: [&str; 4] = ["text", "review", "sentence", "content"];
pub(super) const LABEL: [&str; 4] = ["label", "sentiment", "class", "polarity"];
pub(super) const SPLIT: [&str; 1] = ["split"];

/// The number of bad rows that a message shows; the others are counted.
const SHOWN: usize = 3;

/// Whether the name of a column or key is one of `names`.
pub(super) fn is_called(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// The message about two columns for one thing.
pub(super) fn ambiguous<'a>(found: impl ExactSizeIterator<Item = &'a str>) -> String {
    format!("each of {} could be the one that is meant; keep one of them", show::list(found))
}

/// The message about a missing text or label column; `found` lists the columns.
pub(super) fn missing(found: &str) -> String {
    format!("{found}; one of {} and one of {} are needed", TEXT.join("/"), LABEL.join("/"))
}

/// The message about a column that looks like `split` but has another name.
pub(super) fn split_by_another_name(name: &str) -> String {
    format!("{} says {PARTS} in every row; call it split, so that it is heeded, or leave it out", show::quoted(name))
}

struct Row {
    line: u64,
    review: Review,
    label: Label,
    part: Option<Part>,
}

/// The good rows of a table, and the bad ones counted.
pub(super) struct Rows<'a> {
    path: &'a Path,
    rows: Vec<Row>,
    bad: usize,
    first_bad: Vec<(u64, String)>,
    /// The first label that is a number other than 1, 0 and -1, and its line.
    scale: Option<(u64, String)>,
}

/// Whether a label is a number; `nan`, as missing values are written, is none.
fn is_number(label: &str) -> bool {
    label.trim().parse::<f64>().is_ok_and(f64::is_finite)
}

impl<'a> Rows<'a> {
    /// Starts without rows; `path` is for messages.
    pub fn new(path: &'a Path) -> Self {
        Self { path, rows: Vec::new(), bad: 0, first_bad: Vec::new(), scale: None }
    }

    /// Counts a row that cannot be read.
    pub fn bad(&mut self, line: u64, problem: impl FnOnce() -> String) {
        self.bad += 1;
        if self.first_bad.len() < SHOWN {
            self.first_bad.push((line, problem()));
        }
    }

    /// Adds a row, or counts it as bad.
    pub fn push(&mut self, line: u64, text: Cow<str>, label: &str, split: Option<&str>) {
        if text.trim().is_empty() {
            return self.bad(line, || "the text is empty".into());
        }
        let Some(known) = Label::parse(label) else {
            if self.scale.is_none() && is_number(label) {
                self.scale = Some((line, label.to_string()));
            }
            return self.bad(line, || format!("the label {} is none of {LABELS}", show::quoted(label)));
        };
        let part = split.map(|split| (split, Part::parse(split)));
        if let Some((split, None)) = part {
            return self.bad(line, || format!("the split {} is none of {PARTS}", show::quoted(split)));
        }
        let review = Review { text: text.into_owned(), positive: known.is_positive() };
        self.rows.push(Row { line, review, label: known, part: part.and_then(|(_, part)| part) });
    }

    /// The reviews by purpose.
    ///
    /// # Errors
    /// No rows, bad rows unless `skip_bad`, ambiguous labels.
    pub fn finish(mut self, skip_bad: bool) -> Result<Parts, DataError> {
        let wrong = |problem: String| Err(DataError::content(self.path, problem));
        self.rows_without_a_split_are_bad();
        let line = |label| self.rows.iter().find(|row| row.label == label).map(|row| row.line);
        if let (Some(zero), Some(minus)) = (line(Label::Zero), line(Label::MinusOne)) {
            return wrong(format!(
                "there are labels 0 (line {zero}) and -1 (line {minus}): which of them is negative? Labels are 1 and 0, or \
                 1 and -1"
            ));
        }
        // On a scale of 1 to 5 a 1 is the worst, on one of 0, 1, 2 the middle: leaving out the other rows would not
        // help.
        if let Some((line, label)) = &self.scale {
            return wrong(format!(
                "line {line}: the label is {}; with such labels 1 need not mean positive. Labels are 1 and 0, or 1 and -1, \
                 and rows with others must go",
                show::quoted(label)
            ));
        }
        let mut parts = Parts::default();
        if self.bad > 0 {
            let problems = self.problems();
            if !skip_bad || self.rows.is_empty() {
                return Err(DataError::BadRows { path: self.path.to_path_buf(), problems });
            }
            parts.notes.push(format!("{}: left out: {problems}", show::path(self.path)));
        }
        if self.rows.is_empty() {
            return wrong("the table has no rows".into());
        }
        for Row { review, part, .. } in self.rows {
            match part {
                None => parts.whole.push(review),
                Some(Part::Train) => parts.train.push(review),
                Some(Part::Test) => parts.test.push(review),
                Some(Part::Validation) => parts.validation += 1,
            }
        }
        Ok(parts)
    }

    /// If one row has a split, all rows must have one.
    fn rows_without_a_split_are_bad(&mut self) {
        let Some(with) = self.rows.iter().find(|row| row.part.is_some()).map(|row| row.line) else { return };
        let (rows, without): (Vec<Row>, Vec<Row>) =
            std::mem::take(&mut self.rows).into_iter().partition(|row| row.part.is_some());
        self.rows = rows;
        self.bad += without.len();
        let problem = format!("no split, which line {with} has");
        self.first_bad.extend(without.iter().take(SHOWN).map(|row| (row.line, problem.clone())));
        self.first_bad.sort_by_key(|(line, _)| *line);
        self.first_bad.truncate(SHOWN);
    }

    fn problems(&self) -> String {
        let all = self.rows.len() + self.bad;
        let is = if self.bad == 1 { "is" } else { "are" };
        let mut shown: Vec<String> = Vec::new();
        for group in self.first_bad.chunk_by(|(_, one), (_, next)| one == next) {
            let lines: Vec<String> = group.iter().map(|(line, _)| line.to_string()).collect();
            let s = if lines.len() == 1 { "" } else { "s" };
            shown.push(format!("line{s} {}: {}", lines.join(", "), group[0].1));
        }
        if self.bad > self.first_bad.len() {
            shown.push("…".into());
        }
        show::message(&format!("{} of {all} rows {is} bad: {}", self.bad, shown.join("; ")))
    }
}
