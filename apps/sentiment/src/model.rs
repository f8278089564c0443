//! The lesson's model: Embedding → recurrent layer → Dense(1).

use burn::module::Module;
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Direction, Key, Preset, RnnError};
use rnn_harness::options::{DropoutConfig, LAYERS, SIZES, check_size, most_rows};
use rnn_harness::training::{Tested, evaluate};
use rnn_harness::{Failure, check_range};
use rnn_train::{Batches, Figure, Lookup, StepOutput, Task};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Instant;

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
    embedding: Embedding,
    layer: AnyRecurrent,
    dense: Linear,
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
        AnyConfig {
            num_layers: self.layers,
            direction: self.direction,
            ..self.dropout.apply(AnyConfig::new(self.cell, self.embedding, self.hidden))
        }
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
    const LOOKUP: Option<Lookup<Self>> =
        Some(Lookup { table: |model| &mut model.embedding.weight, ids: |batch| &mut batch.ids });
}

/// The share of reviews that are judged right.
pub const ACCURACY: Figure = Figure { name: "accuracy", higher_is_better: true };

impl Model {
    /// Ids end to end, `[batch, tokens]`, to one logit a review, `[batch]`: above 0 is positive. Dropout acts when a key is
    /// given.
    pub fn logits(&self, ids: &[u32], tokens: usize, dropout: Option<Key>) -> Tensor<1> {
        let (table, shape) = (self.embedding.weight.val(), [ids.len() / tokens, tokens]);
        let (_, state) = self.layer.forward_embedding(table, ids, shape, dropout);
        self.dense.forward(state.hidden()).squeeze_dim(1)
    }
}

/// Elements of all words' input products together that a test may make: 256 MB. They are counted with four gates.
const LARGEST_LOOK_UP: usize = 1 << 26;

/// A model that looks up each word's input product, for a test of many reviews.
struct Evaluator {
    layer: AnyRecurrent,
    dense: Linear,
}

impl Model {
    /// The loss and accuracy over `batches` of reviews of so many `tokens`, with a progress line.
    pub fn test(&self, batches: &Batches<Batch>, tokens: usize) -> Result<Tested, Failure> {
        let start = Instant::now();
        if !self.looks_up(batches.items().saturating_mul(tokens)) {
            return evaluate(self, batches, Self::FIGURES, "reviews");
        }
        let layer = self.layer.over_embedding(self.embedding.weight.val()).map_err(Failure::failed)?;
        let evaluator = Evaluator { layer, dense: self.dense.clone() };
        let tested = evaluate(&evaluator, batches, Self::FIGURES, "reviews")?;
        Ok(Tested { seconds: start.elapsed().as_secs_f64(), ..tested })
    }

    /// Whether a test over `tokens` tokens in all looks up input products: there are fewer words, and room for theirs.
    fn looks_up(&self, tokens: usize) -> bool {
        let (words, units) = (self.embedding.weight.dims()[0], self.dense.weight.dims()[0]);
        tokens > words && words.saturating_mul(units) <= LARGEST_LOOK_UP / 4
    }
}

impl InferenceStep for Evaluator {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let state = match self.layer.try_forward_symbols(&batch.ids, [batch.labels.dims()[0], batch.tokens], None) {
            Ok((_, state)) => state,
            Err(error) => panic!("{error}"),
        };
        judged(self.dense.forward(state.hidden()).squeeze_dim(1), batch.labels)
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
        let grads = loss.backward();
        TrainOutput::new(self, grads, output(loss.inner(), logits.inner(), batch.labels))
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
    use crate::data::Encoded;
    use burn::module::Param;
    use rnn_core::DropoutMasks;
    use rnn_data::reviews::Review;
    use rnn_data::words::Vocabulary;

    const TOKENS: usize = 6;

    fn config(num_words: usize, cell: CellKind, layers: usize, direction: Direction) -> ModelConfig {
        let dropout = DropoutConfig { input: 0.2, recurrent: 0.2, masks: DropoutMasks::Shared };
        ModelConfig { num_words, tokens: TOKENS, embedding: 5, cell, layers, direction, hidden: 7, dropout }
    }

    /// `n` reviews of 1 to 8 of 15 words.
    fn reviews(n: usize) -> (Vec<Review>, Vocabulary) {
        let word = |i: usize| (b'a' + ((i * i + i / 5) % 15) as u8) as char;
        let text = |i: usize| (0..1 + i % 8).map(|k| format!("{} ", word(i + k))).collect();
        let reviews: Vec<Review> = (0..n).map(|i| Review { text: text(i), positive: i % 3 == 0 }).collect();
        let vocabulary = Vocabulary::build(reviews.iter().map(|review| review.text.as_str()));
        (reviews, vocabulary)
    }

    #[test]
    fn long_reviews_are_tested_in_small_batches() {
        let batch = |tokens| ModelConfig { tokens, ..config(20, CellKind::Lstm, 1, Direction::Forward) }.test_batch();
        assert_eq!(batch(80), TEST_BATCH);
        assert!(batch(100_000) < TEST_BATCH && batch(100_000) > 1);
        assert_eq!(batch(1_000_000_000), 1);
    }

    #[test]
    fn a_test_of_many_reviews_looks_up_and_one_of_few_does_not() {
        let device = Device::default();
        let (reviews, vocabulary) = reviews(50);
        let config = config(8, CellKind::Gru, 1, Direction::Forward);
        let model = config.init(Key::new(3), &device).expect("a model");
        // Ids of 8 and more have no row: only the look-up says it so.
        let batches =
            Encoded::new(&reviews, &vocabulary, 20, TOKENS).expect("few").batches(8, None, Key::new(0), &device);
        let looked_up = |tokens| {
            let test = std::panic::AssertUnwindSafe(|| model.test(&batches, tokens));
            let panic = std::panic::catch_unwind(test).expect_err("an id without a row");
            panic.downcast_ref::<String>().is_some_and(|said| said.ends_with("is not below d_input = 8"))
        };
        assert!(looked_up(TOKENS));
        assert!(!looked_up(0));
    }

    #[test]
    fn a_test_by_look_up_is_the_test_of_the_model() {
        let device = Device::default();
        let (reviews, vocabulary) = reviews(50);
        for (cell, layers, direction) in [
            (CellKind::Rnn, 1, Direction::Forward),
            (CellKind::Lstm, 2, Direction::Bidirectional),
            (CellKind::Gru, 1, Direction::Bidirectional),
        ] {
            let config = config(20, cell, layers, direction);
            let mut model = config.init(Key::new(3), &device).expect("a model");
            // Keras' words lie within ±0.05: too close for the answers to differ.
            model.embedding.weight = Param::from_tensor(model.embedding.weight.val() * 50.0);
            let encoded = Encoded::new(&reviews, &vocabulary, config.num_words, TOKENS).expect("few");
            let batches = encoded.batches(8, None, Key::new(0), &device);
            let by_look_up = model.test(&batches, TOKENS).expect("tested");
            let plain = evaluate(&model, &batches, Model::FIGURES, "reviews").expect("tested").figures;
            let by_look_up = by_look_up.figures;
            assert!((by_look_up.loss - plain.loss).abs() < 1e-6, "{cell}: {} and {}", by_look_up.loss, plain.loss);
            assert_eq!(by_look_up.others, plain.others);
            // The model's own path, which fewer tokens than words take, gives the same again.
            let few = model.test(&batches, 0).expect("tested");
            assert_eq!(few.figures, plain);
        }
    }
}
