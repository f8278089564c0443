//! A recurrent layer whose cell is chosen at run time.

use crate::cell::{Cell, GruCell, LstmCell, RnnCell};
use crate::state::{LstmState, States};
use crate::{
    Direction, DropoutMasks, ForwardArgs, Gru, HiddenState, Key, Lstm, Preset, Recurrent, RecurrentConfig, Rnn,
    RnnError,
};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Which cell, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellKind {
    /// [`RnnCell`] with tanh.
    Rnn,
    /// [`LstmCell`].
    Lstm,
    /// [`GruCell`] with `reset_after`.
    Gru,
}

impl CellKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rnn, Self::Lstm, Self::Gru];

    /// `rnn`, `lstm` or `gru`.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::Rnn => "rnn",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
        }
    }
}

impl std::fmt::Display for CellKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for CellKind {
    type Err = RnnError;

    fn from_str(name: &str) -> Result<Self, RnnError> {
        let mut all = Self::ALL.into_iter();
        all.find(|cell| cell.name() == name).ok_or_else(|| RnnError::UnknownCell(name.to_string()))
    }
}

/// Options of an [`AnyRecurrent`]; what they mean is said at [`RecurrentConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AnyConfig {
    /// The cell.
    pub cell: CellKind,
    /// Features per step of the input.
    pub d_input: usize,
    /// Units of the hidden state, in every layer.
    pub d_hidden: usize,
    /// Layers upon each other.
    pub num_layers: usize,
    /// Which way each goes.
    pub direction: Direction,
    /// Input dropout.
    pub dropout: f64,
    /// Recurrent dropout.
    pub recurrent_dropout: f64,
    /// One mask for all gates, or one a gate.
    pub dropout_masks: DropoutMasks,
    /// Initialisers and biases.
    pub preset: Preset,
}

impl AnyConfig {
    /// One forward layer without dropout, with [`Preset::Keras`].
    pub fn new(cell: CellKind, d_input: usize, d_hidden: usize) -> Self {
        Self {
            cell,
            d_input,
            d_hidden,
            num_layers: 1,
            direction: Direction::Forward,
            dropout: 0.0,
            recurrent_dropout: 0.0,
            dropout_masks: DropoutMasks::Shared,
            preset: Preset::Keras,
        }
    }

    /// How many gates the cell has.
    pub fn gates(&self) -> usize {
        match self.cell {
            CellKind::Rnn => RnnCell::default().gates(),
            CellKind::Lstm => LstmCell::default().gates(),
            CellKind::Gru => GruCell::default().gates(),
        }
    }

    /// How many numbers the weight matrices have, the biases left out; `usize::MAX` where that is too small.
    pub fn num_weights(&self) -> usize {
        let one = |d_input: usize| {
            let rows = d_input.saturating_add(self.d_hidden);
            rows.saturating_mul(self.gates()).saturating_mul(self.d_hidden).saturating_mul(self.direction.count())
        };
        let later = one(self.d_output()).saturating_mul(self.num_layers.saturating_sub(1));
        one(self.d_input).saturating_add(later)
    }

    /// Features per step of the output: directions times `d_hidden`.
    pub fn d_output(&self) -> usize {
        self.direction.count().saturating_mul(self.d_hidden)
    }

    /// Makes the layer, its weights drawn from `key`.
    ///
    /// # Errors
    /// As [`RecurrentConfig::try_init`].
    pub fn try_init(&self, key: Key, device: &Device) -> Result<AnyRecurrent, RnnError> {
        Ok(match self.cell {
            CellKind::Rnn => AnyRecurrent::Rnn(self.config::<RnnCell>().try_init(key, device)?),
            CellKind::Lstm => AnyRecurrent::Lstm(self.config::<LstmCell>().try_init(key, device)?),
            CellKind::Gru => AnyRecurrent::Gru(self.config::<GruCell>().try_init(key, device)?),
        })
    }

    /// Makes the layer with zeros for all weights and biases, to load those of another into it.
    ///
    /// # Errors
    /// As [`RecurrentConfig::try_init_zeros`].
    pub fn try_init_zeros(&self, device: &Device) -> Result<AnyRecurrent, RnnError> {
        Ok(match self.cell {
            CellKind::Rnn => AnyRecurrent::Rnn(self.config::<RnnCell>().try_init_zeros(device)?),
            CellKind::Lstm => AnyRecurrent::Lstm(self.config::<LstmCell>().try_init_zeros(device)?),
            CellKind::Gru => AnyRecurrent::Gru(self.config::<GruCell>().try_init_zeros(device)?),
        })
    }

    fn config<C: Cell + Default>(&self) -> RecurrentConfig<C> {
        RecurrentConfig::new(self.d_input, self.d_hidden)
            .with_num_layers(self.num_layers)
            .with_direction(self.direction)
            .with_preset(self.preset)
            .with_dropout(self.dropout)
            .with_recurrent_dropout(self.recurrent_dropout)
            .with_dropout_masks(self.dropout_masks)
    }
}

