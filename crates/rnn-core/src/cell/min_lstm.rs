use super::{Activation, Cell, Kernel, Recurrence, split};
use crate::RnnError;
use crate::config::RecurrentConfig;
use crate::probe::observe;
use crate::state::HiddenState;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The minLSTM (Feng et al., 2024; see [`MinGruCell`](super::MinGruCell)): an LSTM without c and o whose gates and
/// candidate see the input alone, and whose gates are scaled so that they add up to 1.
///
/// ```text
/// i = σ(x·W_ii + b_ii)               how much of n to take,
/// f = σ(x·W_if + b_if)               and of h to keep,
/// i', f' = i/(f+i), f/(f+i)          as shares
/// n = φ(x·W_in + b_in)               the candidate, h̃ in the paper
/// h' = f'∘h + i'∘n
/// ```
///
/// φ is the identity, or with [`Activation::Positive`] the paper's g. Weights are packed in the order `i f n`; a probe
/// sees i' and f' as `i` and `f`. There is neither `W_hh` nor `b_hh`, with what follows from that for a minGRU. The unit
/// forget bias is 1 on f.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MinLstmCell {
    /// φ.
    pub hidden_activation: Activation,
}

impl Default for MinLstmCell {
    fn default() -> Self {
        Self { hidden_activation: Activation::Linear }
    }
}

impl Cell for MinLstmCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        3
    }

    fn has_w_hh(&self) -> bool {
        false
    }

    fn forget_bias(&self) -> Option<(usize, f64)> {
        Some((1, 1.0))
    }

    fn check(&self) -> Result<(), RnnError> {
        self.hidden_activation.check()
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        Some("the minLSTM")
    }

    fn kernel(&self) -> Option<Kernel> {
        Kernel::positive(self.hidden_activation).map(|positive| Kernel::MinLstm { positive })
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, _: &Recurrence) -> HiddenState {
        let [i, f, n] = split(input);
        let [i, f] = [i, f].map(|sum| Activation::Sigmoid.apply(sum));
        let both = f.clone() + i.clone();
        let (i, f) = (observe("i", i / both.clone()), observe("f", f / both));
        let n = observe("n", self.hidden_activation.apply(n));
        HiddenState { hidden: f * state.hidden + i * n }
    }
}

impl RecurrentConfig<MinLstmCell> {
    /// What is applied to the sum of n: nothing (the default), [`Activation::Positive`] for the paper's g, or another.
    ///
    /// With others than these two the layer runs step by step, without the fused kernels: many times slower on a CPU.
    pub fn with_hidden_activation(mut self, activation: Activation) -> Self {
        self.cell.hidden_activation = activation;
        self
    }
}
