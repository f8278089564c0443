use super::activation::{apply, gradient, slope, value};
use super::{Form, Kernel, clear};
use crate::args::{Activation, Cell};
use crate::float::Float;
use crate::sequence::extras::{Extras, Vector};
use crate::sequence::step::{Arriving, BackStep, Step};
use crate::simd::Simd;
use std::marker::PhantomData;

/// ```text
/// c' = f∘c + i∘g        h' = o∘ψ(c')
/// ```
///
/// With coupled gates f = 1 − i; with peepholes the sums of i and f have `p∘c` added, that of o `p∘c'`; c' is held
/// within the clip.
#[derive(Clone, Copy)]
pub(crate) struct Lstm<F>(PhantomData<F>);

/// What a form of the LSTM does.
pub(super) struct Ways {
    pub(super) gate: Activation,
    candidate: Activation,
    pub(super) hidden: Activation,
    coupled: bool,
    /// The slots of g and o.
    g: usize,
    pub(super) o: usize,
}

impl Ways {
    #[inline(always)]
    pub(super) fn of<F: Form, T>(extras: &Extras<T>) -> Self {
        let plain = Ways {
            gate: Activation::Sigmoid,
            candidate: Activation::Tanh,
            hidden: Activation::Tanh,
            coupled: false,
            g: 2,
            o: 3,
        };
        if !F::OPTIONS {
            return plain;
        }
        let &Extras { gate, candidate, hidden, cell, .. } = extras;
        let coupled = cell == Cell::LstmCoupled;
        let (g, o) = if coupled { (1, 2) } else { (2, 3) };
        Ways { gate, candidate, hidden, coupled, g, o }
    }

    /// `f∘c + i∘g` from what was saved of the gates.
    #[inline(always)]
    pub(super) unsafe fn c_new<S: Simd>(&self, saved: impl Fn(usize) -> S::V, c: S::V) -> S::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (i, g) = (value::<S>(self.gate, saved(0)), value::<S>(self.candidate, saved(self.g)));
            let f = match self.coupled {
                true => S::sub(S::splat(S::T::ONE), i),
                false => value::<S>(self.gate, saved(1)),
            };
            S::fma(f, c, S::mul(i, g))
        }
    }
}