/// An RNN, LSTM or GRU layer, whichever was asked for.
#[derive(Module, Debug)]
pub enum AnyRecurrent {
    /// A plain RNN.
    Rnn(Rnn),
    /// An LSTM.
    Lstm(Lstm),
    /// A GRU.
    Gru(Gru),
}

/// The state of an [`AnyRecurrent`].
#[derive(Debug, Clone)]
pub enum AnyStates {
    /// Of a plain RNN.
    Rnn(States<HiddenState>),
    /// Of an LSTM.
    Lstm(States<LstmState>),
    /// Of a GRU.
    Gru(States<HiddenState>),
}

impl AnyStates {
    /// The last layer's h, with both directions side by side: `[batch, directions·d_hidden]`; see [`States::hidden`].
    pub fn hidden(&self) -> Tensor<2> {
        match self {
            AnyStates::Rnn(s) | AnyStates::Gru(s) => s.hidden(),
            AnyStates::Lstm(s) => s.hidden(),
        }
    }
}

impl AnyRecurrent {
    /// Runs over `input`, `[batch, time, d_input]`, from `state` or from zero. Dropout acts when `dropout_key` is given and only
    /// then, in training too.
    /// Returns the hidden states, `[batch, time, d_hidden]`, and the final state.
    ///
    /// # Errors
    /// As [`Recurrent::try_forward`], and a state of another cell.
    pub fn try_forward(
        &self,
        input: Tensor<3>,
        state: Option<AnyStates>,
        dropout_key: Option<Key>,
    ) -> Result<(Tensor<3>, AnyStates), RnnError> {
        match (self, state) {
            (AnyRecurrent::Rnn(layer), None) => run(layer, input, None, dropout_key, AnyStates::Rnn),
            (AnyRecurrent::Rnn(layer), Some(AnyStates::Rnn(s))) => {
                run(layer, input, Some(s), dropout_key, AnyStates::Rnn)
            }
            (AnyRecurrent::Lstm(layer), None) => run(layer, input, None, dropout_key, AnyStates::Lstm),
            (AnyRecurrent::Lstm(layer), Some(AnyStates::Lstm(s))) => {
                run(layer, input, Some(s), dropout_key, AnyStates::Lstm)
            }
            (AnyRecurrent::Gru(layer), None) => run(layer, input, None, dropout_key, AnyStates::Gru),
            (AnyRecurrent::Gru(layer), Some(AnyStates::Gru(s))) => {
                run(layer, input, Some(s), dropout_key, AnyStates::Gru)
            }
            (_, Some(_)) => Err(RnnError::StateKind),
        }
    }

