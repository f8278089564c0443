//! The rules. g is the gradient of the weight w, lr the learning rate, t the number of the step.

use super::Rule;
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use rnn_gpu::optim::Step as Launched;
#[cfg(feature = "kernels")]
use rnn_kernels::optim::{self as kernels, Decay, Epsilon, Step};

fn in_range(name: &str, value: f64) {
    assert!((0.0..1.0).contains(&value), "{name} is {value}; it must be at least 0 and less than 1");
}

fn not_negative(name: &str, value: f64) {
    assert!(value >= 0.0 && value.is_finite(), "{name} is {value}; it must be a number, at least 0");
}

/// Adam (Kingma and Ba, 2015), with decoupled weight decay (AdamW: Loshchilov and Hutter, 2019) if asked for:
///
/// ```text
/// m ← β₁·m + (1−β₁)·g
/// v ← β₂·v + (1−β₂)·g²
/// w ← w − lr·decay·w − lr·m̂/(√v̂ + ε)                            m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ)
/// w ← w − lr·decay·w − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε)           with `epsilon_hat`
/// ```
///
/// With `epsilon_hat`, ε stands beside √v, not √v̂: the form at the end of section 2 of the paper, and Keras'. A
/// weight that has a small gradient once in a while, as a rare word's vector has, is moved less then: at the first
/// step ε stands for 32 times as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// β₁.
    pub beta_1: f64,
    /// β₂.
    pub beta_2: f64,
    /// ε.
    pub epsilon: f64,
    /// Whether ε stands beside √v.
    pub epsilon_hat: bool,
    /// The decay.
    pub weight_decay: f64,
}

impl Adam {
    /// Keras' settings: ε 1e-7 beside √v.
    pub const KERAS: Self = Self { epsilon: 1e-7, epsilon_hat: true, ..Self::PYTORCH };
    /// PyTorch's and Burn's settings: ε 1e-8 beside √v̂ (Burn's ε is 1e-5).
    pub const PYTORCH: Self = Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, epsilon_hat: false, weight_decay: 0.0 };
}

impl Rule<2> for Adam {
    fn check(&self) {
        in_range("beta_1", self.beta_1);
        in_range("beta_2", self.beta_2);
        not_negative("epsilon", self.epsilon);
        not_negative("weight_decay", self.weight_decay);
    }

    fn update<const D: usize>(
        &self,
        rate: f64,
        time: usize,
        w: Tensor<D>,
        g: Tensor<D>,
        [m, v]: [Tensor<D>; 2],
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        let Self { beta_1, beta_2, epsilon, epsilon_hat, weight_decay } = *self;
        let (corrected_1, corrected_2) = (1.0 - beta_1.powf(time as f64), 1.0 - beta_2.powf(time as f64));
        let m = m * beta_1 + g.clone() * (1.0 - beta_1);
        let v = v * beta_2 + g.square() * (1.0 - beta_2);
        // √v̂ + ε = (√v + ε·√(1−β₂ᵗ)) / √(1−β₂ᵗ)
        let epsilon = if epsilon_hat { epsilon } else { epsilon * corrected_2.sqrt() };
        let step = m.clone() / (v.clone().sqrt() + epsilon) * (rate * corrected_2.sqrt() / corrected_1);
        (w * (1.0 - rate * weight_decay) - step, [m, v])
    }

    #[cfg(feature = "kernels")]
    fn at(&self, rate: f64, time: usize) -> Step {
        let Self { beta_1: beta1, beta_2: beta2, epsilon, epsilon_hat, weight_decay } = *self;
        let epsilon_at = if epsilon_hat { Epsilon::Keras } else { Epsilon::BesideRoot };
        let decay = if weight_decay == 0.0 { Decay::None } else { Decay::Decoupled(weight_decay) };
        kernels::Adam { beta1, beta2, epsilon, epsilon_at, decay }.at(rate, time as u64)
    }

    #[cfg(feature = "gpu")]
    fn launched(&self, rate: f64, time: usize) -> Launched {
        let Self { beta_1, beta_2, epsilon, epsilon_hat, weight_decay } = *self;
        let (first, second) = (1.0 - beta_1.powf(time as f64), (1.0 - beta_2.powf(time as f64)).sqrt());
        let (corrected, root) = if epsilon_hat { (rate * second / first, 1.0) } else { (rate / first, 1.0 / second) };
        Launched::Adam {
            beta_1: beta_1 as f32,
            rest_1: (1.0 - beta_1) as f32,
            beta_2: beta_2 as f32,
            rest_2: (1.0 - beta_2) as f32,
            rate: corrected as f32,
            root: root as f32,
            epsilon: epsilon as f32,
            decay: (1.0 - rate * weight_decay) as f32,
        }
    }
}

/// RMSprop (Hinton, lecture 6e, 2012):
///
/// ```text
/// v ← ρ·v + (1−ρ)·g²
/// b ← momentum·b + g/(√v + ε)              g/√(v + ε) with `epsilon_inside`
/// w ← w − lr·b
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// ρ.
    pub rho: f64,
    /// The momentum.
    pub momentum: f64,
    /// ε.
    pub epsilon: f64,
    /// Whether ε stands under the root.
    pub epsilon_inside: bool,
}

