//! A cell that is chosen at run time.

use crate::cell::Kernel;
use crate::cell::{Bias, Cell, GruCell, LstmCell, MinGruCell, MinLstmCell, Recurrence, RnnCell, Vector};
use crate::state::{CellState, HiddenState, LstmState};
use crate::{Recurrent, RecurrentConfig, RnnError};
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
    /// [`MinGruCell`].
    MinGru,
    /// [`MinLstmCell`].
    MinLstm,
}

impl CellKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rnn, Self::Lstm, Self::Gru, Self::MinGru, Self::MinLstm];

    /// `rnn`, `lstm`, `gru`, `mingru` or `minlstm`.
    pub fn name(self) -> &'static str {
        match self {
            CellKind::Rnn => "rnn",
            CellKind::Lstm => "lstm",
            CellKind::Gru => "gru",
            CellKind::MinGru => "mingru",
            CellKind::MinLstm => "minlstm",
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

/// One of the five cells with its options. It is a [`Cell`] like each of them, so that a layer over it has all that
/// theirs have.
///
/// ```
/// use rnn_core::burn::tensor::{Device, Tensor};
/// use rnn_core::{AnyConfig, CellKind, Key};
///
/// let device = Device::default();
/// let kind: CellKind = "gru".parse()?;
/// let layer = AnyConfig::of_kind(kind, 4, 8).with_num_layers(2).init(Key::new(0), &device);
/// let output = layer.forward(Tensor::ones([2, 5, 4], &device));
/// assert_eq!(output.last_hidden().dims(), [2, 8]);
/// # Ok::<(), rnn_core::RnnError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum AnyCell {
    /// A plain RNN.
    Rnn(RnnCell),
    /// An LSTM.
    Lstm(LstmCell),
    /// A GRU.
    Gru(GruCell),
    /// A minGRU.
    MinGru(MinGruCell),
    /// A minLSTM.
    MinLstm(MinLstmCell),
}

/// A recurrent layer whose cell is chosen at run time.
pub type AnyRecurrent = Recurrent<AnyCell>;
/// The configuration of an [`AnyRecurrent`].
pub type AnyConfig = RecurrentConfig<AnyCell>;

impl From<CellKind> for AnyCell {
    fn from(kind: CellKind) -> Self {
        match kind {
            CellKind::Rnn => AnyCell::Rnn(RnnCell::default()),
            CellKind::Lstm => AnyCell::Lstm(LstmCell::default()),
            CellKind::Gru => AnyCell::Gru(GruCell::default()),
            CellKind::MinGru => AnyCell::MinGru(MinGruCell::default()),
            CellKind::MinLstm => AnyCell::MinLstm(MinLstmCell::default()),
        }
    }
}

impl AnyConfig {
    /// A layer of `d_hidden` units over `d_input` features with the cell of that name; otherwise as
    /// [`RecurrentConfig::new`].
    pub fn of_kind(kind: CellKind, d_input: usize, d_hidden: usize) -> Self {
        Self::of(kind.into(), d_input, d_hidden)
    }
}

/// The state of an [`AnyCell`].
#[derive(Debug, Clone)]
pub struct AnyState {
    /// h, `[batch, d_output]`.
    pub hidden: Tensor<2>,
    /// c of an LSTM, `[batch, d_hidden]`.
    pub cell: Option<Tensor<2>>,
}

impl CellState for AnyState {
    const TENSORS: usize = 2;

    fn zeros(batch: usize, d_hidden: usize, d_output: usize, device: &Device) -> Self {
        LstmState::zeros(batch, d_hidden, d_output, device).into()
    }

    fn hidden(&self) -> &Tensor<2> {
        &self.hidden
    }

    fn map(self, mut f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(self.hidden), cell: self.cell.map(f) }
    }

    fn zip(self, other: Self, mut f: impl FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        let hidden = f(self.hidden, other.hidden);
        Self { hidden, cell: self.cell.zip(other.cell).map(|(a, b)| f(a, b)) }
    }
}

impl From<HiddenState> for AnyState {
    fn from(state: HiddenState) -> Self {
        Self { hidden: state.hidden, cell: None }
    }
}

impl From<LstmState> for AnyState {
    fn from(state: LstmState) -> Self {
        Self { hidden: state.hidden, cell: Some(state.cell) }
    }
}

/// `$method` of whichever cell it is.
macro_rules! of_each {
    ($any:expr, $cell:ident => $result:expr) => {
        match $any {
            AnyCell::Rnn($cell) => $result,
            AnyCell::Lstm($cell) => $result,
            AnyCell::Gru($cell) => $result,
            AnyCell::MinGru($cell) => $result,
            AnyCell::MinLstm($cell) => $result,
        }
    };
}

impl Cell for AnyCell {
    type State = AnyState;

    fn gates(&self) -> usize {
        of_each!(self, cell => cell.gates())
    }

    fn has_w_hh(&self) -> bool {
        of_each!(self, cell => cell.has_w_hh())
    }

    fn forget_bias(&self) -> Option<(usize, f64)> {
        of_each!(self, cell => cell.forget_bias())
    }

    fn proj_size(&self) -> Option<usize> {
        of_each!(self, cell => cell.proj_size())
    }

    fn vectors(&self, layer_norm: bool) -> Vec<Vector> {
        of_each!(self, cell => cell.vectors(layer_norm))
    }

