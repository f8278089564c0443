//! Tables with a JSON object in each line.

use super::labels::Part;
use super::records::lines;
use super::table::{LABEL, Rows, SPLIT, TEXT, ambiguous, is_called, missing, split_by_another_name};
use super::{Parts, Reading};
use crate::{DataError, show};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// Reads the table `text` of `path`.
///
/// # Errors
/// Bad rows (unless `skip_bad`), an ambiguous table.
pub(super) fn table(path: &Path, text: &str, reading: Reading) -> Result<Parts, DataError> {
    if text.trim_start().starts_with('[') {
        let problem = "this is a JSON array; write one object a line, as jq -c '.[]' does";
        return Err(DataError::content(path, problem));
    }
    let mut rows = Rows::new(path, reading.classes);
    let (mut names, mut others) = (Names::default(), OtherSplits::default());
    for (line, json) in (1u64..).zip(lines(text)).filter(|(_, json)| !json.trim().is_empty()) {
        let mut pairs = match serde_json::from_str::<Pairs>(json) {
            Ok(Pairs(pairs)) => pairs,
            Err(error) => {
                rows.bad(line, || not_an_object(&error));
                continue;
            }
        };
        match Row::of(&pairs).and_then(|row| names.agree(line, &row, &pairs).map(|()| row)) {
            Ok(row) => {
                others.see(&pairs, &row);
                let (label, split) = (plain(&pairs[row.label].1), row.split.map(|split| plain(&pairs[split].1)));
                let Value::String(text) = std::mem::take(&mut pairs[row.text].1) else { continue };
                rows.push(line, Cow::Owned(text), &label, split.as_deref());
            }
            Err(problem) => rows.bad(line, || problem),
        }
    }
    let parts = rows.finish(reading.skip_bad)?;
    match others.0.unwrap_or_default().first() {
        Some(name) if !parts.whole.is_empty() => Err(DataError::content(path, split_by_another_name(name))),
        _ => Ok(parts),
    }
}

/// The keys and values of an object in their order, duplicates included.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::with_capacity(4);
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The pairs of text, label and split in an object; the text is a string.
struct Row {
    text: usize,
    label: usize,
    split: Option<usize>,
}

impl Row {
    fn of(pairs: &[(String, Value)]) -> Result<Self, String> {
        let is_earlier = |i: usize| pairs[..i].iter().any(|(key, _)| *key == pairs[i].0);
        if let Some(twice) = (0..pairs.len()).find(|&i| is_earlier(i)) {
            return Err(format!("the key {} is there twice; keep one of them", show::quoted(&pairs[twice].0)));
        }
        let find = |names: &[&str]| {
            let found: Vec<usize> = (0..pairs.len()).filter(|&i| is_called(&pairs[i].0, names)).collect();
            match found[..] {
                [] => Ok(None),
                [pair] => Ok(Some(pair)),
                _ => Err(ambiguous(found.iter().map(|&i| pairs[i].0.as_str()))),
            }
        };
        let (Some(text), Some(label)) = (find(&TEXT)?, find(&LABEL)?) else {
            return Err(missing(&format!("the keys are {}", show::list(pairs.iter().map(|(key, _)| key.as_str())))));
        };
        if let (key, value @ (Value::Array(_) | Value::Object(_))) = &pairs[label] {
            let value = show::shortened(&value.to_string(), 30);
            return Err(format!("{} is {value}; it must be a string, a number, true or false", show::quoted(key)));
        }
        match &pairs[text] {
            (_, Value::String(_)) => Ok(Self { text, label, split: find(&SPLIT)? }),
            (key, value) => {
                let value = show::shortened(&value.to_string(), 30);
                Err(format!("{} is {value}; it must be a string", show::quoted(key)))
            }
        }
    }
}

/// The keys of text and label in the first good row, and its line number.
#[derive(Default)]
struct Names(Option<(u64, [String; 2])>);

impl Names {
    /// Every row must use the same keys, ignoring case.
    fn agree(&mut self, line: u64, row: &Row, pairs: &[(String, Value)]) -> Result<(), String> {
        let found = [row.text, row.label].map(|pair| pairs[pair].0.as_str());
        let (first, names) = self.0.get_or_insert_with(|| (line, found.map(str::to_string)));
        match names.iter().zip(found).find(|(name, found)| !is_called(found, &[name.trim()])) {
            None => Ok(()),
            Some((name, found)) => Err(format!(
                "{} here is {} in line {first}; give them one name",
                show::quoted(found),
                show::quoted(name)
            )),
        }
    }
}

/// The keys, other than text, label and split, whose value is `train` or `test` in every row so far.
#[derive(Default)]
struct OtherSplits(Option<Vec<String>>);

impl OtherSplits {
    fn see(&mut self, pairs: &[(String, Value)], row: &Row) {
        let says_part = |value: &Value| value.as_str().is_some_and(|value| Part::parse(value).is_some());
        match &mut self.0 {
            Some(keys) => keys.retain(|known| pairs.iter().any(|(key, value)| key == known && says_part(value))),
            None => {
                let is_other = |i: usize| i != row.text && i != row.label && Some(i) != row.split;
                let found = pairs.iter().enumerate().filter(|(i, (_, value))| is_other(*i) && says_part(value));
                self.0 = Some(found.map(|(_, (key, _))| key.clone()).collect());
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// The message of `error` without its line number, which is always 1. It quotes the value found, of any length.
fn not_an_object(error: &serde_json::Error) -> String {
    let said = error.to_string().replace(" at line 1 column ", " at column ");
    format!("not a JSON object: {}", show::shortened(&said, 120))
}
