//! Sigmoid and tanh on vectors.
//!
//! `eˣ = 2ʸ` with y = x·log₂ e = n + f, n whole and |f| ≤ ½, is `2ⁿ·(1 + f·Q(f))` with a polynomial Q. Errors,
//! absolute: 9.2·10⁻⁸ in `f32`, 2.3·10⁻¹⁶ in `f64`; tanh is also right in its leading digits near 0. NaN gives NaN; ±∞
//! and what saturates give the limits.

use crate::float::{Float, sealed::Vectors};
use crate::simd::{Isa, Op, Simd, run};

/// Q(f).
#[inline(always)]
unsafe fn series<S: Simd>(f: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let series = S::T::EXP2_SERIES;
        let mut i = series.len() - 1;
        let mut sum = S::splat(series[i]);
        while i > 0 {
            i -= 1;
            sum = S::fma(sum, f, S::splat(series[i]));
        }
        sum
    }
}

/// `eˣ`; where that is below the smallest normal number, some number that is not above it. Its relative error grows
/// with |x|, as that of x·log₂ e does.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (n, f) = S::split(S::within_exp2(S::mul(x, S::splat(S::T::LOG2_E))));
        S::scale(S::fma(f, series::<S>(f), S::splat(S::T::ONE)), n)
    }
}

/// `σ(x) = 1/(1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = S::splat(S::T::ONE);
        let (n, f) = S::split(S::within_exp2(S::mul(x, S::splat(S::T::from_f64(-S::T::LOG2_E.to_f64())))));
        let exp = S::scale(S::fma(f, series::<S>(f), one), n);
        S::div(one, S::add(one, exp))
    }
}

/// `tanh(|x|) = (E − 1)/(E + 1)` with `E = e²ˣ`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (one, two) = (S::splat(S::T::ONE), S::splat(S::T::from_f64(2.0)));
        let size = S::at_most(S::abs(x), S::splat(S::T::TANH_MAX));
        let (n, f) = S::split(S::mul(size, S::splat(S::T::from_f64(2.0 * S::T::LOG2_E.to_f64()))));
        let scale = S::exp2(n);
        let expm1 = S::fma(scale, S::mul(f, series::<S>(f)), S::sub(scale, one));
        S::with_sign_of(S::div(expm1, S::add(expm1, two)), x)
    }
}

/// `eˣ − 1` for x up to 0, also right in its leading digits near 0.
#[inline(always)]
pub(crate) unsafe fn expm1<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (n, f) = S::split(S::within_exp2(S::mul(x, S::splat(S::T::LOG2_E))));
        let scale = S::exp2(n);
        S::fma(scale, S::mul(f, series::<S>(f)), S::sub(scale, S::splat(S::T::ONE)))
    }
}

/// `ln(1+u)` for u from 0 to 1: `2·artanh(s)` with s = u/(2+u), which is at most ⅓, so that its power series needs few
/// terms.
#[inline(always)]
pub(crate) unsafe fn ln1p<S: Simd>(u: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let terms = if size_of::<S::T>() < size_of::<f64>() { 8 } else { 18 };
        let s = S::div(u, S::add(S::splat(S::T::from_f64(2.0)), u));
        let square = S::mul(s, s);
        let mut sum = S::zero();
        for k in (0..terms).rev() {
            sum = S::fma(sum, square, S::splat(S::T::from_f64(2.0 / (2 * k + 1) as f64)));
        }
        S::mul(s, sum)
    }
}

/// The complementary error function for z from 0 on: `erfc(z) = e^(−z²)·t·P(t)` with t = 2/(2+z), whose P is smooth.
/// Beyond 8, where erfc is below 10⁻²⁸, it gives what it gives there.
#[inline(always)]
pub(crate) unsafe fn erfc<S: Simd>(z: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let number = |x: f64| S::splat(S::T::from_f64(x));
        let z = S::at_most(z, number(8.0));
        let t = S::div(number(2.0), S::add(number(2.0), z));
        // t is from ⅕ to 1, this from −1 to 1.
        let at = S::fma(t, number(2.5), number(-1.5));
        let series = S::T::ERFC_SERIES;
        let mut sum = S::splat(series[series.len() - 1]);
        for &factor in series[..series.len() - 1].iter().rev() {
            sum = S::fma(sum, at, S::splat(factor));
        }
        S::mul(exp::<S>(S::sub(S::zero(), S::mul(z, z))), S::mul(t, sum))
    }
}

/// A function that [`map`] applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `1/(1 + e⁻ˣ)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// Replaces each value by its image.
pub fn map<T: Float>(isa: Isa, function: Function, values: &mut [T]) {
    run(isa, Map { function, values });
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

    fn image<T: Float>(isa: Isa, function: Function, xs: &[f64]) -> Vec<f64> {
        let mut values: Vec<T> = xs.iter().map(|&x| T::from_f64(x)).collect();
        map(isa, function, &mut values);
        values.into_iter().map(T::to_f64).collect()
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn errors_are_as_stated() {
        if cfg!(miri) {
            return; // its `exp` and `tanh` are wrong in their last digits, at random and on purpose
        }
        let xs: Vec<f64> = (-40_003..=40_003).map(|i| f64::from((i as f32) * 6.1e-4)).collect();
        for isa in Isa::available() {
            for (function, truth) in [(Function::Sigmoid, sigmoid as fn(f64) -> f64), (Function::Tanh, f64::tanh)] {
                let worst =
                    |image: Vec<f64>| image.iter().zip(&xs).map(|(y, &x)| (y - truth(x)).abs()).fold(0.0, f64::max);
                let (single, double) =
                    (worst(image::<f32>(isa, function, &xs)), worst(image::<f64>(isa, function, &xs)));
                assert!(single <= 9.2e-8, "{isa:?} {function:?}: {single:e}");
                assert!(double <= 2.3e-16, "{isa:?} {function:?}: {double:e}");
            }
        }
    }

    #[test]
    fn tanh_keeps_its_digits_near_zero() {
        for isa in Isa::available() {
            for x in [1e-30, 1e-8, 1e-4, 0.01, 0.1, 0.3] {
                let (y, x) = (image::<f32>(isa, Function::Tanh, &[x])[0], f64::from(x as f32));
                assert!((y / x.tanh() - 1.0).abs() < 4e-7, "{isa:?} tanh {x}: {y}");
            }
        }
    }

    #[test]
    fn limits_and_nan() {
        let xs = [f64::INFINITY, f64::NEG_INFINITY, 1e30, -1e30, 120.0, -120.0, 0.0];
        for isa in Isa::available() {
            for image in [image::<f32>, image::<f64>] {
                assert_eq!(image(isa, Function::Tanh, &xs), [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 0.0]);
                let y = image(isa, Function::Sigmoid, &xs);
                assert_eq!([y[0], y[1], y[2], y[3], y[4], y[6]], [1.0, 0.0, 1.0, 0.0, 1.0, 0.5]);
                // NaN stays in its lane.
                for function in [Function::Tanh, Function::Sigmoid] {
                    let y = image(isa, function, &[0.5, f64::NAN, 0.5]);
                    assert!(y[1].is_nan() && y[0].is_finite() && y[0] == y[2]);
                }
            }
        }
    }
}
