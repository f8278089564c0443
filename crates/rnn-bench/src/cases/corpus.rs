//! The lesson's data for all contestants: the programs read it as always, the peers get the same ids in plain files.

use rnn_data::reviews::{self, Review};
use rnn_data::words::{Vocabulary, pad_front};
use rnn_data::{Places, chars, text};
use std::path::{Path, PathBuf};

/// The lesson's sizes.
pub const WORDS: usize = 20_000;
pub const TOKENS: usize = 80;
pub const WINDOW: usize = 10;

/// `$RNN_DATASETS`, or the folder beside the clone that holds shared corpora.
pub fn datasets() -> Option<PathBuf> {
    let set = std::env::var_os("RNN_DATASETS").filter(|v| !v.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(crate::root().join("../shared/datasets")).filter(|folder| folder.is_dir()))
}

/// Where corpora may lie; a bench downloads none.
fn places() -> Places {
    Places { datasets: datasets(), network: false, ..Places::from_env(None) }
}

/// IMDb, or every tenth review of it.
#[derive(Debug)]
pub struct ReviewFiles {
    /// The program's `--data`; without it the program takes IMDb.
    pub data: Option<PathBuf>,
    pub train: Split,
    pub test: Split,
}

/// Ids and labels, int32 little endian.
#[derive(Debug)]
pub struct Split {
    pub ids: PathBuf,
    pub labels: PathBuf,
    pub reviews: usize,
}

/// Writes the files; `None` where IMDb is not here.
pub fn reviews(folder: &Path, tenth: bool) -> Result<Option<ReviewFiles>, String> {
    let mut reviews = reviews::load(&places()).map_err(|e| e.to_string())?;
    if reviews.source.is_sample() {
        return Ok(None);
    }
    let mut data = None;
    if tenth {
        let every_tenth = |all: Vec<Review>| all.into_iter().step_by(10).collect::<Vec<_>>();
        (reviews.train, reviews.test) = (every_tenth(reviews.train), every_tenth(reviews.test));
        let line = |review: &Review, split: &str| {
            let object = serde_json::json!({"text": review.text, "label": review.class, "split": split});
            format!("{object}\n")
        };
        let train = reviews.train.iter().map(|review| line(review, "train"));
        let lines: String = train.chain(reviews.test.iter().map(|review| line(review, "test"))).collect();
        let path = folder.join("imdb-tenth.jsonl");
        write(&path, lines.as_bytes())?;
        data = Some(path);
    }
    let vocabulary = Vocabulary::build(reviews.train.iter().map(|review| review.text.as_str()));
    let part = |reviews: &[Review], name: &str| {
        let encode = |review: &Review| pad_front(&vocabulary.encode(&review.text, WORDS as u32), TOKENS);
        let (ids, labels) = (folder.join(format!("{name}.ids")), folder.join(format!("{name}.labels")));
        write(&ids, &little_endian(reviews.iter().flat_map(encode)))?;
        write(&labels, &little_endian(reviews.iter().map(|review| review.class as u32)))?;
        Ok::<_, String>(Split { ids, labels, reviews: reviews.len() })
    };
    let (train, test) = (part(&reviews.train, "train")?, part(&reviews.test, "test")?);
    Ok(Some(ReviewFiles { data, train, test }))
}

/// The words of each review of IMDb's training set, at most `most`, in the order of the files; `None` where it is not
/// here.
pub fn review_lengths(most: usize) -> Result<Option<Vec<usize>>, String> {
    let reviews = reviews::load(&places()).map_err(|e| e.to_string())?;
    if reviews.source.is_sample() {
        return Ok(None);
    }
    let vocabulary = Vocabulary::build(reviews.train.iter().map(|review| review.text.as_str()));
    let words = |review: &Review| vocabulary.encode(&review.text, WORDS as u32).len().min(most);
    Ok(Some(reviews.train.iter().map(words).collect()))
}

/// "Alice in Wonderland", or its first tenth.
#[derive(Debug)]
pub struct TextFiles {
    /// The program's `--data`; without it the program takes Alice.
    pub data: Option<PathBuf>,
    pub ids: PathBuf,
    pub symbols: usize,
    pub windows: usize,
}

/// Writes the files; `None` where Alice is not here.
pub fn alice(folder: &Path, tenth: bool) -> Result<Option<TextFiles>, String> {
    let corpus = text::load("alice", &places()).map_err(|e| e.to_string())?;
    if corpus.source.is_sample() {
        return Ok(None);
    }
    let mut text = text::lesson(&corpus.text);
    let mut data = None;
    if tenth {
        text = text.chars().take(text.len() / 10).collect();
        let path = folder.join("alice-tenth.txt");
        write(&path, text.as_bytes())?;
        data = Some(path);
    }
    let vocabulary = chars::Vocabulary::build(&text);
    let values = vocabulary.encode(&text).map_err(|e| e.to_string())?;
    let ids = folder.join("alice.ids");
    let windows = values.len().saturating_sub(WINDOW);
    write(&ids, &little_endian(values))?;
    Ok(Some(TextFiles { data, ids, symbols: vocabulary.len(), windows }))
}

/// A text of 55 symbols: trains a model for the generation case, where its quality does not matter.
pub fn symbols(folder: &Path) -> Result<PathBuf, String> {
    let all: Vec<char> = ('!'..='~').take(55).collect();
    let text: String = all.iter().cycle().take(20 * all.len()).collect();
    let path = folder.join("symbols.txt");
    write(&path, text.as_bytes())?;
    Ok(path)
}

fn little_endian(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("cannot write {}: {e}", path.display()))
}
