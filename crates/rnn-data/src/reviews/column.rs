//! Texts of a table that need no labels: one column or key of it.

use super::records::{Format, Record, Records, lines};
use super::table::{TEXT, ambiguous, is_called};
use crate::{DataError, show, text};
use serde_json::{Map, Value};
use std::path::Path;

/// The texts of the table `path`, whose ending says its format, in the order of its rows: those of the column or key
/// `column`, or without one of that which is called text, review, sentence or content. A text may be blank.
///
/// # Errors
/// A file that cannot be read; no such column, or several; rows that are none.
pub fn unlabelled(path: &Path, column: Option<&str>) -> Result<Vec<String>, DataError> {
    let text = text::read(path)?;
    let wrong = |problem: String| DataError::content(path, problem);
    let names = column.map_or(TEXT.to_vec(), |name| vec![name]);
    let find = |found: &[&str]| {
        let places: Vec<usize> = (0..found.len()).filter(|&i| is_called(found[i], &names)).collect();
        match places[..] {
            [place] => Ok(place),
            [] => {
                let all = show::list(found.iter().copied());
                Err(format!("none of {all} is called {}; name the column of the texts (--column)", names.join(" or ")))
            }
            _ => Err(ambiguous(places.iter().map(|&i| found[i]))),
        }
    };
    let format = match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
        "csv" => Format::CSV,
        "tsv" => Format::TSV,
        _ => {
            let object = |(line, json): (u64, &str)| {
                let object: Map<String, Value> = serde_json::from_str(json).map_err(|e| {
                    wrong(format!("line {line}: not a JSON object: {}", show::shortened(&e.to_string(), 120)))
                })?;
                let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                let key = keys[find(&keys).map_err(|problem| wrong(format!("line {line}: {problem}")))?];
                match &object[key] {
                    Value::String(text) => Ok(text.clone()),
                    other => {
                        let other = show::shortened(&other.to_string(), 30);
                        Err(wrong(format!("line {line}: {} is {other}; it must be a string", show::quoted(key))))
                    }
                }
            };
            return (1u64..).zip(lines(&text)).filter(|(_, json)| !json.trim().is_empty()).map(object).collect();
        }
    };
    let mut records = Records::new(&text, 1, format);
    let mut record = Record::default();
    let fault = |fault: super::records::Fault| wrong(format!("line {}: {}", fault.line, fault.problem));
    if !records.read(&mut record).map_err(fault)? {
        return Err(wrong("the table is blank; its first line must name the columns".into()));
    }
    let width = record.fields.len();
    let names: Vec<&str> = record.fields.iter().map(|name| name.trim()).collect();
    let place = find(&names).map_err(wrong)?;
    let mut texts = Vec::new();
    while records.read(&mut record).map_err(fault)? {
        if record.fields.len() != width {
            let (line, found) = (record.line, record.fields.len());
            return Err(wrong(format!("line {line}: {found} fields, where the first line has {width}")));
        }
        texts.push(record.fields[place].to_string());
    }
    Ok(texts)
}
