//! Labelled reviews: the aclImdb archive or folder, a table (CSV, TSV, JSONL), a folder of tables, the built-in sample.

mod acl_imdb;
mod column;
mod delimited;
mod folder;
mod json_lines;
mod labels;
pub(crate) mod records;
mod table;

use crate::find::find;
use crate::{DataError, Places, Source, registry, show, text};
pub use column::unlabelled;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const SAMPLE_POSITIVE: &str = include_str!("../../../datasets/sample/reviews_pos.txt");
const SAMPLE_NEGATIVE: &str = include_str!("../../../datasets/sample/reviews_neg.txt");
/// One in this many reviews of each class of the sample is for the test.
const SAMPLE_HELD_OUT: usize = 4;
/// The same for a table without a `split` column.
const TABLE_HELD_OUT: usize = 5;

/// The message about a review without a text.
const EMPTY: &str = "the text is empty; give the review's text or leave the review out";

/// A text and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The text.
    pub text: String,
    /// The number of its class among [`Reviews::classes`].
    pub class: usize,
}

/// The purpose of reading: it decides which reviews of a table without a `split` column are for the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// To train and to test. Of a table without a `split` column every fifth review of each class is for the test.
    #[default]
    TrainAndTest,
    /// To train only. Reviews that are for the test are left out.
    Train,
    /// To test only: the test part, or the whole of a table without a `split` column.
    Test,
}

/// How reviews are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// The purpose.
    pub purpose: Purpose,
    /// Whether bad rows of a table are left out; if not, they are an error.
    pub skip_bad: bool,
    /// The classes that labels must name, if they are known from elsewhere, as those of a model that is tested.
    pub classes: Option<&'a [String]>,
}

/// Identifies the file of a table by path and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableId {
    /// The absolute path.
    pub path: PathBuf,
    /// The length of its text in bytes.
    pub bytes: u64,
    /// The CRC-32 of its beginning and its end, a megabyte each.
    pub crc32: u32,
}

impl TableId {
    fn of(path: &Path, text: &str) -> Self {
        let (mut crc, bytes) = (flate2::Crc::new(), text.as_bytes());
        let end = bytes.len().min(1 << 20);
        crc.update(&bytes[..end]);
        crc.update(&bytes[bytes.len() - end..]);
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        Self { path, bytes: text.len() as u64, crc32: crc.sum() }
    }

    /// Whether this is the file `other`, or a copy of it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.path == other.path || (self.bytes, self.crc32) == (other.bytes, other.crc32)
    }
}

/// Reviews to train on and to test on, and where they came from.
#[derive(Debug, Clone)]
pub struct Reviews {
    /// Where they came from.
    pub source: Source,
    /// To train on.
    pub train: Vec<Review>,
    /// To test on. May be empty, unless the purpose is a test.
    pub test: Vec<Review>,
    /// The classes: negative and positive, or the labels as the table has them, sorted.
    pub classes: Vec<String>,
    /// What was left out of them, and why.
    pub notes: Vec<String>,
    /// The table that the reviews to train on came from (to test on, if that is the purpose), if there is one and it
    /// does not say itself which rows are for what.
    pub table: Option<TableId>,
}

/// IMDb, or what `places.data` names, or the built-in sample, to train and to test; bad rows are an error.
///
/// IMDb has its own split and comes in Keras' order before its shuffle: positive, then negative, each by file name. Of
/// the sample every fourth review of each class is for the test; of a table without a `split` column every fifth.
///
/// # Errors
/// As [`load_as`].
pub fn load(places: &Places) -> Result<Reviews, DataError> {
    load_as(places, Reading::default())
}

/// As [`load`], with a purpose and a choice about bad rows.
///
/// # Errors
/// A path that cannot be read or has no labelled reviews; bad rows; an ambiguous table; no reviews of a class to train
/// on; no reviews to test on if that is the purpose. See [`DataError`].
pub fn load_as(places: &Places, reading: Reading) -> Result<Reviews, DataError> {
    let source = find(registry::corpus("imdb")?, places)?;
    let mut parts = match &source.path {
        None => sample(),
        Some(path) => read(path, reading)?,
    };
    let path = source.path.clone().unwrap_or_else(|| source.corpus.clone().into());
    if parts.classes.is_empty() {
        parts.classes = labels::sentiments();
        if let Some(given) = reading.classes
            && *given != parts.classes
        {
            let classes = show::list(given.iter().map(String::as_str));
            let problem = format!("these reviews are positive or negative, but the classes of the model are {classes}");
            return Err(DataError::content(&path, problem));
        }
    }
    parts.arrange(&path, source, reading.purpose)
}

/// The reviews of a source: those with a given purpose, and those without one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    train: Vec<Review>,
    test: Vec<Review>,
    /// Of a table without a `split` column.
    whole: Vec<Review>,
    /// The number of reviews for validation, which are ignored.
    validation: usize,
    /// Negative and positive if it is empty.
    classes: Vec<String>,
    notes: Vec<String>,
    /// The tables that `train` and `test`, or `whole`, came from.
    tables: [Option<TableId>; 2],
}

