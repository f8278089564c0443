//! burn-nn's `Rnn`, `Lstm` and `Gru`.

mod activation;

use super::WeightError;
use crate::cell::{Cell, GruCell, LstmCell, RnnCell};
use crate::{Bias, Direction, Layer, Recurrent, RecurrentConfig};
use burn::module::Param;
use burn::nn::{self, GateController, Linear};
use burn::tensor::{Device, Tensor};

/// A cell that burn-nn has too. Only the cells of this crate are.
pub trait BurnCell: Cell + Default {
    /// burn-nn's layer of one direction.
    type Module;
    /// burn-nn's layer of both.
    type Bidirectional;

    /// The layer's options, and its gates in the order of this crate.
    ///
    /// # Errors
    /// An option that rnn-core does not have.
    #[doc(hidden)]
    fn take_apart(module: &Self::Module) -> Result<Parts<'_, Self>, WeightError>;

    /// The layer of these gates, in the order of this crate.
    ///
    /// # Errors
    /// An option that burn-nn does not have.
    #[doc(hidden)]
    fn put_together(&self, gates: Vec<GateController>, options: Options) -> Result<Self::Module, WeightError>;

    /// Forward, backward, and whether the time comes first.
    #[doc(hidden)]
    fn halves(module: &Self::Bidirectional) -> (&Self::Module, &Self::Module, bool);

    /// The opposite of [`halves`](Self::halves).
    #[doc(hidden)]
    fn join(forward: Self::Module, reverse: Self::Module, options: Options) -> Self::Bidirectional;
}

/// A layer of burn-nn, taken apart.
#[derive(Debug)]
pub struct Parts<'a, C> {
    /// The cell with its options.
    pub cell: C,
    /// In the order of this crate.
    pub gates: Vec<&'a GateController>,
    /// Whether it goes backward.
    pub reverse: bool,
    /// Whether the time comes first.
    pub time_major: bool,
}

/// How a layer of burn-nn is to be made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Units.
    pub d_hidden: usize,
    /// Whether it goes backward.
    pub reverse: bool,
    /// Whether the time comes first.
    pub time_major: bool,
    /// Where its weights are.
    pub device: Device,
}

impl<C: BurnCell> Recurrent<C> {
    /// The layer with the weights of a `burn::nn::Rnn`, `Lstm` or `Gru`, as new parameters on the same device.
    ///
    /// # Errors
    /// A layer with an option that rnn-core does not have; gates of unlike shapes.
    pub fn from_burn(module: &C::Module) -> Result<Self, WeightError> {
        let parts = C::take_apart(module)?;
        let direction = if parts.reverse { Direction::Backward } else { Direction::Forward };
        from_parts(vec![parts], direction)
    }

    /// The layer with the weights of a `burn::nn::BiRnn`, `BiLstm` or `BiGru`, as new parameters on the same device.
    ///
    /// # Errors
    /// As [`from_burn`](Self::from_burn).
    pub fn from_burn_bidirectional(module: &C::Bidirectional) -> Result<Self, WeightError> {
        let (forward, reverse, time_major) = C::halves(module);
        let mut parts = vec![C::take_apart(forward)?, C::take_apart(reverse)?];
        if parts[0].cell != parts[1].cell {
            return Err(unlike_ours("directions of different options"));
        }
        if parts.iter().any(|part| part.reverse || part.time_major) {
            return Err(unlike_ours("halves of a bidirectional module that turn their input themselves"));
        }
        parts[0].time_major = time_major;
        from_parts(parts, Direction::Bidirectional)
    }

    /// burn-nn's layer with these weights, as new parameters on the same device. One bias becomes two, the recurrent
    /// one zero, because burn-nn's records have both. Dropout and zoneout do not go along: burn-nn has neither.
    ///
    /// # Errors
    /// A stack, both directions, or an option that burn-nn does not have.
    pub fn to_burn(&self) -> Result<C::Module, WeightError> {
        if self.config.direction == Direction::Bidirectional {
            return Err(unlike_burn("both directions in one module; use to_burn_bidirectional"));
        }
        let reverse = self.config.direction == Direction::Backward;
        self.one_direction(0, Options { reverse, ..self.options()? })
    }

