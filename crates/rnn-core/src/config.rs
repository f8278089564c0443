//! The configuration of a recurrent layer, the same for every cell.

use crate::RnnError;
use crate::cell::{Bias, Cell};
use crate::init::{Initializers, Preset};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which way a layer goes over its input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the first step to the last.
    #[default]
    Forward,
    /// From the last step to the first (Keras' `go_backwards`, but outputs stay at their own steps).
    Backward,
    /// Both, each with weights of its own; the outputs side by side, forward before backward.
    Bidirectional,
}

impl Direction {
    /// 1, or 2 for both.
    pub fn count(self) -> usize {
        if self == Self::Bidirectional { 2 } else { 1 }
    }

    /// Refuses states of one way for a layer of both, and the other way round: their numbers alone need not tell.
    pub(crate) fn check_states(self, found: Self) -> Result<(), RnnError> {
        if self.count() == found.count() {
            return Ok(());
        }
        Err(RnnError::StateDirection { expected: self, found })
    }

    /// Whether the `index`-th of these directions goes backward.
    pub(crate) fn reverse(self, index: usize) -> bool {
        self == Self::Backward || index == 1
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Bidirectional => "both ways",
        })
    }
}

/// How many masks input dropout and recurrent dropout draw for a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropoutMasks {
    /// One for all gates (Gal and Ghahramani, 2016, "tied weights"). Keras does this with `implementation=2` alone.
    #[default]
    Shared,
    /// One a gate ("untied weights" there). Keras 2 and Keras 3 do this whenever recurrent dropout is on, which they
    /// compute with `implementation=1`. A cell of one gate has one mask either way. Without `dropout` and
    /// `recurrent_dropout` it is an error.
    PerGate,
}

/// The probability that a unit of the state keeps its old value at a step (Krueger et al., 2017).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ZoneoutConfig {
    /// Of h.
    pub hidden: f64,
    /// Of c; an error for a cell without one.
    pub cell: f64,
}

/// Options of a recurrent layer over the cell `C`. See [`RnnConfig`](crate::RnnConfig),
/// [`LstmConfig`](crate::LstmConfig) and [`GruConfig`](crate::GruConfig).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RecurrentConfig<C: Cell> {
    /// Features per step of the input.
    pub d_input: usize,
    /// Units of each layer's hidden state, the first layer's first.
    pub d_hidden: Vec<usize>,
    /// Which way each layer goes.
    pub direction: Direction,
    /// Whether input and output are `[time, batch, …]` instead of `[batch, time, …]`. Masks and lengths stay as they
    /// are.
    pub time_major: bool,
    /// The cell and its own options.
    pub cell: C,
    /// None, one or two bias vectors.
    pub bias: Bias,
    /// The probability that a feature of a layer's input is dropped for a whole sequence; in every layer. Like every
    /// other dropout it acts in those passes alone that are given a key: see [`with_dropout`](Self::with_dropout).
    pub dropout: f64,
    /// The probability that an output of a layer is dropped on its way to the next, drawn anew for each step: PyTorch's
    /// `dropout`. An error where there is one layer.
    pub layer_dropout: f64,
    /// The probability that a unit of h is dropped from the recurrent product for a whole sequence (variational
    /// dropout: Gal and Ghahramani, 2016).
    pub recurrent_dropout: f64,
    /// One mask for all gates, or one a gate; for `dropout` and `recurrent_dropout`.
    pub dropout_masks: DropoutMasks,
    /// The probability that an element of `W_hh` is dropped for a whole batch (AWD-LSTM: Merity, Keskar and Socher,
    /// 2018).
    pub weight_dropout: f64,
    /// The probability that a unit of the state keeps its old value at a step.
    pub zoneout: ZoneoutConfig,
    /// Whether each step's sums are normalised before the biases: `γ_ih∘norm(x·W_ih) + γ_hh∘norm(h·W_hh) + b`, over
    /// all gates of a row together, as haste does it (Ba, Kiros and Hinton, 2016, with the biases outside the norms).
    /// An LSTM normalises c on its way to h, too. An error for a layer of one unit, of which nothing would be left.
    pub layer_norm: bool,
    /// Whether a GPU stores the largest buffers of a pass in 16 bits; see
    /// [`with_half_storage`](Self::with_half_storage).
    #[serde(default)]
    pub half_storage: bool,
    /// How the weights start.
    pub initializers: Initializers,
}

impl<C: Cell + Default> RecurrentConfig<C> {
    /// A layer of `d_hidden` units over `d_input` features, without dropout, with [`Preset::Keras`]: an orthogonal
    /// recurrence and a forget bias of 1 keep gradients alive over more steps than PyTorch's uniform start does.
    pub fn new(d_input: usize, d_hidden: usize) -> Self {
        Self::of(C::default(), d_input, d_hidden)
    }
}

impl<C: Cell> RecurrentConfig<C> {
    /// As [`new`](Self::new), over `cell`.
    pub fn of(cell: C, d_input: usize, d_hidden: usize) -> Self {
        Self {
            d_input,
            d_hidden: vec![d_hidden],
            direction: Direction::Forward,
            time_major: false,
            bias: cell.keras_bias(),
            cell,
            dropout: 0.0,
            layer_dropout: 0.0,
            recurrent_dropout: 0.0,
            dropout_masks: DropoutMasks::Shared,
            weight_dropout: 0.0,
            zoneout: ZoneoutConfig::default(),
            layer_norm: false,
            half_storage: false,
            initializers: Initializers::KERAS,
        }
    }

