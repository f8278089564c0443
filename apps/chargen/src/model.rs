//! The lesson's model: one-hot → recurrent layer → Dense over the symbols.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::{Device, Int, Tensor};
use rnn_core::{AnyConfig, AnyRecurrent, AnyStates, CellKind, Key, Preset, RnnError};
use serde::{Deserialize, Serialize};

/// Every size of the model; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Distinct characters.
    pub symbols: usize,
    /// Characters the model sees before it guesses the next.
    pub window: usize,
    /// rnn, lstm or gru.
    pub cell: CellKind,
    /// Units of the recurrent layer.
    pub hidden: usize,
    /// Dropout on the layer's input.
    pub dropout: f64,
    /// Dropout on the recurrence.
    pub recurrent_dropout: f64,
}

/// One-hot → recurrent layer → Dense.
#[derive(Module, Debug)]
pub struct Model {
    layer: AnyRecurrent,
    dense: Linear,
}

impl ModelConfig {
    /// A new model, its weights drawn from `key` as Keras draws them.
    pub fn init(&self, key: Key, device: &Device) -> Result<Model, RnnError> {
        let layer = AnyConfig {
            dropout: self.dropout,
            recurrent_dropout: self.recurrent_dropout,
            ..AnyConfig::new(self.cell, self.symbols, self.hidden)
        };
        Ok(Model {
            layer: layer.try_init(key.child(0), device)?,
            dense: Preset::Keras.linear(self.hidden, self.symbols, key.child(1), device),
        })
    }

    /// Ids `[batch, time]` as rows of zeros with a single one, `[batch, time, symbols]`.
    pub fn one_hot(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        ids.one_hot::<3>(self.symbols).float()
    }
}

impl Model {
    /// One-hot windows `[batch, window, symbols]` to a logit for each possible next symbol, `[batch, symbols]`.
    /// Dropout acts when a key is given.
    pub fn logits(&self, windows: Tensor<3>, dropout: Option<Key>) -> Tensor<2> {
        let (_, state) = self.layer.forward(windows, None, dropout);
        self.dense.forward(state.hidden().clone())
    }

    /// Reads `[1, time, symbols]` on from `state` and gives the logits for the next symbol, `[1, symbols]`, with the
    /// state to go on from.
    pub fn read(&self, input: Tensor<3>, state: Option<AnyStates>) -> (Tensor<2>, AnyStates) {
        let (_, state) = self.layer.forward(input, state, None);
        (self.dense.forward(state.hidden().clone()), state)
    }
}

/// The mean cross-entropy of `logits`, `[batch, symbols]`, against the symbols that came, `[batch]`.
pub fn loss(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new()
        .init(&logits.device())
        .forward(logits, targets)
}
