//! Tables with a text and a label column, and perhaps a `split` column that says `train` or `test`.

use super::{EMPTY, Review, Split, TABLE_HELD_OUT, hold_out};
use crate::DataError;
use crate::text::read;
use std::path::Path;

const TEXT: [&str; 4] = ["text", "review", "sentence", "content"];
const LABEL: [&str; 4] = ["label", "sentiment", "class", "polarity"];
const POSITIVE: [&str; 4] = ["1", "pos", "positive", "true"];
const NEGATIVE: [&str; 4] = ["0", "neg", "negative", "false"];
const TRAIN: &str = "train";
const TEST: &str = "test";

/// A row and, if the table says so, whether it is for the test.
type Row = (Review, Option<bool>);

/// Reads CSV or TSV with a header line.
pub(super) fn delimited(path: &Path, delimiter: u8) -> Result<Split, DataError> {
    let text = read(path)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let wrong = |e: csv::Error| DataError::content(path, format!("{e}"));
    let header = reader.headers().map_err(wrong)?.clone();
    let find = |names: &[&str]| {
        let named = |h: &&str| names.contains(&h.trim().to_lowercase().as_str());
        let found: Vec<&str> = header.iter().filter(named).collect();
        match found.len() {
            0 | 1 => Ok(header.iter().position(|h| named(&h))),
            _ => Err(DataError::content(path, ambiguous(&found))),
        }
    };
    let (Some(text), Some(label)) = (find(&TEXT)?, find(&LABEL)?) else {
        let columns: Vec<&str> = header.iter().collect();
        return Err(DataError::content(path, missing(&format!("the columns are {}", columns.join(", ")))));
    };
    let split = find(&["split"])?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push(row(path, line, &record[text], &record[label], split.map(|i| &record[i]))?);
    }
    assemble(path, rows)
}

/// Reads one JSON object a line.
pub(super) fn json_lines(path: &Path) -> Result<Split, DataError> {
    let text = read(path)?;
    let mut rows = Vec::new();
    for (line, json) in (1u64..).zip(text.lines()).filter(|(_, json)| !json.trim().is_empty()) {
        let wrong = |problem: String| DataError::content(path, format!("line {line}: {problem}"));
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(json).map_err(|e| wrong(not_an_object(&e)))?;
        let value = |names: &[&'static str]| {
            let found: Vec<&str> = names.iter().copied().filter(|name| object.contains_key(*name)).collect();
            match found[..] {
                [] => Ok(None),
                [name] => Ok(Some((name, &object[name]))),
                _ => Err(wrong(ambiguous(&found))),
            }
        };
        let plain = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let (Some((name, text)), Some((_, label))) = (value(&TEXT)?, value(&LABEL)?) else {
            let keys: Vec<&str> = object.keys().map(String::as_str).collect();
            return Err(wrong(missing(&format!("the keys are {}", keys.join(", ")))));
        };
        let text = text.as_str().ok_or_else(|| wrong(format!("{name} is {text}; it must be a string")))?;
        let split = value(&["split"])?.map(|(_, split)| plain(split));
        rows.push(row(path, line, text, &plain(label), split.as_deref())?);
    }
    assemble(path, rows)
}

/// What `error` says, less its own line: it saw one only.
fn not_an_object(error: &serde_json::Error) -> String {
    format!("not a JSON object: {error}").replace(" at line 1 column ", " at column ")
}

fn ambiguous(found: &[&str]) -> String {
    format!("{} could each be the one; keep one of them", found.join(" and "))
}

fn missing(found: &str) -> String {
    format!("{found}; one of {} and one of {} are needed", TEXT.join("/"), LABEL.join("/"))
}

fn row(path: &Path, line: u64, text: &str, label: &str, split: Option<&str>) -> Result<Row, DataError> {
    let wrong = |problem: String| DataError::content(path, format!("line {line}: {problem}"));
    if text.trim().is_empty() {
        return Err(wrong(EMPTY.into()));
    }
    let name = label.trim().to_lowercase();
    let positive = match name.as_str() {
        name if POSITIVE.contains(&name) => true,
        name if NEGATIVE.contains(&name) => false,
        _ => {
            let known = [POSITIVE, NEGATIVE].concat().join(", ");
            return Err(wrong(format!("the label {label:?} is none of {known}")));
        }
    };
    let test = match split.map(str::trim) {
        None => None,
        Some(TRAIN) => Some(false),
        Some(TEST) => Some(true),
        Some(other) => return Err(wrong(format!("the split {other:?} is neither {TRAIN} nor {TEST}"))),
    };
    Ok((Review { text: text.to_string(), positive }, test))
}

