//! Activations, from burn-nn's to ours and back.

use super::super::WeightError;
use super::{unlike_burn, unlike_ours};
use crate::Activation;
use burn::nn::activation::{
    Activation as Theirs, ActivationConfig, EluConfig, HardSigmoidConfig, LeakyReluConfig, SoftplusConfig,
};

/// burn-nn's activation in our terms.
pub fn from_burn(theirs: &Theirs) -> Result<Activation, WeightError> {
    Ok(match theirs {
        Theirs::Identity(_) => Activation::Linear,
        Theirs::Sigmoid(_) => Activation::Sigmoid,
        Theirs::HardSigmoid(hard) if hard.beta == 0.5 => Activation::HardSigmoid { slope: hard.alpha },
        Theirs::Tanh(_) => Activation::Tanh,
        Theirs::Relu(_) => Activation::Relu,
        Theirs::LeakyRelu(leaky) => Activation::LeakyRelu { slope: leaky.negative_slope },
        Theirs::Elu(elu) if elu.alpha == 1.0 => Activation::Elu,
        Theirs::Softsign(_) => Activation::Softsign,
        // Beyond its threshold burn-nn takes x for ln(1+eˣ), which at the default of 20 is the same in f32.
        Theirs::Softplus(soft) if soft.beta == 1.0 && soft.threshold >= 20.0 => Activation::Softplus,
        Theirs::Gelu(gelu) if !gelu.approximate => Activation::Gelu,
        _ => return Err(unlike_ours("such an activation")),
    })
}

/// Our activation as burn-nn makes it.
pub fn to_burn(ours: Activation) -> Result<ActivationConfig, WeightError> {
    Ok(match ours {
        Activation::Linear => ActivationConfig::Identity,
        Activation::Sigmoid => ActivationConfig::Sigmoid,
        Activation::HardSigmoid { slope } => {
            ActivationConfig::HardSigmoid(HardSigmoidConfig { alpha: slope, beta: 0.5 })
        }
        Activation::Tanh => ActivationConfig::Tanh,
        Activation::Relu => ActivationConfig::Relu,
        Activation::LeakyRelu { slope } => ActivationConfig::LeakyRelu(LeakyReluConfig { negative_slope: slope }),
        Activation::Elu => ActivationConfig::Elu(EluConfig { alpha: 1.0 }),
        Activation::Softsign => ActivationConfig::Softsign,
        Activation::Softplus => ActivationConfig::Softplus(SoftplusConfig { beta: 1.0, threshold: 20.0 }),
        Activation::Gelu => ActivationConfig::Gelu,
        Activation::HardTanh | Activation::Silu | Activation::Positive => {
            return Err(unlike_burn("such an activation"));
        }
    })
}
