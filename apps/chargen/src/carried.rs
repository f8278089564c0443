//! The state that a model carries from one mini-batch of contiguous text to the next.

use burn::tensor::Tensor;
use rnn_core::cell::Cell;
use rnn_core::{AnyCell, AnyState, CellState, Direction, ForwardArgs, States};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The state of each layer after the last mini-batch, without its history; empty before the first one. Copies of a
/// model, which each update makes, share it.
#[derive(Debug, Clone, Default)]
pub struct Carried(Arc<Mutex<Vec<AnyState>>>);

impl Carried {
    fn states(&self) -> MutexGuard<'_, Vec<AnyState>> {
        // A panic between reading and writing leaves the state of the mini-batch before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets it: the next mini-batch starts from zero.
    pub fn clear(&self) {
        self.states().clear();
    }

    /// Takes the state after a mini-batch.
    pub fn set(&self, states: States<AnyState>) {
        let values = |tensor: Tensor<2>| if tensor.is_autodiff() { tensor.inner() } else { tensor };
        *self.states() = states.into_vec().into_iter().map(|state| state.map(values)).collect();
    }

    /// `args` with the state, if there is one; on the graph of a training if `autodiff`.
    pub fn args<'a>(&self, args: ForwardArgs<'a, AnyState>, autodiff: bool) -> ForwardArgs<'a, AnyState> {
        let states = self.states().clone();
        if states.is_empty() {
            return args;
        }
        let on_graph = |tensor: Tensor<2>| if autodiff { Tensor::from_inner(tensor) } else { tensor };
        let states = states.into_iter().map(|state| state.map(on_graph)).collect();
        args.with_state(States::new(Direction::Forward, states))
    }

    /// The tensors of each layer, h first.
    pub fn tensors(&self) -> Vec<Tensor<2>> {
        self.states().iter().flat_map(|state| std::iter::once(state.hidden.clone()).chain(state.cell.clone())).collect()
    }

    /// Takes what [`tensors`](Self::tensors) gave.
    pub fn restore(&self, tensors: Vec<Tensor<2>>, cell: AnyCell) {
        let mut tensors = tensors.into_iter();
        let mut states = Vec::new();
        while let Some(hidden) = tensors.next() {
            let cell = if cell.state_tensors() > 1 { tensors.next() } else { None };
            states.push(AnyState { hidden, cell });
        }
        *self.states() = states;
    }
}