    /// [`try_forward`](Self::try_forward) for arguments known to be right.
    ///
    /// # Panics
    /// Where `try_forward` gives an error.
    pub fn forward(
        &self,
        input: Tensor<3>,
        state: Option<AnyStates>,
        dropout_key: Option<Key>,
    ) -> (Tensor<3>, AnyStates) {
        match self.try_forward(input, state, dropout_key) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs over symbols, `[batch, time]` row by row, each for a one-hot row of `d_input` features; otherwise as
    /// [`try_forward`](Self::try_forward).
    ///
    /// # Errors
    /// As [`Recurrent::try_forward_symbols`].
    pub fn try_forward_symbols(
        &self,
        symbols: &[u32],
        shape: [usize; 2],
        dropout_key: Option<Key>,
    ) -> Result<(Tensor<3>, AnyStates), RnnError> {
        fn run<C: Cell>(
            layer: &Recurrent<C>,
            symbols: &[u32],
            shape: [usize; 2],
            dropout_key: Option<Key>,
            wrap: impl Fn(States<C::State>) -> AnyStates,
        ) -> Result<(Tensor<3>, AnyStates), RnnError> {
            let output =
                layer.try_forward_symbols(symbols, shape, ForwardArgs::default().with_dropout_key(dropout_key))?;
            Ok((output.sequence, wrap(output.state)))
        }
        match self {
            AnyRecurrent::Rnn(layer) => run(layer, symbols, shape, dropout_key, AnyStates::Rnn),
            AnyRecurrent::Lstm(layer) => run(layer, symbols, shape, dropout_key, AnyStates::Lstm),
            AnyRecurrent::Gru(layer) => run(layer, symbols, shape, dropout_key, AnyStates::Gru),
        }
    }

    /// Runs over the rows of `table`, `[n, d_input]`, that `ids`, `[batch, time]` row by row, name; otherwise as
    /// [`try_forward`](Self::try_forward).
    ///
    /// # Errors
    /// As [`Recurrent::try_forward_embedding`].
    pub fn try_forward_embedding(
        &self,
        table: Tensor<2>,
        ids: &[u32],
        shape: [usize; 2],
        dropout_key: Option<Key>,
    ) -> Result<(Tensor<3>, AnyStates), RnnError> {
        fn run<C: Cell>(
            layer: &Recurrent<C>,
            (table, ids): (Tensor<2>, &[u32]),
            shape: [usize; 2],
            dropout_key: Option<Key>,
            wrap: impl Fn(States<C::State>) -> AnyStates,
        ) -> Result<(Tensor<3>, AnyStates), RnnError> {
            let args = ForwardArgs::default().with_dropout_key(dropout_key);
            let output = layer.try_forward_embedding(table, ids, shape, args)?;
            Ok((output.sequence, wrap(output.state)))
        }
        let input = (table, ids);
        match self {
            AnyRecurrent::Rnn(layer) => run(layer, input, shape, dropout_key, AnyStates::Rnn),
            AnyRecurrent::Lstm(layer) => run(layer, input, shape, dropout_key, AnyStates::Lstm),
            AnyRecurrent::Gru(layer) => run(layer, input, shape, dropout_key, AnyStates::Gru),
        }
    }

    /// [`try_forward_embedding`](Self::try_forward_embedding) for arguments known to be right.
    ///
    /// # Panics
    /// Where `try_forward_embedding` gives an error.
    pub fn forward_embedding(
        &self,
        table: Tensor<2>,
        ids: &[u32],
        shape: [usize; 2],
        dropout_key: Option<Key>,
    ) -> (Tensor<3>, AnyStates) {
        match self.try_forward_embedding(table, ids, shape, dropout_key) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// A stepper on slices with a copy of the weights.
    ///
    /// # Errors
    /// As [`Stepper::new`](crate::stepper::Stepper::new).
    #[cfg(feature = "kernels")]
    pub fn stepper(&self) -> Result<crate::stepper::Stepper, RnnError> {
        match self {
            AnyRecurrent::Rnn(layer) => crate::stepper::Stepper::new(layer),
            AnyRecurrent::Lstm(layer) => crate::stepper::Stepper::new(layer),
            AnyRecurrent::Gru(layer) => crate::stepper::Stepper::new(layer),
        }
    }
}

fn run<C: Cell>(
    layer: &Recurrent<C>,
    input: Tensor<3>,
    state: Option<States<C::State>>,
    dropout_key: Option<Key>,
    wrap: impl Fn(States<C::State>) -> AnyStates,
) -> Result<(Tensor<3>, AnyStates), RnnError> {
    let args = ForwardArgs { state, ..Default::default() }.with_dropout_key(dropout_key);
    let output = layer.try_forward(input, args)?;
    Ok((output.sequence, wrap(output.state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_layer_is_the_layer_it_names() {
        let device = Device::default();
        let input = Tensor::<3>::ones([2, 3, 4], &device);
        let (any, _) = AnyConfig::new(CellKind::Gru, 4, 5)
            .try_init(Key::new(1), &device)
            .expect("sizes are right")
            .forward(input.clone(), None, None);
        let gru = crate::GruConfig::new(4, 5).init(Key::new(1), &device);
        assert_eq!(any.into_data(), gru.forward(input).sequence.into_data());
    }

    /// Rows and steps of a time-major layer are not mistaken for each other.
    #[test]
    fn a_step_is_that_of_the_layer() {
        let device = Device::default();
        let config = crate::LstmConfig::new(4, 5).with_time_major(true);
        let layer = config.init(Key::new(1), &device);
        let input = Tensor::<2>::random([3, 4], burn::tensor::Distribution::Default, &device);
        let state = layer.step(input.clone(), None);
        let expected = layer.step(input.clone(), Some(state)).hidden().into_data();
        let any = AnyRecurrent::Lstm(layer);
        let state = any.step(input.clone(), None);
        assert_eq!(any.step(input, Some(state)).hidden().into_data(), expected);
        let windows = any.try_windows(Tensor::zeros([7, 3, 4], &device), 3).expect("forward");
        assert_eq!(windows.map(|window| window.dims()).collect::<Vec<_>>(), [[3, 3, 4], [3, 3, 4], [1, 3, 4]]);
    }

    #[test]
    fn weights_are_counted() {
        let config =
            AnyConfig { num_layers: 2, direction: Direction::Bidirectional, ..AnyConfig::new(CellKind::Lstm, 3, 5) };
        let layer = config.try_init(Key::new(0), &Device::default()).expect("sizes are right");
        let biases = 2 * 2 * 4 * 5;
        assert_eq!(config.num_weights() + biases, layer.num_params());
        let direction = Direction::Bidirectional;
        assert_eq!(AnyConfig { direction, ..AnyConfig::new(CellKind::Gru, 1, usize::MAX) }.num_weights(), usize::MAX);
    }

    #[test]
    fn a_state_of_another_cell_is_an_error() {
        let device = Device::default();
        let input = Tensor::<3>::ones([2, 3, 4], &device);
        let make = |cell| AnyConfig::new(cell, 4, 5).try_init(Key::new(1), &device).expect("sizes are right");
        let (_, state) = make(CellKind::Gru).forward(input.clone(), None, None);
        let error = make(CellKind::Lstm).try_forward(input, Some(state), None).expect_err("wrong on purpose");
        assert_eq!(error.to_string(), "the initial state is of another cell than the layer's");
    }
}
