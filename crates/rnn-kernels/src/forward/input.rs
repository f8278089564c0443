//! `x·W_ih + b` for a chunk of steps at once.

use super::{Forward, Repeating};
use crate::args::Input;
use crate::float::Float;
use crate::sequence::rows::{copy_rows, input_rows, keep_rows};
use crate::simd::Simd;
use crate::tile::{Cut, Tile, max_rows, multiply_as};
use std::ops::Range;

impl<T: Float> Forward<'_, T> {
    /// `x·W_ih + b` for all rows of the first `count` of a chunk's steps, into the panels; `repeating` if tokens are.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a chunk, what is known of its rows, and what its sums start from")]
    pub(super) unsafe fn input_sums<S: Simd<T = T>>(
        &self,
        panels: *mut T,
        steps: Range<usize>,
        count: usize,
        x_rows: &mut Vec<*const T>,
        masked_x: *mut T,
        mut repeating: Option<&mut Repeating<T>>,
        bias: &[T],
    ) {
        let (plan, blocks, d_input) = (self.plan, self.plan.products.blocks, self.layer.d_input);
        let (row, schedule) = (plan.row(), self.schedule);
        let rows = schedule.count_of(&steps);
        // SAFETY: as for the caller.
        unsafe { self.biases::<S>(panels, rows, bias) };
        if let Input::Indices { values, strides } = self.sequence.input {
            for (q, (s, b)) in schedule.entries(steps).enumerate() {
                let symbol = values[strides.at(b, self.sequence.step(s))] as usize;
                // SAFETY: row q of the chunk.
                unsafe { self.look_up::<S>(panels.add(q * row), rows * row, symbol, bias) };
            }
            return;
        }
        let first = steps.start..steps.start + count;
        let first_row = schedule.start(steps.start);
        if let Some(repeating) = &mut repeating {
            repeating.chunk.set(self.repeats, first_row..first_row + rows);
        }
        let distinct = repeating.as_ref().map(|repeating| &repeating.chunk.distinct);
        let find_rows = |x_rows: &mut Vec<*const T>| {
            input_rows(self.sequence, schedule, first.clone(), x_rows);
            if let Some(distinct) = distinct {
                keep_rows(x_rows, distinct);
            }
        };
        find_rows(x_rows);
        let mut masked = None;
        for (product, packed) in plan.products.x.iter().zip(self.w_ih) {
            if product.mask != masked {
                masked = product.mask;
                let mask = masked.map_or(std::ptr::null(), |mask| {
                    self.sequence.input_masks[mask][schedule.base() * d_input..].as_ptr()
                });
                find_rows(x_rows);
                let row_of = |i: usize| schedule.row_of(first_row + distinct.map_or(i, |distinct| distinct[i]));
                // SAFETY: rows and masks of d_input elements; the buffer has room for all.
                unsafe { copy_rows::<S>(x_rows, mask, d_input, masked_x, row_of) };
            }
            let width = product.width(blocks);
            let cut = Cut::new(x_rows.len(), max_rows(S::REGISTERS, width));
            for (p, tile) in (0..plan.panels).flat_map(|p| (0..cut.tiles).map(move |tile| (p, tile))) {
                let (q, end) = (cut.start(tile), cut.start(tile + 1));
                if q == end {
                    continue;
                }
                // SAFETY: the packed weights, biases and panels as the plan has them; rows of d_input elements.
                unsafe {
                    let tile = Tile {
                        rows: end - q,
                        width,
                        a: std::ptr::null(),
                        a_row: 0,
                        a_rows: x_rows[q..end].as_ptr(),
                        a_step: 1,
                        blocks: 1,
                        len: d_input,
                        a_block: 0,
                        b: packed.as_ptr().add(p * d_input * width * S::LANES),
                        b_step: width * S::LANES,
                        c0: bias.as_ptr().add(p * row + product.offset * S::LANES),
                        c0_step: 0,
                        c: panels.add((p * rows + q) * row + product.offset * S::LANES),
                        c_step: row,
                    };
                    multiply_as::<S>(&tile, plan.in_order);
                }
            }
        }
        if let Some(Repeating { chunk, chains }) = repeating {
            for p in 0..plan.panels {
                // SAFETY: the chunk's panels; the buffer has a row for each chain and panel.
                unsafe {
                    let chains = chains.as_mut_ptr().add(p * self.repeats.chains * row);
                    chunk.spread::<S>(panels.add(p * rows * row), chains, row);
                }
            }
        }
    }

    /// The vectors of `rows` rows that no input product fills: they start from the bias too.
    #[inline(always)]
    pub(super) unsafe fn biases<S: Simd<T = T>>(&self, panels: *mut T, rows: usize, bias: &[T]) {
        let (products, row) = (&self.plan.products, self.plan.row());
        let filled: usize = products.x.iter().map(|product| product.width(products.blocks)).sum();
        for p in 0..self.plan.panels {
            for vector in filled..products.vectors {
                // SAFETY: vectors of the chunk's panels and of the biases, which have the same layout.
                unsafe {
                    let bias = S::load(bias.as_ptr().add(p * row + vector * S::LANES));
                    for q in 0..rows {
                        S::store(panels.add((p * rows + q) * row + vector * S::LANES), bias);
                    }
                }
            }
        }
    }

    /// One row of sums from a row of `W_ih`.
    #[inline(always)]
    unsafe fn look_up<S: Simd<T = T>>(&self, to: *mut T, panel: usize, symbol: usize, bias: &[T]) {
        let (blocks, d_hidden) = (self.plan.products.blocks, self.layer.d_hidden);
        let weights = &self.layer.w_ih[symbol * self.layer.cell.gates() * d_hidden..];
        let (row, units) = (self.plan.row(), blocks * S::LANES);
        for product in &self.plan.products.x {
            for (vector, gate, block) in product.vectors(blocks) {
                let at = vector * S::LANES;
                let (mut unit, mut from) = (block * S::LANES, gate * d_hidden + block * S::LANES);
                for p in 0..self.plan.panels {
                    // SAFETY: vectors of the panels; of the weights only what d_hidden leaves.
                    unsafe {
                        let mut sum = S::load(bias.as_ptr().add(p * row + at));
                        if unit < d_hidden {
                            sum = S::add(sum, S::load_up_to(weights.as_ptr().add(from), d_hidden - unit));
                        }
                        S::store(to.add(p * panel + at), sum);
                    }
                    (unit, from) = (unit + units, from + units);
                }
            }
        }
    }
}
