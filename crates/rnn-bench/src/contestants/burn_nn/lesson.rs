//! One training step of the lesson's models on burn-nn's layers.
//!
//! The ids are random: burn-nn's steps take the same time for any.

use crate::contestants::protocol::{Reviews, Text};
use crate::contestants::serve::{Task, timed};
use burn::module::{Module, ModuleDisplay, Param};
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig, Linear, LinearConfig, gru, lstm};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, RmsPropConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::Key;

const D_HIDDEN: usize = 128;

/// A recurrent layer as the lesson uses one: from a batch of sequences to their last hidden states.
trait Encoder: Module + ModuleDisplay {
    /// `[batch, time, d_input]` to `[batch, d_hidden]`.
    fn last(&self, input: Tensor<3>) -> Tensor<2>;
}

impl Encoder for lstm::Lstm {
    fn last(&self, input: Tensor<3>) -> Tensor<2> {
        self.forward(input, None).1.hidden
    }
}

impl Encoder for gru::Gru {
    fn last(&self, input: Tensor<3>) -> Tensor<2> {
        let steps = input.dims()[1];
        self.forward(input, None).slice_dim(1, steps - 1..steps).squeeze_dim(1)
    }
}

/// Embedding → layer → dense. One-hot rows are an embedding fixed to the identity.
#[derive(Module, Debug)]
struct Model<E: Encoder> {
    embedding: Embedding,
    dropout: Dropout,
    layer: E,
    dense: Linear,
}

impl<E: Encoder> Model<E> {
    fn logits(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let rows = self.embedding.forward(ids);
        let rows = if self.embedding.weight.val().is_require_grad() { rows } else { rows.inner() };
        self.dense.forward(self.layer.last(self.dropout.forward(rows)))
    }
}

/// Ids below `below`, drawn from `key`.
fn ids<const D: usize>(key: u64, below: usize, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    let uniforms = Key::new(key).uniforms(shape.iter().product());
    let values: Vec<i64> = uniforms.map(|u| (u * below as f64) as i64).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// One step per call: forward, backward, update.
fn training<E: Encoder + 'static>(
    mut model: Model<E>,
    mut optimizer: ModuleOptimizer,
    inputs: Tensor<2, Int>,
    loss: impl Fn(Tensor<2>) -> Tensor<1> + 'static,
) -> Task {
    timed(move || {
        let loss = loss(model.logits(inputs.clone()));
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model.clone(), grads);
    })
}

/// The sentiment model; burn-nn's LSTM has no recurrent dropout, so only the input's acts.
pub fn sentiment(reviews: &Reviews) -> Task {
    sentiment_on([reviews.batch, reviews.tokens, reviews.words], &Device::flex())
}

/// The same on `device`: reviews in a mini-batch, their words, how many words there are. A call does not wait for it.
pub fn sentiment_on([batch, tokens, words]: [usize; 3], device: &Device) -> Task {
    let (inputs, labels) = (ids(1, words, [batch, tokens], device), ids(2, 2, [batch], device));
    let device = device.clone().autodiff();
    let loss = move |logits: Tensor<2>| {
        let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device());
        loss.forward(logits.squeeze_dim(1), labels.clone().autodiff())
    };
    let embedding = EmbeddingConfig::new(words, D_HIDDEN).init(&device);
    let dense = LinearConfig::new(D_HIDDEN, 1).init(&device);
    let dropout = DropoutConfig::new(0.2).init();
    let adam = AdamConfig::new().init();
    let layer = lstm::LstmConfig::new(D_HIDDEN, D_HIDDEN, true).init(&device);
    training(Model { embedding, dropout, layer, dense }, adam, inputs, loss)
}

/// The character model.
pub fn chargen(text: &Text) -> Task {
    chargen_on([text.batch, text.window, text.symbols], &Device::flex())
}

/// The same on `device`: windows in a mini-batch, their characters, how many symbols there are. A call does not wait for
/// it.
pub fn chargen_on([batch, window, symbols]: [usize; 3], device: &Device) -> Task {
    let (inputs, next) = (ids(1, symbols, [batch, window], device), ids(2, symbols, [batch], device));
    let device = device.clone().autodiff();
    let loss = move |logits: Tensor<2>| {
        CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, next.clone().autodiff())
    };
    let mut embedding = EmbeddingConfig::new(symbols, symbols).init(&device);
    let eye = Tensor::<2>::eye(symbols, &device.clone().inner());
    embedding.weight = Param::from_tensor(eye).set_require_grad(false);
    let dense = LinearConfig::new(D_HIDDEN, symbols).init(&device);
    let dropout = DropoutConfig::new(0.0).init();
    let rmsprop = RmsPropConfig::new().init();
    let layer = gru::GruConfig::new(symbols, D_HIDDEN, true).init(&device);
    training(Model { embedding, dropout, layer, dense }, rmsprop, inputs, loss)
}
