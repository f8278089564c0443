//! The configuration of a recurrent layer, the same for every cell.

use crate::cell::{Bias, Cell, GruCell, Nonlinearity, RnnCell};
use crate::init::{Initializer, Initializers, Preset, parameter};
use crate::layer::{Layer, Recurrent};
use crate::{Key, RnnError};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// How many masks input dropout and recurrent dropout draw for a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropoutMasks {
    /// One for all gates (Gal and Ghahramani, 2016, "tied weights"). Keras does this with `implementation=2` alone.
    #[default]
    Shared,
    /// One a gate ("untied weights" there). Keras 2 and Keras 3 do this whenever recurrent dropout is on: they turn to
    /// `implementation=1` by themselves.
    PerGate,
}

/// Options of a recurrent layer over the cell `C`. See [`RnnConfig`](crate::RnnConfig),
/// [`LstmConfig`](crate::LstmConfig) and [`GruConfig`](crate::GruConfig).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RecurrentConfig<C: Cell> {
    /// Features per step of the input.
    pub d_input: usize,
    /// Units of the hidden state.
    pub d_hidden: usize,
    /// The cell and its own options.
    pub cell: C,
    /// None, one or two bias vectors.
    pub bias: Bias,
    /// The probability that an input feature is dropped for a whole sequence.
    pub dropout: f64,
    /// The probability that a unit of h is dropped from the recurrent product for a whole sequence (variational
    /// dropout: Gal and Ghahramani, 2016).
    pub recurrent_dropout: f64,
    /// One mask for all gates, or one a gate; for both kinds of dropout.
    pub dropout_masks: DropoutMasks,
    /// How the weights start.
    pub initializers: Initializers,
}

impl<C: Cell + Default> RecurrentConfig<C> {
    /// A layer of `d_hidden` units over `d_input` features, without dropout, with [`Preset::Keras`]: an orthogonal
    /// recurrence and a forget bias of 1 keep gradients alive over more steps than PyTorch's uniform start does.
    pub fn new(d_input: usize, d_hidden: usize) -> Self {
        let cell = C::default();
        Self {
            d_input,
            d_hidden,
            bias: cell.keras_bias(),
            cell,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            dropout_masks: DropoutMasks::Shared,
            initializers: Initializers::KERAS,
        }
    }
}

impl<C: Cell> RecurrentConfig<C> {
    /// Takes initialisers and number of biases from a framework. Set the cell's own options first: Keras' number of
    /// biases depends on them.
    pub fn with_preset(mut self, preset: Preset) -> Self {
        (self.bias, self.initializers) = match preset {
            Preset::Keras => (self.cell.keras_bias(), Initializers::KERAS),
            Preset::Pytorch => (Bias::Two, Initializers::PYTORCH),
        };
        self
    }

    /// None, one or two bias vectors.
    pub fn with_bias(mut self, bias: Bias) -> Self {
        self.bias = bias;
        self
    }

    /// Drops input features with probability `dropout`, one mask per sequence.
    pub fn with_dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
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

    /// How the weights start.
    pub fn with_initializers(mut self, initializers: Initializers) -> Self {
        self.initializers = initializers;
        self
    }

    /// Makes the layer, its weights drawn from `key`.
    ///
    /// # Errors
    /// A size of zero, a probability outside `[0, 1)`, an initialiser that cannot fill its parameter.
    pub fn try_init(&self, key: Key, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.check()?;
        let (i, h, g) = (self.d_input, self.d_hidden, C::GATES * self.d_hidden);
        let of = &self.initializers;
        let input_bias = match self.bias {
            Bias::None => None,
            _ => {
                let mut bias = of.bias.vector(g, h, key.child(2))?;
                if let (true, Some(forget)) = (of.unit_forget_bias, C::FORGET_GATE) {
                    bias[forget * h..(forget + 1) * h].fill(1.0);
                }
                Some(bias)
            }
        };
        let recurrent_bias = match self.bias {
            Bias::Two => Some(of.bias.vector(g, h, key.child(3))?),
            _ => None,
        };
        let vector = |values: Vec<f64>| {
            let data = TensorData::new(values, [g]);
            Param::from_tensor(Tensor::<1>::from_data(data, device))
        };
        let layer = Layer {
            weight_ih: parameter(of.input.matrix(i, g, h, key.child(0)), g, device),
            weight_hh: parameter(of.recurrent.matrix(h, g, h, key.child(1)), g, device),
            bias_ih: input_bias.map(vector),
            bias_hh: recurrent_bias.map(vector),
        };
        Ok(Recurrent { layers: vec![layer], config: self.clone() })
    }

    /// [`try_init`](Self::try_init) for a configuration known to be right.
    ///
    /// # Panics
    /// Where `try_init` gives an error.
    pub fn init(&self, key: Key, device: &Device) -> Recurrent<C> {
        match self.try_init(key, device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }

    fn check(&self) -> Result<(), RnnError> {
        for (name, size) in [("d_input", self.d_input), ("d_hidden", self.d_hidden)] {
            if size == 0 {
                return Err(RnnError::ZeroSize { name });
            }
        }
        for (name, value) in [("dropout", self.dropout), ("recurrent_dropout", self.recurrent_dropout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(RnnError::Probability { name, value });
            }
        }
        if matches!(self.bias, Bias::None) {
            return Ok(());
        }
        match self.initializers.bias {
            Initializer::GlorotUniform | Initializer::Orthogonal => {
                self.initializers.bias.vector(1, 1, Key::new(0)).map(drop)
            }
            _ => Ok(()),
        }
    }
}

impl RecurrentConfig<GruCell> {
    /// Whether the reset gate acts after the recurrent product (PyTorch, Keras' default) or before it (the paper).
    /// Under Keras' preset the number of biases follows.
    pub fn with_reset_after(mut self, reset_after: bool) -> Self {
        let was_keras = self.bias == self.cell.keras_bias();
        self.cell.reset_after = reset_after;
        if was_keras && self.initializers == Initializers::KERAS {
            self.bias = self.cell.keras_bias();
        }
        self
    }
}

impl RecurrentConfig<RnnCell> {
    /// tanh (the default) or relu.
    pub fn with_nonlinearity(mut self, nonlinearity: Nonlinearity) -> Self {
        self.cell.nonlinearity = nonlinearity;
        self
    }
}
