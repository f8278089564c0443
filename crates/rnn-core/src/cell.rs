//! The cells: the mathematics of one step.
//!
//! A cell says what its gates are and how a step makes the next state. Everything else (the input product for all
//! steps at once, lengths, dropout, states, gradients) is written once in [`Recurrent`](crate::Recurrent).

mod activation;
mod gru;
mod lstm;
mod min_gru;
mod min_lstm;
mod rnn;

pub use activation::Activation;
pub use gru::GruCell;
pub use lstm::LstmCell;
pub use min_gru::MinGruCell;
pub use min_lstm::MinLstmCell;
pub use rnn::RnnCell;

use crate::RnnError;
use crate::state::CellState;
use burn::tensor::{Device, Tensor};
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
///
/// A cell of your own gets stacking, directions, lengths and dropout from [`Recurrent`](crate::Recurrent):
///
/// ```
/// use rnn_core::burn::tensor::{Device, Tensor};
/// use rnn_core::cell::{Cell, Recurrence};
/// use rnn_core::{HiddenState, Key, RecurrentConfig};
///
/// /// A leaky unit: h' = h/2 + tanh(x·W_ih + b_ih + h·W_hh)/2.
/// #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
/// struct Leaky {}
///
/// impl Cell for Leaky {
///     type State = HiddenState;
///
///     fn gates(&self) -> usize {
///         1
///     }
///
///     fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
///         let h = state.hidden;
///         let new = (input + recurrence.product(h.clone())).tanh();
///         HiddenState { hidden: (h + new) / 2.0 }
///     }
/// }
///
/// let device = Device::default();
/// let layer = RecurrentConfig::<Leaky>::new(3, 4).with_num_layers(2).init(Key::new(0), &device);
/// let output = layer.forward(Tensor::<3>::ones([1, 5, 3], &device));
/// assert_eq!(output.sequence.dims(), [1, 5, 4]);
/// ```
pub trait Cell: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What is carried from step to step.
    type State: CellState;

    /// The number of gates G: weights are packed as `[_, G·d_hidden]`.
    fn gates(&self) -> usize;

    /// Whether a step multiplies h by `W_hh`, which it asks of [`Recurrence::product`]. A cell that does not, such as
    /// [`MinGruCell`], has neither `W_hh` nor `b_hh` in its layers, and options of that product are refused.
    fn has_w_hh(&self) -> bool {
        true
    }

    /// The gate on which forgetting depends, and where its bias starts if the initialisers ask for a unit forget bias.
    fn forget_bias(&self) -> Option<(usize, f64)> {
        None
    }

    /// The width of h where the cell projects it ([`Recurrence::projected`]); it is d_hidden otherwise.
    fn proj_size(&self) -> Option<usize> {
        None
    }

    /// The learned vectors of the cell's own, each `[d_hidden]`, which a step asks of [`Recurrence::vector`] by name.
    /// `layer_norm` says whether the layer normalises its sums, and the cell may want to normalise more.
    fn vectors(&self, layer_norm: bool) -> Vec<Vector> {
        let _ = layer_norm;
        Vec::new()
    }

    /// Whether the cell's options make sense.
    ///
    /// # Errors
    /// One that does not.
    fn check(&self) -> Result<(), RnnError> {
        Ok(())
    }

    /// The biases that Keras gives this cell.
    fn keras_bias(&self) -> Bias {
        Bias::One
    }

    /// The biases that PyTorch gives this cell: one for each product.
    fn pytorch_bias(&self) -> Bias {
        if self.has_w_hh() { Bias::Two } else { Bias::One }
    }

    /// How many tensors the state has.
    fn state_tensors(&self) -> usize {
        Self::State::TENSORS
    }

    /// The state that a sequence starts from: all zero, for `batch` rows; see [`CellState::zeros`].
    fn zero_state(&self, batch: usize, d_hidden: usize, d_output: usize, device: &Device) -> Self::State {
        Self::State::zeros(batch, d_hidden, d_output, device)
    }

    /// What PyTorch has no layer for, if that is so: then weights cannot come from there. Cells of one's own are such.
    fn unlike_pytorch(&self) -> Option<&'static str> {
        Some("this cell")
    }

    /// The fused kernel that computes the same, if there is one. There is none for a cell of one's own.
    #[doc(hidden)]
    fn kernel(&self) -> Option<Kernel> {
        None
    }

    /// One step.
    ///
    /// `input` is `x·W_ih + b_ih`, `[batch, G·d_hidden]`. The products with the recurrent weights are asked of
    /// `recurrence`, which also applies recurrent dropout.
    fn step(&self, input: Tensor<2>, state: Self::State, recurrence: &Recurrence) -> Self::State;
}

/// The cells that devices may have fused kernels for, with their options as plain data.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// The plain RNN.
    Rnn(KernelOptions),
    /// The LSTM with forget gates.
    Lstm(KernelOptions),
    /// The GRU.
    Gru {
        /// Whether the reset gate acts after the recurrent product.
        reset_after: bool,
        /// Its other options.
        options: KernelOptions,
    },
    /// The minGRU.
    MinGru {
        /// Whether its candidate goes through [`Activation::Positive`] or nothing.
        positive: bool,
    },
    /// The minLSTM.
    MinLstm {
        /// As for a minGRU.
        positive: bool,
    },
}

impl Kernel {
    /// Whether the candidate of a minGRU or minLSTM goes through [`Activation::Positive`]; `None` where it goes through
    /// something that has no kernel.
    fn positive(activation: Activation) -> Option<bool> {
        match activation {
            Activation::Linear => Some(false),
            Activation::Positive => Some(true),
            _ => None,
        }
    }
}

