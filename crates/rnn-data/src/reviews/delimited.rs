//! CSV and TSV tables with a header line.

use super::labels::Part;
use super::records::{Fault, Format, Record, Records, lines};
use super::table::{LABEL, Rows, SPLIT, TEXT, ambiguous, is_called, missing, split_by_another_name};
use super::{Parts, Reading};
use crate::{DataError, show};
use std::borrow::Cow;
use std::path::Path;

/// The separators of fields.
const SEPARATORS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// The columns of text, label and split.
struct Columns {
    names: Vec<String>,
    text: usize,
    label: usize,
    split: Option<usize>,
}

/// Reads the table `text` of `path`.
///
/// # Errors
/// Missing columns, quotes that break RFC 4180, bad rows (unless `skip_bad`), an ambiguous table.
pub(super) fn table(path: &Path, text: &str, format: Format, reading: Reading) -> Result<Parts, DataError> {
    let wrong = |problem: String| DataError::content(path, problem);
    let fault = |Fault { line, problem }: Fault| wrong(format!("line {line}: {problem}"));
    let (text, first, format) = if format.quoting { separator_line(text).map_err(wrong)? } else { (text, 1, format) };
    let mut records = Records::new(text, first, format);
    let mut record = Record::default();
    if !records.read(&mut record).map_err(fault)? {
        return Err(wrong("the table is blank; its first line must name the columns".into()));
    }
    let columns = Columns::of(&record, format).map_err(wrong)?;
    let width = columns.names.len();
    let mut rows = Rows::new(path, reading.classes);
    let mut splits: Vec<usize> = (0..width).filter(|i| columns.is_other(*i)).collect();
    while records.read(&mut record).map_err(fault)? {
        let Record { line, lines, ref fields, raw } = record;
        if lines > 1 && columns.are_rows(raw, format.separator, &rows) {
            return Err(wrong(format!(
                "line {line}: the quote opened here is closed in line {}, but the lines from here to there are rows \
                 without it; write a quote in a text twice, and the text in quotes",
                line + lines - 1
            )));
        }
        if fields.len() != width {
            let problem = columns.wrong_width(fields.len(), format);
            if lines > 1 {
                return Err(wrong(format!("lines {line} to {}: {problem}", line + lines - 1)));
            }
            rows.bad(line, || problem);
            continue;
        }
        let (text, label) = (&fields[columns.text], &fields[columns.label]);
        if !format.quoting && looks_quoted(text) {
            rows.bad(line, || in_quotes("the text", text));
            continue;
        }
        splits.retain(|&i| Part::parse(&fields[i]).is_some());
        rows.push(line, text.clone(), label, columns.split.map(|i| fields[i].as_ref()));
    }
    let parts = rows.finish(reading.skip_bad)?;
    match splits[..] {
        [other, ..] if columns.split.is_none() => Err(wrong(split_by_another_name(&columns.names[other]))),
        _ => Ok(parts),
    }
}

/// The text after Excel's line `sep=;`, the number of its first line, and the format that the line declares.
fn separator_line(text: &str) -> Result<(&str, u64, Format), String> {
    let first = lines(text).next().unwrap_or_default();
    let Some(named) = first.trim_matches('"').strip_prefix("sep=") else { return Ok((text, 1, Format::CSV)) };
    match *named.as_bytes() {
        [separator] if SEPARATORS.contains(&separator) => {
            let rest = text[first.len()..].strip_prefix("\r\n").or_else(|| text.get(first.len() + 1..));
            Ok((rest.unwrap_or_default(), 2, Format { separator, quoting: true }))
        }
        _ => {
            Err(format!("line 1: {} names no separator that is read here: a comma, ;, | or a tab", show::quoted(first)))
        }
    }
}

