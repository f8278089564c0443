//! Exponential, sigmoid and tanh on vectors.
//!
//! `eˣ = 2ⁿ·eʳ` with n the nearest whole number to x/ln 2; `eʳ − 1` is the Taylor series, which for |r| ≤ ln 2 / 2 is
//! exact to rounding with 7 terms in `f32` and 13 in `f64`. Errors, absolute: 1.2·10⁻⁷ in `f32`, 3·10⁻¹⁶ in `f64`;
//! tanh is also right in its leading digits near 0 and ±1. NaN gives NaN; ±∞ and what saturates give the limits.

use crate::float::{Float, sealed::Levels};
use crate::simd::{Level, Op, Simd, run};

/// `(2ⁿ, eʳ − 1)` for x within the limits of the exponent.
#[inline(always)]
unsafe fn exp_parts<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let rounder = S::splat(S::T::ROUNDER);
        let t = S::fma(x, S::splat(S::T::LOG2_E), rounder);
        let n = S::sub(t, rounder);
        let r = S::fnma(n, S::splat(S::T::LN_2_HIGH), x);
        let r = S::fnma(n, S::splat(S::T::LN_2_LOW), r);
        let series = S::T::EXP_SERIES;
        let mut i = series.len() - 1;
        let mut sum = S::splat(series[i]);
        while i > 0 {
            i -= 1;
            sum = S::fma(sum, r, S::splat(series[i]));
        }
        (S::exp2(t), S::fma(S::mul(r, r), sum, r))
    }
}

/// `eˣ`; infinite from 88.4 (709.4 in `f64`) on, 0 to the precision of 1 below −87.3 (−708).
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let x = S::at_most(S::at_least(x, S::splat(S::T::EXP_MIN)), S::splat(S::T::EXP_MAX));
        let (scale, p) = exp_parts::<S>(x);
        // Not scale·p + scale: that is ∞ − ∞ where p < 0 and the scale is infinite.
        S::mul(scale, S::add(p, S::splat(S::T::ONE)))
    }
}

/// `σ(x) = 1/(1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = S::splat(S::T::ONE);
        S::div(one, S::add(one, exp::<S>(S::sub(S::zero(), x))))
    }
}

/// `tanh(|x|) = (E − 1)/(E + 1) = 1 − 2/(E + 1)` with `E = e²ˣ`: the first form is right in its leading digits near 0, the
/// second near 1, where training needs `1 − tanh²(x)` to be so.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (one, half) = (S::splat(S::T::ONE), S::splat(S::T::of(0.5)));
        let size = S::at_most(S::at_least(x, S::sub(S::zero(), x)), S::splat(S::T::TANH_MAX));
        let (scale, p) = exp_parts::<S>(S::add(size, size));
        let expm1 = S::fma(scale, p, S::sub(scale, one));
        let inverse = S::div(one, S::add(expm1, S::add(one, one)));
        let near_0 = S::mul(expm1, inverse);
        let near_1 = S::sub(S::sub(one, inverse), inverse);
        // The two are so close that their difference is exact.
        let y = S::add(near_0, S::where_positive(S::sub(size, half), S::sub(near_1, near_0)));
        S::sub(S::where_positive(x, S::add(y, y)), y)
    }
}

/// A function that [`map`] applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `eˣ`.
    Exp,
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// Replaces each value by its image.
pub fn map<T: Float>(level: Level, function: Function, values: &mut [T]) {
    run(level, Map { function, values });
}

struct Map<'a, T> {
    function: Function,
    values: &'a mut [T],
}

impl<T: Float> Op<T> for Map<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let mut i = 0;
        while i < self.values.len() {
            let left = self.values.len() - i;
            // SAFETY: i + min(left, lanes) is within the slice; the caller has the instruction set.
            unsafe {
                let p = self.values.as_mut_ptr().add(i);
                let x = S::load_up_to(p, left);
                let y = match self.function {
                    Function::Exp => exp::<S>(x),
                    Function::Sigmoid => sigmoid::<S>(x),
                    Function::Tanh => tanh::<S>(x),
                };
                S::store_up_to(p, y, left);
            }
            i += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image<T: Float>(level: Level, function: Function, xs: &[f64]) -> Vec<f64> {
        let mut values: Vec<T> = xs.iter().map(|&x| T::of(x)).collect();
        map(level, function, &mut values);
        values.into_iter().map(T::wide).collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn errors_are_as_stated() {
        let xs: Vec<f64> = (-40_003..=40_003).map(|i| f64::from((i as f32) * 6.1e-4)).collect();
        for level in Level::available() {
            for (function, truth) in [(Function::Sigmoid, sigmoid as fn(f64) -> f64), (Function::Tanh, f64::tanh)] {
                let worst =
                    |image: Vec<f64>| image.iter().zip(&xs).map(|(y, &x)| (y - truth(x)).abs()).fold(0.0, f64::max);
                let (single, double) =
                    (worst(image::<f32>(level, function, &xs)), worst(image::<f64>(level, function, &xs)));
                assert!(single <= 1.2e-7, "{level:?} {function:?}: {single:e}");
                assert!(double <= 3e-16, "{level:?} {function:?}: {double:e}");
            }
            let xs: Vec<f64> = xs.iter().map(|x| x / 0.4).collect();
            for (y, x) in image::<f32>(level, Function::Exp, &xs).iter().zip(&xs) {
                assert!((y / x.exp() - 1.0).abs() < 5e-6, "{level:?} e^{x} = {y}");
            }
        }
    }

    #[test]
    fn tanh_keeps_its_digits_near_zero() {
        for level in Level::available() {
            for x in [1e-30, 1e-8, 1e-4, 0.01, 0.1, 0.3] {
                let (y, x) = (image::<f32>(level, Function::Tanh, &[x])[0], f64::from(x as f32));
                assert!((y / x.tanh() - 1.0).abs() < 4e-7, "{level:?} tanh {x}: {y}");
            }
        }
    }

    #[test]
    fn limits_and_nan() {
        let xs = [f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30, 120.0, -120.0, 0.0];
        for level in Level::available() {
            for image in [image::<f32>, image::<f64>] {
                assert_eq!(image(level, Function::Tanh, &xs), [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0]);
                let y = image(level, Function::Sigmoid, &xs);
                assert_eq!([y[0], y[1], y[2], y[3], y[4], y[6]], [1.0, 0.0, 1.0, 0.0, 1.0, 0.5]);
                let y = image(level, Function::Exp, &xs);
                assert_eq!([y[0], y[2], y[6]], [f64::INFINITY, f64::INFINITY, 1.0]);
                assert!(y[1] < 1e-37 && y[3] < 1e-37);
                // NaN stays in its lane.
                for function in [Function::Tanh, Function::Sigmoid, Function::Exp] {
                    let y = image(level, function, &[0.5, f64::NAN, 0.5]);
                    assert!(y[1].is_nan() && y[0].is_finite() && y[0] == y[2]);
                }
            }
        }
    }
}