fn read(path: &Path, reading: Reading) -> Result<Parts, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if path.is_dir() {
        folder::read(path, reading)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        acl_imdb::archive(path)
    } else if is_table(&name) {
        read_table(path, reading)
    } else {
        let packed = [".gz", ".zip", ".bz2", ".xz", ".zst", ".7z"].iter().any(|ending| name.ends_with(ending));
        let advice = match () {
            () if name.ends_with(".json") => " (with an object in each line it is .jsonl)",
            () if packed => " (unpack it first)",
            () => "",
        };
        let problem = format!(
            "the name says no format{advice}; give an aclImdb folder or .tar.gz, a .csv, .tsv or .jsonl file with a text \
             and a label column, or a folder with train and test files of these"
        );
        Err(DataError::content(path, problem))
    }
}

/// The file name extensions of tables.
const TABLES: [&str; 4] = [".csv", ".tsv", ".jsonl", ".ndjson"];

/// Whether the name of `path` is that of a table.
pub fn is_table_name(path: &Path) -> bool {
    is_table(&path.to_string_lossy().to_lowercase())
}

/// Whether the lower-case `name` has the extension of a table.
fn is_table(name: &str) -> bool {
    TABLES.iter().any(|ending| name.ends_with(ending))
}

fn read_table(path: &Path, reading: Reading) -> Result<Parts, DataError> {
    let text = text::read(path)?;
    let mut parts = match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
        "csv" => delimited::table(path, &text, records::Format::CSV, reading)?,
        "tsv" => delimited::table(path, &text, records::Format::TSV, reading)?,
        _ => json_lines::table(path, &text, reading)?,
    };
    if !parts.whole.is_empty() {
        let table = TableId::of(path, &text);
        parts.tables = [Some(table.clone()), Some(table)];
    }
    Ok(parts)
}

fn sample() -> Parts {
    let reviews = |text: &'static str, class| {
        text.lines().map(move |line| Review { text: line.to_string(), class }).collect::<Vec<_>>()
    };
    let all = [reviews(SAMPLE_POSITIVE, 1), reviews(SAMPLE_NEGATIVE, 0)].concat();
    let (train, test) = hold_out(all, SAMPLE_HELD_OUT);
    Parts { train, test, ..Parts::default() }
}

/// Moves every `one_in`-th review of each class to the test set.
fn hold_out(reviews: Vec<Review>, one_in: usize) -> (Vec<Review>, Vec<Review>) {
    let mut seen = vec![0; reviews.iter().map(|review| review.class + 1).max().unwrap_or(0)];
    let (test, train) = reviews.into_iter().partition(|review| {
        let seen = &mut seen[review.class];
        *seen += 1;
        *seen % one_in == 0
    });
    (train, test)
}

/// How many `reviews` each class has, the last class first, with its name.
fn counts(reviews: &[Review], classes: &[String]) -> Vec<(usize, String)> {
    let mut counts: Vec<(usize, String)> = classes.iter().map(|class| (0, class.clone())).collect();
    reviews.iter().for_each(|review| counts[review.class].0 += 1);
    counts.reverse();
    counts
}

impl Parts {
    /// The reviews that `purpose` needs, from a source at `path`.
    fn arrange(mut self, path: &Path, source: Source, purpose: Purpose) -> Result<Reviews, DataError> {
        let wrong = |problem: String| Err(DataError::content(path, problem));
        if self.validation > 0 {
            self.notes.push(format!("{} validation reviews are neither trained nor tested on", self.validation));
        }
        let left_out = (self.train.len(), self.validation);
        match purpose {
            Purpose::TrainAndTest if !self.whole.is_empty() => {
                let all = counts(&self.whole, &self.classes);
                (self.train, self.test) = hold_out(std::mem::take(&mut self.whole), TABLE_HELD_OUT);
                if let Some((few, class)) = all.into_iter().find(|(count, _)| (1..TABLE_HELD_OUT).contains(count)) {
                    return wrong(format!(
                        "every {TABLE_HELD_OUT}th review of each class is for the test, but of the {class} ones there \
                         are {few}; give more, or a split column that says train or test, or other reviews to test on"
                    ));
                }
            }
            Purpose::TrainAndTest => (),
            Purpose::Train => {
                let own = std::mem::take(&mut self.test).len();
                if own > 0 {
                    self.notes.push(format!("{own} test reviews of {} are left out", crate::show::path(path)));
                }
                self.train.append(&mut self.whole);
            }
            Purpose::Test => {
                self.train.clear();
                self.test.append(&mut self.whole);
            }
        }
        if purpose == Purpose::Test && self.test.is_empty() {
            return wrong(format!(
                "there is no review to test on: {} are to train on, {} for validation; without a split column every row \
                 is tested",
                left_out.0, left_out.1
            ));
        }
        if purpose != Purpose::Test
            && let Some((_, class)) = counts(&self.train, &self.classes).into_iter().find(|(count, _)| *count == 0)
        {
            let test = self.test.len();
            let but =
                if self.train.is_empty() && test > 0 { format!("; {test} are to test on") } else { String::new() };
            return wrong(format!("there is no {class} review to train on{but}"));
        }
        let [trained, tested] = self.tables;
        let table = if purpose == Purpose::Test { tested } else { trained };
        let (train, test, classes, notes) = (self.train, self.test, self.classes, self.notes);
        Ok(Reviews { source, train, test, classes, notes, table })
    }
}

#[cfg(test)]
mod tests;
