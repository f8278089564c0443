//! The model: two bits in at each step, one bit of the sum out.

use crate::data;
use burn::module::Module;
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Key, Preset, RnnError};
use rnn_harness::options::check_size;
use rnn_harness::{Failure, check_range};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// What the bits of a sum may be.
pub const BITS: RangeInclusive<u64> = 2..=24;
/// What the units of the layer may be.
pub const UNITS: RangeInclusive<u64> = 1..=4096;

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// rnn, lstm or gru.
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
    /// Whether a model of these sizes can be made, and a step of `batch` additions with it.
    pub fn check(&self, batch: usize) -> Result<(), Failure> {
        check_range("--bits", self.bits as usize, &BITS)?;
        check_range("--hidden", self.hidden, &UNITS)?;
        check_size(&self.layer(), 0, batch, self.bits as usize, ["--hidden", "--batch, --bits or --hidden"])
    }

    /// The recurrent layer.
    pub fn layer(&self) -> AnyConfig {
        AnyConfig::new(self.cell, 2, self.hidden)
    }

    /// A new model, its weights drawn from `key` as Keras draws them.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        Ok(Model {
            layer: self.layer().try_init(key.child(0), device)?,
            dense: Preset::Keras.linear(self.hidden, 1, key.child(1), device),
        })
    }

    /// A model of zeros, to load weights into: drawing takes long where there are many.
    pub fn zeros(&self, device: &Device) -> Result<Model, RnnError> {
        let dense = LinearConfig::new(self.hidden, 1).with_initializer(Initializer::Zeros);
        Ok(Model { layer: self.layer().try_init_zeros(device)?, dense: dense.init(device) })
    }
}

impl Model {
    /// `[batch, bits, 2]` to a logit for each bit of the sum, `[batch, bits]`: above 0 is 1.
    pub fn logits(&self, input: Tensor<3>) -> Tensor<2> {
        let (hidden, _) = self.layer.forward(input, None, None);
        self.dense.forward(hidden).squeeze_dim(2)
    }

    /// The sums it gives for `pairs`.
    pub fn add(&self, pairs: &[(u32, u32)], bits: u32, device: &Device) -> Vec<u32> {
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
