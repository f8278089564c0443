//! Which cells Keras has, and its words for their options.

use crate::Activation;
use crate::cell::{Cell, GruCell, LstmCell, RnnCell};

/// A cell that Keras has too.
pub trait KerasCell: Cell {
    /// Keras' layer of such cells.
    const KERAS_CLASS: &'static str;

    /// Where each of this cell's gates lies among Keras' gates.
    const KERAS_GATES: &'static [usize];

    /// What Keras has no layer for, if that is so.
    fn unlike_keras(&self) -> Option<&'static str>;

    /// The cell's options by Keras' names, as Python writes them.
    #[doc(hidden)]
    fn keras_options(&self) -> Vec<(&'static str, String)>;
}

impl KerasCell for RnnCell {
    const KERAS_CLASS: &'static str = "SimpleRNN";
    const KERAS_GATES: &'static [usize] = &[0];

    fn unlike_keras(&self) -> Option<&'static str> {
        self.clip.map(|_| "clipping")
    }

    fn keras_options(&self) -> Vec<(&'static str, String)> {
        vec![("activation", activation(self.hidden_activation))]
    }
}

impl KerasCell for LstmCell {
    const KERAS_CLASS: &'static str = "LSTM";
    const KERAS_GATES: &'static [usize] = &[0, 1, 2, 3];

    fn unlike_keras(&self) -> Option<&'static str> {
        if self.peepholes {
            Some("peepholes")
        } else if self.coupled {
            Some("coupled gates")
        } else if self.proj_size.is_some() {
            Some("a projection")
        } else if self.clip.is_some() {
            Some("clipping")
        } else if self.cell_activation != self.hidden_activation {
            Some("different activations of candidate and output")
        } else {
            None
        }
    }

    fn keras_options(&self) -> Vec<(&'static str, String)> {
        let gates = activation(self.gate_activation);
        vec![("activation", activation(self.hidden_activation)), ("recurrent_activation", gates)]
    }
}

/// Keras packs `z r h`, which are z, r and n here.
impl KerasCell for GruCell {
    const KERAS_CLASS: &'static str = "GRU";
    const KERAS_GATES: &'static [usize] = &[1, 0, 2];

    fn unlike_keras(&self) -> Option<&'static str> {
        self.clip.map(|_| "clipping")
    }

    fn keras_options(&self) -> Vec<(&'static str, String)> {
        let gates = activation(self.gate_activation);
        vec![
            ("activation", activation(self.hidden_activation)),
            ("recurrent_activation", gates),
            ("reset_after", python(self.reset_after)),
        ]
    }
}

pub fn python(value: bool) -> String {
    if value { "True" } else { "False" }.to_string()
}

/// Keras' name, with the slope where it is not the one that the name alone has.
fn activation(activation: Activation) -> String {
    let sloped = |name: &str, slope: f64, keras: f64| match (slope - keras).abs() < 1e-9 {
        true => name.to_string(),
        false => format!("{name} of slope {slope}"),
    };
    match activation {
        Activation::Linear => "linear".into(),
        Activation::Sigmoid => "sigmoid".into(),
        Activation::HardSigmoid { slope } => sloped("hard_sigmoid", slope, 1.0 / 6.0),
        Activation::Tanh => "tanh".into(),
        Activation::HardTanh => "hard_tanh".into(),
        Activation::Relu => "relu".into(),
        Activation::LeakyRelu { slope } => sloped("leaky_relu", slope, 0.2),
        Activation::Elu => "elu".into(),
        Activation::Softsign => "softsign".into(),
        Activation::Softplus => "softplus".into(),
        Activation::Silu => "silu".into(),
        Activation::Gelu => "gelu".into(),
        Activation::Positive => "a function that Keras does not name".into(),
    }
}
