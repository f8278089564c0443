use super::{Cell, Recurrence};
use crate::state::HiddenState;
use burn::tensor::{Tensor, activation::relu};
use serde::{Deserialize, Serialize};

/// What a plain RNN applies to its sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nonlinearity {
    /// tanh.
    #[default]
    Tanh,
    /// max(0, x).
    Relu,
}

/// The plain recurrent cell (Elman, "Finding structure in time", 1990):
///
/// ```text
/// h' = tanh(x·W_ih + b_ih + h·W_hh + b_hh)
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RnnCell {
    /// tanh or relu.
    pub nonlinearity: Nonlinearity,
}

impl Cell for RnnCell {
    type State = HiddenState;
    const GATES: usize = 1;

    fn unlike_pytorch(&self) -> Option<&'static str> {
        None
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        let sum = input + recurrence.product(state.hidden);
        let hidden = match self.nonlinearity {
            Nonlinearity::Tanh => sum.tanh(),
            Nonlinearity::Relu => relu(sum),
        };
        HiddenState { hidden }
    }
}
