use super::activation::{apply, gradient, value};
use super::{Form, Kernel, clear};
use crate::args::Activation;
use crate::sequence::extras::Extras;
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;
use std::marker::PhantomData;

/// ```text
/// n = φ(n_x + r∘n_h)        h' = (1−z)∘n + z∘h
/// ```
///
/// φ is tanh without options; h' is held within the clip.
#[derive(Clone, Copy)]
pub(crate) struct GruAfter<F>(PhantomData<F>);

/// ```text
/// n = φ(x·W_in + b_in + (r∘h)·W_hn + b_hn)        h' = (1−z)∘n + z∘h
/// ```
#[derive(Clone, Copy)]
pub(crate) struct GruBefore<F>(PhantomData<F>);

/// σ and φ.
#[inline(always)]
fn functions<F: Form, T>(extras: &Extras<T>) -> [Activation; 2] {
    if F::OPTIONS { [extras.gate, extras.candidate] } else { [Activation::Sigmoid, Activation::Tanh] }
}

/// `(1−z)∘n + z∘h`, held within the clip.
#[inline(always)]
unsafe fn mixed<S: Simd, F: Form>(extras: &Extras<S::T>, z: S::V, n: S::V, h: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let h_new = S::fma(z, S::sub(h, n), n);
        if F::OPTIONS { extras.clipped::<S>(h_new) } else { h_new }
    }
}

/// The gradient of [`mixed`] before the clip.
#[inline(always)]
unsafe fn unclipped<S: Simd, F: Form>(extras: &Extras<S::T>, [z, n, h]: [S::V; 3], d: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe { if F::OPTIONS { extras.unclipped::<S>(S::fma(z, S::sub(h, n), n), d) } else { d } }
}

impl<F: Form> Kernel for GruAfter<F> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        let [sigma, phi] = functions::<F, _>(step.extras);
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let (r, r_saved) = apply::<S>(sigma, S::load(at(1)));
                    let (z, z_saved) = apply::<S>(sigma, S::load(at(2)));
                    let (n, n_saved) = apply::<S>(phi, S::fma(r, S::load(at(3)), S::load(at(0))));
                    S::store(at(0), n_saved);
                    S::store(at(1), r_saved);
                    S::store(at(2), z_saved);
                    let h = S::load(step.h.add(row * step.width + u));
                    step.settle::<S>(row, u, mixed::<S, F>(step.extras, z, n, h), None);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        let [sigma, phi] = functions::<F, _>(step.extras);
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let (at, to) = (row * step.width + u, |slot: usize| sums.wrapping_add(slot * step.shape.slot));
                    let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                        clear::<S>(sums, step.shape);
                        continue;
                    };
                    let gate = |slot: usize| gates.wrapping_add(slot * step.shape.slot);
                    let (n_saved, r_saved) = (S::load(gate(0)), S::load(gate(1)));
                    let (z_saved, n_h) = (S::load(gate(2)), S::load(gate(3)));
                    let (n, r, z) = (value::<S>(phi, n_saved), value::<S>(sigma, r_saved), value::<S>(sigma, z_saved));
                    let h = S::load(step.h.add(at));

                    let d_new = unclipped::<S, F>(step.extras, [z, n, h], d_h.new);
                    let d_n = gradient::<S>(phi, n_saved, S::fnma(d_new, z, d_new));
                    let d_z = S::mul(d_new, S::sub(h, n));
                    let d_r = S::mul(d_n, n_h);
                    S::store(to(0), d_n);
                    S::store(to(1), gradient::<S>(sigma, r_saved, d_r));
                    S::store(to(2), gradient::<S>(sigma, z_saved, d_z));
                    S::store(to(3), S::mul(d_n, r));
                    S::store(step.d_h.add(at), S::fma(d_new, z, d_h.old));
                }
            }
        }
    }
}

impl<F: Form> Kernel for GruBefore<F> {
    #[inline(always)]
    unsafe fn reset<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        let [sigma, _] = functions::<F, _>(step.extras);
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let (r, r_saved) = apply::<S>(sigma, S::load(at(1)));
                    S::store(at(1), r_saved);
                    S::store(at(2), apply::<S>(sigma, S::load(at(2))).1);
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
        let [sigma, phi] = functions::<F, _>(step.extras);
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let (n, n_saved) = apply::<S>(phi, S::load(panel));
                    S::store(panel, n_saved);
                    let z = value::<S>(sigma, S::load(panel.add(2 * step.shape.slot)));
                    let h = S::load(step.h.add(row * step.width + u));
                    step.settle::<S>(row, u, mixed::<S, F>(step.extras, z, n, h), None);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        let [sigma, phi] = functions::<F, _>(step.extras);
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let (at, to) = (row * step.width + u, |slot: usize| sums.wrapping_add(slot * step.shape.slot));
                    let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                        clear::<S>(sums, step.shape);
                        continue;
                    };
                    let (n_saved, z_saved) = (S::load(gates), S::load(gates.add(2 * step.shape.slot)));
                    let (n, z) = (value::<S>(phi, n_saved), value::<S>(sigma, z_saved));
                    let h = S::load(step.h.add(at));
                    let d_new = unclipped::<S, F>(step.extras, [z, n, h], d_h.new);
                    let d_z = S::mul(d_new, S::sub(h, n));
                    S::store(to(0), gradient::<S>(phi, n_saved, S::fnma(d_new, z, d_new)));
                    S::store(to(2), gradient::<S>(sigma, z_saved, d_z));
                    S::store(to(3), S::zero());
                    S::store(step.d_h.add(at), S::fma(d_new, z, d_h.old));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward_reset<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        let [sigma, _] = functions::<F, _>(step.extras);
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
                    let (r_saved, h) = (S::load(gates.add(step.shape.slot)), S::load(step.h.add(at)));
                    let r = value::<S>(sigma, r_saved);
                    S::store(sums.add(step.shape.slot), gradient::<S>(sigma, r_saved, S::mul(d_reset, h)));
                    S::store(step.d_h.add(at), S::fma(d_reset, r, S::load(step.d_h.add(at))));
                }
            }
        }
    }
}
