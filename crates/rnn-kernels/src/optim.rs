//! The optimizer's update of one tensor in one pass over memory.
//!
//! An optimizer's `at` gives the numbers of one step, for the learning rate α that it has then, after any schedule.
//! [`Step::update`] reads weights w, gradients g and the optimizer's own tensors once and writes them once, on as many
//! threads as the machine is given; the result does not depend on their number. Where only a few rows of a table have a
//! gradient, [`LazyRows`] does not go over the others.

mod lazy;
mod pass;

pub use lazy::LazyRows;
pub(crate) use pass::update;
use pass::{SMALL, Tensors};

use crate::float::Float;
use crate::simd::Simd;

/// Where ε stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epsilon {
    /// Adam: `m̂/(√v̂ + ε)`, as PyTorch. RMSprop, Adagrad: `g/(√v + ε)`, as PyTorch (and Keras 2 for RMSprop).
    BesideRoot,
    /// Adam: `α·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε)`, as Keras and the end of section 2 of the paper, where ε counts for more
    /// in the first steps. RMSprop, Adagrad: `g/√(v + ε)`, as Keras 3.
    Keras,
}

/// What draws weights to zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// Nothing.
    None,
    /// λ·w is added to g: the L2 penalty.
    Coupled(f64),
    /// w is multiplied by `1 − αλ` apart from the step (Loshchilov and Hutter, "Decoupled weight decay regularization",
    /// 2019: AdamW).
    Decoupled(f64),
}

/// Adam (Kingma and Ba, 2015), and with [`Decay::Decoupled`] AdamW:
///
/// ```text
/// m ← β₁m + (1−β₁)g        v ← β₂v + (1−β₂)g²        w ← w − α·m̂/(√v̂ + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
    /// Where ε stands.
    pub epsilon_at: Epsilon,
    /// Weight decay.
    pub decay: Decay,
}

/// RMSprop (Hinton's lectures, 2012), with momentum if `momentum` is not 0:
///
/// ```text
/// v ← ρv + (1−ρ)g²        b ← μb + g/(√v + ε)        w ← w − αb
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// ρ; PyTorch's `alpha`.
    pub rho: f64,
    /// ε.
    pub epsilon: f64,
    /// Where ε stands.
    pub epsilon_at: Epsilon,
    /// μ.
    pub momentum: f64,
    /// Weight decay.
    pub decay: Decay,
}

/// Stochastic gradient descent, with momentum if `momentum` is not 0, as PyTorch and (for a constant α) Keras have it:
///
/// ```text
/// b ← μb + g        w ← w − αb, or with Nesterov's: w ← w − α(g + μb)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// μ.
    pub momentum: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// Weight decay.
    pub decay: Decay,
}

/// Adagrad (Duchi, Hazan and Singer, 2011):
///
/// ```text
/// s ← s + g²        w ← w − α·g/(√s + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad {
    /// ε.
    pub epsilon: f64,
    /// Where ε stands.
    pub epsilon_at: Epsilon,
    /// Weight decay.
    pub decay: Decay,
}

impl Adam {
    /// The numbers of step `t`, from 1 on, with the learning rate `rate`.
    ///
    /// # Panics
    /// On t = 0.
    pub fn at(&self, rate: f64, t: u64) -> Step {
        assert!(t > 0, "Adam counts its steps from 1");
        let t = t.min(i32::MAX as u64) as i32;
        let (first, second) = (1.0 - self.beta1.powi(t), (1.0 - self.beta2.powi(t)).sqrt());
        let Adam { beta1, beta2, epsilon, decay, .. } = *self;
        let (corrected, root) = match self.epsilon_at {
            Epsilon::BesideRoot => (rate / first, 1.0 / second),
            Epsilon::Keras => (rate * second / first, 1.0),
        };
        let (beta1, beta2) = ([beta1, 1.0 - beta1], [beta2, 1.0 - beta2]);
        Step::new(Rule::Adam { beta1, beta2, rate: corrected, root, epsilon }, decay, rate)
    }
}

impl RmsProp {
    /// The numbers of a step with the learning rate `rate`.
    pub fn at(&self, rate: f64) -> Step {
        let RmsProp { rho, epsilon, epsilon_at, momentum, decay } = *self;
        let (inside, beside) = epsilon_at.split(epsilon);
        Step::new(Rule::RmsProp { rho: [rho, 1.0 - rho], inside, beside, momentum, rate }, decay, rate)
    }
}

impl Sgd {
    /// The numbers of a step with the learning rate `rate`.
    pub fn at(&self, rate: f64) -> Step {
        let Sgd { momentum, nesterov, decay } = *self;
        Step::new(Rule::Sgd { momentum, nesterov, rate }, decay, rate)
    }
}

impl Adagrad {
    /// The numbers of a step with the learning rate `rate`.
    pub fn at(&self, rate: f64) -> Step {
        let (inside, beside) = self.epsilon_at.split(self.epsilon);
        Step::new(Rule::Adagrad { inside, beside, rate }, self.decay, rate)
    }
}

