//! The input product under dropout. One mask serves a whole sequence, so the steps of a row are multiplied together and
//! the dropped features are skipped.

use super::Forward;
use crate::args::Input;
use crate::cell::Kernel;
use crate::float::Float;
use crate::simd::Simd;
use crate::tile::{Cut, Tile, max_sparse_rows, multiply_kept};
use std::ops::Range;

/// The features that each mask keeps of each row.
pub(crate) struct KeptFeatures {
    rows: usize,
    d_input: usize,
    /// `[mask][row][d_input]`, of which the first `counts[mask][row]` are meant.
    features: Vec<u32>,
    counts: Vec<usize>,
}

impl KeptFeatures {
    /// For the rows `part` of the batch.
    pub(crate) fn new<T: Float>(masks: &[&[T]], part: Range<usize>, d_input: usize) -> Self {
        let rows = part.len();
        let mut features = vec![0; masks.len() * rows * d_input];
        let masks = masks.iter().flat_map(|mask| mask[part.start * d_input..part.end * d_input].chunks_exact(d_input));
        let keep = |(mask, features): (&[T], &mut [u32])| {
            let mut count = 0;
            for (k, &m) in (0..).zip(mask) {
                features[count] = k;
                count += usize::from(m != T::ZERO);
            }
            count
        };
        let counts = masks.zip(features.chunks_exact_mut(d_input)).map(keep).collect();
        KeptFeatures { rows, d_input, features, counts }
    }

    fn features(&self, mask: usize, row: usize) -> &[u32] {
        let at = mask * self.rows + row;
        &self.features[at * self.d_input..][..self.counts[at]]
    }
}

impl<T: Float, K: Kernel> Forward<'_, T, K> {
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
        let (plan, d_input, row) = (self.plan, self.layer.d_input, self.plan.row());
        let rows = steps.len() * kept.rows;
        // SAFETY: as for the caller.
        unsafe { self.biases::<S>(panels, rows, bias) };
        let a_row = if self.sequence.reverse { strides.time.wrapping_neg() } else { strides.time };
        for (product, packed) in plan.products.x.iter().zip(self.w_ih) {
            let width = product.width(plan.products.blocks);
            let cut = Cut::new(steps.len(), max_sparse_rows(S::REGISTERS, width));
            for (p, b) in (0..plan.panels).flat_map(|p| (0..kept.rows).map(move |b| (p, b))) {
                let features = kept.features(product.mask.unwrap_or(0), b);
                for tile in 0..cut.tiles {
                    let (first, end) = (cut.start(tile), cut.start(tile + 1));
                    let q = first * kept.rows + b;
                    // SAFETY: the packed weights, biases and panels as the plan has them; rows of d_input elements.
                    unsafe {
                        let tile = Tile {
                            rows: end - first,
                            width,
                            // Steps may go back from here.
                            a: values
                                .as_ptr()
                                .wrapping_add(strides.at(self.part.start + b, self.sequence.step(steps.start + first))),
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
                            c_step: kept.rows * row,
                        };
                        multiply_kept::<S>(&tile, features);
                    }
                }
            }
        }
    }
}
