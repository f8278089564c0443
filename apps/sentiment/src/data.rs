//! Reviews as ids of equal length, and mini-batches of them.

use crate::model::{Batch, Ids, ModelConfig};
use crate::words::{Totals, encode};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::reviews::{Purpose, Reading, Review, Reviews, TableId};
use rnn_data::words::{PADDING, Tokenizer, Vocabulary, pad_front};
use rnn_data::{DataError, Places, Source, reviews};
use rnn_harness::{Failure, say};
use rnn_train::Batches;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the reviews come from.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Reviews: an aclImdb folder or .tar.gz, a .csv, .tsv or .jsonl file with a text and a label column, a folder with
    /// two such files named train and test, or "sample" for the built-in reviews [default: IMDb from $RNN_DATASETS, the
    /// cache or the network, else the sample]
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Leave out rows of tables that cannot be read, and say how many
    #[arg(long)]
    skip_bad: bool,
}

/// The data a model is trained on; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DataConfig {
    /// The name of the corpus in results.
    pub corpus: String,
    /// The value of `--data`.
    data: Option<PathBuf>,
    /// The value of `--test`.
    test: Option<PathBuf>,
    /// The value of `--skip-bad`.
    skip_bad: bool,
    /// The table of all reviews, if they come from one table without a `split` column.
    pub table: Option<TableId>,
    /// The tokenizer of its texts.
    pub tokenizer: Tokenizer,
    /// SHA-256 of the reviews and their labels.
    fingerprint: String,
    /// The classes, by number.
    #[serde(default = "sentiments")]
    pub classes: Vec<String>,
}

/// The classes of a run that names none.
fn sentiments() -> Vec<String> {
    ["negative", "positive"].map(str::to_string).to_vec()
}

/// The loaded reviews.
pub struct Data {
    /// The training set.
    pub train: Vec<Review>,
    /// The test set.
    pub test: Vec<Review>,
    /// The source of the training set.
    pub source: Source,
    /// The source of the test set.
    pub tested: Source,
    /// Whether the test set comes from its own file (`--test`).
    pub has_own_test: bool,
}

impl Data {
    /// Whether the training reviews come from a table of the user's own, rather than IMDb in whatever place or form.
    pub fn is_own_table(&self) -> bool {
        const ENDINGS: [&str; 4] = ["csv", "tsv", "jsonl", "ndjson"];
        let path = self.source.path.as_deref().filter(|_| is_own(&self.source));
        path.is_some_and(|path| {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
                || ENDINGS.iter().any(|ending| path.join(format!("train.{ending}")).is_file())
        })
    }
}

impl DataConfig {
    /// The requested data. [`load`](Self::load) fills in the other fields.
    pub fn new(args: &DataArgs, test: Option<&Path>) -> Self {
        Self {
            data: args.data.clone(),
            test: test.map(Path::to_path_buf),
            skip_bad: args.skip_bad,
            corpus: String::new(),
            table: None,
            tokenizer: Tokenizer::default(),
            fingerprint: String::new(),
            classes: Vec::new(),
        }
    }

    /// Loads the reviews; reports on stderr where they come from and what was left out.
    ///
    /// # Errors
    /// Reviews that cannot be read.
    pub fn load(&mut self) -> Result<Data, Failure> {
        let purpose = if self.test.is_some() { Purpose::Train } else { Purpose::TrainAndTest };
        let mut reviews = load(self.data.clone(), self.skip_bad, purpose, None)?;
        let mut tested = reviews.source.clone();
        let mut of = String::new();
        if let Some(path) = &self.test {
            let other = load(Some(path.clone()), self.skip_bad, Purpose::Test, Some(&reviews.classes))?;
            (reviews.test, tested) = (other.test, other.source);
            of = format!(" of {tested}");
        }
        say!("reviews: {}, {} to train and {}{of} to test", reviews.source, reviews.train.len(), reviews.test.len());
        if reviews.classes != sentiments() {
            // Labels that name classes beside positive and negative ones could also be mistakes.
            let (count, names) = (reviews.classes.len(), reviews.classes.join(", "));
            say!("each label is a class of its own: {count} classes, {names}");
        }
        if is_own(&tested) {
            let trained: HashSet<&str> = reviews.train.iter().map(|review| review.text.as_str()).collect();
            let known = reviews.test.iter().filter(|review| trained.contains(review.text.as_str())).count();
            if known > 0 {
                let all = reviews.test.len();
                say!(
                    "{known} of the {all} test texts are also trained on: for these the figures show what the model has \
                     memorised"
                );
            }
        }
        let all = reviews.train.iter().chain(&reviews.test);
        let names: Vec<String> = (0..reviews.classes.len()).map(|class| class.to_string()).collect();
        let parts = all.flat_map(|review| [review.text.as_bytes(), names[review.class].as_bytes()]);
        self.fingerprint = rnn_data::fingerprint(parts);
        self.classes = reviews.classes;
        self.corpus = reviews.source.corpus.clone();
        self.tokenizer = Tokenizer::of(texts(&reviews.train));
        self.table = reviews.table;
        let (train, test, source) = (reviews.train, reviews.test, reviews.source);
        Ok(Data { train, test, source, tested, has_own_test: self.test.is_some() })
    }

