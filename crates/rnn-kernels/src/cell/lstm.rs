use super::{Kernel, clear};
use crate::float::Float;
use crate::math::{sigmoid, tanh};
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// ```text
/// c' = f∘c + i∘g        h' = o∘tanh(c')
/// ```
#[derive(Clone, Copy)]
pub(crate) struct Lstm;

impl Kernel for Lstm {
    const HAS_C: bool = true;

    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let i = sigmoid::<S>(S::load(at(0)));
                    let f = sigmoid::<S>(S::load(at(1)));
                    let g = tanh::<S>(S::load(at(2)));
                    let o = sigmoid::<S>(S::load(at(3)));
                    S::store(at(0), i);
                    S::store(at(1), f);
                    S::store(at(2), g);
                    S::store(at(3), o);
                    let c = S::load(step.c.add(row * step.width + u));
                    let c_new = S::fma(f, c, S::mul(i, g));
                    let h_new = S::mul(o, tanh::<S>(c_new));
                    step.settle::<S>(row, u, h_new, Some(c_new));
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
                    let Some((d_h, d_c)) = step.arriving::<S>(row, u, true) else {
                        clear::<S>(sums, step.shape.slot);
                        continue;
                    };
                    let gate = |slot: usize| gates.wrapping_add(slot * step.shape.slot);
                    let (i, f) = (S::load(gate(0)), S::load(gate(1)));
                    let (g, o) = (S::load(gate(2)), S::load(gate(3)));
                    let (one, c) = (S::splat(S::T::ONE), S::load(step.c.add(at)));
                    let tanh_c = tanh::<S>(S::fma(f, c, S::mul(i, g)));

                    let d_o = S::mul(d_h.new, tanh_c);
                    let d_c_new = S::fma(S::mul(d_h.new, o), S::fnma(tanh_c, tanh_c, one), d_c.new);
                    let (d_i, d_f, d_g) = (S::mul(d_c_new, g), S::mul(d_c_new, c), S::mul(d_c_new, i));
                    S::store(to(0), S::mul(d_i, S::fnma(i, i, i)));
                    S::store(to(1), S::mul(d_f, S::fnma(f, f, f)));
                    S::store(to(2), S::mul(d_g, S::fnma(g, g, one)));
                    S::store(to(3), S::mul(d_o, S::fnma(o, o, o)));
                    S::store(step.d_c.add(at), S::fma(d_c_new, f, d_c.old));
                    S::store(step.d_h.add(at), d_h.old);
                }
            }
        }
    }
}
