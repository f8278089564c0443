use super::{Activation, Cell, Kernel, Recurrence, split};
use crate::RnnError;
use crate::config::RecurrentConfig;
use crate::probe::observe;
use crate::state::HiddenState;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The minGRU (Feng, Tung, Hassani, Hamarneh, Bengio and Hajimirsadeghi, "Were RNNs all we needed?", 2024): a GRU whose
/// gate and candidate see the input alone.
///
/// ```text
/// z = σ(x·W_iz + b_iz)               how much of n to take
/// n = φ(x·W_in + b_in)               the candidate, h̃ in the paper
/// h' = (1−z)∘h + z∘n
/// ```
///
/// φ is the identity, as in the paper's plain form. With [`Activation::Positive`] it is the paper's g, with which its
/// log-space form keeps h above 0; the recurrence is computed as above either way, and starts from h = 0 where the paper
/// starts from g(0) = ½. Weights are packed in the order `z n`. As the paper has it, z takes the new value, where the z of
/// a [`GruCell`](super::GruCell) keeps the old one.
///
/// The cell has no `W_hh` and no `b_hh`, so recurrent dropout, weight dropout and [`Bias::Two`](super::Bias::Two) are
/// refused. The units of a layer do not see each other's past; those of the layer above do, which is why stacks of
/// this cell do more than one. The unit forget bias is −1 on z: 1 − z = σ(1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MinGruCell {
    /// φ.
    pub hidden_activation: Activation,
}

impl Default for MinGruCell {
    fn default() -> Self {
        Self { hidden_activation: Activation::Linear }
    }
}

impl Cell for MinGruCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        2
    }

    fn has_w_hh(&self) -> bool {
        false
    }

    fn forget_bias(&self) -> Option<(usize, f64)> {
        // 1 − z = 1 − σ(−1) = σ(1)
        Some((0, -1.0))
    }

    fn check(&self) -> Result<(), RnnError> {
        self.hidden_activation.check()
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        Some("the minGRU")
    }

    fn kernel(&self) -> Option<Kernel> {
        Kernel::positive(self.hidden_activation).map(|positive| Kernel::MinGru { positive })
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, _: &Recurrence) -> HiddenState {
        let h = state.hidden;
        let [z, n] = split(input);
        let z = observe("z", Activation::Sigmoid.apply(z));
        let n = observe("n", self.hidden_activation.apply(n));
        HiddenState { hidden: h.clone() + z * (n - h) }
    }
}

impl RecurrentConfig<MinGruCell> {
    /// What is applied to the sum of n: nothing (the default), [`Activation::Positive`] for the paper's g, or another.
    ///
    /// With others than these two the layer runs step by step, without the fused kernels: many times slower on a CPU.
    pub fn with_hidden_activation(mut self, activation: Activation) -> Self {
        self.cell.hidden_activation = activation;
        self
    }
}
