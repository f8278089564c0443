use super::{Kernel, PANEL};
use crate::float::Float;
use crate::math::tanh;
use crate::simd::Simd;
use crate::step::{BackStep, Step};

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
        // SAFETY: as for the trait.
        unsafe {
            let panel = step.panel_row::<S>(p, row);
            for block in 0..PANEL {
                let at = panel.add(block * S::LANES);
                let h_new = P::value::<S>(S::load(at));
                S::store(at, h_new);
                step.settle::<S>(row, (p * PANEL + block) * S::LANES, h_new, None);
            }
        }
    }
}

#[inline(always)]
unsafe fn backward<S: Simd, P: Phi>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
    for row in from..to {
        // SAFETY: as for the trait.
        unsafe {
            let (gates, sums) = step.panel_row::<S>(p, row);
            for block in 0..PANEL {
                let (u, vector) = ((p * PANEL + block) * S::LANES, block * S::LANES);
                let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                    S::store(sums.add(vector), S::zero());
                    continue;
                };
                S::store(sums.add(vector), P::backward::<S>(S::load(gates.add(vector)), d_h.new));
                S::store(step.d_h.add(row * step.width + u), d_h.old);
            }
        }
    }
}

macro_rules! kernel {
    ($kernel:ty) => {
        impl Kernel for $kernel {
            const BLOCKS: usize = PANEL;
            const H_VECTORS: usize = PANEL;
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