    /// The same for a layer of both directions.
    ///
    /// # Errors
    /// A stack, one direction, or an option that burn-nn does not have.
    pub fn to_burn_bidirectional(&self) -> Result<C::Bidirectional, WeightError> {
        if self.config.direction != Direction::Bidirectional {
            return Err(unlike_burn("one direction in a bidirectional module; use to_burn"));
        }
        let options = self.options()?;
        // Its halves take the time second; the whole swaps.
        let inner = Options { time_major: false, ..options.clone() };
        Ok(C::join(self.one_direction(0, inner.clone())?, self.one_direction(1, inner)?, options))
    }

    fn options(&self) -> Result<Options, WeightError> {
        if self.config.layer_norm {
            return Err(unlike_burn("layer normalisation inside the cell"));
        }
        let [d_hidden] = self.config.d_hidden[..] else {
            return Err(unlike_burn("a stack; convert layer by layer"));
        };
        let device = self.layers[0].weight_ih.val().device();
        Ok(Options { d_hidden, reverse: false, time_major: self.config.time_major, device })
    }

    fn one_direction(&self, direction: usize, options: Options) -> Result<C::Module, WeightError> {
        let layer = &self.layers[direction];
        let Some(weight_hh) = &layer.weight_hh else { return Err(unlike_burn("no recurrent weights")) };
        let h = options.d_hidden;
        let columns = |gate: usize| gate * h..(gate + 1) * h;
        let linear = |weight: &Param<Tensor<2>>, bias: &Option<Param<Tensor<1>>>, gate: usize| {
            let bias = match (bias, &layer.bias_ih) {
                (Some(bias), _) => Some(bias.val().slice_dim(0, columns(gate))),
                (None, Some(other)) => Some(other.val().slice_dim(0, columns(gate)).zeros_like()),
                (None, None) => None,
            };
            let weight = parameter(weight.val().slice_dim(1, columns(gate)));
            Linear { weight, bias: bias.map(parameter) }
        };
        let gate = |gate| GateController {
            input_transform: linear(&layer.weight_ih, &layer.bias_ih, gate),
            hidden_transform: linear(weight_hh, &layer.bias_hh, gate),
        };
        self.config.cell.put_together((0..self.config.cell.gates()).map(gate).collect(), options)
    }
}

fn from_parts<C: BurnCell>(parts: Vec<Parts<'_, C>>, direction: Direction) -> Result<Recurrent<C>, WeightError> {
    let Some(first) = parts.first() else { return Err(unlike_ours("no direction")) };
    let [d_input, d_hidden] = first.gates[0].input_transform.weight.val().dims();
    let bias = bias_of(first.gates[0]);
    let mut config = RecurrentConfig::new(d_input, d_hidden)
        .with_direction(direction)
        .with_time_major(first.time_major)
        .with_bias(bias);
    config.cell = first.cell.clone();
    config.cell.check().map_err(|_| unlike_ours("a clip that is not a finite number above zero"))?;
    let layers = parts.iter().map(|parts| pack(&parts.gates, [d_input, d_hidden], bias)).collect::<Result<_, _>>()?;
    Ok(Recurrent { layers, config })
}

