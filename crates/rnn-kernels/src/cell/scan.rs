//! Cells whose gates depend on the input alone: no product is left in the recurrence, which goes over each unit by
//! itself. All sums of a chunk of steps are one product; what remains of a step is `h' = h + k∘(n − h)`.
//!
//! A cell of this family says how much k of the candidate it takes ([`Share`]), and what the candidate is
//! ([`Candidate`]).

use super::Kernel;
use crate::args::{self, Cell};
use crate::float::Float;
use crate::math::sigmoid;
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// Any of them: the step says which.
#[derive(Clone, Copy)]
pub(crate) struct Scan;

/// How much of the candidate a step takes.
///
/// # Safety
/// The machine must have the instruction set; `at` and `to` give a slot of one vector of units.
pub(crate) trait Share: Send + Sync + 'static {
    /// The slot of the candidate, behind those of the gates.
    const CANDIDATE: usize;

    /// From the sums of the gates to the gates, in their slots, and k.
    unsafe fn forward<S: Simd>(at: impl Fn(usize) -> *mut S::T) -> S::V;
    /// k, from the gates as forward left them.
    unsafe fn again<S: Simd>(at: impl Fn(usize) -> *const S::T) -> S::V;
    /// From the gradient of k to those of the gates' sums.
    unsafe fn backward<S: Simd>(at: impl Fn(usize) -> *const S::T, k: S::V, d_k: S::V, to: impl Fn(usize) -> *mut S::T);
}

/// minGRU: `k = z`.
pub(crate) struct MinGru;

impl Share for MinGru {
    const CANDIDATE: usize = 1;

    #[inline(always)]
    unsafe fn forward<S: Simd>(at: impl Fn(usize) -> *mut S::T) -> S::V {
        // SAFETY: as for the trait.
        unsafe {
            let z = sigmoid::<S>(S::load(at(0)));
            S::store(at(0), z);
            z
        }
    }

    #[inline(always)]
    unsafe fn again<S: Simd>(at: impl Fn(usize) -> *const S::T) -> S::V {
        // SAFETY: as for the trait.
        unsafe { S::load(at(0)) }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(_: impl Fn(usize) -> *const S::T, z: S::V, d_z: S::V, to: impl Fn(usize) -> *mut S::T) {
        // SAFETY: as for the trait.
        unsafe { S::store(to(0), S::mul(d_z, S::fnma(z, z, z))) }
    }
}

/// minLSTM: `k = i/(f + i)`, so that `1 − k = f/(f + i)`.
pub(crate) struct MinLstm;

impl Share for MinLstm {
    const CANDIDATE: usize = 2;

    #[inline(always)]
    unsafe fn forward<S: Simd>(at: impl Fn(usize) -> *mut S::T) -> S::V {
        // SAFETY: as for the trait.
        unsafe {
            let (i, f) = (sigmoid::<S>(S::load(at(0))), sigmoid::<S>(S::load(at(1))));
            S::store(at(0), i);
            S::store(at(1), f);
            S::div(i, S::add(f, i))
        }
    }

