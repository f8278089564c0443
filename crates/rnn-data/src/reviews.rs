//! Labelled reviews: the aclImdb archive or folder, a table (CSV, TSV, JSONL), the built-in sample.

mod acl_imdb;
mod table;

use crate::find::find;
use crate::{DataError, Places, Source, registry};
use std::path::Path;

const SAMPLE_POSITIVE: &str = include_str!("../../../datasets/sample/reviews_pos.txt");
const SAMPLE_NEGATIVE: &str = include_str!("../../../datasets/sample/reviews_neg.txt");
/// Of the sample's reviews of each class, one in so many is for the test.
const SAMPLE_HELD_OUT: usize = 4;
/// The same for a table that does not say which are.
const TABLE_HELD_OUT: usize = 5;

/// What is said of a review without a text.
const EMPTY: &str = "the text is empty; give the review's text or leave the review out";

/// A text and whether it is positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// What was written.
    pub text: String,
    /// Whether the writer liked the film.
    pub positive: bool,
}

/// Reviews to train on and to test on, and where they came from.
#[derive(Debug, Clone)]
pub struct Reviews {
    /// Where they came from.
    pub source: Source,
    /// To train on.
    pub train: Vec<Review>,
    /// To test on.
    pub test: Vec<Review>,
}

/// IMDb, or what `places.data` names, or the built-in sample.
///
/// IMDb has its own split and comes in Keras' order before its shuffle: positive, then negative, each by file name. Of the
/// sample every fourth review of each class is for the test; of a table without a `split` column every fifth.
///
/// # Errors
/// A path that cannot be read or holds no labelled reviews: see [`DataError`].
pub fn load(places: &Places) -> Result<Reviews, DataError> {
    let source = find(registry::corpus("imdb")?, places)?;
    let (train, test) = match &source.path {
        None => sample(),
        Some(path) => read(path)?,
    };
    Ok(Reviews { source, train, test })
}

type Split = (Vec<Review>, Vec<Review>);

fn read(path: &Path) -> Result<Split, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is = |ending: &str| name.ends_with(ending);
    if path.is_dir() {
        acl_imdb::folder(path)
    } else if is(".tar.gz") || is(".tgz") {
        acl_imdb::archive(path)
    } else if is(".csv") {
        table::delimited(path, b',')
    } else if is(".tsv") {
        table::delimited(path, b'\t')
    } else if is(".jsonl") || is(".ndjson") {
        table::json_lines(path)
    } else {
        let problem = "the name says no format; give an aclImdb folder or .tar.gz, or a .csv, .tsv or .jsonl file with \
                       a text and a label column";
        Err(DataError::content(path, problem))
    }
}

fn sample() -> Split {
    let reviews = |text: &'static str, positive| {
        text.lines().map(move |line| Review { text: line.to_string(), positive }).collect::<Vec<_>>()
    };
    let all = [reviews(SAMPLE_POSITIVE, true), reviews(SAMPLE_NEGATIVE, false)].concat();
    hold_out(all, SAMPLE_HELD_OUT)
}

/// Every `one_in`-th review of each class goes to the test.
fn hold_out(reviews: Vec<Review>, one_in: usize) -> Split {
    let mut seen = [0; 2];
    let (test, train) = reviews.into_iter().partition(|review| {
        let seen = &mut seen[usize::from(review.positive)];
        *seen += 1;
        *seen % one_in == 0
    });
    (train, test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_sample_is_balanced_and_each_review_is_there_once() {
        let reviews = load(&Places::default()).expect("built in");
        assert!(reviews.source.is_sample());
        for (part, least) in [(&reviews.train, 300), (&reviews.test, 100)] {
            let positive = part.iter().filter(|review| review.positive).count();
            assert_eq!(2 * positive, part.len());
            assert!(part.len() >= least, "{}", part.len());
        }
        let mut texts: Vec<&str> = reviews.train.iter().chain(&reviews.test).map(|r| r.text.as_str()).collect();
        texts.sort_unstable();
        let all = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }

    #[test]
    fn formats_are_known_by_name() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("reviews.xls");
        std::fs::write(&path, "x").expect("written");
        let error = read(&path).expect_err("no format").to_string();
        assert!(error.contains("give an aclImdb folder or .tar.gz, or a .csv, .tsv or .jsonl"), "{error}");
    }
}