/// The gates side by side.
fn pack(gates: &[&GateController], [d_input, d_hidden]: [usize; 2], bias: Bias) -> Result<Layer, WeightError> {
    for gate in gates {
        if bias_of(gate) != bias {
            return Err(unlike_ours("biases in some gates only"));
        }
        for (linear, rows) in [(&gate.input_transform, d_input), (&gate.hidden_transform, d_hidden)] {
            let width = linear.bias.as_ref().map_or(d_hidden, |bias| bias.val().dims()[0]);
            if linear.weight.val().dims() != [rows, d_hidden] || width != d_hidden {
                return Err(unlike_ours("gates of different shapes"));
            }
        }
    }
    let weight = |linear: fn(&GateController) -> &Linear| {
        let weights = gates.iter().map(|gate| linear(gate).weight.val());
        parameter(Tensor::cat(weights.collect(), 1))
    };
    let bias = |linear: fn(&GateController) -> &Linear| {
        let biases: Vec<Tensor<1>> =
            gates.iter().filter_map(|gate| linear(gate).bias.as_ref()).map(|b| b.val()).collect();
        (!biases.is_empty()).then(|| parameter(Tensor::cat(biases, 0)))
    };
    Ok(Layer {
        weight_ih: weight(|gate| &gate.input_transform),
        weight_hh: Some(weight(|gate| &gate.hidden_transform)),
        bias_ih: bias(|gate| &gate.input_transform),
        bias_hh: bias(|gate| &gate.hidden_transform),
        weight_hr: None,
        norm_ih: None,
        norm_hh: None,
        vectors: Vec::new(),
    })
}

/// A new parameter. Only a tensor without history can become one, and one that was cut or joined has it.
fn parameter<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(value.detach())
}

fn bias_of(gate: &GateController) -> Bias {
    match (&gate.input_transform.bias, &gate.hidden_transform.bias) {
        (_, Some(_)) => Bias::Two,
        (Some(_), None) => Bias::One,
        (None, None) => Bias::None,
    }
}

fn unlike_ours(what: &'static str) -> WeightError {
    WeightError::Unlike { library: "rnn-core", what }
}

fn unlike_burn(what: &'static str) -> WeightError {
    WeightError::Unlike { library: "burn-nn", what }
}

/// `gates` as an array; they are as many as the cell says.
fn array<const N: usize>(gates: Vec<GateController>) -> Result<[GateController; N], WeightError> {
    gates.try_into().map_err(|_| unlike_burn("another number of gates"))
}

impl BurnCell for RnnCell {
    type Module = nn::Rnn;
    type Bidirectional = nn::BiRnn;

    fn take_apart(module: &nn::Rnn) -> Result<Parts<'_, Self>, WeightError> {
        let hidden_activation = activation::from_burn(&module.hidden_activation)?;
        let cell = RnnCell { hidden_activation, clip: module.clip };
        Ok(Parts { cell, gates: vec![&module.gate], reverse: module.reverse, time_major: !module.batch_first })
    }

    fn put_together(&self, gates: Vec<GateController>, options: Options) -> Result<nn::Rnn, WeightError> {
        let [gate] = array(gates)?;
        Ok(nn::Rnn {
            gate,
            d_hidden: options.d_hidden,
            batch_first: !options.time_major,
            reverse: options.reverse,
            clip: self.clip,
            hidden_activation: activation::to_burn(self.hidden_activation)?.init(&options.device),
        })
    }

    fn halves(module: &nn::BiRnn) -> (&nn::Rnn, &nn::Rnn, bool) {
        (&module.forward, &module.reverse, !module.batch_first)
    }

    fn join(forward: nn::Rnn, reverse: nn::Rnn, options: Options) -> nn::BiRnn {
        nn::BiRnn { forward, reverse, d_hidden: options.d_hidden, batch_first: !options.time_major }
    }
}

impl BurnCell for LstmCell {
    type Module = nn::Lstm;
    type Bidirectional = nn::BiLstm;

