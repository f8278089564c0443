//! Reviews as ids of one length, and batches of them.

use crate::model::Batch;
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::reviews::{Review, Reviews};
use rnn_data::words::{Vocabulary, pad_front};
use rnn_data::{Places, Source, reviews};
use rnn_harness::training::Batches;
use rnn_harness::{Failure, say};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the reviews come from.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// Reviews: an aclImdb folder or .tar.gz, a .csv, .tsv or .jsonl file with a text and a label column, or "sample".
    /// Without it IMDb from $RNN_DATASETS, the cache or the network, else the sample
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// Loads the reviews and says on stderr where they come from.
    pub fn load(&self) -> Result<Reviews, Failure> {
        let reviews = reviews::load(&Places::from_env(self.data.clone())).map_err(Failure::input)?;
        let Source { note, .. } = &reviews.source;
        if let Some(note) = note {
            say!("no IMDb: {note}");
        }
        let (train, test) = (reviews.train.len(), reviews.test.len());
        say!("reviews: {}, {train} to train and {test} to test", reviews.source);
        Ok(reviews)
    }
}

/// The ids of a text, padded and cut in front to `tokens`.
pub fn encode(text: &str, vocabulary: &Vocabulary, num_words: usize, tokens: usize) -> Vec<u32> {
    pad_front(&vocabulary.encode(text, num_words as u32), tokens)
}

/// Reviews with their labels, encoded.
pub struct Encoded {
    ids: Vec<u32>,
    labels: Vec<bool>,
    tokens: usize,
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
        let mut ids = Vec::with_capacity(all);
        for review in reviews {
            ids.extend(encode(&review.text, vocabulary, num_words, tokens));
        }
        Ok(Self { ids, labels: reviews.iter().map(|review| review.positive).collect(), tokens })
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