impl Epsilon {
    /// What is added inside the root and beside it.
    fn split(self, epsilon: f64) -> (f64, f64) {
        match self {
            Epsilon::BesideRoot => (0.0, epsilon),
            Epsilon::Keras => (epsilon, 0.0),
        }
    }
}

/// The numbers of one step of an optimizer, in f64 or in the type of the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<N = f64> {
    rule: Rule<N>,
    /// What is added to g of w, and what w is multiplied by: the decay.
    coupled: N,
    decay_factor: N,
}

/// With β and 1 − β side by side, and the corrections of Adam's biases in `rate` and `root`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule<N> {
    Adam { beta1: [N; 2], beta2: [N; 2], rate: N, root: N, epsilon: N },
    RmsProp { rho: [N; 2], inside: N, beside: N, momentum: N, rate: N },
    Sgd { momentum: N, nesterov: bool, rate: N },
    Adagrad { inside: N, beside: N, rate: N },
}

impl Step {
    fn new(rule: Rule<f64>, decay: Decay, rate: f64) -> Self {
        let (coupled, decay_factor) = match decay {
            Decay::None => (0.0, 1.0),
            Decay::Coupled(lambda) => (lambda, 1.0),
            Decay::Decoupled(lambda) => (0.0, 1.0 - rate * lambda),
        };
        Step { rule, coupled, decay_factor }
    }

    /// The same in the type of the weights.
    fn cast<T: Float>(self) -> Step<T> {
        let (one, both) = (T::from_f64, |x: [f64; 2]| x.map(T::from_f64));
        let rule = match self.rule {
            Rule::Adam { beta1, beta2, rate, root, epsilon } => Rule::Adam {
                beta1: both(beta1),
                beta2: both(beta2),
                rate: one(rate),
                root: one(root),
                epsilon: one(epsilon),
            },
            Rule::RmsProp { rho, inside, beside, momentum, rate } => Rule::RmsProp {
                rho: both(rho),
                inside: one(inside),
                beside: one(beside),
                momentum: one(momentum),
                rate: one(rate),
            },
            Rule::Sgd { momentum, nesterov, rate } => Rule::Sgd { momentum: one(momentum), nesterov, rate: one(rate) },
            Rule::Adagrad { inside, beside, rate } => {
                Rule::Adagrad { inside: one(inside), beside: one(beside), rate: one(rate) }
            }
        };
        Step { rule, coupled: one(self.coupled), decay_factor: one(self.decay_factor) }
    }
}

impl<T: Float> Step<T> {
    /// Which of the two tensors of its own the rule has.
    fn tensors(&self) -> [bool; 2] {
        match self.rule {
            Rule::Adam { .. } => [true, true],
            Rule::RmsProp { momentum, .. } => [true, momentum != T::ZERO],
            Rule::Sgd { momentum, .. } => [momentum != T::ZERO, false],
            Rule::Adagrad { .. } => [true, false],
        }
    }

    /// w and the rule's own tensors after it.
    #[inline(always)]
    unsafe fn apply<S: Simd<T = T>>(&self, w: S::V, g: S::V, own: [S::V; 2]) -> (S::V, [S::V; 2]) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            // Without decay g must not wait for w.
            let g = if self.coupled == T::ZERO { g } else { S::fma(S::splat(self.coupled), w, g) };
            let (step, own) = self.rule.step::<S>(g, own);
            (S::sub(S::mul(w, S::splat(self.decay_factor)), step), own)
        }
    }
}

impl<T: Float> Rule<T> {
    /// The step of w, and the rule's own tensors after it.
    #[inline(always)]
    unsafe fn step<S: Simd<T = T>>(self, g: S::V, [a, b]: [S::V; 2]) -> (S::V, [S::V; 2]) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            // The mean that forgets, of what it was and what is new.
            let mean = |beta: [T; 2], old, new| S::fma(S::splat(beta[0]), old, S::mul(S::splat(beta[1]), new));
            match self {
                Rule::Adam { beta1, beta2, rate, root, epsilon } => {
                    let (m, v) = (mean(beta1, a, g), mean(beta2, b, S::mul(g, g)));
                    let below = S::fma(S::sqrt(v), S::splat(root), S::splat(epsilon));
                    (S::div(S::mul(S::splat(rate), m), below), [m, v])
                }
                Rule::RmsProp { rho, inside, beside, momentum, rate } => {
                    let v = mean(rho, a, S::mul(g, g));
                    let below = S::add(S::sqrt(S::add(v, S::splat(inside))), S::splat(beside));
                    let b = S::fma(S::splat(momentum), b, S::div(g, below));
                    (S::mul(S::splat(rate), b), [v, b])
                }
                Rule::Sgd { momentum, nesterov, rate } => {
                    let b = S::fma(S::splat(momentum), a, g);
                    let step = if nesterov { S::fma(S::splat(momentum), b, g) } else { b };
                    (S::mul(S::splat(rate), step), [b, S::zero()])
                }
                Rule::Adagrad { inside, beside, rate } => {
                    let s = S::fma(g, g, a);
                    let below = S::add(S::sqrt(S::add(s, S::splat(inside))), S::splat(beside));
                    (S::div(S::mul(S::splat(rate), g), below), [s, S::zero()])
                }
            }
        }
    }
}
