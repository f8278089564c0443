//! The lesson's model, Embedding → recurrent layer → Dense, with what practice adds to it: padding that is not read,
//! pooling over all words, more than two classes, and noise against overfitting.

use crate::noise::{Noise, dropped};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Direction, ForwardArgs, Input, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_recurrence, check_size, most_rows};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How many words a model may tell apart: padding, the start, rare words, and one at least that is known.
pub const WORDS: RangeInclusive<u64> = 4..=1_000_000;
/// How many classes a model may tell apart.
pub const CLASSES: RangeInclusive<u64> = 2..=1000;

/// What the dense layer reads of the recurrent layer's output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The state after the last word (in both directions, each one's last)
    #[default]
    Last,
    /// The largest value of each unit over all words
    Max,
    /// The mean of each unit over all words
    Mean,
    /// The largest value and the mean, side by side
    Both,
}

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Ids below this one have a row of the embedding.
    pub num_words: usize,
    /// Tokens of a review that the model sees.
    pub tokens: usize,
    /// Width of a word's vector.
    pub embedding: usize,
    /// Which one.
    pub cell: CellKind,
    /// Stacked recurrent layers.
    pub layers: usize,
    /// Forward, or both ways.
    pub direction: Direction,
    /// Units of each.
    pub hidden: usize,
    /// Dropout on the layer's input and on the recurrence.
    pub dropout: DropoutConfig,
    /// Classes to tell apart.
    #[serde(default = "two")]
    pub classes: usize,
    /// What the dense layer reads.
    #[serde(default)]
    pub pooling: Pooling,
    /// Whether padding is left out: each review then has its own length. Keras' lesson reads it.
    #[serde(default)]
    pub masked: bool,
    /// Further noise in training.
    #[serde(default)]
    pub noise: Noise,
    /// Whether a GPU stores as 16-bit floats what it keeps of a sequence.
    #[serde(default)]
    pub half_storage: bool,
}

fn two() -> usize {
    2
}

/// Reviews in a mini-batch of a test, unless they are long.
const TEST_BATCH: usize = 100;

/// Embedding → recurrent layer → pooling → Dense: one number for two classes, else one a class.
#[derive(Module, Debug)]
pub struct Model {
    pub embedding: Embedding,
    pub layer: AnyRecurrent,
    pub dense: Linear,
    #[module(skip)]
    pub pooling: Pooling,
    #[module(skip)]
    pub noise: Noise,
}

impl ModelConfig {
    /// Whether a model of these sizes can be made, and a step of `batch` reviews with it.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("--words", self.num_words, &WORDS)?;
        check_range("--tokens", self.tokens, &SIZES)?;
        check_range("--embedding", self.embedding, &SIZES)?;
        check_range("--layers", self.layers, &LAYERS)?;
        check_range("--hidden", self.hidden, &SIZES)?;
        check_range("the number of classes", self.classes, &CLASSES)?;
        self.dropout.check(self.cell)?;
        self.noise.check()?;
        check_recurrence(self.cell, "--weight-dropout", self.noise.weights, "--dropout or --word-dropout")?;
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
        let layer = self.dropout.apply(layer.with_direction(self.direction)).with_weight_dropout(self.noise.weights);
        layer.with_half_storage(self.half_storage)
    }

    /// Reviews in a mini-batch of a test: it changes the speed only.
    pub fn test_batch(&self) -> usize {
        TEST_BATCH.min(most_rows(&self.layer(), self.tokens))
    }

    /// Numbers that the dense layer reads of a review, and gives for it.
    fn dense(&self) -> [usize; 2] {
        let pooled = if self.pooling == Pooling::Both { 2 } else { 1 };
        [pooled * self.layer().d_output(), if self.classes == 2 { 1 } else { self.classes }]
    }

    /// A new model, its weights drawn from `key` as Keras draws them.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        let keras = Preset::Keras;
        let [read, given] = self.dense();
        Ok(Model {
            embedding: keras.embedding(self.num_words, self.embedding, key.child(0), device),
            layer: self.layer().try_init(key.child(1), device)?,
            dense: keras.linear(read, given, key.child(2), device),
            pooling: self.pooling,
            noise: self.noise,
        })
    }

    /// A model of zeros, to load weights into: drawing takes long where there are many.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let zeros = Initializer::Zeros;
        let embedding = EmbeddingConfig::new(self.num_words, self.embedding).with_initializer(zeros.clone());
        let [read, given] = self.dense();
        Ok(Model {
            embedding: embedding.init(device),
            layer: self.layer().try_init_zeros(device)?,
            dense: LinearConfig::new(read, given).with_initializer(zeros).init(device),
            pooling: self.pooling,
            noise: self.noise,
        })
    }
}

impl Task for Model {
    const FIGURES: &'static [Figure] = &[ACCURACY];
}

/// The share of reviews that are judged right.
pub const ACCURACY: Figure = Figure { name: "accuracy", higher_is_better: true };

/// Ids of reviews as the model reads them.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// Ids row by row, `[batch, tokens]`.
    pub ids: Vec<u32>,
    /// Steps of each row.
    pub tokens: usize,
    /// Each row's own number of steps, if padding at the end is not to be read.
    pub lengths: Option<Vec<usize>>,
}

