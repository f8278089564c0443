//! The input product under dropout. One mask serves a whole sequence, so the steps of a row are multiplied together and
//! the dropped features are skipped.

use super::Forward;
use crate::args::Input;
use crate::float::Float;
use crate::simd::Simd;
use crate::tile::{Cut, Tile, max_sparse_rows, multiply_kept};
use std::ops::Range;

/// The features that each mask keeps of each row.
pub(crate) struct KeptFeatures {
    /// The number of each row of the batch.
    numbers: Vec<u32>,
    rows: usize,
    d_input: usize,
    /// `[mask][row][d_input]`, of which the first `counts[mask][row]` are meant.
    features: Vec<u32>,
    counts: Vec<usize>,
}

impl KeptFeatures {
    /// For `rows` of the batch.
    pub(crate) fn new<T: Float>(masks: &[&[T]], rows: &[usize], batch: usize, d_input: usize) -> Self {
        let mut numbers = vec![0; batch];
        (0..).zip(rows).for_each(|(number, &b)| numbers[b] = number);
        let mut features = vec![0; masks.len() * rows.len() * d_input];
        let masks = masks.iter().flat_map(|mask| rows.iter().map(|&b| &mask[b * d_input..][..d_input]));
        let keep = |(mask, features): (&[T], &mut [u32])| {
            let mut count = 0;
            for (k, &m) in (0..).zip(mask) {
                features[count] = k;
                count += usize::from(m != T::ZERO);
            }
            count
        };
        let counts = masks.zip(features.chunks_exact_mut(d_input)).map(keep).collect();
        KeptFeatures { numbers, rows: rows.len(), d_input, features, counts }
    }

    fn features(&self, mask: usize, b: usize) -> &[u32] {
        let at = mask * self.rows + self.numbers[b] as usize;
        &self.features[at * self.d_input..][..self.counts[at]]
    }
}

impl<T: Float> Forward<'_, T> {
    /// `x·W_ih + b` for all rows of a chunk's steps, into the panels.
    #[inline(always)]
    pub(super) unsafe fn kept_sums<S: Simd<T = T>>(
        &self,
        panels: *mut T,
        steps: Range<usize>,
        kept: &KeptFeatures,
        bias: &[T],
    ) {
        let Input::Dense { values, strides } = self.sequence.input else { return };
        let (plan, schedule, d_input, row) = (self.plan, self.schedule, self.layer.d_input, self.plan.row());
        let rows = schedule.count_of(&steps);
        // SAFETY: as for the caller.
        unsafe { self.biases::<S>(panels, rows, bias) };
        let a_row = if self.sequence.reverse { strides.time.wrapping_neg() } else { strides.time };
        let runs = schedule.runs(steps.clone());
        let places = || runs.iter().flat_map(|run| (0..schedule.count(run.start)).map(move |place| (run, place)));
        for (product, packed) in plan.products.x.iter().zip(self.w_ih) {
            let width = product.width(plan.products.blocks);
            for (p, (run, place)) in (0..plan.panels).flat_map(|p| places().map(move |place| (p, place))) {
                let (batch, b) = (schedule.count(run.start), schedule.row(run.start, place));
                let cut = Cut::new(run.len(), max_sparse_rows(S::REGISTERS, width));
                let features = kept.features(product.mask.unwrap_or(0), b);
                for tile in 0..cut.tiles {
                    let (first, end) = (run.start + cut.start(tile), run.start + cut.start(tile + 1));
                    let q = schedule.start(first) - schedule.start(steps.start) + place;
                    // SAFETY: the packed weights, biases and panels as the plan has them; rows of d_input elements.
                    unsafe {
                        let tile = Tile {
                            rows: end - first,
                            width,
                            // Steps may go back from here.
                            a: values.as_ptr().wrapping_add(strides.at(b, self.sequence.step(first))),
                            a_row,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: 1,
                            len: d_input,
                            a_block: 0,
                            b: packed.as_ptr().add(p * d_input * width * S::LANES),
                            b_step: width * S::LANES,
                            c0: bias.as_ptr().add(p * row + product.offset * S::LANES),
                            c0_step: 0,
                            c: panels.add((p * rows + q) * row + product.offset * S::LANES),
                            c_step: batch * row,
                        };
                        multiply_kept::<S>(&tile, features, plan.in_order);
                    }
                }
            }
        }
    }
}
