//! Trained networks as files that PyTorch and onnxruntime run.
//!
//! A [`Network`] is what the programs' models have in common: ids or features, a recurrent layer or a stack of them,
//! a dense layer. [`pytorch`] writes it as safetensors with PyTorch's names and a Python file that loads them,
//! [`onnx`] as an ONNX file. Weights that are rounded to int8 are [`int8`]'s.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod int8;
pub mod onnx;
pub mod pytorch;
mod weights;

use burn::tensor::Tensor;
use rnn_core::AnyRecurrent;
pub use weights::{Kind, Matrix, Recurrent, Weights};

/// What a network reads at each step.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An id, whose row in this table `[ids, width]` goes into the recurrent layer.
    Ids(Matrix),
    /// A symbol, whose one-hot row goes into the recurrent layer.
    Symbols,
    /// Numbers, which go into the recurrent layer as they are.
    Features,
}

/// Of which steps the network answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Once a sequence, from the last state of each direction: `[batch, answers]`.
    Last,
    /// Once a sequence, from each unit's largest value over all steps, its mean, or both side by side: `[batch,
    /// answers]`.
    Pooled {
        /// The largest value.
        max: bool,
        /// The mean.
        mean: bool,
    },
    /// At every step: `[batch, time, answers]`. Such a network takes a state and gives the state after the last step,
    /// so that it can be run piece by piece.
    EveryStep,
}

/// The dense layer, PyTorch's way round.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// `[answers, d_input]`.
    pub weight: Matrix,
    /// `[answers]`; zeros where the layer has none.
    pub bias: Vec<f32>,
}

impl Dense {
    /// Of Burn's `Linear`, whose weight is `[d_input, answers]`.
    pub fn of(linear: &burn::nn::Linear) -> Self {
        let weight = Matrix::of(linear.weight.val().transpose());
        let bias = match &linear.bias {
            Some(bias) => weights::numbers(bias.val()),
            None => vec![0.0; weight.rows],
        };
        Self { weight, bias }
    }
}

/// A linear layer beside the recurrent ones, from the last steps of the first features to the answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// How many features of each step it reads.
    pub features: usize,
    /// `[answers, steps·features]`, an earlier step before a later one.
    pub weight: Matrix,
}

/// What the answers become beside the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// They stay as they are.
    Plain,
    /// `1/(1 + e^−x)` of each: the probability that it is true.
    Sigmoid,
    /// The probabilities of the classes, of which one is right.
    Softmax,
}

/// A trained network, its weights on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// What it reads.
    pub input: Input,
    /// The recurrent layers.
    pub recurrent: Recurrent,
    /// Of which steps it answers.
    pub read: Read,
    /// From the last recurrent layer's h to the answers.
    pub dense: Dense,
    /// What is added to them; for [`Input::Features`] and [`Read::Last`].
    pub beside: Option<Beside>,
    /// What the answers become.
    pub answer: Answer,
    /// Whether each sequence has a length of its own, 1 at least, after which nothing is read: the network then takes
    /// `lengths`, `[batch]`.
    pub lengths: bool,
}

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// No other library has such a layer.
    #[error("this model cannot be exported: neither PyTorch nor ONNX has {0}")]
    Unlike(&'static str),
    /// PyTorch has no such layer.
    #[error("this model cannot be exported: {0} is not PyTorch's; choose onnx")]
    UnlikePytorch(&'static str),
    /// Larger than a file of that format may be.
    #[error(
        "the model has {bytes} bytes of weights, more than the 2147483647 bytes of an ONNX file; export it with pytorch"
    )]
    TooLarge {
        /// Of all weights.
        bytes: usize,
    },
    /// The writer of the format failed.
    #[error("safetensors: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
}

impl Network {
    /// The network of these parts.
    ///
    /// # Errors
    /// A recurrent layer that no other library has.
    pub fn new(input: Input, layer: &AnyRecurrent, read: Read, dense: Dense) -> Result<Self, ExportError> {
        let (recurrent, answer) = (Recurrent::of(layer)?, Answer::Plain);
        Ok(Self { input, recurrent, read, dense, beside: None, answer, lengths: false })
    }

    /// With a linear layer beside the recurrent ones.
    ///
    /// # Panics
    /// If the network reads no features or answers at every step.
    pub fn with_beside(mut self, beside: Beside) -> Self {
        assert!(self.input == Input::Features && self.read == Read::Last, "there are no last features");
        self.beside = Some(beside);
        self
    }

    /// With probabilities beside the logits.
    pub fn with_answer(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// Each sequence with a length of its own, or not.
    pub fn with_lengths(mut self, lengths: bool) -> Self {
        self.lengths = lengths;
        self
    }
}

/// The table of an embedding as a network reads it.
pub fn table(weight: Tensor<2>) -> Input {
    Input::Ids(Matrix::of(weight))
}