impl Model {
    /// The logits of each review: `[batch, 1]` for two classes, above 0 for the second one, else `[batch, classes]`.
    /// Dropout and noise act when a key is given.
    pub fn logits(&self, input: &Ids, dropout: Option<Key>) -> Tensor<2> {
        let (sequence, last) = self.run(input, dropout);
        let pooled = self.pooled(sequence, last, input);
        self.dense.forward(match dropout {
            Some(key) => dropped(pooled, self.noise.pooled, key.child(POOLED)),
            None => pooled,
        })
    }

    /// The layer's output at every step, `[batch, tokens, d]`, and the last one of each review, `[batch, d]`.
    fn run(&self, input: &Ids, dropout: Option<Key>) -> (Tensor<3>, Tensor<2>) {
        let shape = [input.ids.len() / input.tokens, input.tokens];
        let noisy = dropout.and_then(|key| self.noise.words(&input.ids, key.child(WORD)));
        let mut args = ForwardArgs::default().with_dropout_key(dropout);
        args.lengths = input.lengths.as_deref();
        let ids = noisy.as_deref().unwrap_or(&input.ids);
        let output = self.layer.forward_with(Input::ids(&self.embedding, ids, shape), args);
        let last = output.last_hidden();
        (output.sequence, last)
    }

    /// What the dense layer reads, `[batch, d]` or `[batch, 2·d]`. Outputs at padding are zero.
    fn pooled(&self, sequence: Tensor<3>, last: Tensor<2>, input: &Ids) -> Tensor<2> {
        if self.pooling == Pooling::Last {
            return last;
        }
        let [batch, time, _] = sequence.dims();
        let device = sequence.device();
        let lengths = || input.lengths.clone().unwrap_or_else(|| vec![time; batch]);
        let max = |sequence: Tensor<3>| {
            let row = |length: usize| (0..time).map(move |t| if t < length { 0f32 } else { -1e9 });
            let below: Vec<f32> = lengths().into_iter().flat_map(row).collect();
            let below = Tensor::<3>::from_data(TensorData::new(below, [batch, time, 1]), &device);
            (sequence + below).max_dim(1).squeeze_dim::<2>(1)
        };
        let mean = |sequence: Tensor<3>| {
            let counts: Vec<f32> = lengths().into_iter().map(|length| 1.0 / length.max(1) as f32).collect();
            let counts = Tensor::<2>::from_data(TensorData::new(counts, [batch, 1]), &device);
            sequence.sum_dim(1).squeeze_dim::<2>(1) * counts
        };
        match self.pooling {
            Pooling::Last => last,
            Pooling::Max => max(sequence),
            Pooling::Mean => mean(sequence),
            Pooling::Both => Tensor::cat(vec![max(sequence.clone()), mean(sequence)], 1),
        }
    }
}

/// Children of a step's key: the layer's own masks have the key itself.
const WORD: u64 = 1 << 40;
const POOLED: u64 = WORD + 1;

/// The mean cross-entropy of `logits` against `labels`, the numbers of the classes, `[batch]`.
pub fn loss(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    match logits.dims() {
        [_, 1] => rnn_core::binary_cross_entropy(logits.squeeze_dim::<1>(1), labels),
        _ => CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, labels),
    }
}

/// How many reviews are judged as `labels` say, as a tensor `[1]`.
pub fn correct(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let judged = match logits.dims() {
        [_, 1] => logits.squeeze_dim::<1>(1).greater_elem(0.0).int(),
        _ => logits.argmax(1).squeeze_dim::<1>(1),
    };
    judged.equal(labels).float().sum()
}

/// Reviews as the model takes them.
pub struct Batch {
    /// Their ids.
    pub input: Ids,
    /// The number of each review's class, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// The key of this step's dropout.
    pub dropout: Key,
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let logits = self.logits(&batch.input, Some(batch.dropout));
        let loss = loss(logits.clone(), batch.labels.clone());
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.labels))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        judged(self.logits(&batch.input, None), batch.labels)
    }
}

/// The loss and the figures of `logits`.
pub fn judged(logits: Tensor<2>, labels: Tensor<1, Int>) -> StepOutput {
    output(loss(logits.clone(), labels.clone()), logits, labels)
}

fn output(loss: Tensor<1>, logits: Tensor<2>, labels: Tensor<1, Int>) -> StepOutput {
    StepOutput::new(labels.dims()[0], loss, [correct(logits, labels)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_core::DropoutMasks;

    const TOKENS: usize = 6;

    fn config(num_words: usize, cell: CellKind, layers: usize, direction: Direction) -> ModelConfig {
        let dropout = DropoutConfig { input: 0.2, recurrent: 0.2, masks: DropoutMasks::Shared };
        ModelConfig {
            num_words,
            tokens: TOKENS,
            embedding: 5,
            cell,
            layers,
            direction,
            hidden: 7,
            dropout,
            classes: 2,
            pooling: Pooling::Last,
            masked: false,
            noise: Noise::default(),
            half_storage: false,
        }
    }

    #[test]
    fn long_reviews_are_tested_in_small_batches() {
        let batch = |tokens| ModelConfig { tokens, ..config(20, CellKind::Lstm, 1, Direction::Forward) }.test_batch();
        assert_eq!(batch(80), TEST_BATCH);
        assert!(batch(100_000) < TEST_BATCH && batch(100_000) > 1);
        assert_eq!(batch(1_000_000_000), 1);
    }
}