    /// The same with absolute paths, because a run may be resumed in another working folder.
    pub fn with_absolute_paths(mut self) -> Self {
        self.data = self.data.map(rnn_data::absolute);
        self.test = self.test.map(rnn_data::absolute);
        self
    }

    /// Loads the reviews again for a run that is resumed.
    ///
    /// # Errors
    /// As [`load`](Self::load); reviews that have changed.
    pub fn load_again(&self) -> Result<Data, Failure> {
        let mut now = self.clone();
        let data = now.load()?;
        if now.fingerprint != self.fingerprint {
            return Err(Failure::input(format!(
                "the reviews of {} have changed since the training began; restore them, or start a new run",
                self.corpus
            )));
        }
        Ok(data)
    }
}

impl DataArgs {
    /// Loads the test set, `test` if it is given, whose labels must name `classes`; reports on stderr where it comes from and what was left out.
    pub fn to_test(&self, test: Option<PathBuf>, classes: &[String]) -> Result<Reviews, Failure> {
        let reviews = load(test.or(self.data.clone()), self.skip_bad, Purpose::Test, Some(classes))?;
        say!("reviews: {}, {} to test", reviews.source, reviews.test.len());
        Ok(reviews)
    }
}

fn load(
    data: Option<PathBuf>,
    skip_bad: bool,
    purpose: Purpose,
    classes: Option<&[String]>,
) -> Result<Reviews, Failure> {
    let reading = Reading { purpose, skip_bad, classes };
    let reviews = reviews::load_as(&Places::from_env(data), reading).map_err(|error| match error {
        DataError::BadRows { .. } if !skip_bad => Failure::input(format!("{error} (--skip-bad)")),
        error => Failure::input(error),
    })?;
    if let Some(note) = &reviews.source.note {
        say!("no IMDb: {note}");
    }
    for note in &reviews.notes {
        say!("{note}");
    }
    Ok(reviews)
}

/// Holds out `held_out` of `reviews` for validation, drawn from `key`; both parts keep their order. Returns the
/// training part first.
pub fn split(reviews: Vec<Review>, held_out: usize, key: Key) -> (Vec<Review>, Vec<Review>) {
    let mut is_held_out = vec![false; reviews.len()];
    key.permutation(reviews.len()).into_iter().take(held_out).for_each(|i| is_held_out[i] = true);
    let (mut train, mut validation) = (Vec::new(), Vec::new());
    for (review, is_held_out) in reviews.into_iter().zip(is_held_out) {
        if is_held_out { validation.push(review) } else { train.push(review) }
    }
    (train, validation)
}

/// Whether these are the user's own reviews, neither IMDb nor the sample.
fn is_own(source: &Source) -> bool {
    source.path.as_ref().is_some_and(|path| path.to_string_lossy() == source.corpus)
}

/// The share of the larger class, which is the accuracy of always answering with it. 0 without reviews.
pub fn majority_share(reviews: &[Review]) -> f64 {
    let mut counts = vec![0usize; reviews.iter().map(|review| review.class + 1).max().unwrap_or(0)];
    reviews.iter().for_each(|review| counts[review.class] += 1);
    counts.into_iter().max().unwrap_or(0) as f64 / reviews.len().max(1) as f64
}

