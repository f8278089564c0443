//! The one driver: a cell over a batch of sequences.

use crate::cell::{Cell, Recurrence, masked_product};
use crate::config::{DropoutMasks, RecurrentConfig};
use crate::ops::reference;
use crate::state::{CellState, States};
use crate::{Key, RnnError};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

/// The weights of one layer and direction, packed over the gates in PyTorch's order.
///
/// PyTorch's `weight_ih_l0` is the transpose of `weight_ih`.
#[derive(Module, Debug)]
pub struct Layer {
    /// `W_ih`, `[d_input, gates·d_hidden]`.
    pub weight_ih: Param<Tensor<2>>,
    /// `W_hh`, `[d_hidden, gates·d_hidden]`.
    pub weight_hh: Param<Tensor<2>>,
    /// `b_ih`, `[gates·d_hidden]`.
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `b_hh`, `[gates·d_hidden]`.
    pub bias_hh: Option<Param<Tensor<1>>>,
}

/// A recurrent layer over the cell `C`: [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm), [`Gru`](crate::Gru).
///
/// Made by [`RecurrentConfig::init`]; a Burn [`Module`], so it goes into other modules, optimizers and records.
#[derive(Module, Debug)]
pub struct Recurrent<C: Cell> {
    /// The weights. One layer so far.
    pub layers: Vec<Layer>,
    /// What the layer was made with.
    #[module(skip)]
    pub config: RecurrentConfig<C>,
}

/// What a forward pass may be given besides its input.
#[derive(Debug, Clone)]
pub struct ForwardArgs<'a, S> {
    /// The state before the first step; zero without it.
    pub state: Option<States<S>>,
    /// Each row's own number of steps, at most the input's; all of them without it. Rows are padded at the end.
    pub lengths: Option<&'a [usize]>,
    /// Draws the dropout masks. Dropout acts when a key is given and only then, so pass one in training, another at
    /// every step, and none in evaluation.
    pub dropout: Option<Key>,
}

impl<S> Default for ForwardArgs<'_, S> {
    fn default() -> Self {
        Self { state: None, lengths: None, dropout: None }
    }
}

impl<'a, S> ForwardArgs<'a, S> {
    /// Starts from `state`.
    pub fn with_state(mut self, state: impl Into<States<S>>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Gives each row's own number of steps.
    pub fn with_lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// Turns dropout on (`Some`) or off (`None`).
    pub fn with_dropout(mut self, key: Option<Key>) -> Self {
        self.dropout = key;
        self
    }
}

/// What a forward pass gives.
#[derive(Debug, Clone)]
pub struct Output<S> {
    /// The hidden state at every step, `[batch, time, d_hidden]`; zero past a row's own length.
    pub sequence: Tensor<3>,
    /// Each row's state after its own last step.
    pub state: States<S>,
}

impl<C: Cell> Recurrent<C> {
    /// Runs over `input`, `[batch, time, d_input]`, from a zero state, without dropout.
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) gives an error.
    pub fn forward(&self, input: Tensor<3>) -> Output<C::State> {
        self.forward_with(input, ForwardArgs::default())
    }