impl RmsProp {
    /// Keras 2's settings: ρ 0.9, ε 1e-7 outside the root.
    pub const KERAS2: Self = Self { rho: 0.9, momentum: 0.0, epsilon: 1e-7, epsilon_inside: false };
    /// Keras 3's settings: ε under the root.
    pub const KERAS: Self = Self { epsilon_inside: true, ..Self::KERAS2 };
    /// PyTorch's settings: ρ 0.99, ε 1e-8 outside the root.
    pub const PYTORCH: Self = Self { rho: 0.99, momentum: 0.0, epsilon: 1e-8, epsilon_inside: false };
}

impl Rule<2> for RmsProp {
    fn check(&self) {
        in_range("rho", self.rho);
        in_range("momentum", self.momentum);
        not_negative("epsilon", self.epsilon);
    }

    fn update<const D: usize>(
        &self,
        rate: f64,
        _: usize,
        w: Tensor<D>,
        g: Tensor<D>,
        [v, b]: [Tensor<D>; 2],
    ) -> (Tensor<D>, [Tensor<D>; 2]) {
        let Self { rho, momentum, epsilon, epsilon_inside } = *self;
        let v = v * rho + g.clone().square() * (1.0 - rho);
        let root = match epsilon_inside {
            true => (v.clone() + epsilon).sqrt(),
            false => v.clone().sqrt() + epsilon,
        };
        let b = b * momentum + g / root;
        (w - b.clone() * rate, [v, b])
    }

    #[cfg(feature = "kernels")]
    fn at(&self, rate: f64, _: usize) -> Step {
        let Self { rho, momentum, epsilon, epsilon_inside } = *self;
        let epsilon_at = if epsilon_inside { Epsilon::Keras } else { Epsilon::BesideRoot };
        kernels::RmsProp { rho, epsilon, epsilon_at, momentum, decay: Decay::None }.at(rate)
    }

    #[cfg(feature = "gpu")]
    fn launched(&self, rate: f64, _: usize) -> Launched {
        let Self { rho, momentum, epsilon, epsilon_inside } = *self;
        let [inside, beside] = if epsilon_inside { [epsilon, 0.0] } else { [0.0, epsilon] };
        Launched::RmsProp {
            rho: rho as f32,
            rest: (1.0 - rho) as f32,
            inside: inside as f32,
            beside: beside as f32,
            momentum: momentum as f32,
            rate: rate as f32,
        }
    }
}

/// Stochastic gradient descent with momentum (Sutskever, Martens, Dahl and Hinton, 2013), as PyTorch and Keras have it:
///
/// ```text
/// b ← momentum·b + g
/// w ← w − lr·b                             w − lr·(g + momentum·b) with `nesterov`
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// The momentum.
    pub momentum: f64,
    /// Whether the momentum looks ahead.
    pub nesterov: bool,
}

impl Rule<1> for Sgd {
    fn check(&self) {
        in_range("momentum", self.momentum);
    }

    fn update<const D: usize>(
        &self,
        rate: f64,
        _: usize,
        w: Tensor<D>,
        g: Tensor<D>,
        [b]: [Tensor<D>; 1],
    ) -> (Tensor<D>, [Tensor<D>; 1]) {
        let b = b * self.momentum + g.clone();
        let step = if self.nesterov { g + b.clone() * self.momentum } else { b.clone() };
        (w - step * rate, [b])
    }

    #[cfg(feature = "kernels")]
    fn at(&self, rate: f64, _: usize) -> Step {
        let Self { momentum, nesterov } = *self;
        kernels::Sgd { momentum, nesterov, decay: Decay::None }.at(rate)
    }

    #[cfg(feature = "gpu")]
    fn launched(&self, rate: f64, _: usize) -> Launched {
        Launched::Sgd { momentum: self.momentum as f32, nesterov: self.nesterov, rate: rate as f32 }
    }
}

/// Adagrad (Duchi, Hazan and Singer, 2011) as Keras has it: `a ← a + g²`, `w ← w − lr·g/√(a + ε)`, from a = 0.1 and
/// with ε = 1e-7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad;

impl Rule<1> for Adagrad {
    fn check(&self) {}

    const START: f64 = 0.1;

    fn update<const D: usize>(
        &self,
        rate: f64,
        _: usize,
        w: Tensor<D>,
        g: Tensor<D>,
        [a]: [Tensor<D>; 1],
    ) -> (Tensor<D>, [Tensor<D>; 1]) {
        let a = a + g.clone().square();
        (w - g / (a.clone() + 1e-7).sqrt() * rate, [a])
    }

    #[cfg(feature = "kernels")]
    fn at(&self, rate: f64, _: usize) -> Step {
        kernels::Adagrad { epsilon: 1e-7, epsilon_at: Epsilon::Keras, decay: Decay::None }.at(rate)
    }

    #[cfg(feature = "gpu")]
    fn launched(&self, rate: f64, _: usize) -> Launched {
        Launched::Adagrad { epsilon: 1e-7, rate: rate as f32 }
    }
}