/// The vocabulary of `reviews`; for IMDb it equals Keras'.
pub fn vocabulary(reviews: &[Review], tokenizer: Tokenizer) -> Vocabulary {
    Vocabulary::build_with(tokenizer, texts(reviews))
}

/// Their texts.
pub fn texts(reviews: &[Review]) -> impl Iterator<Item = &str> {
    reviews.iter().map(|review| review.text.as_str())
}

/// Encoded reviews with their labels.
pub struct Encoded {
    /// The ids of all reviews end to end, without padding.
    ids: Vec<u32>,
    /// Where each review ends in them, with a 0 in front.
    ends: Vec<usize>,
    labels: Vec<usize>,
    tokens: usize,
    /// Whether padding is left out.
    masked: bool,
    words: Totals,
}

/// The most ids of all reviews together: 2 GB.
const MOST_IDS: usize = 1 << 29;

impl Encoded {
    /// Encodes `reviews`.
    ///
    /// # Errors
    /// More ids than memory could hold.
    pub fn new(reviews: &[Review], vocabulary: &Vocabulary, sizes: &ModelConfig) -> Result<Self, Failure> {
        let (mut ids, mut ends, mut words) = (Vec::new(), vec![0], Totals::default());
        let tokenizer = vocabulary.tokenizer_for(texts(reviews));
        for text in texts(reviews) {
            let (encoded, counts) = encode(text, vocabulary, tokenizer, sizes.num_words, sizes.tokens);
            ids.extend(encoded);
            ends.push(ids.len());
            words.add(counts);
            if ids.len() > MOST_IDS {
                return Err(Failure::input(format!(
                    "the {} reviews have more than the {MOST_IDS} words that are possible here; give fewer --tokens or \
                     fewer reviews",
                    reviews.len()
                )));
            }
        }
        let labels = reviews.iter().map(|review| review.class).collect();
        Ok(Self { ids, ends, labels, tokens: sizes.tokens, masked: sizes.masked, words })
    }

    /// The numbers of words that the model reads and knows.
    pub fn words(&self) -> Totals {
        self.words
    }

    /// The ids of these reviews, as the model reads them.
    pub fn rows(&self, range: Range<usize>) -> Ids {
        let rows: Vec<&[u32]> = range.map(|i| &self.ids[self.ends[i]..self.ends[i + 1]]).collect();
        padded(&rows, self.tokens, self.masked)
    }

    /// Mini-batches of the reviews; `shuffle` and `dropout` are the keys of their order and of the dropout masks.
    pub fn batches(self, batch: usize, shuffle: Option<Key>, dropout: Key, device: &Device) -> Batches<Batch> {
        let (items, data) = (self.labels.len(), Arc::new(self));
        Batches::new(items, batch, shuffle, device, move |indices, step, device| {
            let rows: Vec<&[u32]> = indices.iter().map(|&i| &data.ids[data.ends[i]..data.ends[i + 1]]).collect();
            let labels: Vec<i32> = indices.iter().map(|&i| data.labels[i] as i32).collect();
            Batch {
                input: padded(&rows, data.tokens, data.masked),
                labels: Tensor::from_data(TensorData::new(labels, [indices.len()]), device),
                dropout: dropout.child(step),
            }
        })
    }
}

/// `rows` of ids of one length: padded in front to `tokens`, as the lesson reads them, or at the end to the longest of
/// them, with their lengths.
pub fn padded(rows: &[&[u32]], tokens: usize, masked: bool) -> Ids {
    if !masked {
        let ids = rows.iter().flat_map(|row| pad_front(row, tokens)).collect();
        return Ids { ids, tokens, lengths: None };
    }
    let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
    let tokens = lengths.iter().copied().max().unwrap_or(1);
    let mut ids = Vec::with_capacity(rows.len() * tokens);
    for row in rows {
        ids.extend_from_slice(row);
        ids.resize(ids.len() + tokens - row.len(), PADDING);
    }
    Ids { ids, tokens, lengths: Some(lengths) }
}
