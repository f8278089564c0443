//! The gradient of the input.

use super::{Backward, Scratch};
use crate::float::Float;
use crate::simd::Simd;
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply_as};
use std::ops::Range;

impl<T: Float> Backward<'_, T> {
    /// The input's gradient for a chunk of steps.
    #[inline(always)]
    pub(super) unsafe fn input_gradient<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>) {
        let d_input = self.layer.d_input;
        let (blocks, row) = (self.plan.products.blocks, self.plan.row());
        let rows = self.schedule.count_of(&steps);
        // The row of the batch, and where its gradient goes.
        let place = |(s, b): (usize, usize)| (b, self.d_input_strides.at(b, self.sequence.step(s)));
        let places: Vec<(usize, usize)> = self.schedule.entries(steps).map(place).collect();
        let distinct = (!self.saved.repeats.is_empty()).then_some(&scratch.repeats.distinct);
        let count = distinct.map_or(rows, Vec::len);
        // Where the sum for a repeated input is not.
        for q in scratch.repeats.repeated() {
            // SAFETY: a row of the input's gradient.
            unsafe { self.d_input.add(places[q].1).write_bytes(0, d_input) };
        }
        if count == 0 {
            return;
        }
        let vectors = d_input.div_ceil(S::LANES);
        let products = &self.plan.products.x;
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(count, max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, end) = (cut.start(tile), cut.start(tile + 1));
                for (i, (product, packed)) in products.iter().zip(self.w_ih).enumerate() {
                    let inner = self.plan.panels * product.width(blocks) * S::LANES;
                    // SAFETY: rows of the chunk's panels and of the input's gradient, packed weights as the plan has
                    // them.
                    unsafe {
                        let tile = Tile {
                            rows: end - from,
                            width,
                            a: scratch.d_panels.as_ptr().add(from * row + product.offset * S::LANES),
                            a_row: row,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: self.plan.panels,
                            len: product.width(blocks) * S::LANES,
                            a_block: rows * row,
                            b: packed.as_ptr().add(first * inner),
                            b_step: width * S::LANES,
                            c0: scratch.zeros.as_ptr(),
                            c0_step: 0,
                            c: scratch.tile.as_mut_ptr(),
                            c_step: WIDTH * S::LANES,
                        };
                        multiply_as::<S>(&tile, self.plan.in_order);
                        for m in 0..end - from {
                            let q = distinct.map_or(from + m, |distinct| distinct[from + m]);
                            let (b, to) = places[q];
                            let to = self.d_input.add(to + first);
                            for v in 0..width {
                                let (at, n) = (v * S::LANES, d_input - first - v * S::LANES);
                                let mut sum = S::load(scratch.tile.as_ptr().add(m * WIDTH * S::LANES + at));
                                if let Some(mask) = product.mask {
                                    let mask = self.sequence.input_masks[mask].as_ptr().add(b * d_input + first + at);
                                    sum = S::mul(sum, S::load_up_to(mask, n));
                                }
                                if i > 0 {
                                    sum = S::add(sum, S::load_up_to(to.add(at), n));
                                }
                                S::store_up_to(to.add(at), sum, n);
                            }
                        }
                    }
                }
            }
        }
    }
}
