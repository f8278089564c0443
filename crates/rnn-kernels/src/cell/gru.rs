use super::{Kernel, clear};
use crate::float::Float;
use crate::math::{sigmoid, tanh};
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// ```text
/// n = tanh(n_x + r∘n_h)        h' = (1−z)∘n + z∘h
/// ```
#[derive(Clone, Copy)]
pub(crate) struct GruAfter;

/// ```text
/// n = tanh(x·W_in + b_in + (r∘h)·W_hn + b_hn)        h' = (1−z)∘n + z∘h
/// ```
#[derive(Clone, Copy)]
pub(crate) struct GruBefore;

impl Kernel for GruAfter {
    const HAS_C: bool = false;

    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let r = sigmoid::<S>(S::load(at(1)));
                    let z = sigmoid::<S>(S::load(at(2)));
                    let n = tanh::<S>(S::fma(r, S::load(at(3)), S::load(at(0))));
                    S::store(at(0), n);
                    S::store(at(1), r);
                    S::store(at(2), z);
                    let h = S::load(step.h.add(row * step.width + u));
                    step.settle::<S>(row, u, S::fma(z, S::sub(h, n), n), None);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let (at, to) = (row * step.width + u, |slot: usize| sums.wrapping_add(slot * step.shape.slot));
                    let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                        clear::<S>(sums, step.shape.slot);
                        continue;
                    };
                    let gate = |slot: usize| gates.wrapping_add(slot * step.shape.slot);
                    let (n, r) = (S::load(gate(0)), S::load(gate(1)));
                    let (z, n_h) = (S::load(gate(2)), S::load(gate(3)));
                    let (one, h) = (S::splat(S::T::ONE), S::load(step.h.add(at)));

                    let d_n = S::mul(S::fnma(d_h.new, z, d_h.new), S::fnma(n, n, one));
                    let d_z = S::mul(d_h.new, S::sub(h, n));
                    let d_r = S::mul(d_n, n_h);
                    S::store(to(0), d_n);
                    S::store(to(1), S::mul(d_r, S::fnma(r, r, r)));
                    S::store(to(2), S::mul(d_z, S::fnma(z, z, z)));
                    S::store(to(3), S::mul(d_n, r));
                    S::store(step.d_h.add(at), S::fma(d_h.new, z, d_h.old));
                }
            }
        }
    }
}

impl Kernel for GruBefore {
    const HAS_C: bool = false;

    #[inline(always)]
    unsafe fn reset<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let r = sigmoid::<S>(S::load(at(1)));
                    S::store(at(1), r);
                    S::store(at(2), sigmoid::<S>(S::load(at(2))));
                    let mut reset = S::mul(r, S::load(step.h.add(row * step.width + u)));
                    if !step.reset_mask.is_null() {
                        let mask = step.reset_mask.add(step.batch_row(row) * step.d_hidden + u);
                        reset = S::mul(reset, S::load_up_to(mask, step.d_hidden - u));
                    }
                    S::store(step.reset.add(row * step.width + u), reset);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let n = tanh::<S>(S::load(panel));
                    S::store(panel, n);
                    let z = S::load(panel.add(2 * step.shape.slot));
                    let h = S::load(step.h.add(row * step.width + u));
                    step.settle::<S>(row, u, S::fma(z, S::sub(h, n), n), None);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let (at, to) = (row * step.width + u, |slot: usize| sums.wrapping_add(slot * step.shape.slot));
                    let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                        clear::<S>(sums, step.shape.slot);
                        continue;
                    };
                    let (n, z) = (S::load(gates), S::load(gates.add(2 * step.shape.slot)));
                    let (one, h) = (S::splat(S::T::ONE), S::load(step.h.add(at)));
                    let d_z = S::mul(d_h.new, S::sub(h, n));
                    S::store(to(0), S::mul(S::fnma(d_h.new, z, d_h.new), S::fnma(n, n, one)));
                    S::store(to(2), S::mul(d_z, S::fnma(z, z, z)));
                    S::store(to(3), S::zero());
                    S::store(step.d_h.add(at), S::fma(d_h.new, z, d_h.old));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward_reset<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    if u >= step.d_hidden {
                        continue;
                    }
                    let at = row * step.width + u;
                    let mut d_reset = S::load(step.d_reset.add(at));
                    if !step.reset_mask.is_null() {
                        let mask = step.reset_mask.add(step.batch_row(row) * step.d_hidden + u);
                        d_reset = S::mul(d_reset, S::load_up_to(mask, step.d_hidden - u));
                    }
                    let (r, h) = (S::load(gates.add(step.shape.slot)), S::load(step.h.add(at)));
                    S::store(sums.add(step.shape.slot), S::mul(S::mul(d_reset, h), S::fnma(r, r, r)));
                    S::store(step.d_h.add(at), S::fma(d_reset, r, S::load(step.d_h.add(at))));
                }
            }
        }
    }
}