    /// Stacks `layers` layers of the first one's size.
    pub fn with_num_layers(mut self, layers: usize) -> Self {
        let d_hidden = self.d_hidden.first().copied().unwrap_or_default();
        self.d_hidden = vec![d_hidden; layers];
        self
    }

    /// Stacks layers of these sizes.
    pub fn with_d_hidden(mut self, d_hidden: impl Into<Vec<usize>>) -> Self {
        self.d_hidden = d_hidden.into();
        self
    }

    /// Which way each layer goes.
    pub fn with_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// Takes and gives `[time, batch, …]` instead of `[batch, time, …]`.
    pub fn with_time_major(mut self, time_major: bool) -> Self {
        self.time_major = time_major;
        self
    }

    /// Takes initialisers and number of biases from a framework. Set the cell's own options first: Keras' number of
    /// biases depends on them.
    pub fn with_preset(mut self, preset: Preset) -> Self {
        (self.bias, self.initializers) = match preset {
            Preset::Keras => (self.cell.keras_bias(), Initializers::KERAS),
            Preset::Pytorch => (self.cell.pytorch_bias(), Initializers::PYTORCH),
        };
        self
    }

    /// None, one or two bias vectors.
    pub fn with_bias(mut self, bias: Bias) -> Self {
        self.bias = bias;
        self
    }

    /// Drops features of each layer's input with probability `dropout`, one mask per sequence.
    ///
    /// This is only the probability. **Nothing is dropped in a pass without a key**, in training either: give each
    /// training step a key of its own ([`ForwardArgs::with_dropout_key`](crate::ForwardArgs::with_dropout_key)).
    /// [`Recurrent::forward`](crate::Recurrent::forward) has none. The same goes for `with_layer_dropout`,
    /// `with_recurrent_dropout` and `with_weight_dropout`; zoneout without a key takes the mean of old and new value.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// Drops outputs of a layer on their way to the next with probability `dropout`, at each step anew.
    pub fn with_layer_dropout(mut self, dropout: f64) -> Self {
        self.layer_dropout = dropout;
        self
    }

    /// Drops units of h in the recurrent product with probability `dropout`, one mask per sequence.
    pub fn with_recurrent_dropout(mut self, dropout: f64) -> Self {
        self.recurrent_dropout = dropout;
        self
    }

    /// Draws one mask for all gates, or one a gate.
    pub fn with_dropout_masks(mut self, masks: DropoutMasks) -> Self {
        self.dropout_masks = masks;
        self
    }

    /// Drops elements of the recurrent matrix with probability `dropout`, one mask per batch.
    pub fn with_weight_dropout(mut self, dropout: f64) -> Self {
        self.weight_dropout = dropout;
        self
    }

    /// Keeps units of h, and of c, at their old value with these probabilities at each step.
    pub fn with_zoneout(mut self, hidden: f64, cell: f64) -> Self {
        self.zoneout = ZoneoutConfig { hidden, cell };
        self
    }

    /// Normalises each step's sums.
    pub fn with_layer_norm(mut self, layer_norm: bool) -> Self {
        self.layer_norm = layer_norm;
        self
    }

    /// Has a GPU store as f16 what takes most of its memory: the input products of all steps, what the forward pass
    /// saves for the backward pass, and the copy of `W_hh` that it reads at every step. Sums, states, outputs, weights
    /// and gradients stay f32, so that optimizers and weight files are the same (Keras: `mixed_float16`, whose outputs
    /// are f16 too). Stored numbers have 11 binary digits; those beyond ±65504 become infinite, as h of an RNN with
    /// ReLU may, and sums of features that are thousands of times too large.
    ///
    /// Nothing else stores anything so: on a CPU, and where a layer runs step by step, this has no effect. Nor has it
    /// on a GPU without 16-bit floats, of which [`ForwardArgs::with_step_by_step_warning`] tells.
    ///
    /// [`ForwardArgs::with_step_by_step_warning`]: crate::ForwardArgs::with_step_by_step_warning
    pub fn with_half_storage(mut self, half_storage: bool) -> Self {
        self.half_storage = half_storage;
        self
    }

    /// How the weights start.
    pub fn with_initializers(mut self, initializers: Initializers) -> Self {
        self.initializers = initializers;
        self
    }

    /// Features per step of the output: directions times the width of the last layer's h.
    pub fn d_output(&self) -> usize {
        let last = self.d_hidden.len().checked_sub(1);
        last.map_or(0, |last| self.direction.count().saturating_mul(self.width(last)))
    }

    /// How many numbers the weight matrices have, without biases and projections; `usize::MAX` where that is too small.
    pub fn num_weights(&self) -> usize {
        let gates = self.cell.gates();
        let weights = |(layer, &d_hidden): (usize, &usize)| {
            let recurrent = if self.cell.has_w_hh() { self.width(layer) } else { 0 };
            let rows = self.layer_input(layer).saturating_add(recurrent);
            rows.saturating_mul(gates).saturating_mul(d_hidden).saturating_mul(self.direction.count())
        };
        self.d_hidden.iter().enumerate().map(weights).fold(0, usize::saturating_add)
    }

    /// The width of h in the `layer`-th layer.
    pub(crate) fn width(&self, layer: usize) -> usize {
        self.cell.proj_size().unwrap_or(self.d_hidden[layer])
    }

    /// Features per step of the `layer`-th layer's input.
    pub(crate) fn layer_input(&self, layer: usize) -> usize {
        if layer == 0 { self.d_input } else { self.direction.count().saturating_mul(self.width(layer - 1)) }
    }
}