impl<F: Form> Kernel for Lstm<F> {
    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        let (ways, extras) = (Ways::of::<F, _>(step.extras), step.extras);
        for row in from..to {
            for (panel, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let at = |slot: usize| panel.wrapping_add(slot * step.shape.slot);
                    let c = S::load(step.c.add(row * step.width + u));
                    let sum = |slot: usize, peephole: Vector, c: S::V| {
                        let sum = S::load(at(slot));
                        match F::OPTIONS && extras.peepholes {
                            true => S::fma(S::load(extras.vector(peephole).add(u)), c, sum),
                            false => sum,
                        }
                    };
                    let (i, i_saved) = apply::<S>(ways.gate, sum(0, Vector::PeepholeI, c));
                    let f = if ways.coupled {
                        S::sub(S::splat(S::T::ONE), i)
                    } else {
                        let (f, saved) = apply::<S>(ways.gate, sum(1, Vector::PeepholeF, c));
                        S::store(at(1), saved);
                        f
                    };
                    let (g, g_saved) = apply::<S>(ways.candidate, S::load(at(ways.g)));
                    let mut c_new = S::fma(f, c, S::mul(i, g));
                    if F::OPTIONS {
                        c_new = extras.clipped::<S>(c_new);
                    }
                    let (o, o_saved) = apply::<S>(ways.gate, sum(ways.o, Vector::PeepholeO, c_new));
                    S::store(at(0), i_saved);
                    S::store(at(ways.g), g_saved);
                    S::store(at(ways.o), o_saved);
                    if F::OPTIONS && extras.norm.is_some() {
                        // What follows needs the whole row.
                        S::store(step.shown.add(row * step.width + u), c_new);
                        step.settle_c::<S>(row, u, c_new);
                        continue;
                    }
                    let h_new = S::mul(o, apply::<S>(ways.hidden, c_new).0);
                    if F::OPTIONS {
                        step.settle_c::<S>(row, u, c_new);
                        step.settle_shown::<S>(row, u, h_new);
                        continue;
                    }
                    step.settle::<S>(row, u, h_new, Some(c_new));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        let (ways, extras) = (Ways::of::<F, _>(step.extras), step.extras);
        for row in from..to {
            // SAFETY: as for the trait.
            for (gates, sums, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let (at, to) = (row * step.width + u, |slot: usize| sums.wrapping_add(slot * step.shape.slot));
                    let normalized = F::OPTIONS && extras.norm.is_some();
                    let projects = F::OPTIONS && extras.projects;
                    let arriving = match (normalized, projects) {
                        (false, false) => step.arriving::<S>(row, u, true),
                        // That of h has been there before.
                        (true, _) => step.arriving_c::<S>(row, u).map(|d_c| (Arriving::nothing::<S>(), d_c)),
                        (false, true) => step.arriving_c::<S>(row, u).map(|d_c| {
                            let d_m = Arriving { new: S::load(step.d_m.add(at)), old: S::zero() };
                            (d_m, d_c)
                        }),
                    };
                    let Some((d_h, d_c)) = arriving else {
                        clear::<S>(sums, step.shape);
                        continue;
                    };
                    let saved = |slot: usize| S::load(gates.wrapping_add(slot * step.shape.slot));
                    let (i_saved, g_saved, o_saved) = (saved(0), saved(ways.g), saved(ways.o));
                    let (i, g, o) = (
                        value::<S>(ways.gate, i_saved),
                        value::<S>(ways.candidate, g_saved),
                        value::<S>(ways.gate, o_saved),
                    );
                    let f_saved = if ways.coupled { S::zero() } else { saved(1) };
                    let f = match ways.coupled {
                        true => S::sub(S::splat(S::T::ONE), i),
                        false => value::<S>(ways.gate, f_saved),
                    };
                    let c = S::load(step.c.add(at));
                    let c_free = S::fma(f, c, S::mul(i, g));
                    let c_new = if F::OPTIONS { extras.clipped::<S>(c_free) } else { c_free };
                    let (d_o, mut d_c_new) = if normalized {
                        (S::load(to(ways.o)), S::add(d_c.new, S::load(step.shown.add(at))))
                    } else {
                        let (shown, shown_saved) = apply::<S>(ways.hidden, c_new);
                        if projects {
                            S::store(step.m.add(at), S::mul(o, shown));
                        }
                        let d_shown = S::mul(d_h.new, o);
                        (S::mul(d_h.new, shown), S::fma(d_shown, slope::<S>(ways.hidden, shown_saved), d_c.new))
                    };
                    let d_o = gradient::<S>(ways.gate, o_saved, d_o);
                    if F::OPTIONS {
                        if extras.peepholes {
                            d_c_new = S::fma(d_o, S::load(extras.vector(Vector::PeepholeO).add(u)), d_c_new);
                        }
                        d_c_new = extras.unclipped::<S>(c_free, d_c_new);
                    }
                    let d_f = S::mul(d_c_new, c);
                    let d_i = match ways.coupled {
                        true => S::mul(d_c_new, S::sub(g, c)),
                        false => S::mul(d_c_new, g),
                    };
                    let d_i = gradient::<S>(ways.gate, i_saved, d_i);
                    let d_f = gradient::<S>(ways.gate, f_saved, d_f);
                    S::store(to(0), d_i);
                    if !ways.coupled {
                        S::store(to(1), d_f);
                    }
                    S::store(to(ways.g), gradient::<S>(ways.candidate, g_saved, S::mul(d_c_new, i)));
                    S::store(to(ways.o), d_o);
                    let mut d_c_old = S::fma(d_c_new, f, d_c.old);
                    if F::OPTIONS && extras.peepholes {
                        step.add_to::<S>(Vector::PeepholeI, u, S::mul(d_i, c));
                        step.add_to::<S>(Vector::PeepholeO, u, S::mul(d_o, c_new));
                        d_c_old = S::fma(d_i, S::load(extras.vector(Vector::PeepholeI).add(u)), d_c_old);
                        if !ways.coupled {
                            step.add_to::<S>(Vector::PeepholeF, u, S::mul(d_f, c));
                            d_c_old = S::fma(d_f, S::load(extras.vector(Vector::PeepholeF).add(u)), d_c_old);
                        }
                    }
                    S::store(step.d_c.add(at), d_c_old);
                    if !normalized && !projects {
                        S::store(step.d_h.add(at), d_h.old);
                    }
                }
            }
        }
    }
}
