//! The optimizer's update of one tensor in one pass over memory.
//!
//! Each update reads weights w, gradients g and the optimizer's own tensors once and writes them once, on as many
//! threads as the machine is given; the result does not depend on their number. `rate` is the learning rate α of this
//! step, after any schedule; `scale` is what g is multiplied by first: 1, or the factor of clipping by global norm.

use crate::float::Float;
use crate::simd::{Op, Simd, run};
use crate::threads::{Machine, Shared, each};

/// Below so many elements one thread updates.
const SMALL: usize = 1 << 16;

/// Where ε stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epsilon {
    /// Adam: `m̂/(√v̂ + ε)`, as PyTorch. RMSprop, Adagrad: `g/(√v + ε)`, as PyTorch (and Keras 2 for RMSprop).
    BesideRoot,
    /// Adam: `α·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε)`, as Keras and the end of section 2 of the paper, where ε counts for more in the
    /// first steps. RMSprop, Adagrad: `g/√(v + ε)`, as Keras 3.
    Keras,
}

/// What draws weights to zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// Nothing.
    None,
    /// λ·w is added to g: the L2 penalty.
    Coupled(f64),
    /// w is multiplied by `1 − αλ` apart from the step (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019:
    /// AdamW).
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

/// What all updates of a step share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Where it runs.
    pub machine: Machine,
    /// The learning rate α.
    pub rate: f64,
    /// What g is multiplied by.
    pub scale: f64,
}

impl Adam {
    /// Step number `t`, from 1 on, of w with its moments m and v, zero at first.
    ///
    /// # Panics
    /// On slices of different sizes; on t = 0.
    pub fn update<T: Float>(&self, update: Update, t: u64, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T]) {
        assert!(t > 0, "Adam counts its steps from 1");
        let t = t.min(i32::MAX as u64) as i32;
        let (first, second) = (1.0 - self.beta1.powi(t), (1.0 - self.beta2.powi(t)).sqrt());
        let (rate, root) = match self.epsilon_at {
            Epsilon::BesideRoot => (update.rate / first, 1.0 / second),
            Epsilon::Keras => (update.rate * second / first, 1.0),
        };
        let Adam { beta1, beta2, epsilon, decay, .. } = *self;
        T::run_rule(update, decay, Rule::Adam { beta1, beta2, rate, root, epsilon }, w, g, [m, v]);
    }
}

impl RmsProp {
    /// One step of w with the mean square v and the momentum b, both zero at first; b may be empty without momentum.
    ///
    /// # Panics
    /// On slices of different sizes.
    pub fn update<T: Float>(&self, update: Update, w: &mut [T], g: &[T], v: &mut [T], b: &mut [T]) {
        let RmsProp { rho, epsilon, epsilon_at, momentum, decay } = *self;
        let (inside, beside) = epsilon_at.split(epsilon);
        T::run_rule(update, decay, Rule::RmsProp { rho, inside, beside, momentum, rate: update.rate }, w, g, [v, b]);
    }
}

impl Sgd {
    /// One step of w with the momentum b, zero at first; b may be empty without momentum.
    ///
    /// # Panics
    /// On slices of different sizes.
    pub fn update<T: Float>(&self, update: Update, w: &mut [T], g: &[T], b: &mut [T]) {
        let Sgd { momentum, nesterov, decay } = *self;
        T::run_rule(update, decay, Rule::Sgd { momentum, nesterov, rate: update.rate }, w, g, [b, &mut []]);
    }
}

impl Adagrad {
    /// One step of w with the sum of squares s.
    ///
    /// # Panics
    /// On slices of different sizes.
    pub fn update<T: Float>(&self, update: Update, w: &mut [T], g: &[T], s: &mut [T]) {
        let (inside, beside) = self.epsilon_at.split(self.epsilon);
        T::run_rule(update, self.decay, Rule::Adagrad { inside, beside, rate: update.rate }, w, g, [s, &mut []]);
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

/// An update with its step's numbers.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    Adam { beta1: f64, beta2: f64, rate: f64, root: f64, epsilon: f64 },
    RmsProp { rho: f64, inside: f64, beside: f64, momentum: f64, rate: f64 },
    Sgd { momentum: f64, nesterov: bool, rate: f64 },
    Adagrad { inside: f64, beside: f64, rate: f64 },
}

impl Rule {
    /// Which of the two tensors it has.
    fn tensors(self) -> [bool; 2] {
        match self {
            Rule::Adam { .. } => [true, true],
            Rule::RmsProp { momentum, .. } => [true, momentum != 0.0],
            Rule::Sgd { momentum, .. } => [momentum != 0.0, false],
            Rule::Adagrad { .. } => [true, false],
        }
    }

