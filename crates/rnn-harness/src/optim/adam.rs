//! Adam as Keras has it; Burn's and PyTorch's have ε beside the corrected root.

use burn::optim::{AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-7;

/// Adam in the form at the end of section 2 of Kingma and Ba (2015), with ε̂ = 1e-7:
///
/// ```text
/// m ← β₁·m + (1−β₁)·g
/// v ← β₂·v + (1−β₂)·g²
/// w ← w − lr·√(1−β₂ᵗ)/(1−β₁ᵗ) · m/(√v + ε̂)
/// ```
/// A weight that has a small gradient once in a while, as a rare word's vector has, is moved less than with ε beside the
/// corrected root: at the first step ε̂ stands for 32 times as much there.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// `w ← w − lr·decay·w` besides (AdamW, Loshchilov and Hutter, 2019).
    pub weight_decay: f64,
}

impl Optimizer for Adam {
    /// t, m and v of one parameter.
    type State<const D: usize> = AdaptiveMomentumState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdaptiveMomentumState<D>>,
    ) -> (Tensor<D>, Option<AdaptiveMomentumState<D>>) {
        let square = grad.clone().square() * (1.0 - BETA_2);
        let grad = grad * (1.0 - BETA_1);
        let (time, m, v) = match state {
            Some(s) => (s.time + 1, s.moment_1 * BETA_1 + grad, s.moment_2 * BETA_2 + square),
            None => (1, grad, square),
        };
        let t = time as f64;
        let corrected_rate = rate * (1.0 - BETA_2.powf(t)).sqrt() / (1.0 - BETA_1.powf(t));
        let step = m.clone() / (v.clone().sqrt() + EPSILON) * corrected_rate;
        let tensor = if self.weight_decay > 0.0 { tensor * (1.0 - rate * self.weight_decay) } else { tensor };
        (tensor - step, Some(AdaptiveMomentumState::new(time, m, v)))
    }

    fn to_device<const D: usize>(state: AdaptiveMomentumState<D>, device: &Device) -> AdaptiveMomentumState<D> {
        state.to_device(device)
    }
}
