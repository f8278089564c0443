//! Tables with a text and a label column, and an optional `split` column with the purpose of each row.

use super::labels::{Label, PARTS, Part, Scheme};
use super::{Parts, Review};
use crate::{DataError, show};
use std::borrow::Cow;
use std::collections::HashSet;
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
    text: String,
    label: String,
    part: Option<Part>,
}

/// The good rows of a table, and the bad ones counted.
pub(super) struct Rows<'a> {
    path: &'a Path,
    rows: Vec<Row>,
    bad: usize,
    first_bad: Vec<(u64, String)>,
    /// The labels so far.
    labels: HashSet<String>,
    /// The classes, where they are known from elsewhere.
    classes: Option<&'a [String]>,
}

/// Bytes of a label at most.
const LONGEST_LABEL: usize = 200;

/// Whether a label stands for one that is missing.
fn is_missing(label: &str) -> bool {
    ["", "nan", "null"].iter().any(|missing| label.eq_ignore_ascii_case(missing))
}

impl<'a> Rows<'a> {
    /// Starts without rows; `path` is for messages. Of `classes` that are known a label must name one.
    pub fn new(path: &'a Path, classes: Option<&'a [String]>) -> Self {
        Self { path, rows: Vec::new(), bad: 0, first_bad: Vec::new(), labels: HashSet::new(), classes }
    }

    /// Whether `label` is that of a row, or says positive or negative.
    pub fn knows(&self, label: &str) -> bool {
        Label::parse(label).is_some() || self.labels.contains(label.trim())
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
        let label = label.trim();
        if is_missing(label) {
            return self.bad(line, || format!("the label is missing: {}", show::quoted(label)));
        }
        if label.len() > LONGEST_LABEL {
            return self.bad(line, || format!("the label {} is too long to name a class", show::quoted(label)));
        }
        let part = split.map(|split| (split, Part::parse(split)));
        if let Some((split, None)) = part {
            return self.bad(line, || format!("the split {} is none of {PARTS}", show::quoted(split)));
        }
        if !self.labels.contains(label) {
            self.labels.insert(label.to_string());
        }
        let (text, label) = (text.into_owned(), label.to_string());
        self.rows.push(Row { line, text, label, part: part.and_then(|(_, part)| part) });
    }

    /// The reviews by purpose.
    ///
    /// # Errors
    /// No rows, bad rows unless `skip_bad`, ambiguous labels.
    pub fn finish(mut self, skip_bad: bool) -> Result<Parts, DataError> {
        self.rows_without_a_split_are_bad();
        let scheme = match self.classes {
            Some(classes) => Scheme::given(classes),
            None => Scheme::of(self.rows.iter().map(|row| (row.label.as_str(), row.line)))
                .map_err(|problem| DataError::content(self.path, problem))?,
        };
        self.remove_bad(|row| scheme.class(&row.label).is_none().then(|| scheme.problem(&row.label)));
        let wrong = |problem: String| Err(DataError::content(self.path, problem));
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
        for Row { text, label, part, .. } in self.rows {
            let Some(class) = scheme.class(&label) else { continue };
            let review = Review { text, class };
            match part {
                None => parts.whole.push(review),
                Some(Part::Train) => parts.train.push(review),
                Some(Part::Test) => parts.test.push(review),
                Some(Part::Validation) => parts.validation += 1,
            }
        }
        parts.classes = scheme.classes();
        Ok(parts)
    }

    /// If one row has a split, all rows must have one.
    fn rows_without_a_split_are_bad(&mut self) {
        let Some(with) = self.rows.iter().find(|row| row.part.is_some()).map(|row| row.line) else { return };
        let problem = format!("no split, which line {with} has");
        self.remove_bad(|row| row.part.is_none().then(|| problem.clone()));
    }

    /// Counts those rows as bad of which `problem` says something.
    fn remove_bad(&mut self, problem: impl Fn(&Row) -> Option<String>) {
        for row in std::mem::take(&mut self.rows) {
            match problem(&row) {
                None => self.rows.push(row),
                Some(problem) => {
                    self.bad += 1;
                    self.first_bad.push((row.line, problem));
                    self.first_bad.sort_by_key(|(line, _)| *line);
                    self.first_bad.truncate(SHOWN);
                }
            }
        }
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