    /// Runs over `input`, `[batch, time, d_input]`, with a state, lengths or dropout.
    ///
    /// # Panics
    /// Where [`try_forward`](Self::try_forward) gives an error.
    pub fn forward_with(&self, input: Tensor<3>, args: ForwardArgs<C::State>) -> Output<C::State> {
        match self.try_forward(input, args) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs over `input`, `[batch, time, d_input]`, with a state, lengths or dropout.
    ///
    /// Input dropout and recurrent dropout draw their masks once per sequence, the same at every step, and scale by
    /// 1/(1−p); see [`DropoutMasks`]. The recurrent mask applies to h in the recurrent product only, not to the GRU's
    /// `z∘h`.
    ///
    /// # Errors
    /// An input without rows or steps or with other than `d_input` features; lengths that are not one a row or longer
    /// than the input; a state of another shape; tensors on different devices or of different dtypes.
    pub fn try_forward(&self, input: Tensor<3>, args: ForwardArgs<C::State>) -> Result<Output<C::State>, RnnError> {
        let [batch, time, d_input] = input.dims();
        self.check_input(&input, args.lengths)?;
        let state = self.initial_state(args.state, batch)?;
        let layer = &self.layers[0];

        // Time-major, so that each step's products lie side by side.
        let input = input.swap_dims(0, 1);
        let masks = self.masks(args.dropout, INPUT_MASK, [batch, d_input]);
        let mut products = masked_product(&masks, layer.weight_ih.val(), |mask| {
            let input = input.clone();
            let input = if let Some(mask) = mask { input * mask.clone().unsqueeze_dim(0) } else { input };
            input.reshape([time * batch, d_input])
        });
        if let Some(bias) = &layer.bias_ih {
            products = products + bias.val().unsqueeze();
        }
        let [_, width] = products.dims();
        let products = products.reshape([time, batch, width]);

        let recurrence = self.recurrence(args.dropout, batch);
        let (outputs, state) = reference::sequence(&self.config.cell, products, &recurrence, state, args.lengths);
        Ok(Output { sequence: outputs.swap_dims(0, 1), state: States::from(state) })
    }

    /// One step, for generation and loops of one's own: `input` is `[batch, d_input]`; the output is the new state's
    /// [`hidden`](CellState::hidden). Without a state it starts from zero. No dropout.
    ///
    /// # Panics
    /// Where `try_forward` gives an error for an input of one step.
    pub fn step(&self, input: Tensor<2>, state: Option<States<C::State>>) -> States<C::State> {
        let args = ForwardArgs { state, ..Default::default() };
        self.forward_with(input.unsqueeze_dim(1), args).state
    }

    fn recurrence(&self, dropout: Option<Key>, batch: usize) -> Recurrence {
        let layer = &self.layers[0];
        Recurrence {
            weight: layer.weight_hh.val(),
            bias: layer.bias_hh.as_ref().map(|b| b.val()),
            masks: self.masks(dropout, RECURRENT_MASK, [batch, self.config.d_hidden]),
        }
    }

    /// Masks of 0 and 1/(1−p): none where nothing is dropped, one for all gates, or one a gate.
    fn masks(&self, key: Option<Key>, which: u64, shape: [usize; 2]) -> Vec<Tensor<2>> {
        let p = if which == INPUT_MASK { self.config.dropout } else { self.config.recurrent_dropout };
        let Some(key) = key.filter(|_| p > 0.0) else {
            return Vec::new();
        };
        // Children of the key: layer, then direction, then the mask's own number, then the gate.
        let key = key.child(0).child(0).child(which);
        match self.config.dropout_masks {
            DropoutMasks::Shared => vec![self.mask(key, p, shape)],
            DropoutMasks::PerGate => (0..C::GATES as u64).map(|gate| self.mask(key.child(gate), p, shape)).collect(),
        }
    }

    fn mask(&self, key: Key, p: f64, shape: [usize; 2]) -> Tensor<2> {
        let scale = 1.0 / (1.0 - p);
        let values: Vec<f64> = key.uniforms(shape[0] * shape[1]).map(|u| if u < p { 0.0 } else { scale }).collect();
        let weight = self.layers[0].weight_hh.val();
        let options = (&weight.device().inner(), weight.dtype());
        let mask = Tensor::from_data(TensorData::new(values, shape), options);
        // Masks are constants; they only join the graph of the weights.
        if weight.is_autodiff() { mask.autodiff() } else { mask }
    }

    fn initial_state(&self, given: Option<States<C::State>>, batch: usize) -> Result<C::State, RnnError> {
        let d_hidden = self.config.d_hidden;
        let weight = self.layers[0].weight_hh.val();
        let Some(States(mut states)) = given else {
            let zeros = C::State::zeros(batch, d_hidden, &weight.device());
            return Ok(zeros.map(|t| t.cast(weight.dtype())));
        };
        let (found, expected) = (states.len(), self.layers.len());
        let (Some(state), true) = (states.pop(), found == expected) else {
            return Err(RnnError::StateCount { expected, found });
        };
        let mut result = Ok(());
        let state = state.map(|tensor| {
            if result.is_ok() {
                result = check_state(&tensor, [batch, d_hidden], &weight);
            }
            tensor
        });
        result.map(|()| state)
    }

    fn check_input(&self, input: &Tensor<3>, lengths: Option<&[usize]>) -> Result<(), RnnError> {
        let [batch, time, d_input] = input.dims();
        if batch == 0 || time == 0 {
            return Err(RnnError::EmptyInput { batch, time });
        }
        if d_input != self.config.d_input {
            return Err(RnnError::InputSize { expected: self.config.d_input, found: d_input });
        }
        check_place("input", input, &self.layers[0].weight_hh.val())?;
        let Some(lengths) = lengths else {
            return Ok(());
        };
        if lengths.len() != batch {
            return Err(RnnError::LengthCount { expected: batch, found: lengths.len() });
        }
        match lengths.iter().position(|&length| length > time) {
            Some(row) => Err(RnnError::LengthTooLong { row, length: lengths[row], time }),
            None => Ok(()),
        }
    }
}

const INPUT_MASK: u64 = 0;
const RECURRENT_MASK: u64 = 1;

fn check_state(state: &Tensor<2>, expected: [usize; 2], weight: &Tensor<2>) -> Result<(), RnnError> {
    let found = state.dims();
    if found != expected {
        return Err(RnnError::StateShape { expected, found });
    }
    check_place("initial state", state, weight)
}

fn check_place<const D: usize>(what: &'static str, tensor: &Tensor<D>, weight: &Tensor<2>) -> Result<(), RnnError> {
    // Device equality ignores autodiff: an untracked input goes with tracked weights.
    if tensor.device() != weight.device() {
        return Err(RnnError::Device {
            what,
            expected: format!("{:?}", weight.device()),
            found: format!("{:?}", tensor.device()),
        });
    }
    if tensor.dtype() != weight.dtype() {
        return Err(RnnError::DType {
            what,
            expected: format!("{:?}", weight.dtype()),
            found: format!("{:?}", tensor.dtype()),
        });
    }
    Ok(())
}
