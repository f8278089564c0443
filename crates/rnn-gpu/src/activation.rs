//! The functions that cells apply: each is its value and its slope, and what backward needs of it.

use crate::args::{Activation, Constant};
use cubecl::prelude::*;

#[cube]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `f(x)`.
#[cube]
pub(crate) fn value(x: f32, #[comptime] f: Activation) -> f32 {
    let mut y = x;
    if comptime!(f == Activation::Sigmoid) {
        y = sigmoid(x);
    } else if comptime!(matches!(f, Activation::HardSigmoid { .. })) {
        y = within(fma(x, f32::new(comptime!(f.slope())), 0.5f32), 0.0f32, 1.0f32);
    } else if comptime!(f == Activation::Tanh) {
        y = x.tanh();
    } else if comptime!(f == Activation::HardTanh) {
        y = within(x, -1.0f32, 1.0f32);
    } else if comptime!(f == Activation::Relu) {
        y = positive(x);
    } else if comptime!(matches!(f, Activation::LeakyRelu { .. })) {
        y = select(x > 0.0f32, x, x * f32::new(comptime!(f.slope())));
    } else if comptime!(f == Activation::Elu) {
        y = select(x > 0.0f32, x, negative(x).exp() - 1.0f32);
    } else if comptime!(f == Activation::Softsign) {
        y = x / (1.0f32 + x.abs());
    } else if comptime!(f == Activation::Softplus) {
        y = positive(x) + (-x.abs()).exp().log1p();
    } else if comptime!(f == Activation::Silu) {
        y = x * sigmoid(x);
    } else if comptime!(f == Activation::Gelu) {
        y = x * normal(x);
    } else if comptime!(f == Activation::Positive) {
        // sigmoid(0) = ½.
        y = positive(x) + sigmoid(negative(x));
    }
    y
}

/// What forward saves of `x` and `y = f(x)`.
#[cube]
pub(crate) fn kept(x: f32, y: f32, #[comptime] f: Activation) -> f32 {
    if comptime!(f.keeps_x()) { x } else { y }
}

/// `f(x)` from what was saved.
#[cube]
pub(crate) fn again(saved: f32, #[comptime] f: Activation) -> f32 {
    if comptime!(f.keeps_x()) { value(saved, f) } else { saved }
}

/// `d·f'(x)` from what was saved: y, or x.
#[cube]
pub(crate) fn gradient(saved: f32, d: f32, #[comptime] f: Activation) -> f32 {
    let mut gradient = d;
    if comptime!(matches!(f, Activation::Sigmoid)) {
        gradient = d * saved * (1.0f32 - saved);
    } else if comptime!(matches!(f, Activation::HardSigmoid { .. })) {
        let inside = saved > 0.0f32 && saved < 1.0f32;
        gradient = d * select(inside, f32::new(comptime!(f.slope())), 0.0f32);
    } else if comptime!(f == Activation::Tanh) {
        gradient = d * (1.0f32 - saved * saved);
    } else if comptime!(f == Activation::HardTanh) {
        gradient = d * select(saved.abs() < 1.0f32, 1.0f32, 0.0f32);
    } else if comptime!(f == Activation::Relu) {
        // A unit that is off passes nothing on, not even infinity.
        gradient = select(saved > 0.0f32, d, 0.0f32);
    } else if comptime!(matches!(f, Activation::LeakyRelu { .. })) {
        gradient = d * select(saved > 0.0f32, 1.0f32, f32::new(comptime!(f.slope())));
    } else if comptime!(f == Activation::Elu) {
        gradient = d * (negative(saved) + 1.0f32);
    } else if comptime!(f == Activation::Softsign) {
        let left = 1.0f32 - saved.abs();
        gradient = d * (left * left);
    } else if comptime!(f == Activation::Softplus) {
        gradient = d * sigmoid(saved);
    } else if comptime!(f == Activation::Silu) {
        let gate = sigmoid(saved);
        gradient = d * fma(saved, gate * (1.0f32 - gate), gate);
    } else if comptime!(f == Activation::Gelu) {
        // Φ(x) + x·e^(−x²/2)/√(2π)
        let density = (saved * saved * -0.5f32).exp() * 0.398_942_3f32;
        gradient = d * fma(saved, density, normal(saved));
    } else if comptime!(f == Activation::Positive) {
        gradient = d * select(saved > 0.5f32, 1.0f32, saved * (1.0f32 - saved));
    }
    gradient
}

/// `x` held within the clip, if there is one.
#[cube]
pub(crate) fn clipped(x: f32, #[comptime] clip: Option<Constant>) -> f32 {
    let mut held = x;
    if comptime!(clip.is_some()) {
        let clip = comptime!(clip.map_or(0.0, f32::from));
        held = within(x, f32::new(comptime!(-clip)), f32::new(clip));
    }
    held
}

/// The gradient of `x` from that of what is clipped of it: `d` where x is within the clip, zero elsewhere.
#[cube]
pub(crate) fn unclipped(x: f32, d: f32, #[comptime] clip: Option<Constant>) -> f32 {
    let mut gradient = d;
    if comptime!(clip.is_some()) {
        gradient = select(x.abs() <= f32::new(comptime!(clip.map_or(0.0, f32::from))), d, 0.0f32);
    }
    gradient
}

/// x between two numbers; NaN goes through.
#[cube]
fn within(x: f32, low: f32, high: f32) -> f32 {
    select(x < low, low, select(x > high, high, x))
}

/// max(0, x); NaN goes through.
#[cube]
fn positive(x: f32) -> f32 {
    select(x < 0.0f32, 0.0f32, x)
}

/// min(0, x); NaN goes through.
#[cube]
fn negative(x: f32) -> f32 {
    select(x > 0.0f32, 0.0f32, x)
}

/// Φ(x), the normal distribution.
#[cube]
fn normal(x: f32) -> f32 {
    0.5f32 * (1.0f32 + Erf::erf(x * std::f32::consts::FRAC_1_SQRT_2))
}
