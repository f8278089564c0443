//! The state a cell carries from step to step.

use burn::tensor::{Device, Tensor};
use std::fmt::Debug;

/// What one layer and direction carries from one step to the next.
pub trait CellState: Clone + Debug + Send + Sync + 'static {
    /// All zero, for `batch` rows: where a sequence starts.
    fn zeros(batch: usize, d_hidden: usize, device: &Device) -> Self;

    /// The hidden state h, `[batch, d_hidden]`: what the layer gives out at this step.
    fn hidden(&self) -> &Tensor<2>;

    /// The state with every tensor `[batch, d_hidden]` replaced by `f` of it.
    fn map(self, f: impl FnMut(Tensor<2>) -> Tensor<2>) -> Self;

    /// Two states of the same kind, tensor by tensor.
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
    fn zeros(batch: usize, d_hidden: usize, device: &Device) -> Self {
        Self { hidden: Tensor::zeros([batch, d_hidden], device) }
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
    /// h, `[batch, d_hidden]`.
    pub hidden: Tensor<2>,
    /// c, `[batch, d_hidden]`.
    pub cell: Tensor<2>,
}

impl CellState for LstmState {
    fn zeros(batch: usize, d_hidden: usize, device: &Device) -> Self {
        let zeros = Tensor::zeros([batch, d_hidden], device);
        Self { hidden: zeros.clone(), cell: zeros }
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
/// `layer · directions + direction`, as in PyTorch. There is one layer and one direction so far.
#[derive(Debug, Clone)]
pub struct States<S>(pub Vec<S>);

impl<S: CellState> States<S> {
    /// The state of the last layer.
    ///
    /// # Panics
    /// If there is none; those that a layer returns hold at least one.
    pub fn last(&self) -> &S {
        &self.0[self.0.len() - 1]
    }

    /// The same values without their history, to carry over from one window of a long sequence to the next.
    pub fn detach(self) -> Self {
        Self(self.0.into_iter().map(S::detach).collect())
    }
}

impl<S: CellState> From<S> for States<S> {
    fn from(state: S) -> Self {
        Self(vec![state])
    }
}