    fn check(&self) -> Result<(), RnnError> {
        of_each!(self, cell => cell.check())
    }

    fn keras_bias(&self) -> Bias {
        of_each!(self, cell => cell.keras_bias())
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        of_each!(self, cell => cell.unlike_pytorch())
    }

    fn state_tensors(&self) -> usize {
        of_each!(self, cell => cell.state_tensors())
    }

    fn zero_state(&self, batch: usize, d_hidden: usize, d_output: usize, device: &Device) -> AnyState {
        of_each!(self, cell => cell.zero_state(batch, d_hidden, d_output, device).into())
    }

    fn kernel(&self) -> Option<Kernel> {
        of_each!(self, cell => cell.kernel())
    }

    fn step(&self, input: Tensor<2>, state: AnyState, recurrence: &Recurrence) -> AnyState {
        let AnyState { hidden, cell } = state;
        match (self, cell) {
            (AnyCell::Rnn(rnn), _) => rnn.step(input, HiddenState { hidden }, recurrence).into(),
            (AnyCell::Gru(gru), _) => gru.step(input, HiddenState { hidden }, recurrence).into(),
            (AnyCell::MinGru(cell), _) => cell.step(input, HiddenState { hidden }, recurrence).into(),
            (AnyCell::MinLstm(cell), _) => cell.step(input, HiddenState { hidden }, recurrence).into(),
            (AnyCell::Lstm(lstm), Some(cell)) => lstm.step(input, LstmState { hidden, cell }, recurrence).into(),
            // The layer checks states before their first step.
            (AnyCell::Lstm(_), None) => unreachable!("a state without c for an LSTM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, ForwardArgs, Input, Key};
    use burn::module::Module;
    use burn::tensor::Distribution;

    /// Values, states, lengths, zoneout and steps are those of the typed layer.
    #[test]
    fn any_layer_is_the_layer_it_names() {
        let device = Device::default();
        let input = Tensor::<3>::random([2, 3, 4], Distribution::Default, &device);
        let args = || ForwardArgs::default().with_lengths(&[3, 2]).with_dropout_key(Some(Key::new(5)));
        let any = AnyConfig::of_kind(CellKind::Lstm, 4, 5).with_num_layers(2).with_zoneout(0.1, 0.2);
        let any = any.init(Key::new(1), &device);
        let lstm = crate::LstmConfig::new(4, 5).with_num_layers(2).with_zoneout(0.1, 0.2).init(Key::new(1), &device);
        let (a, b) = (any.forward_with(input.clone(), args()), lstm.forward_with(input.clone(), args_of(&[3, 2])));
        assert_eq!(a.sequence.into_data(), b.sequence.into_data());
        let (a, b) = (a.state.into_vec(), b.state.into_vec());
        for (a, b) in a.into_iter().zip(b) {
            assert_eq!(a.hidden.into_data(), b.hidden.into_data());
            assert_eq!(a.cell.expect("an LSTM's").into_data(), b.cell.into_data());
        }
        let gru = crate::GruConfig::new(4, 5).init(Key::new(1), &device);
        let any = AnyConfig::of_kind(CellKind::Gru, 4, 5).init(Key::new(1), &device);
        let step = Tensor::<2>::random([2, 4], Distribution::Default, &device);
        assert_eq!(any.step(step.clone(), None).hidden().into_data(), gru.step(step, None).hidden().into_data());
        let ids = Input::symbols(&[3, 1], [1, 2]);
        assert_eq!(any.forward(ids.clone()).sequence.into_data(), gru.forward(ids).sequence.into_data());
    }

    fn args_of<S>(lengths: &[usize]) -> ForwardArgs<'_, S> {
        ForwardArgs::default().with_lengths(lengths).with_dropout_key(Some(Key::new(5)))
    }

    #[test]
    fn weights_are_counted() {
        let config =
            AnyConfig::of_kind(CellKind::Lstm, 3, 5).with_num_layers(2).with_direction(Direction::Bidirectional);
        let layer = config.init(Key::new(0), &Device::default());
        let biases = 2 * 2 * 4 * 5;
        assert_eq!(config.num_weights() + biases, layer.num_params());
        let large = AnyConfig::of_kind(CellKind::Gru, 1, usize::MAX).with_direction(Direction::Bidirectional);
        assert_eq!((large.num_weights(), large.d_output()), (usize::MAX, usize::MAX));
    }

    #[test]
    fn a_state_of_another_cell_is_an_error() {
        let device = Device::default();
        let input = Tensor::<3>::ones([2, 3, 4], &device);
        let make = |cell| AnyConfig::of_kind(cell, 4, 5).init(Key::new(1), &device);
        for [from, to] in [[CellKind::Gru, CellKind::Lstm], [CellKind::Lstm, CellKind::Rnn]] {
            let state = make(from).forward(input.clone()).state;
            let args = ForwardArgs::default().with_state(state);
            let error = make(to).try_forward(input.clone(), args).expect_err("wrong on purpose");
            assert_eq!(error.to_string(), "the initial state is of another cell than the layer's");
        }
    }

    #[test]
    fn zoneout_of_c_is_refused_without_c() {
        let error =
            AnyConfig::of_kind(CellKind::Gru, 4, 5).with_zoneout(0.0, 0.1).try_init(Key::new(1), &Device::default());
        assert!(error.expect_err("no c").to_string().contains("this cell has no c"));
    }
}
