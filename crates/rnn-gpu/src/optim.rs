//! The optimizer's update of one tensor in one launch, in place: the rules of `rnn-kernels`, a unit for each weight.

#![allow(clippy::too_many_arguments, reason = "a kernel's numbers")]

use crate::Buffer;
use crate::launch::{CUBE, cubes};
use cubecl::client::Client;
use cubecl::prelude::*;

/// The numbers of one step of an optimizer. g is the gradient of the weight w.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `w ← decay·w − rate·m/(root·√v + ε)`, with the corrections of the
    /// biases in `rate` and `root`.
    Adam {
        /// β₁.
        beta_1: f32,
        /// 1 − β₁, rounded once.
        rest_1: f32,
        /// β₂.
        beta_2: f32,
        /// 1 − β₂.
        rest_2: f32,
        /// The learning rate, corrected.
        rate: f32,
        /// What √v is multiplied by.
        root: f32,
        /// ε.
        epsilon: f32,
        /// What w is multiplied by.
        decay: f32,
    },
    /// `v ← ρv + (1−ρ)g²`, `b ← momentum·b + g/(√(v + inside) + beside)`, `w ← w − rate·b`.
    RmsProp {
        /// ρ.
        rho: f32,
        /// 1 − ρ.
        rest: f32,
        /// ε under the root.
        inside: f32,
        /// ε beside the root.
        beside: f32,
        /// The momentum.
        momentum: f32,
        /// The learning rate.
        rate: f32,
    },
    /// `b ← momentum·b + g`, `w ← w − rate·b`, or `w − rate·(g + momentum·b)`.
    Sgd {
        /// The momentum.
        momentum: f32,
        /// Whether the momentum looks ahead.
        nesterov: bool,
        /// The learning rate.
        rate: f32,
    },
    /// `a ← a + g²`, `w ← w − rate·g/√(a + ε)`.
    Adagrad {
        /// ε.
        epsilon: f32,
        /// The learning rate.
        rate: f32,
    },
}

impl Step {
    /// How many tensors of the weights' shape the rule remembers.
    pub fn slots(&self) -> usize {
        match self {
            Step::Adam { .. } | Step::RmsProp { .. } => 2,
            Step::Sgd { .. } | Step::Adagrad { .. } => 1,
        }
    }

    /// Changes `weights` and `slots` by the gradient `grads`, in one launch.
    ///
    /// # Panics
    /// On buffers of other lengths, and on another number of slots than [`slots`](Self::slots).
    pub fn update(&self, client: &Client, weights: &Buffer, grads: &Buffer, slots: &[&Buffer]) {
        let len = weights.len();
        assert!(grads.len() == len, "{} gradients of {len} weights", grads.len());
        assert!(slots.len() == self.slots() && slots.iter().all(|slot| slot.len() == len), "slots of another shape");
        if len == 0 {
            return;
        }
        let (count, cube) = (cubes(len), CubeDim::new_1d(CUBE));
        match *self {
            Step::Adam { beta_1, rest_1, beta_2, rest_2, rate, root, epsilon, decay } => adam::launch(
                client,
                count,
                cube,
                weights.arg(),
                grads.arg(),
                slots[0].arg(),
                slots[1].arg(),
                beta_1,
                rest_1,
                beta_2,
                rest_2,
                rate,
                root,
                epsilon,
                decay,
            ),
            Step::RmsProp { rho, rest, inside, beside, momentum, rate } => rms_prop::launch(
                client,
                count,
                cube,
                weights.arg(),
                grads.arg(),
                slots[0].arg(),
                slots[1].arg(),
                rho,
                rest,
                inside,
                beside,
                momentum,
                rate,
                momentum != 0.0,
            ),
            Step::Sgd { momentum, nesterov, rate } => {
                sgd::launch(client, count, cube, weights.arg(), grads.arg(), slots[0].arg(), momentum, rate, nesterov)
            }
            Step::Adagrad { epsilon, rate } => {
                adagrad::launch(client, count, cube, weights.arg(), grads.arg(), slots[0].arg(), epsilon, rate)
            }
        }
    }
}

#[cube(launch)]
fn adam(
    w: &mut [f32],
    g: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    beta_1: f32,
    rest_1: f32,
    beta_2: f32,
    rest_2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
    decay: f32,
) {
    let i = ABSOLUTE_POS;
    if i < w.len() {
        let first = beta_1 * m[i] + rest_1 * g[i];
        let second = beta_2 * v[i] + rest_2 * g[i] * g[i];
        m[i] = first;
        v[i] = second;
        w[i] = decay * w[i] - rate * first / (root * second.sqrt() + epsilon);
    }
}

#[cube(launch)]
fn rms_prop(
    w: &mut [f32],
    g: &[f32],
    v: &mut [f32],
    b: &mut [f32],
    rho: f32,
    rest: f32,
    inside: f32,
    beside: f32,
    momentum: f32,
    rate: f32,
    #[comptime] has_momentum: bool,
) {
    let i = ABSOLUTE_POS;
    if i < w.len() {
        let second = rho * v[i] + rest * g[i] * g[i];
        let mut step = g[i] / ((second + inside).sqrt() + beside);
        v[i] = second;
        // Without momentum b is never read: two passes over memory less.
        if has_momentum {
            step += momentum * b[i];
            b[i] = step;
        }
        w[i] -= rate * step;
    }
}

#[cube(launch)]
fn sgd(w: &mut [f32], g: &[f32], b: &mut [f32], momentum: f32, rate: f32, #[comptime] nesterov: bool) {
    let i = ABSOLUTE_POS;
    if i < w.len() {
        let step = momentum * b[i] + g[i];
        b[i] = step;
        if nesterov {
            w[i] -= rate * (g[i] + momentum * step);
        } else {
            w[i] -= rate * step;
        }
    }
}

#[cube(launch)]
fn adagrad(w: &mut [f32], g: &[f32], a: &mut [f32], epsilon: f32, rate: f32) {
    let i = ABSOLUTE_POS;
    if i < w.len() {
        let sum = a[i] + g[i] * g[i];
        a[i] = sum;
        w[i] -= rate * g[i] / (sum + epsilon).sqrt();
    }
}
