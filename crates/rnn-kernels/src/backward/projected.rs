//! The projection of h backward: from the gradient of h to that of m = o∘ψ(c'), and the gradient of `W_hr`.

use super::{Backward, Scratch};
use crate::float::Float;
use crate::sequence::step::BackStep;
use crate::simd::Simd;
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply, multiply_as};

impl<T: Float> Backward<'_, T> {
    /// The gradients of h of the step's `batch` rows, which are the chunk's rows from `q` on: what goes past the step to
    /// the old h, that of m·W_hr, and of it that of m.
    #[inline(always)]
    pub(super) unsafe fn unproject<S: Simd<T = T>>(
        &self,
        scratch: &mut Scratch<T>,
        step: &BackStep<T>,
        batch: usize,
        q: usize,
    ) {
        let (h_features, h_width) = (step.h_features, step.h_width);
        let d_projected = scratch.d_projected[q * h_width..].as_mut_ptr();
        for (row, u) in (0..batch).flat_map(|row| (0..h_features).step_by(S::LANES).map(move |u| (row, u))) {
            // SAFETY: rows of h, which are whole vectors.
            unsafe {
                let Some(d_h) = step.arriving_h::<S>(row, u) else { continue };
                S::store(step.d_h.add(row * h_width + u), d_h.old);
                S::store(d_projected.add(row * h_width + u), d_h.new);
            }
        }
        let vectors = step.d_hidden.div_ceil(S::LANES);
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(batch, max_rows(S::REGISTERS, width));
            for (from, to) in (0..cut.tiles).map(|tile| (cut.start(tile), cut.start(tile + 1))) {
                // SAFETY: rows of h and of m, packed weights of whole vectors.
                unsafe {
                    let tile = Tile {
                        rows: to - from,
                        width,
                        a: d_projected.cast_const().add(from * h_width),
                        a_row: h_width,
                        a_rows: std::ptr::null(),
                        a_step: 1,
                        blocks: 1,
                        len: h_features,
                        a_block: 0,
                        b: self.w_hr.as_ptr().add(first * h_features),
                        b_step: width * S::LANES,
                        c0: scratch.zeros.as_ptr(),
                        c0_step: 0,
                        c: scratch.d_m.as_mut_ptr().add(from * step.width + first),
                        c_step: step.width,
                    };
                    multiply_as::<S>(&tile, self.plan.in_order);
                }
            }
        }
    }

    /// Adds `mᵀ·d(m·W_hr)` of a chunk's `rows` rows to the sums of the gradient of `W_hr`, if it is wanted; `first` starts
    /// them.
    #[inline(always)]
    pub(super) unsafe fn projection_sums<S: Simd<T = T>>(&mut self, scratch: &Scratch<T>, rows: usize, first: bool) {
        if self.sums.w_hr.is_empty() {
            return;
        }
        let (plan, d_hidden) = (self.plan, self.layer.d_hidden);
        let vectors = plan.h_features.div_ceil(S::LANES);
        for group in 0..vectors.div_ceil(WIDTH) {
            let at = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(d_hidden, max_rows(S::REGISTERS, width));
            for (from, to) in (0..cut.tiles).map(|tile| (cut.start(tile), cut.start(tile + 1))) {
                // SAFETY: the chunk's rows of m and of the gradients of m·W_hr; the sums have rows of the width of h.
                unsafe {
                    let c = self.sums.w_hr.as_mut_ptr().add(from * plan.h_width + at);
                    multiply::<S>(&Tile {
                        rows: to - from,
                        width,
                        a: scratch.m.as_ptr().add(from),
                        a_row: 1,
                        a_rows: std::ptr::null(),
                        a_step: plan.width,
                        blocks: 1,
                        len: rows,
                        a_block: 0,
                        b: scratch.d_projected.as_ptr().add(at),
                        b_step: plan.h_width,
                        c0: if first { scratch.zeros.as_ptr() } else { c },
                        c0_step: if first { 0 } else { plan.h_width },
                        c,
                        c_step: plan.h_width,
                    });
                }
            }
        }
    }
}
