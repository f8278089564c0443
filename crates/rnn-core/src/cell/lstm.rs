use super::{Cell, Recurrence, gates};
use crate::state::LstmState;
use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

/// The long short-term memory cell (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and
/// Cummins, 2000):
///
/// ```text
/// i = σ(x·W_ii + b_ii + h·W_hi + b_hi)      how much of g to write
/// f = σ(x·W_if + b_if + h·W_hf + b_hf)      how much of c to keep
/// g = tanh(x·W_ig + b_ig + h·W_hg + b_hg)   what to write
/// o = σ(x·W_io + b_io + h·W_ho + b_ho)      how much of c to show
/// c' = f∘c + i∘g
/// h' = o∘tanh(c')
/// ```
///
/// Weights are packed in the order `i f g o`, as PyTorch has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LstmCell {}

impl Cell for LstmCell {
    type State = LstmState;
    const GATES: usize = 4;
    const FORGET_GATE: Option<usize> = Some(1);

    fn unlike_pytorch(&self) -> Option<&'static str> {
        None
    }

    fn step(&self, input: Tensor<2>, state: LstmState, recurrence: &Recurrence) -> LstmState {
        let [i, f, g, o] = gates(input + recurrence.product(state.hidden));
        let cell = sigmoid(f) * state.cell + sigmoid(i) * g.tanh();
        let hidden = sigmoid(o) * cell.clone().tanh();
        LstmState { hidden, cell }
    }
}
