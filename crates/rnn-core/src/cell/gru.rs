use super::{Bias, Cell, Recurrence, gates};
use crate::state::HiddenState;
use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

/// The gated recurrent unit (Cho et al., 2014), in both of its forms:
///
/// ```text
/// r = σ(x·W_ir + b_ir + h·W_hr + b_hr)               how much of h the candidate sees
/// z = σ(x·W_iz + b_iz + h·W_hz + b_hz)               how much of h to keep
/// n = tanh(x·W_in + b_in + r∘(h·W_hn + b_hn))        reset_after: PyTorch, cuDNN, Keras' default
/// n = tanh(x·W_in + b_in + (r∘h)·W_hn + b_hn)        not reset_after: the paper
/// h' = (1−z)∘n + z∘h
/// ```
///
/// Weights are packed in the order `r z n`, as PyTorch has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GruCell {
    /// Whether the reset gate acts after the recurrent product (the default) or before it.
    pub reset_after: bool,
}

impl Default for GruCell {
    fn default() -> Self {
        Self { reset_after: true }
    }
}

impl Cell for GruCell {
    type State = HiddenState;
    const GATES: usize = 3;

    fn keras_bias(&self) -> Bias {
        if self.reset_after { Bias::Two } else { Bias::One }
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        (!self.reset_after).then_some("a reset gate before the recurrent product")
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        let h = state.hidden;
        let [x_r, x_z, x_n] = gates(input);
        let (z, n) = if self.reset_after {
            let [h_r, h_z, h_n] = gates(recurrence.product(h.clone()));
            let r = sigmoid(x_r + h_r);
            (sigmoid(x_z + h_z), (x_n + r * h_n).tanh())
        } else {
            let [h_r, h_z] = gates(recurrence.product_of(h.clone(), 0..2));
            let r = sigmoid(x_r + h_r);
            let h_n = recurrence.product_of(r * h.clone(), 2..3);
            (sigmoid(x_z + h_z), (x_n + h_n).tanh())
        };
        // (1−z)∘n + z∘h, in one product less.
        let hidden = n.clone() + z * (h - n);
        HiddenState { hidden }
    }
}
