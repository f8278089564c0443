//! Reviews as ids of one length, and batches of them.

use crate::model::Batch;
use crate::words::{Totals, encode};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::reviews::{Purpose, Reading, Review, Reviews};
use rnn_data::words::{Tokenizer, Vocabulary};
use rnn_data::{DataError, Places, Source, reviews};
use rnn_harness::training::Batches;
use rnn_harness::{Failure, say};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the reviews come from.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Reviews: an aclImdb folder or .tar.gz, a .csv, .tsv or .jsonl file with a text and a label column, a folder with
    /// files train and test of these, or "sample". Without it IMDb from $RNN_DATASETS, the cache or the network, else the
    /// sample
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Leave out rows of tables that cannot be read, and say how many
    #[arg(long)]
    skip_bad: bool,
}

impl DataArgs {
    /// Loads the reviews to train on, and those to test on: of `test`, if it is given, else their own. Says on stderr where
    /// they come from and what was left out.
    pub fn to_train(&self, test: Option<&PathBuf>) -> Result<(Reviews, Source), Failure> {
        let purpose = if test.is_some() { Purpose::Train } else { Purpose::TrainAndTest };
        let mut reviews = self.load(self.data.clone(), purpose)?;
        let mut tested = reviews.source.clone();
        let mut of = String::new();
        if let Some(path) = test {
            let other = self.load(Some(path.clone()), Purpose::Test)?;
            (reviews.test, tested) = (other.test, other.source);
            of = format!(" of {tested}");
        }
        say!("reviews: {}, {} to train and {}{of} to test", reviews.source, reviews.train.len(), reviews.test.len());
        if is_own(&tested) {
            let trained: HashSet<&str> = reviews.train.iter().map(|review| review.text.as_str()).collect();
            let known = reviews.test.iter().filter(|review| trained.contains(review.text.as_str())).count();
            if known > 0 {
                let all = reviews.test.len();
                say!(
                    "{known} of the {all} test texts are also trained on: of these the figures tell how well they are known"
                );
            }
        }
        Ok((reviews, tested))
    }

    /// Loads the reviews to test on; says on stderr where they come from and what was left out.
    pub fn to_test(&self) -> Result<Reviews, Failure> {
        let reviews = self.load(self.data.clone(), Purpose::Test)?;
        say!("reviews: {}, {} to test", reviews.source, reviews.test.len());
        Ok(reviews)
    }

    fn load(&self, data: Option<PathBuf>, purpose: Purpose) -> Result<Reviews, Failure> {
        let reading = Reading { purpose, skip_bad: self.skip_bad };
        let reviews = reviews::load_as(&Places::from_env(data), reading).map_err(|error| match error {
            DataError::BadRows { .. } if !self.skip_bad => Failure::input(format!("{error} (--skip-bad)")),
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
}

/// Whether these are somebody's own reviews, neither IMDb nor the sample.
fn is_own(source: &Source) -> bool {
    source.path.as_ref().is_some_and(|path| path.to_string_lossy() == source.corpus)
}

/// The share of the larger class: the accuracy of who always answers with it. 0 of no reviews.
pub fn majority_share(reviews: &[Review]) -> f64 {
    let positive = reviews.iter().filter(|review| review.positive).count();
    positive.max(reviews.len() - positive) as f64 / reviews.len().max(1) as f64
}

/// The vocabulary of `reviews`: Keras' of IMDb's.
pub fn vocabulary(reviews: &[Review]) -> Vocabulary {
    Vocabulary::build_with(Tokenizer::of(texts(reviews)), texts(reviews))
}

fn texts(reviews: &[Review]) -> impl Iterator<Item = &str> {
    reviews.iter().map(|review| review.text.as_str())
}

/// Reviews with their labels, encoded.
pub struct Encoded {
    ids: Vec<u32>,
    labels: Vec<bool>,
    tokens: usize,
    words: Totals,
}

/// Ids that all reviews together may have: 2 GB.
const MOST_IDS: usize = 1 << 29;

impl Encoded {
    /// All of `reviews`.
    ///
    /// # Errors
    /// More ids than memory could hold.
    pub fn new(reviews: &[Review], vocabulary: &Vocabulary, num_words: usize, tokens: usize) -> Result<Self, Failure> {
        let all = reviews.len().saturating_mul(tokens);
        if all > MOST_IDS {
            return Err(Failure::input(format!(
                "--tokens {tokens} of each of {} reviews are {all}, more than the {MOST_IDS} that are possible here; train \
                 with fewer",
                reviews.len()
            )));
        }
        let (mut ids, mut words) = (Vec::with_capacity(all), Totals::default());
        let tokenizer = vocabulary.tokenizer_for(texts(reviews));
        for text in texts(reviews) {
            let (encoded, counts) = encode(text, vocabulary, tokenizer, num_words, tokens);
            ids.extend(encoded);
            words.add(counts);
        }
        Ok(Self { ids, labels: reviews.iter().map(|review| review.positive).collect(), tokens, words })
    }

    /// How many words the model reads of the reviews, and knows.
    pub fn words(&self) -> Totals {
        self.words
    }

    /// In batches; `shuffle` and `dropout` are the keys of the order and of the masks.
    pub fn batches(self, batch: usize, shuffle: Option<Key>, dropout: Key, device: &Device) -> Batches<Batch> {
        let (items, device, data) = (self.labels.len(), device.clone(), Arc::new(self));
        Batches::new(items, batch, shuffle, move |indices, step| {
            let row = |&i: &usize| &data.ids[i * data.tokens..(i + 1) * data.tokens];
            let ids = indices.iter().flat_map(row).copied().collect();
            let labels: Vec<i32> = indices.iter().map(|&i| i32::from(data.labels[i])).collect();
            Batch {
                ids,
                tokens: data.tokens,
                labels: Tensor::from_data(TensorData::new(labels, [indices.len()]), &device),
                dropout: dropout.child(step),
            }
        })
    }
}