/// Options of a cell but for the tensors that they bring, which a call has.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelOptions {
    /// σ.
    pub gate: Activation,
    /// φ: of the LSTM's g, the GRU's n, the RNN's h.
    pub candidate: Activation,
    /// ψ, of the LSTM's c on its way to h.
    pub hidden: Activation,
    /// Holds the LSTM's c, or the h of the others, in `[−clip, clip]`.
    pub clip: Option<f64>,
    /// Whether f = 1 − i in an LSTM.
    pub coupled: bool,
}

impl KernelOptions {
    /// The plain cells'.
    pub const PLAIN: Self = Self {
        gate: Activation::Sigmoid,
        candidate: Activation::Tanh,
        hidden: Activation::Tanh,
        clip: None,
        coupled: false,
    };
}

/// A learned vector of a cell's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vector {
    /// By this name a step asks for it.
    pub name: &'static str,
    /// The value that all its elements start from.
    pub start: f64,
}

/// The recurrent weights as a step uses them.
#[derive(Debug, Clone)]
pub struct Recurrence {
    /// `W_hh`, `[d_output, gates·d_hidden]`; none where the cell has none.
    pub(crate) weight: Option<Tensor<2>>,
    /// `b_hh`, `[gates·d_hidden]`.
    pub(crate) bias: Option<Tensor<1>>,
    /// The recurrent dropout masks, `[batch, d_output]`, 0 or 1/(1−p), the same at every step: none, one for all gates,
    /// or one a gate.
    pub(crate) masks: Vec<Tensor<2>>,
    /// The gain of the normalised product, `[gates·d_hidden]`; without it the product is not normalised.
    pub(crate) gain: Option<Tensor<1>>,
    /// `W_hr`, `[d_hidden, d_output]`.
    pub(crate) projection: Option<Tensor<2>>,
    /// The cell's own.
    pub(crate) vectors: Vec<(&'static str, Tensor<1>)>,
    pub(crate) d_hidden: usize,
}

impl Recurrence {
    /// `(h ∘ mask)·W_hh + b_hh` for all gates, `[batch, gates·d_hidden]`; with layer normalisation
    /// `γ_hh ∘ norm((h ∘ mask)·W_hh) + b_hh`.
    ///
    /// # Panics
    /// If the cell's [`Cell::has_w_hh`] is false: it has no such weights.
    pub fn product(&self, hidden: Tensor<2>) -> Tensor<2> {
        let product = masked_product(&self.masks, self.w_hh(), |mask| masked(&hidden, mask));
        finish(product, self.gain.clone(), self.bias.clone())
    }

    /// The same for the gates `gates` alone, `[batch, gates.len()·d_hidden]`; layer normalisation is over these gates.
    ///
    /// # Panics
    /// As [`product`](Self::product).
    pub fn product_of(&self, hidden: Tensor<2>, gates: Range<usize>) -> Tensor<2> {
        let columns = gates.start * self.d_hidden..gates.end * self.d_hidden;
        let masks = if self.masks.len() > 1 { &self.masks[gates] } else { &self.masks[..] };
        let weight = self.w_hh().slice_dim(1, columns.clone());
        let product = masked_product(masks, weight, |mask| masked(&hidden, mask));
        let part = |vector: &Option<Tensor<1>>| vector.clone().map(|v| v.slice_dim(0, columns.clone()));
        finish(product, part(&self.gain), part(&self.bias))
    }

    fn w_hh(&self) -> Tensor<2> {
        self.weight.clone().expect("a cell whose `has_w_hh` is false asks for no product")
    }

    /// The learned vector `name` of the cell's own as `[1, d_hidden]`, if the cell has it.
    pub fn vector(&self, name: &str) -> Option<Tensor<2>> {
        self.vectors.iter().find(|(known, _)| *known == name).map(|(_, vector)| vector.clone().unsqueeze())
    }

    /// `hidden·W_hr`, `[batch, proj_size]`, where the cell projects; `hidden` as it is otherwise.
    pub fn projected(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => hidden.matmul(projection.clone()),
            None => hidden,
        }
    }
}

/// The product of all gates with its normalisation and its bias.
pub(crate) fn finish(product: Tensor<2>, gain: Option<Tensor<1>>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let product = match gain {
        Some(gain) => normalized(product) * gain.unsqueeze(),
        None => product,
    };
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// `(x − mean)/√(variance + 1e-5)` of each row (Ba, Kiros and Hinton, "Layer normalization", 2016).
pub(crate) fn normalized(x: Tensor<2>) -> Tensor<2> {
    let x = x.clone() - x.mean_dim(1);
    let variance = (x.clone() * x.clone()).mean_dim(1);
    x / (variance + 1e-5).sqrt()
}

/// `x` held in `[−clip, clip]`.
pub(crate) fn clip(clip: Option<f64>, x: Tensor<2>) -> Tensor<2> {
    match clip {
        Some(clip) => x.clamp(-clip, clip),
        None => x,
    }
}

/// A clip must be a number above 0.
pub(crate) fn checked_clip(clip: Option<f64>) -> Result<(), RnnError> {
    match clip {
        Some(clip) if !clip.is_finite() || clip <= 0.0 => Err(RnnError::Clip(clip)),
        _ => Ok(()),
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
pub fn split<const N: usize>(packed: Tensor<2>) -> [Tensor<2>; N] {
    let d_hidden = packed.dims()[1] / N;
    std::array::from_fn(|i| packed.clone().slice_dim(1, i * d_hidden..(i + 1) * d_hidden))
}
