//! Layer normalisation backward: from the gradients of the sums to those of the products, which differ between x and h.

use super::{Backward, Scratch};
use crate::float::Float;
use crate::sequence::norm::{Norm, STATS, Stat};
use crate::sequence::step::BackStep;
use crate::simd::Simd;

impl<T: Float> Backward<'_, T> {
    /// The normalisation, if the layer has one.
    #[inline(always)]
    pub(super) fn norm(&self) -> Option<&Norm<T>> {
        self.extras.norm.as_ref()
    }

    /// From the gradients of the sums of a step's `batch` rows to those of `h·W_hh`, or of `(r∘h)·W_hh`.
    #[inline(always)]
    pub(super) unsafe fn normalized_h<S: Simd<T = T>>(
        &self,
        scratch: &Scratch<T>,
        step: &BackStep<T>,
        batch: usize,
        reset: bool,
    ) {
        let Some(Some(group)) = self.norm().map(|norm| &norm.h[usize::from(reset)]) else { return };
        let stat = if reset { Stat::Reset } else { Stat::H };
        for at in (0..batch).map(|row| (row, row * self.plan.row())) {
            let (row, at) = at;
            // SAFETY: a row of the panels and of what is laid out as they are.
            unsafe {
                let scale = *step.stats.add(row * STATS + stat as usize);
                let (hat, d) = (step.hats[1].add(at), step.d_panels.add(at));
                group.backward::<S>(hat, scale, d, step.d_products.add(at), step.panel, scratch.d_gains[1]);
            }
        }
    }

    /// The same for `x·W_ih`, in place; adds the gradients of the sums to that of the bias before.
    #[inline(always)]
    pub(super) unsafe fn normalized_x<S: Simd<T = T>>(&self, scratch: &Scratch<T>, step: &BackStep<T>, batch: usize) {
        let Some(norm) = self.norm() else { return };
        let row = self.plan.row();
        for (m, first) in (0..batch).map(|m| (m, m * row)) {
            // SAFETY: a row of the panels and of what is laid out as they are.
            unsafe {
                let d = step.d_panels.add(first);
                for (p, at) in (0..self.plan.panels).flat_map(|p| (0..row).step_by(S::LANES).map(move |at| (p, at))) {
                    let to = scratch.d_bias.add(p * row + at);
                    S::store(to, S::add(S::load(to), S::load(d.add(p * step.panel + at))));
                }
                let scale = *step.stats.add(m * STATS + Stat::X as usize);
                norm.x.backward::<S>(step.hats[0].add(first), scale, d, d, step.panel, scratch.d_gains[0]);
            }
        }
    }
}
