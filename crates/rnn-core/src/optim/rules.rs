//! The rules. g is the gradient of the weight w, lr the learning rate, t the number of the step.

use super::Rule;
use super::update::Number;

/// Adam (Kingma and Ba, 2015), with decoupled weight decay (AdamW: Loshchilov and Hutter, 2019) if asked for:
///
/// ```text
/// m ← β₁·m + (1−β₁)·g
/// v ← β₂·v + (1−β₂)·g²
/// w ← w − lr·decay·w − lr·m̂/(√v̂ + ε)                            m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ)
/// w ← w − lr·decay·w − lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε)           with `epsilon_hat`
/// ```
///
/// With `epsilon_hat`, ε stands beside √v, not √v̂: the form at the end of section 2 of the paper, and Keras'. A weight
/// that has a small gradient once in a while, as a rare word's vector has, is moved less then: at the first step ε stands
/// for 32 times as much.
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
    type Scalars = AdamScalars;

    fn scalars(&self, rate: f64, time: usize) -> AdamScalars {
        let corrected_1 = 1.0 - self.beta_1.powf(time as f64);
        let corrected_2 = (1.0 - self.beta_2.powf(time as f64)).sqrt();
        AdamScalars {
            // √v̂ + ε = (√v + ε·√(1−β₂ᵗ)) / √(1−β₂ᵗ)
            epsilon: if self.epsilon_hat { self.epsilon } else { self.epsilon * corrected_2 },
            rate: rate * corrected_2 / corrected_1,
            kept: 1.0 - rate * self.weight_decay,
        }
    }

    #[inline(always)]
    fn update<N: Number>(&self, at: AdamScalars, w: N, g: N, [m, v]: [N; 2]) -> (N, [N; 2]) {
        let Self { beta_1, beta_2, .. } = *self;
        let m = m.times(beta_1) + g.clone().times(1.0 - beta_1);
        let v = v.times(beta_2) + (g.clone() * g).times(1.0 - beta_2);
        let step = m.clone() / v.clone().sqrt().plus(at.epsilon);
        (w.times(at.kept) - step.times(at.rate), [m, v])
    }
}

/// What Adam computes once a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamScalars {
    epsilon: f64,
    rate: f64,
    /// The share of the weight that the decay leaves.
    kept: f64,
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
    type Scalars = f64;

    fn scalars(&self, rate: f64, _: usize) -> f64 {
        rate
    }

    #[inline(always)]
    fn update<N: Number>(&self, rate: f64, w: N, g: N, [v, b]: [N; 2]) -> (N, [N; 2]) {
        let Self { rho, momentum, epsilon, epsilon_inside } = *self;
        let v = v.times(rho) + (g.clone() * g.clone()).times(1.0 - rho);
        let root = match epsilon_inside {
            true => v.clone().plus(epsilon).sqrt(),
            false => v.clone().sqrt().plus(epsilon),
        };
        let b = b.times(momentum) + g / root;
        (w - b.clone().times(rate), [v, b])
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
    type Scalars = f64;

    fn scalars(&self, rate: f64, _: usize) -> f64 {
        rate
    }

    #[inline(always)]
    fn update<N: Number>(&self, rate: f64, w: N, g: N, [b]: [N; 1]) -> (N, [N; 1]) {
        let b = b.times(self.momentum) + g.clone();
        let step = if self.nesterov { g + b.clone().times(self.momentum) } else { b.clone() };
        (w - step.times(rate), [b])
    }
}

/// Adagrad (Duchi, Hazan and Singer, 2011) as Keras has it: `a ← a + g²`, `w ← w − lr·g/√(a + ε)`, from a = 0.1 and with
/// ε = 1e-7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad;

impl Rule<1> for Adagrad {
    const START: f64 = 0.1;

    type Scalars = f64;

    fn scalars(&self, rate: f64, _: usize) -> f64 {
        rate
    }

    #[inline(always)]
    fn update<N: Number>(&self, rate: f64, w: N, g: N, [a]: [N; 1]) -> (N, [N; 1]) {
        let a = a + g.clone() * g.clone();
        (w - (g / a.clone().plus(1e-7).sqrt()).times(rate), [a])
    }
}