    fn take_apart(module: &nn::Lstm) -> Result<Parts<'_, Self>, WeightError> {
        let cell = LstmCell {
            gate_activation: activation::from_burn(&module.gate_activation)?,
            cell_activation: activation::from_burn(&module.cell_activation)?,
            hidden_activation: activation::from_burn(&module.hidden_activation)?,
            coupled: module.input_forget,
            clip: module.clip,
            ..LstmCell::default()
        };
        let gates = match (&module.forget_gate, module.input_forget) {
            // A forget gate beside coupled gates is not used.
            (_, true) => vec![&module.input_gate, &module.cell_gate, &module.output_gate],
            (Some(forget), false) => vec![&module.input_gate, forget, &module.cell_gate, &module.output_gate],
            (None, false) => return Err(unlike_ours("no forget gate")),
        };
        Ok(Parts { cell, gates, reverse: module.reverse, time_major: !module.batch_first })
    }

    fn put_together(&self, gates: Vec<GateController>, options: Options) -> Result<nn::Lstm, WeightError> {
        if self.peepholes {
            return Err(unlike_burn("peepholes"));
        }
        if self.proj_size.is_some() {
            return Err(unlike_burn("a projection"));
        }
        let (input_gate, forget_gate, cell_gate, output_gate) = if self.coupled {
            let [input, cell, output] = array(gates)?;
            (input, None, cell, output)
        } else {
            let [input, forget, cell, output] = array(gates)?;
            (input, Some(forget), cell, output)
        };
        Ok(nn::Lstm {
            input_gate,
            forget_gate,
            output_gate,
            cell_gate,
            d_hidden: options.d_hidden,
            batch_first: !options.time_major,
            reverse: options.reverse,
            clip: self.clip,
            input_forget: self.coupled,
            gate_activation: activation::to_burn(self.gate_activation)?.init(&options.device),
            cell_activation: activation::to_burn(self.cell_activation)?.init(&options.device),
            hidden_activation: activation::to_burn(self.hidden_activation)?.init(&options.device),
        })
    }

    fn halves(module: &nn::BiLstm) -> (&nn::Lstm, &nn::Lstm, bool) {
        (&module.forward, &module.reverse, !module.batch_first)
    }

    fn join(forward: nn::Lstm, reverse: nn::Lstm, options: Options) -> nn::BiLstm {
        nn::BiLstm { forward, reverse, d_hidden: options.d_hidden, batch_first: !options.time_major }
    }
}

/// burn-nn's update gate is z: it too gives (1−z)∘n + z∘h.
impl BurnCell for GruCell {
    type Module = nn::Gru;
    type Bidirectional = nn::BiGru;

    fn take_apart(module: &nn::Gru) -> Result<Parts<'_, Self>, WeightError> {
        let gates = vec![&module.reset_gate, &module.update_gate, &module.new_gate];
        let cell = GruCell {
            reset_after: module.reset_after,
            gate_activation: activation::from_burn(&module.gate_activation)?,
            hidden_activation: activation::from_burn(&module.hidden_activation)?,
            clip: module.clip,
        };
        Ok(Parts { cell, gates, reverse: false, time_major: false })
    }

    fn put_together(&self, gates: Vec<GateController>, options: Options) -> Result<nn::Gru, WeightError> {
        if options.reverse {
            return Err(unlike_burn("a backward GRU"));
        }
        if options.time_major {
            return Err(unlike_burn("a GRU whose time comes first"));
        }
        let [reset_gate, update_gate, new_gate] = array(gates)?;
        Ok(nn::Gru {
            update_gate,
            reset_gate,
            new_gate,
            d_hidden: options.d_hidden,
            reset_after: self.reset_after,
            gate_activation: activation::to_burn(self.gate_activation)?.init(&options.device),
            hidden_activation: activation::to_burn(self.hidden_activation)?.init(&options.device),
            clip: self.clip,
        })
    }

    fn halves(module: &nn::BiGru) -> (&nn::Gru, &nn::Gru, bool) {
        (&module.forward, &module.reverse, !module.batch_first)
    }

    fn join(forward: nn::Gru, reverse: nn::Gru, options: Options) -> nn::BiGru {
        nn::BiGru { forward, reverse, d_hidden: options.d_hidden, batch_first: !options.time_major }
    }
}
