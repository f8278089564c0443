use crate::RnnError;
use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_1_SQRT_2;

/// What is applied, element by element, to a gate's sum or to a state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Activation {
    /// x.
    Linear,
    /// σ(x) = 1/(1+e⁻ˣ).
    Sigmoid,
    /// σ in straight lines: `slope·x + ½`, held in `[0, 1]`. The slope is 1/6 in PyTorch and Keras 3, 0.2 in Keras 2,
    /// whose recurrent layers began with it.
    HardSigmoid {
        /// At 0.
        slope: f64,
    },
    /// tanh(x).
    Tanh,
    /// x, held in `[−1, 1]`.
    HardTanh,
    /// max(0, x).
    Relu,
    /// x where it is positive, `slope·x` elsewhere.
    LeakyRelu {
        /// Below 0.
        slope: f64,
    },
    /// x where it is positive, `eˣ − 1` elsewhere.
    Elu,
    /// x/(1+|x|).
    Softsign,
    /// ln(1+eˣ).
    Softplus,
    /// x·σ(x), also called swish.
    Silu,
    /// x·Φ(x), with Φ the normal distribution.
    Gelu,
    /// x + ½ where x is positive, σ(x) elsewhere: always above 0 (g of Feng et al., 2024).
    Positive,
}

impl Activation {
    /// Whether its slope, if it has one, is a number.
    pub(crate) fn check(self) -> Result<(), RnnError> {
        match self {
            Activation::HardSigmoid { slope } | Activation::LeakyRelu { slope } if !slope.is_finite() => {
                Err(RnnError::Slope(slope))
            }
            _ => Ok(()),
        }
    }

    /// Applies it to every element of `x`.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Activation::Linear => x,
            Activation::Sigmoid => activation::sigmoid(x),
            Activation::HardSigmoid { slope } => (x * slope + 0.5).clamp(0.0, 1.0),
            Activation::Tanh => x.tanh(),
            Activation::HardTanh => x.clamp(-1.0, 1.0),
            Activation::Relu => activation::relu(x),
            // The slope at 0 too, as PyTorch and the kernels have it; Burn has 1 there.
            Activation::LeakyRelu { slope } => below_or(x.clone() * slope, x),
            // Burn's takes eˣ of a positive x too: from 89 on that is infinite in f32, and its gradient NaN.
            Activation::Elu => below_or(x.clone().clamp_max(0.0).exp() - 1.0, x),
            Activation::Softsign => x.clone() / (x.abs() + 1.0),
            Activation::Softplus => activation::softplus(x, 1.0),
            Activation::Silu => activation::silu(x),
            // Burn's has the gradient of another function, with tanh, where a backend has none of its own, as on GPUs.
            Activation::Gelu => (x.clone() * FRAC_1_SQRT_2).erf().add_scalar(1.0) * x * 0.5,
            // One of the two is x, the other 0; σ(0) = ½.
            Activation::Positive => activation::relu(x.clone()) + activation::sigmoid(x.clamp_max(0.0)),
        }
    }
}

/// `below` where `x` is at most 0, x elsewhere; NaN stays.
fn below_or<const D: usize>(below: Tensor<D>, x: Tensor<D>) -> Tensor<D> {
    let which = x.clone().lower_equal_scalar(0);
    x.mask_where(which, below)
}