    #[inline(always)]
    unsafe fn again<S: Simd>(at: impl Fn(usize) -> *const S::T) -> S::V {
        // SAFETY: as for the trait.
        unsafe {
            let (i, f) = (S::load(at(0)), S::load(at(1)));
            S::div(i, S::add(f, i))
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(
        at: impl Fn(usize) -> *const S::T,
        k: S::V,
        d_k: S::V,
        to: impl Fn(usize) -> *mut S::T,
    ) {
        // SAFETY: as for the trait.
        unsafe {
            // ∂k/∂ln i = k·(1−k) = −∂k/∂ln f, and the derivative of ln σ(x) is 1 − σ(x).
            let d = S::mul(d_k, S::fnma(k, k, k));
            let (i, f) = (S::load(at(0)), S::load(at(1)));
            S::store(to(0), S::fnma(d, i, d));
            S::store(to(1), S::sub(S::mul(d, f), d));
        }
    }
}

/// The candidate, from its sum.
///
/// # Safety
/// The machine must have the instruction set.
pub(crate) trait Candidate: Send + Sync + 'static {
    unsafe fn value<S: Simd>(x: S::V) -> S::V;
    /// From its gradient to that of its sum, by its value.
    unsafe fn backward<S: Simd>(n: S::V, d_n: S::V) -> S::V;
}

/// x.
pub(crate) struct Linear;

impl Candidate for Linear {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        x
    }
    #[inline(always)]
    unsafe fn backward<S: Simd>(_: S::V, d_n: S::V) -> S::V {
        d_n
    }
}

/// x + ½ where x is positive, else σ(x).
pub(crate) struct Positive;

impl Candidate for Positive {
    #[inline(always)]
    unsafe fn value<S: Simd>(x: S::V) -> S::V {
        // SAFETY: as for the trait. σ(0) is exactly ½.
        unsafe {
            let (zero, negative) = (S::zero(), S::at_most(x, S::zero()));
            S::add(S::at_least(x, zero), sigmoid::<S>(negative))
        }
    }
    #[inline(always)]
    unsafe fn backward<S: Simd>(n: S::V, d_n: S::V) -> S::V {
        // SAFETY: as for the trait.
        unsafe {
            // 1 from ½ on, below it that of σ.
            let half = S::splat(S::T::from_f64(0.5));
            let below = S::at_most(n, half);
            let slope = S::fnma(below, below, below);
            let rest = S::where_positive(S::sub(n, half), S::splat(S::T::from_f64(0.75)));
            S::mul(d_n, S::add(slope, rest))
        }
    }
}

/// Calls `$f` for the cell of a step.
macro_rules! by_cell {
    ($cell:expr, $f:ident($($arg:expr),*)) => {
        match $cell {
            Cell::MinGru(args::Candidate::Linear) => $f::<S, MinGru, Linear>($($arg),*),
            Cell::MinGru(args::Candidate::Positive) => $f::<S, MinGru, Positive>($($arg),*),
            Cell::MinLstm(args::Candidate::Linear) => $f::<S, MinLstm, Linear>($($arg),*),
            Cell::MinLstm(args::Candidate::Positive) => $f::<S, MinLstm, Positive>($($arg),*),
            other => unreachable!("{other:?} is of another family"),
        }
    };
}

impl Kernel for Scan {
    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { by_cell!(step.extras.cell, finish(step, p, from, to)) }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { by_cell!(step.extras.cell, backward(step, p, from, to)) }
    }
}

#[inline(always)]
unsafe fn finish<S: Simd, G: Share, N: Candidate>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
    for row in from..to {
        for (panel, u) in step.units::<S>(p, row) {
            // SAFETY: as for `Kernel`.
            unsafe {
                let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                let k = G::forward::<S>(at);
                let n = N::value::<S>(S::load(at(G::CANDIDATE)));
                S::store(at(G::CANDIDATE), n);
                let h = S::load(step.h.add(row * step.width + u));
                step.settle::<S>(row, u, S::fma(k, S::sub(n, h), h), None);
            }
        }
    }
}

#[inline(always)]
unsafe fn backward<S: Simd, G: Share, N: Candidate>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
    for row in from..to {
        // SAFETY: as for `Kernel`.
        for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
            // SAFETY: as for `Kernel`.
            unsafe {
                let to = |slot: usize| sums.wrapping_add(slot * step.shape.slot);
                let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                    for slot in 0..=G::CANDIDATE {
                        S::store(to(slot), S::zero());
                    }
                    continue;
                };
                let at = |slot: usize| gates.wrapping_add(slot * step.shape.slot);
                let (k, n) = (G::again::<S>(at), S::load(at(G::CANDIDATE)));
                let state = row * step.width + u;
                let d_k = S::mul(d_h.new, S::sub(n, S::load(step.h.add(state))));
                G::backward::<S>(at, k, d_k, to);
                S::store(to(G::CANDIDATE), N::backward::<S>(n, S::mul(d_h.new, k)));
                S::store(step.d_h.add(state), S::add(S::fnma(d_h.new, k, d_h.new), d_h.old));
            }
        }
    }
}
