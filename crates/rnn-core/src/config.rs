//! The configuration of a recurrent layer, the same for every cell.

use crate::cell::{Bias, Cell};
use crate::init::{Initializer, Initializers, Preset, parameter};
use crate::layer::{Layer, Recurrent};
use crate::{Key, RnnError};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
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

/// Which of a layer's drawn parameters the projection is.
const PROJECTION: u64 = 4;

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
    /// Whether input and output are `[time, batch, …]` instead of `[batch, time, …]`. Masks and lengths stay as they are.
    pub time_major: bool,
    /// The cell and its own options.
    pub cell: C,
    /// None, one or two bias vectors.
    pub bias: Bias,
    /// The probability that a feature of a layer's input is dropped for a whole sequence; in every layer. Like every other
    /// dropout it acts in those passes alone that are given a key: see [`with_dropout`](Self::with_dropout).
    pub dropout: f64,
    /// The probability that an output of a layer is dropped on its way to the next, drawn anew for each step: PyTorch's
    /// `dropout`. An error where there is one layer.
    pub layer_dropout: f64,
    /// The probability that a unit of h is dropped from the recurrent product for a whole sequence (variational
    /// dropout: Gal and Ghahramani, 2016).
    pub recurrent_dropout: f64,
    /// One mask for all gates, or one a gate; for `dropout` and `recurrent_dropout`.
    pub dropout_masks: DropoutMasks,
    /// The probability that an element of `W_hh` is dropped for a whole batch (AWD-LSTM: Merity, Keskar and Socher, 2018).
    pub weight_dropout: f64,
    /// The probability that a unit of the state keeps its old value at a step.
    pub zoneout: ZoneoutConfig,
    /// Whether each step's sums are normalised before the biases: `γ_ih∘norm(x·W_ih) + γ_hh∘norm(h·W_hh) + b`, over all
    /// gates of a row together, as haste does it (Ba, Kiros and Hinton, 2016, with the biases outside the norms). An LSTM
    /// normalises c on its way to h, too. An error for a layer of one unit, of which nothing would be left.
    pub layer_norm: bool,
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
            Preset::Pytorch => (Bias::Two, Initializers::PYTORCH),
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
    /// [`Recurrent::forward`] has none. The same goes for `with_layer_dropout`, `with_recurrent_dropout` and
    /// `with_weight_dropout`; zoneout without a key takes the mean of old and new value.
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
    ///
    /// Such a layer runs step by step, without the fused kernels: many times slower on a CPU.
    pub fn with_layer_norm(mut self, layer_norm: bool) -> Self {
        self.layer_norm = layer_norm;
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
            let rows = self.layer_input(layer).saturating_add(self.width(layer));
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

    /// Makes the layer, its weights drawn from `key`.
    ///
    /// # Errors
    /// A size of zero, no layer, a probability outside `[0, 1)`, an initialiser that cannot fill its parameter. An option that
    /// changes nothing: layer dropout of one layer, zoneout of c in a cell without c, masks per gate without dropout. Layer
    /// normalisation of one unit.
    pub fn try_init(&self, key: Key, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.make(Some(key), device)
    }

    /// Makes the layer with zeros for all weights and biases, to load those of another into it: nothing is drawn, which for layers
    /// of thousands of units takes long.
    ///
    /// ```no_run
    /// # use rnn_core::burn::{module::Module, tensor::Device};
    /// # use rnn_core::LstmConfig;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lstm = LstmConfig::new(256, 2048).try_init_zeros(&Device::default())?;
    /// let lstm = lstm.try_load_file("lstm.bpk")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`try_init`](Self::try_init).
    pub fn try_init_zeros(&self, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.make(None, device)
    }

    /// Draws the weights, or without a key takes zeros.
    fn make(&self, key: Option<Key>, device: &Device) -> Result<Recurrent<C>, RnnError> {
        self.check()?;
        let mut layers = Vec::new();
        for layer in 0..self.d_hidden.len() {
            for _ in 0..self.direction.count() {
                let number = layers.len() as u64;
                // The projection came later; its keys lie beyond those of the other four.
                let key_of = |parameter| {
                    Some(match parameter {
                        PROJECTION => key?.child((1 << 32) + number),
                        _ => key?.child(4 * number + parameter),
                    })
                };
                layers.push(self.init_layer(layer, key_of, device)?);
            }
        }
        Ok(Recurrent { layers, config: self.clone() })
    }

    /// The weights of one layer and direction; `key` gives each drawn parameter a key of its own, or none: then it is zero.
    fn init_layer(&self, layer: usize, key: impl Fn(u64) -> Option<Key>, device: &Device) -> Result<Layer, RnnError> {
        let (i, h) = (self.layer_input(layer), self.d_hidden[layer]);
        let (p, g) = (self.width(layer), self.cell.gates() * h);
        let initializers = &self.initializers;
        let matrix = |initializer: Initializer, [rows, columns]: [usize; 2], number| match key(number) {
            Some(key) => parameter(initializer.matrix(rows, columns, h, key), columns, device),
            None => Param::from_tensor(Tensor::zeros([rows, columns], device)),
        };
        let bias = |number| key(number).map_or_else(|| Ok(vec![0.0; g]), |key| initializers.bias.vector(g, h, key));
        let input_bias = match self.bias {
            Bias::None => None,
            _ => {
                let mut bias = bias(2)?;
                if let (true, Some((gate, start)), Some(_)) =
                    (initializers.unit_forget_bias, self.cell.forget_bias(), key(2))
                {
                    bias[gate * h..(gate + 1) * h].fill(start);
                }
                Some(bias)
            }
        };
        let recurrent_bias = match self.bias {
            Bias::Two => Some(bias(3)?),
            _ => None,
        };
        let vector = |values: Vec<f64>| {
            let n = values.len();
            Param::from_tensor(Tensor::<1>::from_data(TensorData::new(values, [n]), device))
        };
        let gain = || self.layer_norm.then(|| vector(vec![1.0; g]));
        Ok(Layer {
            weight_ih: matrix(initializers.input, [i, g], 0),
            weight_hh: matrix(initializers.recurrent, [p, g], 1),
            bias_ih: input_bias.map(vector),
            bias_hh: recurrent_bias.map(vector),
            weight_hr: (p != h).then(|| matrix(initializers.recurrent, [h, p], PROJECTION)),
            norm_ih: gain(),
            norm_hh: gain(),
            vectors: self.cell.vectors(self.layer_norm).iter().map(|v| vector(vec![v.start; h])).collect(),
        })
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

    /// [`try_init_zeros`](Self::try_init_zeros) for a configuration known to be right.
    ///
    /// # Panics
    /// Where `try_init_zeros` gives an error.
    pub fn init_zeros(&self, device: &Device) -> Recurrent<C> {
        match self.try_init_zeros(device) {
            Ok(layer) => layer,
            Err(error) => panic!("{error}"),
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::{AnyConfig, CellKind, LstmConfig};
    use burn::module::{Module, ModuleVisitor};

    /// The shapes of all parameters, and whether all but those that scale a norm are zero.
    #[derive(Default)]
    struct Seen {
        shapes: Vec<Vec<usize>>,
        trains: Vec<bool>,
        zero: bool,
        values: Vec<TensorData>,
    }

    impl ModuleVisitor for Seen {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let tensor = parameter.val();
            self.shapes.push(tensor.dims().to_vec());
            self.trains.push(tensor.is_require_grad());
            self.zero &= tensor.clone().equal_elem(0.0).all().into_scalar::<bool>();
            self.values.push(tensor.into_data());
        }
    }

    fn seen(module: &impl Module) -> Seen {
        let mut seen = Seen { zero: true, ..Seen::default() };
        module.visit(&mut seen);
        seen
    }

    #[test]
    fn zeros_take_the_place_of_what_is_drawn() {
        for device in [Device::default(), Device::default().autodiff()] {
            let plain = LstmConfig::new(3, 5).with_num_layers(2).with_direction(Direction::Bidirectional);
            let mut projected = LstmConfig::new(3, 5).with_preset(Preset::Pytorch);
            projected.cell.proj_size = Some(2);
            for (config, all) in
                [(plain, true), (projected, true), (LstmConfig::new(3, 5).with_layer_norm(true), false)]
            {
                let (drawn, zeros) = (config.init(Key::new(1), &device), config.init_zeros(&device));
                let (from, to) = (seen(&drawn), seen(&zeros));
                assert_eq!((&from.shapes, &from.trains, &drawn.config), (&to.shapes, &to.trains, &zeros.config));
                assert!(!from.zero && to.zero == all);
                // What is loaded is all that counts.
                let loaded = zeros.load_record(drawn.into_record());
                let loaded = seen(&loaded);
                assert_eq!((loaded.values, loaded.trains), (from.values, from.trains));
            }
        }
    }

    #[test]
    fn zeros_are_refused_where_drawn_weights_are() {
        let device = Device::default();
        let config = LstmConfig::new(3, 0);
        let (drawn, zeros) = (config.try_init(Key::new(0), &device), config.try_init_zeros(&device));
        assert_eq!(zeros.map(|_| ()).expect_err("no units"), drawn.map(|_| ()).expect_err("no units"));
        for cell in CellKind::ALL {
            let config = AnyConfig::of_kind(cell, 3, 4).with_num_layers(2);
            let (drawn, zeros) = (config.try_init(Key::new(0), &device), config.try_init_zeros(&device));
            assert_eq!(seen(&drawn.expect("right")).shapes, seen(&zeros.expect("right")).shapes);
        }
    }
}
