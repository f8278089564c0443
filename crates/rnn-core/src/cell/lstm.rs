use super::{Activation, Cell, Kernel, KernelOptions, Recurrence, Vector, checked_clip, clip, split};
use crate::RnnError;
use crate::config::RecurrentConfig;
use crate::probe::observe;
use crate::state::LstmState;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The long short-term memory cell (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers, Schmidhuber and
/// Cummins, 2000):
///
/// ```text
/// i = σ(x·W_ii + b_ii + h·W_hi + b_hi)      how much of g to write
/// f = σ(x·W_if + b_if + h·W_hf + b_hf)      how much of c to keep
/// g = φ(x·W_ig + b_ig + h·W_hg + b_hg)      what to write
/// o = σ(x·W_io + b_io + h·W_ho + b_ho)      how much of c to show
/// c' = f∘c + i∘g
/// h' = o∘ψ(c')
/// ```
///
/// φ and ψ are tanh, unless σ, φ and ψ are chosen otherwise. Weights are packed in the order `i f g o`, as PyTorch has
/// them.
///
/// | option | changes |
/// |---|---|
/// | `peepholes` (Gers and Schmidhuber, 2000) | `i` and `f` see c: `… + p_i∘c`, `… + p_f∘c`; `o` sees c': `… + p_o∘c'` |
/// | `coupled` (Greff et al., 2017: CIFG) | `f = 1 − i`; no weights of its own, packed `i g o` |
/// | `proj_size` (Sak, Senior and Beaufays, 2014) | `h' = (o∘ψ(c'))·W_hr`, `proj_size` wide |
/// | `clip` | c' is held in `[−clip, clip]` |
/// | layer normalisation (the layer's option) | also `h' = o∘ψ(γ_c∘norm(c') + β_c)` |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LstmCell {
    /// σ.
    pub gate_activation: Activation,
    /// φ.
    pub cell_activation: Activation,
    /// ψ.
    pub hidden_activation: Activation,
    /// Lets the gates see c.
    pub peepholes: bool,
    /// One gate both writes and forgets.
    pub coupled: bool,
    /// The width of h where it is projected; d_hidden otherwise.
    pub proj_size: Option<usize>,
    /// Holds c' in `[−clip, clip]`.
    pub clip: Option<f64>,
}

impl Default for LstmCell {
    fn default() -> Self {
        Self {
            gate_activation: Activation::Sigmoid,
            cell_activation: Activation::Tanh,
            hidden_activation: Activation::Tanh,
            peepholes: false,
            coupled: false,
            proj_size: None,
            clip: None,
        }
    }
}

impl Cell for LstmCell {
    type State = LstmState;

    fn gates(&self) -> usize {
        if self.coupled { 3 } else { 4 }
    }

    fn forget_bias(&self) -> Option<(usize, f64)> {
        // f = 1 − σ(−1) = σ(1)
        if self.coupled { Some((0, -1.0)) } else { Some((1, 1.0)) }
    }

    fn proj_size(&self) -> Option<usize> {
        self.proj_size
    }

    fn vectors(&self, layer_norm: bool) -> Vec<Vector> {
        let peepholes: &[&'static str] = match (self.peepholes, self.coupled) {
            (false, _) => &[],
            (true, false) => &["p_i", "p_f", "p_o"],
            (true, true) => &["p_i", "p_o"],
        };
        let mut vectors: Vec<Vector> = peepholes.iter().map(|name| Vector { name, start: 0.0 }).collect();
        if layer_norm {
            vectors.extend([Vector { name: "gamma_c", start: 1.0 }, Vector { name: "beta_c", start: 0.0 }]);
        }
        vectors
    }

    fn check(&self) -> Result<(), RnnError> {
        self.gate_activation.check()?;
        self.cell_activation.check()?;
        self.hidden_activation.check()?;
        checked_clip(self.clip)
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        let plain = Self { proj_size: self.proj_size, ..Self::default() };
        if self.peepholes {
            Some("peepholes")
        } else if self.coupled {
            Some("coupled gates")
        } else if self.clip.is_some() {
            Some("clipping")
        } else if *self != plain {
            Some("other activations")
        } else {
            None
        }
    }

    fn kernel(&self) -> Option<Kernel> {
        let &Self { gate_activation, cell_activation, hidden_activation, clip, coupled, .. } = self;
        let (gate, candidate, hidden) = (gate_activation, cell_activation, hidden_activation);
        Some(Kernel::Lstm(KernelOptions { gate, candidate, hidden, clip, coupled }))
    }

    fn step(&self, input: Tensor<2>, state: LstmState, recurrence: &Recurrence) -> LstmState {
        let c = state.cell;
        let sums = input + recurrence.product(state.hidden);
        let gate = |name, sum| observe(name, self.gate_activation.apply(sum));
        let peep = |name, sum: Tensor<2>, c: &Tensor<2>| match recurrence.vector(name) {
            Some(p) => sum + p * c.clone(),
            None => sum,
        };
        let (i, f, g, o) = if self.coupled {
            let [i, g, o] = split(sums);
            let i = gate("i", peep("p_i", i, &c));
            let f = observe("f", -i.clone() + 1.0);
            (i, f, g, o)
        } else {
            let [i, f, g, o] = split(sums);
            (gate("i", peep("p_i", i, &c)), gate("f", peep("p_f", f, &c)), g, o)
        };
        let g = observe("g", self.cell_activation.apply(g));
        let cell = observe("c", clip(self.clip, f * c + i * g));
        let o = gate("o", peep("p_o", o, &cell));
        let shown = match (recurrence.vector("gamma_c"), recurrence.vector("beta_c")) {
            (Some(gamma), Some(beta)) => super::normalized(cell.clone()) * gamma + beta,
            _ => cell.clone(),
        };
        let hidden = recurrence.projected(o * self.hidden_activation.apply(shown));
        LstmState { hidden, cell }
    }
}

impl RecurrentConfig<LstmCell> {
    /// What is applied to the sums of the gates i, f and o.
    pub fn with_gate_activation(mut self, activation: Activation) -> Self {
        self.cell.gate_activation = activation;
        self
    }

    /// What is applied to the sum of g.
    pub fn with_cell_activation(mut self, activation: Activation) -> Self {
        self.cell.cell_activation = activation;
        self
    }

    /// What is applied to c on its way to h.
    pub fn with_hidden_activation(mut self, activation: Activation) -> Self {
        self.cell.hidden_activation = activation;
        self
    }

    /// Lets the gates see c.
    pub fn with_peepholes(mut self, peepholes: bool) -> Self {
        self.cell.peepholes = peepholes;
        self
    }

    /// Couples the input and the forget gate: `f = 1 − i`.
    pub fn with_coupled_gates(mut self, coupled: bool) -> Self {
        self.cell.coupled = coupled;
        self
    }

    /// Projects h to `proj_size` units (Sak, Senior and Beaufays, 2014).
    pub fn with_proj_size(mut self, proj_size: Option<usize>) -> Self {
        self.cell.proj_size = proj_size;
        self
    }

    /// Holds c in `[−clip, clip]`.
    pub fn with_clip(mut self, clip: Option<f64>) -> Self {
        self.cell.clip = clip;
        self
    }
}