impl Columns {
    fn of(header: &Record, format: Format) -> Result<Self, String> {
        let find = |names: &[&str]| {
            let found: Vec<usize> = (0..header.fields.len()).filter(|&i| is_called(&header.fields[i], names)).collect();
            match found[..] {
                [] => Ok(None),
                [column] => Ok(Some(column)),
                _ => Err(ambiguous(found.iter().map(|&i| header.fields[i].trim()))),
            }
        };
        let (Some(text), Some(label)) = (find(&TEXT)?, find(&LABEL)?) else {
            let found = format!("the columns are {}", show::list(header.fields.iter().map(Cow::as_ref)));
            return Err(format!("{}{}", missing(&found), advice(header.raw, format)));
        };
        let names = header.fields.iter().map(|name| name.to_string()).collect();
        Ok(Self { names, text, label, split: find(&SPLIT)? })
    }

    /// Whether `column` is not text, label or split.
    fn is_other(&self, column: usize) -> bool {
        column != self.text && column != self.label && Some(column) != self.split
    }

    /// Whether most lines of the multi-line record `raw` are valid rows when quotes are ignored. Then an unclosed quote
    /// may have swallowed them.
    fn are_rows(&self, raw: &str, separator: u8, known: &Rows) -> bool {
        let (mut all, mut rows) = (0, 0);
        for line in lines(raw).filter(|line| !line.trim().is_empty()) {
            let fields: Vec<&str> = line.split(char::from(separator)).map(|field| field.trim_matches('"')).collect();
            all += 1;
            let is_row = fields.len() == self.names.len()
                && !fields[self.text].trim().is_empty()
                && known.knows(fields[self.label])
                && self.split.is_none_or(|split| Part::parse(fields[split]).is_some());
            rows += usize::from(is_row);
        }
        2 * rows > all
    }

    fn wrong_width(&self, found: usize, format: Format) -> String {
        let (fields, width) = (if found == 1 { "field" } else { "fields" }, self.names.len());
        let rule = if format.quoting {
            format!("a text that holds {} or a line end stands in quotes", named(format.separator))
        } else {
            "a .tsv has no quoting: neither a tab nor a line end can stand in a field".into()
        };
        format!("{found} {fields}, where the first line has {width}; {rule}")
    }
}

/// Advice for a first line `raw` without a text or label column.
fn advice(raw: &str, format: Format) -> String {
    let has = |fields: &[&str]| {
        [&TEXT, &LABEL].iter().all(|names| fields.iter().any(|field| is_called(field.trim().trim_matches('"'), *names)))
    };
    let split_at = |separator: u8| raw.split(char::from(separator)).collect::<Vec<_>>();
    if !format.quoting && has(&split_at(format.separator)) {
        return "; a .tsv has no quoting: the quotes are part of the names; leave them out, or save the table as .csv"
            .into();
    }
    let Some(other) = SEPARATORS.into_iter().find(|&other| other != format.separator && has(&split_at(other))) else {
        return "; the first line must name the columns".into();
    };
    let what = match (other, format.quoting) {
        (b'\t', _) => "name it .tsv".to_string(),
        (b',', false) => "name it .csv".into(),
        (b',', true) => "leave the line sep= out".into(),
        (other, true) => {
            let other = char::from(other);
            format!("put a line sep={other} before the first, or save it with commas")
        }
        (_, false) => "save it with tabs, or as .csv with commas".into(),
    };
    format!("; is it separated by {}? Then {what}", named(other))
}

fn named(separator: u8) -> String {
    match separator {
        b'\t' => "tabs".into(),
        other => format!("'{}'", char::from(other)),
    }
}

/// Whether a reader with quoting would strip quotes at both ends of `field`.
fn looks_quoted(field: &str) -> bool {
    let Some(inner) = field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) else { return false };
    let bytes = inner.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', Some(b'"')) | (b'\\', Some(_)) => at += 2,
            (b'"', _) => return false,
            _ => at += 1,
        }
    }
    true
}

fn in_quotes(what: &str, field: &str) -> String {
    format!(
        "{what} is in quotes, {}; a .tsv has no quoting, so that they would be part of it: leave them out, or save the \
         table as .csv",
        show::quoted(field)
    )
}
