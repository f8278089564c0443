//! The model: two bits in at each step, one bit of the sum out.

use crate::data::{self, Pair};
use burn::module::Module;
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Key, Preset, RnnError};
use rnn_harness::options::{check_size, most_rows};
use rnn_harness::{Failure, check_range};
use rnn_train::{Figure, StepOutput, Task, trained};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The range of bits in a sum; the operands have one less.
pub const BITS: RangeInclusive<u64> = 2..=65;
/// The range of units in the layer.
pub const UNITS: RangeInclusive<u64> = 1..=4096;

/// The most pairs in one forward pass of a check.
const CHECK_BATCH: usize = 4096;

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Which one.
    pub cell: CellKind,
    /// Bits of the sum.
    pub bits: u32,
    /// Units of the recurrent layer.
    pub hidden: usize,
}

/// Recurrent layer → Dense(1) at every step.
#[derive(Module, Debug)]
pub struct Model {
    layer: AnyRecurrent,
    dense: Linear,
}

impl ModelConfig {
    /// Checks that a model of these sizes, and a step of `batch` additions with it, fit into memory.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("--bits", self.bits as usize, &BITS)?;
        check_range("--hidden", self.hidden, &UNITS)?;
        check_size(&self.layer(), 0, batch, self.bits as usize, ["--hidden", "--batch, --bits or --hidden"])
    }

    /// The recurrent layer.
    pub fn layer(&self) -> AnyConfig {
        AnyConfig::of_kind(self.cell, 2, self.hidden)
    }

    /// Pairs in one forward pass of a check: it changes the speed only.
    pub fn check_batch(&self) -> usize {
        CHECK_BATCH.min(most_rows(&self.layer(), self.bits as usize))
    }

    /// A new model with Keras' initialisation, drawn from `key`.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        Ok(Model {
            layer: self.layer().try_init(key.child(0), device)?,
            dense: Preset::Keras.linear(self.hidden, 1, key.child(1), device),
        })
    }

    /// A model of zeros to load weights into, because drawing many random numbers takes time.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let dense = LinearConfig::new(self.hidden, 1).with_initializer(Initializer::Zeros);
        Ok(Model { layer: self.layer().try_init_zeros(device)?, dense: dense.init(device) })
    }
}

impl Model {
    /// From `[batch, bits, 2]` to a logit for each bit of the sum, `[batch, bits]`; a logit above 0 means 1.
    pub fn logits(&self, input: Tensor<3>) -> Tensor<2> {
        self.dense.forward(self.layer.forward(input).sequence).squeeze_dim(2)
    }

    /// h at every step, `[bits, units]` row by row, and the logit of every bit, for one pair.
    pub fn watch(&self, pair: Pair, bits: u32, device: &Device) -> (Vec<Vec<f32>>, Vec<f32>) {
        let hidden = self.layer.forward(data::inputs(&[pair], bits, device)).sequence;
        let units = hidden.dims()[2];
        let logits: Vec<f32> = self.dense.forward(hidden.clone()).into_data().iter().collect();
        let hidden: Vec<f32> = hidden.into_data().iter().collect();
        (hidden.chunks_exact(units).map(<[f32]>::to_vec).collect(), logits)
    }

    /// The model's sums of `pairs`.
    pub fn add(&self, pairs: &[Pair], bits: u32, device: &Device) -> Vec<u128> {
        let logits = self.logits(data::inputs(pairs, bits, device));
        let logits: Vec<f32> = logits.into_data().convert::<f32>().iter().collect();
        logits
            .chunks_exact(bits as usize)
            .map(|row| data::number(&row.iter().map(|&x| x > 0.0).collect::<Vec<_>>()))
            .collect()
    }
}

/// The mean binary cross-entropy of all bits: `logits` and `targets` are `[batch, bits]`.
pub fn loss(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device()).forward(logits, targets)
}

/// A mini-batch of additions.
pub struct Batch {
    /// `[batch, bits, 2]`.
    input: Tensor<3>,
    /// The bits of the sums, `[batch, bits]`.
    sums: Tensor<2, Int>,
}

impl Batch {
    /// The additions of these pairs.
    pub fn new(pairs: &[Pair], bits: u32, device: &Device) -> Self {
        Self { input: data::inputs(pairs, bits, device), sums: data::targets(pairs, bits, device) }
    }
}

impl Task for Model {
    /// The share of sums without a wrong bit.
    const FIGURES: &'static [Figure] = &[Figure { name: "accuracy", higher_is_better: true }];
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> TrainOutput<StepOutput> {
        let logits = self.logits(batch.input);
        let loss = loss(logits.clone(), batch.sums.clone());
        trained(self, loss.clone(), output(loss.inner(), logits.inner(), batch.sums))
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = StepOutput;

    fn step(&self, batch: Batch) -> StepOutput {
        let logits = self.logits(batch.input);
        output(loss(logits.clone(), batch.sums.clone()), logits, batch.sums)
    }
}

fn output(loss: Tensor<1>, logits: Tensor<2>, sums: Tensor<2, Int>) -> StepOutput {
    let items = sums.dims()[0];
    let right = logits.greater_elem(0.0).int().equal(sums).all_dim(1).float().sum();
    StepOutput::new(items, loss, [right])
}
