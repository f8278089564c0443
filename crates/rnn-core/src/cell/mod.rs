//! The cells: the mathematics of one step.
//!
//! A cell says what its gates are and how a step makes the next state. Everything else (the input product for all
//! steps at once, lengths, dropout, states, gradients) is written once in [`Recurrent`](crate::Recurrent).

mod gru;
mod lstm;
mod rnn;

pub use gru::GruCell;
pub use lstm::LstmCell;
pub use rnn::{Nonlinearity, RnnCell};

use crate::state::CellState;
use burn::tensor::Tensor;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::ops::Range;

/// How many bias vectors a layer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum Bias {
    /// None.
    None,
    /// `b_ih` alone, as Keras' LSTM and SimpleRNN have it.
    One,
    /// `b_ih` and `b_hh`, as PyTorch's layers and Keras' GRU with `reset_after` have them.
    Two,
}

/// One step of a recurrent network. Its value holds the cell's options, not its weights.
pub trait Cell: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What is carried from step to step.
    type State: CellState;

    /// The number of gates G: weights are packed as `[_, G·d_hidden]`.
    const GATES: usize;

    /// The gate whose bias starts at 1 where the initialisers ask for a unit forget bias.
    const FORGET_GATE: Option<usize> = None;

    /// The biases that Keras gives this cell.
    fn keras_bias(&self) -> Bias {
        Bias::One
    }

    /// What PyTorch has no layer for, if that is so: then weights cannot come from there. Cells of one's own are such.
    fn unlike_pytorch(&self) -> Option<&'static str> {
        Some("this cell")
    }

    /// One step.
    ///
    /// `input` is `x·W_ih + b_ih`, `[batch, G·d_hidden]`. The products with the recurrent weights are asked of
    /// `recurrence`, which also applies recurrent dropout.
    fn step(&self, input: Tensor<2>, state: Self::State, recurrence: &Recurrence) -> Self::State;
}

/// The recurrent weights as a step uses them.
#[derive(Debug, Clone)]
pub struct Recurrence {
    /// `W_hh`, `[d_hidden, gates·d_hidden]`.
    pub weight: Tensor<2>,
    /// `b_hh`, `[gates·d_hidden]`.
    pub bias: Option<Tensor<1>>,
    /// The recurrent dropout masks, `[batch, d_hidden]`, 0 or 1/(1−p), the same at every step: none, one for all gates,
    /// or one a gate.
    pub masks: Vec<Tensor<2>>,
}

impl Recurrence {
    /// `(h ∘ mask)·W_hh + b_hh` for all gates, `[batch, gates·d_hidden]`.
    pub fn product(&self, hidden: Tensor<2>) -> Tensor<2> {
        let product = masked_product(&self.masks, self.weight.clone(), |mask| masked(&hidden, mask));
        self.add_bias(product, self.bias.clone())
    }

    /// The same for the gates `gates` alone, `[batch, gates.len()·d_hidden]`.
    pub fn product_of(&self, hidden: Tensor<2>, gates: Range<usize>) -> Tensor<2> {
        let [d_hidden, _] = self.weight.dims();
        let columns = gates.start * d_hidden..gates.end * d_hidden;
        let masks = if self.masks.len() > 1 { &self.masks[gates] } else { &self.masks[..] };
        let weight = self.weight.clone().slice_dim(1, columns.clone());
        let product = masked_product(masks, weight, |mask| masked(&hidden, mask));
        self.add_bias(product, self.bias.clone().map(|b| b.slice_dim(0, columns)))
    }

    fn add_bias(&self, product: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        match bias {
            Some(bias) => product + bias.unsqueeze(),
            None => product,
        }
    }
}

fn masked(hidden: &Tensor<2>, mask: Option<&Tensor<2>>) -> Tensor<2> {
    match mask {
        Some(mask) => hidden.clone() * mask.clone(),
        None => hidden.clone(),
    }
}

/// `x(mask)·weight`, where `masks` are none, one for the whole of `weight`, or one for each of its gates.
pub(crate) fn masked_product(
    masks: &[Tensor<2>],
    weight: Tensor<2>,
    x: impl Fn(Option<&Tensor<2>>) -> Tensor<2>,
) -> Tensor<2> {
    if masks.len() < 2 {
        return x(masks.first()).matmul(weight);
    }
    let width = weight.dims()[1] / masks.len();
    let columns = |gate: usize| weight.clone().slice_dim(1, gate * width..(gate + 1) * width);
    let products = masks.iter().enumerate().map(|(gate, mask)| x(Some(mask)).matmul(columns(gate)));
    Tensor::cat(products.collect(), 1)
}

/// Cuts `[batch, N·d_hidden]` into its N gates, each `[batch, d_hidden]`.
pub fn gates<const N: usize>(packed: Tensor<2>) -> [Tensor<2>; N] {
    let d_hidden = packed.dims()[1] / N;
    std::array::from_fn(|i| packed.clone().slice_dim(1, i * d_hidden..(i + 1) * d_hidden))
}
