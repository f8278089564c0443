use super::{Activation, Cell, Kernel, KernelOptions, Recurrence, checked_clip, clip};
use crate::RnnError;
use crate::config::RecurrentConfig;
use crate::state::HiddenState;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The plain recurrent cell (Elman, "Finding structure in time", 1990), with φ = tanh unless chosen otherwise:
///
/// ```text
/// h' = φ(x·W_ih + b_ih + h·W_hh + b_hh)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RnnCell {
    /// φ.
    pub hidden_activation: Activation,
    /// Holds h' in `[−clip, clip]`.
    pub clip: Option<f64>,
}

impl Default for RnnCell {
    fn default() -> Self {
        Self { hidden_activation: Activation::Tanh, clip: None }
    }
}

impl Cell for RnnCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        1
    }

    fn check(&self) -> Result<(), RnnError> {
        self.hidden_activation.check()?;
        checked_clip(self.clip)
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        if self.clip.is_some() {
            Some("clipping")
        } else if !matches!(self.hidden_activation, Activation::Tanh | Activation::Relu) {
            Some("an activation other than tanh and relu")
        } else {
            None
        }
    }

    fn kernel(&self) -> Option<Kernel> {
        let Self { hidden_activation, clip } = *self;
        Some(Kernel::Rnn(KernelOptions { candidate: hidden_activation, clip, ..KernelOptions::PLAIN }))
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        let sum = input + recurrence.product(state.hidden);
        HiddenState { hidden: clip(self.clip, self.hidden_activation.apply(sum)) }
    }
}

impl RecurrentConfig<RnnCell> {
    /// What is applied to the sum: tanh (the default), relu or another.
    pub fn with_hidden_activation(mut self, activation: Activation) -> Self {
        self.cell.hidden_activation = activation;
        self
    }

    /// Holds h in `[−clip, clip]`.
    pub fn with_clip(mut self, clip: Option<f64>) -> Self {
        self.cell.clip = clip;
        self
    }
}
