//! The gradient of the input under dropout. One mask serves a whole sequence, so the steps of a row make up tiles in
//! which all rows drop the same features.

use super::{Backward, Scratch};
use crate::float::Float;
use crate::simd::Simd;
use crate::tile::{Cut, Factors, Tile, WIDTH, max_masked_rows, multiply_masked};
use std::ops::Range;

impl<T: Float> Backward<'_, T> {
    /// The input's gradient for a chunk of steps.
    #[inline(always)]
    pub(super) unsafe fn kept_gradient<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>) {
        let (schedule, d_input, plan) = (self.schedule, self.layer.d_input, self.plan);
        let (blocks, row, rows) = (plan.products.blocks, plan.row(), schedule.count_of(&steps));
        let products = &plan.products.x;
        let vectors = d_input.div_ceil(S::LANES);
        let runs = schedule.runs(steps.clone());
        let places = || runs.iter().flat_map(|run| (0..schedule.count(run.start)).map(move |place| (run, place)));
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            for (run, place) in places() {
                let (batch, b) = (schedule.count(run.start), schedule.row(run.start, place));
                let cut = Cut::new(run.len(), max_masked_rows(S::REGISTERS, width));
                for tile in 0..cut.tiles {
                    let (from, end) = (run.start + cut.start(tile), run.start + cut.start(tile + 1));
                    let q = schedule.start(from) - schedule.start(steps.start) + place;
                    // The products are of the same width: all gates together or one each.
                    let inner = plan.panels * products[0].width(blocks) * S::LANES;
                    // SAFETY: rows of the chunk's panels and of the input's gradient, packed weights as the plan has
                    // them.
                    unsafe {
                        let mut factors =
                            [Factors { a: std::ptr::null(), b: std::ptr::null(), mask: std::ptr::null() }; 4];
                        for (factors, (product, packed)) in factors.iter_mut().zip(products.iter().zip(self.w_ih)) {
                            let mask = self.sequence.input_masks[product.mask.unwrap_or(0)];
                            *factors = Factors {
                                a: scratch.d_panels.as_ptr().add(q * row + product.offset * S::LANES),
                                b: packed.as_ptr().add(first * inner),
                                mask: mask.as_ptr().add(b * d_input + first),
                            };
                        }
                        let tile = Tile {
                            rows: end - from,
                            width,
                            a: std::ptr::null(),
                            a_row: batch * row,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: plan.panels,
                            len: products[0].width(blocks) * S::LANES,
                            a_block: rows * row,
                            b: std::ptr::null(),
                            b_step: width * S::LANES,
                            c0: scratch.zeros.as_ptr(),
                            c0_step: 0,
                            c: scratch.tile.as_mut_ptr(),
                            c_step: WIDTH * S::LANES,
                        };
                        multiply_masked::<S>(&tile, &factors[..products.len()], d_input - first);
                        for m in 0..end - from {
                            let to = self.d_input.add(self.d_input_strides.at(b, self.sequence.step(from + m)) + first);
                            for at in (0..width).map(|v| v * S::LANES) {
                                let sum = S::load(scratch.tile.as_ptr().add(m * WIDTH * S::LANES + at));
                                S::store_up_to(to.add(at), sum, d_input - first - at);
                            }
                        }
                    }
                }
            }
        }
    }
}
