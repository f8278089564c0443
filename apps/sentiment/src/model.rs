//! The lesson's model: Embedding → recurrent layer → Dense(1).

use burn::module::Module;
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Direction, ForwardArgs, Input, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_size, most_rows};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How many words a model may tell apart: padding, the start, rare words, and one at least that is known.
pub const WORDS: RangeInclusive<u64> = 4..=1_000_000;

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Ids below this one have a row of the embedding.
    pub num_words: usize,
    /// Tokens of a review that the model sees.
    pub tokens: usize,
    /// Width of a word's vector.
    pub embedding: usize,
    /// rnn, lstm or gru.
    pub cell: CellKind,
    /// Stacked recurrent layers.
    pub layers: usize,
    /// Forward, or both ways.
    pub direction: Direction,
    /// Units of each.
    pub hidden: usize,
    /// Dropout on the layer's input and on the recurrence.
    pub dropout: DropoutConfig,
}

/// Reviews in a mini-batch of a test, unless they are long.
const TEST_BATCH: usize = 100;

/// Embedding → recurrent layer → Dense(1).
#[derive(Module, Debug)]
pub struct Model {
    pub embedding: Embedding,
    pub layer: AnyRecurrent,
    pub dense: Linear,
}

impl ModelConfig {
    /// Whether a model of these sizes can be made, and a step of `batch` reviews with it.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("--words", self.num_words, &WORDS)?;
        check_range("--tokens", self.tokens, &SIZES)?;
        check_range("--embedding", self.embedding, &SIZES)?;
        check_range("--layers", self.layers, &LAYERS)?;
        check_range("--hidden", self.hidden, &SIZES)?;
        self.dropout.check()?;
        let options = ["--words, --embedding or --hidden", "--tokens, --batch or --hidden"];
        check_size(&self.layer(), self.table(), batch, self.tokens, options)
    }

    /// Numbers in the table of words.
    pub fn table(&self) -> usize {
        self.num_words.saturating_mul(self.embedding)
    }

    /// The recurrent layer.
    pub fn layer(&self) -> AnyConfig {
        let layer = AnyConfig::of_kind(self.cell, self.embedding, self.hidden).with_num_layers(self.layers);
        self.dropout.apply(layer.with_direction(self.direction))
    }

    /// Reviews in a mini-batch of a test: it changes the speed only.
    pub fn test_batch(&self) -> usize {
        TEST_BATCH.min(most_rows(&self.layer(), self.tokens))
    }

    /// A new model, its weights drawn from `key` as Keras draws them.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        let layer = self.layer();
        let keras = Preset::Keras;
        Ok(Model {
            embedding: keras.embedding(self.num_words, self.embedding, key.child(0), device),
            layer: layer.try_init(key.child(1), device)?,
            dense: keras.linear(layer.d_output(), 1, key.child(2), device),
        })
    }

    /// A model of zeros, to load weights into: drawing takes long where there are many.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let (layer, zeros) = (self.layer(), Initializer::Zeros);
        let embedding = EmbeddingConfig::new(self.num_words, self.embedding).with_initializer(zeros.clone());
        Ok(Model {
            embedding: embedding.init(device),
            layer: layer.try_init_zeros(device)?,
            dense: LinearConfig::new(layer.d_output(), 1).with_initializer(zeros).init(device),
        })
    }
}

impl Task for Model {
    const FIGURES: &'static [Figure] = &[ACCURACY];
}

/// The share of reviews that are judged right.
pub const ACCURACY: Figure = Figure { name: "accuracy", higher_is_better: true };

impl Model {
    /// Ids end to end, `[batch, tokens]`, to one logit a review, `[batch]`: above 0 is positive. Dropout acts when a
    /// key is given.
    pub fn logits(&self, ids: &[u32], tokens: usize, dropout: Option<Key>) -> Tensor<1> {
        let args = ForwardArgs::default().with_dropout_key(dropout);
        let output = self.layer.forward_with(Input::ids(&self.embedding, ids, [ids.len() / tokens, tokens]), args);
        self.dense.forward(output.last_hidden()).squeeze_dim(1)
    }
}

/// The mean binary cross-entropy of `logits` against `labels` (1 = positive), both `[batch]`.
pub fn loss(logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
    BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device()).forward(logits, labels)
}

/// How many of `logits` are on the side that `labels` say, as a tensor `[1]`.
pub fn correct(logits: Tensor<1>, labels: Tensor<1, Int>) -> Tensor<1> {
    logits.greater_elem(0.0).int().equal(labels).float().sum()
}

/// Reviews as the model takes them.
pub struct Batch {
    /// Ids end to end, `[batch, tokens]`.
    pub ids: Vec<u32>,
    /// Of each review.
    pub tokens: usize,
    /// 1 = positive, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// The key of this step's dropout.
    pub dropout: Key,
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let logits = self.logits(&batch.ids, batch.tokens, Some(batch.dropout));
        let loss = loss(logits.clone(), batch.labels.clone());
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.labels))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        judged(self.logits(&batch.ids, batch.tokens, None), batch.labels)
    }
}

fn judged(logits: Tensor<1>, labels: Tensor<1, Int>) -> StepOutput {
    output(loss(logits.clone(), labels.clone()), logits, labels)
}

fn output(loss: Tensor<1>, logits: Tensor<1>, labels: Tensor<1, Int>) -> StepOutput {
    StepOutput::new(labels.dims()[0], loss, [correct(logits, labels)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::DropoutMasks;

    const TOKENS: usize = 6;

    fn config(num_words: usize, cell: CellKind, layers: usize, direction: Direction) -> ModelConfig {
        let dropout = DropoutConfig { input: 0.2, recurrent: 0.2, masks: DropoutMasks::Shared };
        ModelConfig { num_words, tokens: TOKENS, embedding: 5, cell, layers, direction, hidden: 7, dropout }
    }

    #[test]
    fn long_reviews_are_tested_in_small_batches() {
        let batch = |tokens| ModelConfig { tokens, ..config(20, CellKind::Lstm, 1, Direction::Forward) }.test_batch();
        assert_eq!(batch(80), TEST_BATCH);
        assert!(batch(100_000) < TEST_BATCH && batch(100_000) > 1);
        assert_eq!(batch(1_000_000_000), 1);
    }
}
