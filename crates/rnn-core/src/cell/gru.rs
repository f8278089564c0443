use super::{Activation, Bias, Cell, Kernel, KernelOptions, Recurrence, checked_clip, clip, split};
use crate::RnnError;
use crate::config::RecurrentConfig;
use crate::init::Initializers;
use crate::probe::observe;
use crate::state::HiddenState;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The gated recurrent unit (Cho et al., 2014), in both of its forms:
///
/// ```text
/// r = σ(x·W_ir + b_ir + h·W_hr + b_hr)               how much of h the candidate sees
/// z = σ(x·W_iz + b_iz + h·W_hz + b_hz)               how much of h to keep
/// n = φ(x·W_in + b_in + r∘(h·W_hn + b_hn))           reset_after: PyTorch, cuDNN, Keras' default
/// n = φ(x·W_in + b_in + (r∘h)·W_hn + b_hn)           not reset_after: the paper
/// h' = (1−z)∘n + z∘h
/// ```
///
/// φ is tanh, unless σ and φ are chosen otherwise. Weights are packed in the order `r z n`, as PyTorch has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GruCell {
    /// Whether the reset gate acts after the recurrent product (the default) or before it.
    pub reset_after: bool,
    /// σ.
    pub gate_activation: Activation,
    /// φ.
    pub hidden_activation: Activation,
    /// Holds h' in `[−clip, clip]`.
    pub clip: Option<f64>,
}

impl Default for GruCell {
    fn default() -> Self {
        Self {
            reset_after: true,
            gate_activation: Activation::Sigmoid,
            hidden_activation: Activation::Tanh,
            clip: None,
        }
    }
}

impl Cell for GruCell {
    type State = HiddenState;

    fn gates(&self) -> usize {
        3
    }

    fn check(&self) -> Result<(), RnnError> {
        self.gate_activation.check()?;
        self.hidden_activation.check()?;
        checked_clip(self.clip)
    }

    fn keras_bias(&self) -> Bias {
        if self.reset_after { Bias::Two } else { Bias::One }
    }

    fn unlike_pytorch(&self) -> Option<&'static str> {
        let plain = Self { reset_after: self.reset_after, clip: self.clip, ..Self::default() };
        if !self.reset_after {
            Some("a reset gate before the recurrent product")
        } else if self.clip.is_some() {
            Some("clipping")
        } else if *self != plain {
            Some("other activations")
        } else {
            None
        }
    }

    fn kernel(&self) -> Option<Kernel> {
        let Self { reset_after, gate_activation, hidden_activation, clip } = *self;
        let (gate, candidate) = (gate_activation, hidden_activation);
        Some(Kernel::Gru { reset_after, options: KernelOptions { gate, candidate, clip, ..KernelOptions::PLAIN } })
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        let h = state.hidden;
        let gate = |name, sum| observe(name, self.gate_activation.apply(sum));
        let [x_r, x_z, x_n] = split(input);
        let (h_z, h_n) = if self.reset_after {
            let [h_r, h_z, h_n] = split(recurrence.product(h.clone()));
            (h_z, gate("r", x_r + h_r) * h_n)
        } else {
            let [h_r, h_z] = split(recurrence.product_of(h.clone(), 0..2));
            let r = gate("r", x_r + h_r);
            (h_z, recurrence.product_of(r * h.clone(), 2..3))
        };
        let z = gate("z", x_z + h_z);
        let n = observe("n", self.hidden_activation.apply(x_n + h_n));
        // (1−z)∘n + z∘h, in one product less.
        let hidden = n.clone() + z * (h - n);
        HiddenState { hidden: clip(self.clip, hidden) }
    }
}

impl RecurrentConfig<GruCell> {
    /// What is applied to the sums of the gates r and z.
    pub fn with_gate_activation(mut self, activation: Activation) -> Self {
        self.cell.gate_activation = activation;
        self
    }

    /// What is applied to the sum of n.
    pub fn with_hidden_activation(mut self, activation: Activation) -> Self {
        self.cell.hidden_activation = activation;
        self
    }

    /// Holds h in `[−clip, clip]`.
    pub fn with_clip(mut self, clip: Option<f64>) -> Self {
        self.cell.clip = clip;
        self
    }

    /// Whether the reset gate acts after the recurrent product (PyTorch, Keras' default) or before it (the paper).
    /// Under Keras' preset the number of biases follows.
    pub fn with_reset_after(mut self, reset_after: bool) -> Self {
        let was_keras = self.bias == self.cell.keras_bias();
        self.cell.reset_after = reset_after;
        if was_keras && self.initializers == Initializers::KERAS {
            self.bias = self.cell.keras_bias();
        }
        self
    }
}