    /// The step of w, and the rule's own tensors after it.
    #[inline(always)]
    unsafe fn step<S: Simd>(self, g: S::V, [a, b]: [S::V; 2]) -> (S::V, [S::V; 2]) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let splat = |x: f64| S::T::of(x);
            match self {
                Rule::Adam { beta1, beta2, rate, root, epsilon } => {
                    let m = S::fma(S::splat(splat(beta1)), a, S::mul(S::splat(splat(1.0 - beta1)), g));
                    let v = S::fma(S::splat(splat(beta2)), b, S::mul(S::splat(splat(1.0 - beta2)), S::mul(g, g)));
                    let below = S::fma(S::sqrt(v), S::splat(splat(root)), S::splat(splat(epsilon)));
                    (S::div(S::mul(S::splat(splat(rate)), m), below), [m, v])
                }
                Rule::RmsProp { rho, inside, beside, momentum, rate } => {
                    let v = S::fma(S::splat(splat(rho)), a, S::mul(S::splat(splat(1.0 - rho)), S::mul(g, g)));
                    let below = S::add(S::sqrt(S::add(v, S::splat(splat(inside)))), S::splat(splat(beside)));
                    let b = S::fma(S::splat(splat(momentum)), b, S::div(g, below));
                    (S::mul(S::splat(splat(rate)), b), [v, b])
                }
                Rule::Sgd { momentum, nesterov, rate } => {
                    let b = S::fma(S::splat(splat(momentum)), a, g);
                    let step = if nesterov { S::fma(S::splat(splat(momentum)), b, g) } else { b };
                    (S::mul(S::splat(splat(rate)), step), [b, S::zero()])
                }
                Rule::Adagrad { inside, beside, rate } => {
                    let s = S::fma(g, g, a);
                    let below = S::add(S::sqrt(S::add(s, S::splat(splat(inside)))), S::splat(splat(beside)));
                    (S::div(S::mul(S::splat(splat(rate)), g), below), [s, S::zero()])
                }
            }
        }
    }
}

/// For one element type, so that it is compiled with this crate and not with those that call it.
pub trait Entry: Sized {
    #[doc(hidden)]
    fn run_rule(update: Update, decay: Decay, rule: Rule, w: &mut [Self], g: &[Self], own: [&mut [Self]; 2]);
}

macro_rules! entry {
    ($t:ty) => {
        impl Entry for $t {
            fn run_rule(update: Update, decay: Decay, rule: Rule, w: &mut [$t], g: &[$t], own: [&mut [$t]; 2]) {
                start(update, decay, rule, w, g, own);
            }
        }
    };
}

entry!(f32);
entry!(f64);

fn start<T: Float>(update: Update, decay: Decay, rule: Rule, w: &mut [T], g: &[T], own: [&mut [T]; 2]) {
    assert!(w.len() == g.len(), "{} weights and {} gradients", w.len(), g.len());
    for (has, tensor) in rule.tensors().iter().zip(&own) {
        assert!(!has || tensor.len() == w.len(), "{} weights and {} of the optimizer's numbers", w.len(), tensor.len());
    }
    let (coupled, kept) = match decay {
        Decay::None => (0.0, 1.0),
        Decay::Coupled(lambda) => (lambda, 1.0),
        Decay::Decoupled(lambda) => (0.0, 1.0 - update.rate * lambda),
    };
    let threads = if w.len() < SMALL { 1 } else { update.machine.threads.max(1) };
    let n = w.len();
    let [has_a, has_b] = rule.tensors();
    let [a, b] = own.map(|tensor| Shared(tensor.as_mut_ptr()));
    let w = Shared(w.as_mut_ptr());
    let ranges: Vec<_> = (0..threads).map(|i| i * n / threads..(i + 1) * n / threads).collect();
    each(ranges, |range| {
        let at = range.start;
        let own = [(has_a, a), (has_b, b)];
        // SAFETY: a tensor that the rule has is as long as w, and the ranges are disjoint.
        let own = own.map(|(has, own)| if has { unsafe { own.get().add(at) } } else { std::ptr::null_mut() });
        // SAFETY: likewise.
        let w = unsafe { w.get().add(at) };
        run(
            update.machine.level,
            Pass { rule, scale: T::of(update.scale), coupled: T::of(coupled), kept: T::of(kept), w, g: &g[range], own },
        );
    });
}

/// The update of one range; `own` is null for tensors that the rule does not have.
struct Pass<'a, T> {
    rule: Rule,
    scale: T,
    coupled: T,
    kept: T,
    w: *mut T,
    g: &'a [T],
    own: [*mut T; 2],
}

impl<T: Float> Op<T> for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        // One loop for each rule, with its choice outside.
        macro_rules! each_rule {
            ($($rule:pat),*) => {
                match self.rule {
                    // SAFETY: as for the caller.
                    $(rule @ $rule => unsafe { self.over::<S>(rule) },)*
                }
            };
        }
        each_rule!(Rule::Adam { .. }, Rule::RmsProp { .. }, Rule::Sgd { .. }, Rule::Adagrad { .. })
    }
}

impl<T: Float> Pass<'_, T> {
    #[inline(always)]
    unsafe fn over<S: Simd<T = T>>(&self, rule: Rule) {
        let [a, b] = self.own;
        let mut i = 0;
        while i < self.g.len() {
            let n = self.g.len() - i;
            // SAFETY: n elements are left in each tensor.
            unsafe {
                let w = S::load_up_to(self.w.add(i), n);
                let g = S::mul(S::load_up_to(self.g.as_ptr().add(i), n), S::splat(self.scale));
                let g = S::fma(S::splat(self.coupled), w, g);
                let old_a = if a.is_null() { S::zero() } else { S::load_up_to(a.add(i), n) };
                let old_b = if b.is_null() { S::zero() } else { S::load_up_to(b.add(i), n) };
                let (step, [new_a, new_b]) = rule.step::<S>(g, [old_a, old_b]);
                S::store_up_to(self.w.add(i), S::sub(S::mul(w, S::splat(self.kept)), step), n);
                if !a.is_null() {
                    S::store_up_to(a.add(i), new_a, n);
                }
                if !b.is_null() {
                    S::store_up_to(b.add(i), new_b, n);
                }
            }
            i += S::LANES;
        }
    }
}
