//! The LSTM's h where c is normalised on its way there, `h' = o∘ψ(γ_c∘norm(c') + β_c)`: a row at a time, when all of its
//! c' are known.

use super::WithOptions;
use super::activation::{apply, slope, value};
use super::lstm::Ways;
use crate::sequence::extras::Vector;
use crate::sequence::norm::{STATS, Stat, mean_of, moments, normalized};
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// Ends the step of one row, whose c' and o the cell has left.
///
/// # Safety
/// As for [`Kernel`](super::Kernel).
#[inline(always)]
pub(crate) unsafe fn show<S: Simd>(step: &Step<S::T>, row: usize) {
    let (ways, extras) = (Ways::of::<WithOptions, _>(step.extras), step.extras);
    // SAFETY: as for the caller.
    unsafe {
        let c = step.shown.add(row * step.width);
        let [mean, scale] = moments::<S>(c, step.d_hidden);
        *step.stats.add(row * STATS + Stat::MeanC as usize) = mean;
        *step.stats.add(row * STATS + Stat::C as usize) = scale;
        for p in 0..step.d_hidden.div_ceil(step.shape.slot) {
            for (panel, u) in step.units::<S>(p, row) {
                let hat = normalized::<S>(S::load(c.add(u)), mean, scale);
                let gain = S::load(extras.vector(Vector::GammaC).add(u));
                let shown = S::fma(gain, hat, S::load(extras.vector(Vector::BetaC).add(u)));
                let o = value::<S>(ways.gate, S::load(panel.add(ways.o * step.shape.slot)));
                step.settle_shown::<S>(row, u, S::mul(o, apply::<S>(ways.hidden, shown).0));
            }
        }
    }
}

/// `norm(c')` of some units, from what forward saved.
///
/// # Safety
/// As for [`Kernel`](super::Kernel).
#[inline(always)]
unsafe fn hat_of<S: Simd>(step: &BackStep<S::T>, ways: &Ways, gates: *const S::T, row: usize, u: usize) -> S::V {
    // SAFETY: as for the caller.
    unsafe {
        let stat = |stat: Stat| *step.stats.add(row * STATS + stat as usize);
        let saved = |slot: usize| S::load(gates.wrapping_add(slot * step.shape.slot));
        let c = ways.c_new::<S>(saved, S::load(step.c.add(row * step.width + u)));
        normalized::<S>(step.extras.clipped::<S>(c), stat(Stat::MeanC), stat(Stat::C))
    }
}

/// From the gradient of one row's h, or of what is projected to it, to that of its o, which goes to the slot of o, and to
/// that of c', which the cell finds in `shown`.
///
/// # Safety
/// As for [`Kernel`](super::Kernel).
#[inline(always)]
pub(crate) unsafe fn unshow<S: Simd>(step: &BackStep<S::T>, row: usize) {
    let (ways, extras) = (Ways::of::<WithOptions, _>(step.extras), step.extras);
    let panels = || 0..step.d_hidden.div_ceil(step.shape.slot);
    // SAFETY: as for the caller.
    unsafe {
        let to_c = step.shown.add(row * step.width);
        let scale = *step.stats.add(row * STATS + Stat::C as usize);
        let (mut sum, mut product) = (S::zero(), S::zero());
        for p in panels() {
            for (gates, sums, u) in step.units::<S>(p, row) {
                let d_m = match extras.projects {
                    true if u >= step.d_hidden => continue,
                    true => S::load(step.d_m.add(row * step.width + u)),
                    false => {
                        let Some(d_h) = step.arriving_h::<S>(row, u) else { continue };
                        S::store(step.d_h.add(row * step.h_width + u), d_h.old);
                        d_h.new
                    }
                };
                let hat = hat_of::<S>(step, &ways, gates, row, u);
                let gain = S::load(extras.vector(Vector::GammaC).add(u));
                let shown = S::fma(gain, hat, S::load(extras.vector(Vector::BetaC).add(u)));
                let (y, saved) = apply::<S>(ways.hidden, shown);
                let o = value::<S>(ways.gate, S::load(gates.add(ways.o * step.shape.slot)));
                if extras.projects {
                    S::store(step.m.add(row * step.width + u), S::mul(o, y));
                }
                S::store(sums.add(ways.o * step.shape.slot), S::mul(d_m, y));
                let d_shown = S::mul(S::mul(d_m, o), slope::<S>(ways.hidden, saved));
                step.add_to::<S>(Vector::GammaC, u, S::mul(d_shown, hat));
                step.add_to::<S>(Vector::BetaC, u, d_shown);
                // γ is zero where a vector goes on beyond the units.
                let t = S::mul(gain, d_shown);
                S::store(to_c.add(u), t);
                sum = S::add(sum, t);
                product = S::fma(t, hat, product);
            }
        }
        let (mean_t, mean_product) = (mean_of::<S>(sum, step.d_hidden), mean_of::<S>(product, step.d_hidden));
        for p in panels() {
            for (gates, _, u) in step.units::<S>(p, row) {
                if u < step.d_hidden {
                    let hat = hat_of::<S>(step, &ways, gates, row, u);
                    let t = S::sub(S::load(to_c.add(u)), S::splat(mean_t));
                    let d = S::mul(S::splat(scale), S::fnma(hat, S::splat(mean_product), t));
                    S::store(to_c.add(u), d);
                }
            }
        }
    }
}