fn assemble(path: &Path, rows: Vec<Row>) -> Result<Split, DataError> {
    let (train, test) = if rows.iter().any(|(_, test)| test.is_some()) {
        let (test, train): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|(_, test)| *test == Some(true));
        let reviews = |rows: Vec<Row>| rows.into_iter().map(|(review, _)| review).collect();
        (reviews(train), reviews(test))
    } else {
        hold_out(rows.into_iter().map(|(review, _)| review).collect(), TABLE_HELD_OUT)
    };
    for (name, part) in [(TRAIN, &train), (TEST, &test)] {
        for (positive, label) in [(true, "positive"), (false, "negative")] {
            if !part.iter().any(|review| review.positive == positive) {
                let problem = format!(
                    "there is no {label} review to {name} on; without a split column every {TABLE_HELD_OUT}th of each \
                     label is for the test"
                );
                return Err(DataError::content(path, problem));
            }
        }
    }
    Ok((train, test))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, content: &str) -> Result<Split, String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        super::super::read(&path).map_err(|e| e.to_string())
    }

    fn texts(part: &[Review]) -> Vec<(&str, bool)> {
        part.iter().map(|review| (review.text.as_str(), review.positive)).collect()
    }

    #[test]
    fn the_three_formats_give_the_same() {
        let csv = "id,review,sentiment,split\n1,\"good, \"\"fine\"\"\nfilm\",positive,train\n2,bad,negative,train\n\
                   3,nice,1,test\n4,dull,0,test\n";
        let tsv = "Label\tText\tsplit\npos\t\"good, \"\"fine\"\"\nfilm\"\ttrain\nneg\tbad\ttrain\npos\tnice\ttest\n\
                   neg\tdull\ttest\n";
        let jsonl = "{\"text\":\"good, \\\"fine\\\"\\nfilm\",\"label\":1,\"split\":\"train\"}\n\n\
                     {\"text\":\"bad\",\"label\":\"neg\",\"split\":\"train\"}\n\
                     {\"text\":\"nice\",\"label\":true,\"split\":\"test\"}\n{\"text\":\"dull\",\"label\":0,\"split\":\"test\"}";
        for (name, content) in [("a.csv", csv), ("a.tsv", tsv), ("a.jsonl", jsonl)] {
            let (train, test) = load(name, content).expect(name);
            assert_eq!(texts(&train), [("good, \"fine\"\nfilm", true), ("bad", false)], "{name}");
            assert_eq!(texts(&test), [("nice", true), ("dull", false)], "{name}");
        }
    }

    #[test]
    fn without_a_split_every_fifth_of_each_label_is_for_the_test() {
        let rows: String = (0..10).map(|i| format!("p{i},1\nn{i},0\n")).collect();
        let (train, test) = load("a.csv", &format!("text,label\n{rows}")).expect("right");
        assert_eq!(texts(&test), [("p4", true), ("n4", false), ("p9", true), ("n9", false)]);
        assert_eq!(train.len(), 16);
    }

    #[test]
    fn wrong_tables_are_told() {
        let error = |name, content| load(name, content).expect_err("wrong");
        assert!(error("a.csv", "a,b\n1,2\n").contains("the columns are a, b; one of text/review/sentence/content"));
        assert!(error("a.csv", "text,label\nx,maybe\n").contains("line 2: the label \"maybe\" is none of 1, pos"));
        assert!(error("a.csv", "text,label\n\" \",1\n").contains("line 2: the text is empty"));
        assert!(error("a.csv", "text,Review,label\nx,y,1\n").contains("text and Review could each be the one"));
        assert!(
            error("a.jsonl", "{\"text\":null,\"label\":1}\n").contains("line 1: text is null; it must be a string")
        );
        let both = "{\"text\":\"x\",\"label\":1,\"class\":0}\n";
        assert!(error("a.jsonl", both).contains("line 1: label and class could each be the one"));
        assert!(error("a.csv", "text,label\nx\n").contains("record 1 (line: 2"));
        assert!(error("a.csv", "text,label\n").contains("no positive review to train on"));
        assert!(error("a.csv", "text,label\nx,1\ny,0\n").contains("no positive review to test on"));
        assert!(error("a.csv", "text,label,split\nx,1,dev\n").contains("the split \"dev\" is neither train nor test"));
        assert!(error("a.jsonl", "[1]\n").contains("line 1: not a JSON object"));
        let half = error("a.jsonl", "\n{\"text\":\n");
        assert!(half.ends_with("line 2: not a JSON object: EOF while parsing a value at column 8"), "{half}");
        assert!(error("a.jsonl", "{\"text\":\"x\"}\n").contains("line 1: the keys are text; one of"));
        assert!(error("a.tsv", "").contains("the file is empty"));
    }
}
