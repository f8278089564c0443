//! The state a cell carries from step to step.

use crate::Direction;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use std::fmt::Debug;

/// What one layer and direction carries from one step to the next.
pub trait CellState: Clone + Debug + Send + Sync + 'static {
    /// How many tensors it has.
    const TENSORS: usize;

    /// All zero, for `batch` rows: where a sequence starts. h is `d_output` wide, everything else `d_hidden`; the two
    /// differ where the cell projects h.
    fn zeros(batch: usize, d_hidden: usize, d_output: usize, device: &Device) -> Self;

    /// The hidden state h, `[batch, d_output]`: what the layer gives out at this step.
    fn hidden(&self) -> &Tensor<2>;

    /// The state with every tensor replaced by `f` of it, h first.
    fn map(self, f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self;

    /// Two states of the same kind, tensor by tensor, h first.
    fn zip(self, other: Self, f: impl FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self;

    /// The same values without their history: no gradient flows back past this point.
    fn detach(self) -> Self {
        self.map(Tensor::detach)
    }
}

/// The state of a plain RNN or a GRU: h alone.
#[derive(Debug, Clone)]
pub struct HiddenState {
    /// h, `[batch, d_hidden]`.
    pub hidden: Tensor<2>,
}

impl CellState for HiddenState {
    const TENSORS: usize = 1;

    fn zeros(batch: usize, _: usize, d_output: usize, device: &Device) -> Self {
        Self { hidden: Tensor::zeros([batch, d_output], device) }
    }

    fn hidden(&self) -> &Tensor<2> {
        &self.hidden
    }

    fn map(self, mut f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(self.hidden) }
    }

    fn zip(self, other: Self, mut f: impl FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(self.hidden, other.hidden) }
    }
}

/// The state of an LSTM: h and the memory cell c.
#[derive(Debug, Clone)]
pub struct LstmState {
    /// h, `[batch, d_output]`: d_hidden, or `proj_size` where it is projected.
    pub hidden: Tensor<2>,
    /// c, `[batch, d_hidden]`.
    pub cell: Tensor<2>,
}

impl CellState for LstmState {
    const TENSORS: usize = 2;

    fn zeros(batch: usize, d_hidden: usize, d_output: usize, device: &Device) -> Self {
        Self { hidden: Tensor::zeros([batch, d_output], device), cell: Tensor::zeros([batch, d_hidden], device) }
    }

    fn hidden(&self) -> &Tensor<2> {
        &self.hidden
    }

    fn map(self, mut f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(self.hidden), cell: f(self.cell) }
    }

    fn zip(self, other: Self, mut f: impl FnMut(Tensor<2>, Tensor<2>) -> Tensor<2>) -> Self {
        Self { hidden: f(self.hidden, other.hidden), cell: f(self.cell, other.cell) }
    }
}

/// The states of a whole [`Recurrent`](crate::Recurrent), one per layer and direction: index
/// `layer · directions + direction`, as in PyTorch. They know which way their layer goes.
#[derive(Debug, Clone)]
pub struct States<S> {
    each: Vec<S>,
    direction: Direction,
}

impl<S> States<S> {
    /// The states `each`, first layer first, of a layer that goes `direction`; with both directions the forward one
    /// of a layer comes before its backward one.
    pub fn new(direction: Direction, each: Vec<S>) -> Self {
        Self { each, direction }
    }

    /// Which way their layer goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Each of them: index `layer · directions + direction`.
    pub fn each(&self) -> &[S] {
        &self.each
    }

    /// Each of them: index `layer · directions + direction`.
    pub fn into_vec(self) -> Vec<S> {
        self.each
    }

    /// Those of the last layer: one, or with both directions the forward one and the backward one.
    pub fn last_layer(&self) -> &[S] {
        &self.each[self.each.len().saturating_sub(self.direction.count())..]
    }
}

impl<S: CellState> States<S> {
    /// The last layer's h after each row's own last step, and with both directions beside it the backward one's after
    /// the row's first step: `[batch, directions·d_hidden]`.
    ///
    /// # Panics
    /// If there is no state; those that a layer returns hold at least one.
    pub fn hidden(&self) -> Tensor<2> {
        match self.last_layer() {
            [one] => one.hidden().clone(),
            both => Tensor::cat(both.iter().map(|state| state.hidden().clone()).collect(), 1),
        }
    }

    /// The same values without their history, to carry over from one window of a long sequence to the next.
    pub fn detach(self) -> Self {
        self.map(S::detach)
    }

    /// The same with zero in the rows that are `true`: those whose document ended, when a batch goes on with others.
    ///
    /// # Panics
    /// If `rows` has not one value a row.
    pub fn reset(self, rows: &[bool]) -> Self {
        let zero = |tensor: Tensor<2>| {
            let [batch, _] = tensor.dims();
            assert!(rows.len() == batch, "{} values for a state of {batch} rows", rows.len());
            let device = tensor.device().inner();
            let rows: Tensor<2, Bool> = Tensor::from_data(TensorData::new(rows.to_vec(), [rows.len(), 1]), &device);
            let rows = rows.expand(tensor.dims());
            tensor.mask_fill(rows, 0.0)
        };
        self.map(|state| state.map(zero))
    }

    fn map(self, f: impl FnMut(S) -> S) -> Self {
        Self { each: self.each.into_iter().map(f).collect(), ..self }
    }
}

/// The state of one layer that goes one way.
impl<S: CellState> From<S> for States<S> {
    fn from(state: S) -> Self {
        Self::new(Direction::Forward, vec![state])
    }
}
