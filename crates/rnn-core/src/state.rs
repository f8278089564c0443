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
/// `layer · directions + direction`, as in PyTorch.
#[derive(Debug, Clone)]
pub struct States<S>(pub Vec<S>);

impl<S: CellState> States<S> {
    /// The state of the last layer, of the last of its directions.
    ///
    /// # Panics
    /// If there is none; those that a layer returns hold at least one.
    pub fn last(&self) -> &S {
        &self.0[self.0.len() - 1]
    }

    /// The last layer's h, its directions side by side: `[batch, directions·d_hidden]`.
    ///
    /// # Panics
    /// If there are fewer states than directions; those that a layer returns are enough.
    pub fn hidden(&self, direction: Direction) -> Tensor<2> {
        let last = &self.0[self.0.len() - direction.count()..];
        match last {
            [one] => one.hidden().clone(),
            both => Tensor::cat(both.iter().map(|state| state.hidden().clone()).collect(), 1),
        }
    }

    /// The same values without their history, to carry over from one window of a long sequence to the next.
    pub fn detach(self) -> Self {
        Self(self.0.into_iter().map(S::detach).collect())
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
        Self(self.0.into_iter().map(|state| state.map(zero)).collect())
    }
}

impl<S: CellState> From<S> for States<S> {
    fn from(state: S) -> Self {
        Self(vec![state])
    }
}
