use super::Kernel;
use crate::float::Float;
use crate::math::tanh;
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// `h' = tanh(sum)`.
#[derive(Clone, Copy)]
pub(crate) struct RnnTanh;

/// `h' = max(0, sum)`.
#[derive(Clone, Copy)]
pub(crate) struct RnnRelu;

/// φ and its derivative, the latter from `φ(x)`.
trait Phi {
    unsafe fn value<S: Simd>(x: S::V) -> S::V;
    unsafe fn backward<S: Simd>(y: S::V, d_y: S::V) -> S::V;
}

impl Phi for RnnTanh {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller has the instruction set.
        unsafe { tanh::<S>(x) }
    }
    #[inline(always)]
    unsafe fn backward<S: Simd>(y: S::V, d_y: S::V) -> S::V {
        // SAFETY: the caller has the instruction set.
        unsafe { S::mul(d_y, S::fnma(y, y, S::splat(S::T::ONE))) }
    }
}

impl Phi for RnnRelu {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller has the instruction set. NaN goes through.
        unsafe { S::at_least(x, S::zero()) }
    }
    #[inline(always)]
    unsafe fn backward<S: Simd>(y: S::V, d_y: S::V) -> S::V {
        // SAFETY: the caller has the instruction set.
        unsafe { S::where_positive(y, d_y) }
    }
}

#[inline(always)]
unsafe fn finish<S: Simd, P: Phi>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
    for row in from..to {
        for (at, u) in step.units::<S>(p, row) {
            // SAFETY: as for the trait.
            unsafe {
                let h_new = P::value::<S>(S::load(at));
                S::store(at, h_new);
                step.settle::<S>(row, u, h_new, None);
            }
        }
    }
}

#[inline(always)]
unsafe fn backward<S: Simd, P: Phi>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
    for row in from..to {
        // SAFETY: as for the trait.
        for (y, to, u) in unsafe { step.units::<S>(p, row) } {
            // SAFETY: as for the trait.
            unsafe {
                let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                    S::store(to, S::zero());
                    continue;
                };
                S::store(to, P::backward::<S>(S::load(y), d_h.new));
                S::store(step.d_h.add(row * step.width + u), d_h.old);
            }
        }
    }
}

macro_rules! kernel {
    ($kernel:ty) => {
        impl Kernel for $kernel {
            const HAS_C: bool = false;

            #[inline(always)]
            unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
                // SAFETY: as for the trait.
                unsafe { finish::<S, $kernel>(step, p, from, to) }
            }
            #[inline(always)]
            unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
                // SAFETY: as for the trait.
                unsafe { backward::<S, $kernel>(step, p, from, to) }
            }
        }
    };
}

kernel!(RnnTanh);
kernel!(RnnRelu);
