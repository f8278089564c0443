//! The functions that cells apply. Each is its value and its slope, here, and nothing else.
//!
//! The logistic function, tanh and relu, which the plain cells have, are inlined; the others stand once for an
//! instruction set and are called, as the choice costs more than the call. Where the choice is known when the kernel is
//! compiled, nothing of it is left.

use crate::args::Activation;
use crate::float::Float;
use crate::math::{erfc, exp, expm1, ln1p, sigmoid, tanh};
use crate::simd::{Op, Simd};

/// Whether backward needs x, since the slope does not follow from `f(x)`.
#[inline(always)]
fn keeps_x(f: Activation) -> bool {
    matches!(f, Activation::LeakyRelu { .. } | Activation::Softplus | Activation::Silu | Activation::Gelu)
}

/// `f(x)`, and what is saved for backward: the same, or x.
#[inline(always)]
pub(super) unsafe fn apply<S: Simd>(f: Activation, x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let y = match f {
            Activation::Sigmoid => sigmoid::<S>(x),
            Activation::Tanh => tanh::<S>(x),
            // NaN goes through.
            Activation::Relu => S::at_least(x, S::zero()),
            _ => called::<S>(f, false, x),
        };
        (y, if keeps_x(f) { x } else { y })
    }
}

/// `f(x)` from what was saved.
#[inline(always)]
pub(crate) unsafe fn value<S: Simd>(f: Activation, saved: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    if keeps_x(f) { unsafe { called::<S>(f, false, saved) } } else { saved }
}

/// `f'(x)` from what was saved.
#[inline(always)]
pub(super) unsafe fn slope<S: Simd>(f: Activation, saved: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        match f {
            Activation::Sigmoid => S::fnma(saved, saved, saved),
            Activation::Tanh => S::fnma(saved, saved, S::splat(S::T::ONE)),
            Activation::Relu => S::where_positive(saved, S::splat(S::T::ONE)),
            _ => called::<S>(f, true, saved),
        }
    }
}

/// `d·f'(x)` from what was saved.
#[inline(always)]
pub(super) unsafe fn gradient<S: Simd>(f: Activation, saved: S::V, d: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        match f {
            // A unit that is off passes nothing on, not even infinity.
            Activation::Relu => S::where_positive(saved, d),
            _ => S::mul(d, slope::<S>(f, saved)),
        }
    }
}

#[inline(always)]
unsafe fn called<S: Simd>(f: Activation, slope: bool, x: S::V) -> S::V {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: the caller has the instruction set; no vector has more lanes.
    unsafe {
        S::store(lanes.as_mut_ptr(), x);
        S::call(Called { f, slope, lanes: &mut lanes });
        S::load(lanes.as_ptr())
    }
}

/// Replaces lanes by their images.
struct Called<'a, T> {
    f: Activation,
    slope: bool,
    lanes: &'a mut [T; 16],
}

impl<T: Float> Op<T> for Called<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        // SAFETY: the caller has the instruction set; no vector has more lanes.
        unsafe {
            let x = S::load(self.lanes.as_ptr());
            let image = if self.slope { slopes::<S>(self.f, x) } else { values::<S>(self.f, x) };
            S::store(self.lanes.as_mut_ptr(), image);
        }
    }
}

/// `f(x)`.
#[inline(always)]
unsafe fn values<S: Simd>(f: Activation, x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let number = |x: f64| S::splat(S::T::from_f64(x));
        let (one, half) = (number(1.0), number(0.5));
        match f {
            Activation::Linear | Activation::Sigmoid | Activation::Tanh | Activation::Relu => x,
            Activation::HardSigmoid { slope } => {
                S::at_most(S::at_least(S::fma(x, number(slope), half), S::zero()), one)
            }
            Activation::HardTanh => S::at_most(S::at_least(x, number(-1.0)), one),
            Activation::LeakyRelu { slope } => S::mul(x, above_or::<S>(x, number(slope))),
            Activation::Elu => S::add(S::at_least(x, S::zero()), expm1::<S>(S::at_most(x, S::zero()))),
            Activation::Softsign => S::div(x, S::add(one, S::abs(x))),
            Activation::Softplus => {
                S::add(S::at_least(x, S::zero()), ln1p::<S>(exp::<S>(S::sub(S::zero(), S::abs(x)))))
            }
            Activation::Silu => S::mul(x, sigmoid::<S>(x)),
            // Φ ends at 10⁻²⁹, which times x is no longer small for an x far below.
            Activation::Gelu => S::mul(S::at_least(x, number(-16.0)), normal::<S>(x)),
            // σ(0) is exactly ½.
            Activation::Positive => S::add(S::at_least(x, S::zero()), sigmoid::<S>(S::at_most(x, S::zero()))),
        }
    }
}

/// `f'(x)` from what was saved.
#[inline(always)]
unsafe fn slopes<S: Simd>(f: Activation, saved: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let number = |x: f64| S::splat(S::T::from_f64(x));
        let (one, y, x) = (number(1.0), saved, saved);
        match f {
            Activation::Linear | Activation::Sigmoid | Activation::Tanh | Activation::Relu => one,
            Activation::HardSigmoid { slope } => S::where_positive(S::fnma(y, y, y), number(slope)),
            Activation::HardTanh => S::where_positive(S::sub(one, S::abs(y)), one),
            Activation::LeakyRelu { slope } => above_or::<S>(x, number(slope)),
            Activation::Elu => S::add(S::at_most(y, S::zero()), one),
            Activation::Softsign => {
                let left = S::sub(one, S::abs(y));
                S::mul(left, left)
            }
            Activation::Softplus => sigmoid::<S>(x),
            Activation::Silu => {
                let gate = sigmoid::<S>(x);
                S::fma(x, S::fnma(gate, gate, gate), gate)
            }
            // Φ(x) + x·e^(−x²/2)/√(2π)
            Activation::Gelu => {
                let density = S::mul(exp::<S>(S::mul(S::mul(x, x), number(-0.5))), number(0.398_942_280_401_432_7));
                S::fma(x, density, normal::<S>(x))
            }
            // 1 from ½ on, below it that of σ.
            Activation::Positive => {
                let below = S::at_most(y, number(0.5));
                S::add(S::fnma(below, below, below), S::where_positive(S::sub(y, number(0.5)), number(0.75)))
            }
        }
    }
}

/// 1 where x is positive, `slope` elsewhere.
#[inline(always)]
unsafe fn above_or<S: Simd>(x: S::V, slope: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe { S::add(slope, S::where_positive(x, S::sub(S::splat(S::T::ONE), slope))) }
}

/// `Φ(x) = erfc(−x/√2)/2`, the normal distribution.
#[inline(always)]
unsafe fn normal<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let number = |x: f64| S::splat(S::T::from_f64(x));
        let below = S::mul(erfc::<S>(S::mul(S::abs(x), number(std::f64::consts::FRAC_1_SQRT_2))), number(0.5));
        // Of a positive x what is not above it.
        S::add(below, S::where_positive(x, S::fnma(number(2.0), below, number(1.0))))
    }
}
