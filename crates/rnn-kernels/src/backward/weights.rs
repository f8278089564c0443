//! The gradients of weights and biases: products over all steps, a chunk at a time.

use super::packed::{multiply_packed, pack_rows, packed_stride, packs};
use super::sums::add_rows;
use super::{Backward, Scratch};
use crate::args::Input;
use crate::cell::value;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::sequence::rows::{copy_rows, input_rows, keep_rows};
use crate::simd::Simd;
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply};
use std::ops::Range;

impl<T: Float> Backward<'_, T> {
    /// Adds a chunk's products to the sums of the gradients of biases and `W_hh`; `first` starts them. Parts that have
    /// the same mask, or none, and do not reset share their left factor.
    #[inline(always)]
    pub(super) unsafe fn recurrent_sums<S: Simd<T = T>>(
        &mut self,
        scratch: &mut Scratch<T>,
        steps: Range<usize>,
        rows: &mut Vec<*const T>,
        first: bool,
    ) {
        let (plan, h_features) = (self.plan, self.plan.h_features);
        let (count, start) = (self.schedule.count_of(&steps), self.schedule.start(steps.start));
        // With normalisation they have been added step by step.
        if !self.sums.b.is_empty() && self.norm().is_none() {
            // SAFETY: as for `run`.
            unsafe { self.sums.add_biases::<S>(plan, count, &scratch.d_panels, first) };
        }
        if self.sums.w_hh.is_empty() {
            return;
        }
        let sums = self.sums.w_hh.as_mut_ptr();
        let mut last = None;
        for product in &plan.products.h {
            // SAFETY: as for `run`.
            unsafe {
                let h = self.saved.h[start * plan.h_width..].as_ptr();
                let h = if product.reset { self.reset_rows::<S>(scratch, steps.clone(), h) } else { h };
                let left = if let Some((left, mask)) = last
                    && mask == product.mask
                    && !product.reset
                {
                    left
                } else if !packs::<S>() && product.mask.is_none() {
                    Left { start: h, blocks: 1, block: 0, len: count, row: plan.h_width, tile: None }
                } else {
                    rows.clear();
                    rows.extend((0..count).map(|q| h.wrapping_add(q * plan.h_width)));
                    let masks = Masks { rows: self.sequence.recurrent_masks, packed: scratch.h_masks.as_ptr() };
                    let again = last.is_some() && !product.reset;
                    self.copied::<S>(rows, product, masks, h_features, (start, None), scratch, again)
                };
                if !product.reset {
                    last = Some((left, product.mask));
                }
                add_product::<S>(plan, product, scratch, left, count, h_features, sums, first);
            }
        }
    }

    /// Where tokens are repeated, adds up the gradients of their sums. What is left of the chunk are its distinct rows,
    /// at the start of each panel: that is what [`w_ih_sums`](Self::w_ih_sums) and the input's gradient take.
    #[inline(always)]
    pub(super) unsafe fn gather_repeats<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>) {
        let (repeats, row) = (&self.saved.repeats, self.plan.row());
        let rows = self.schedule.start(steps.start)..self.schedule.start(steps.end);
        let panel = rows.len() * row;
        scratch.repeats.set(repeats, rows);
        for p in 0..self.plan.panels {
            let chains = scratch.chains[p * repeats.chains * row..].as_mut_ptr();
            // SAFETY: the chunk's panels; the buffer has a row for each chain and panel.
            unsafe { scratch.repeats.gather::<S>(scratch.d_panels[p * panel..].as_mut_ptr(), chains, row) };
        }
    }

    /// Adds a chunk's products to the sums of the gradient of `W_ih`, otherwise as
    /// [`recurrent_sums`](Self::recurrent_sums).
    #[inline(always)]
    pub(super) unsafe fn w_ih_sums<S: Simd<T = T>>(
        &mut self,
        scratch: &mut Scratch<T>,
        steps: Range<usize>,
        rows: &mut Vec<*const T>,
        first: bool,
    ) {
        let (plan, schedule, d_input) = (self.plan, self.schedule, self.layer.d_input);
        if self.sums.w_ih.is_empty() {
            return;
        }
        let sums = self.sums.w_ih.as_mut_ptr();
        let panel = schedule.count_of(&steps);
        // SAFETY: as for `run`.
        unsafe {
            match self.sequence.input {
                Input::Indices { values, strides } => {
                    if first {
                        self.sums.w_ih.fill(T::ZERO);
                    }
                    for (q, (s, b)) in schedule.entries(steps).enumerate() {
                        let symbol = values[strides.at(b, self.sequence.step(s))] as usize;
                        add_rows::<S>(plan, [d_input, panel], sums, symbol, &scratch.d_panels, q);
                    }
                }
                Input::Dense { values, strides } => {
                    let distinct =
                        (!self.saved.repeats.is_empty()).then(|| std::mem::take(&mut scratch.repeats.distinct));
                    let in_place = !packs::<S>() && schedule.is_regular() && distinct.is_none();
                    let mut last = None;
                    for product in &plan.products.x {
                        let left = if let Some((left, mask)) = last
                            && mask == product.mask
                        {
                            left
                        } else if in_place && product.mask.is_none() {
                            let time = strides.time;
                            let first = strides.at(schedule.base(), self.sequence.step(steps.start));
                            Left {
                                start: values.as_ptr().wrapping_add(first), // steps may go back from here
                                blocks: steps.len(),
                                block: if self.sequence.reverse { time.wrapping_neg() } else { time },
                                len: schedule.rows.len(),
                                row: strides.batch,
                                tile: None,
                            }
                        } else {
                            input_rows(self.sequence, schedule, steps.clone(), rows);
                            if let Some(distinct) = &distinct {
                                keep_rows(rows, distinct);
                            }
                            let masks = Masks { rows: self.sequence.input_masks, packed: scratch.x_masks.as_ptr() };
                            let which = (schedule.start(steps.start), distinct.as_deref());
                            self.copied::<S>(rows, product, masks, d_input, which, scratch, last.is_some())
                        };
                        last = Some((left, product.mask));
                        add_product::<S>(plan, product, scratch, left, panel, d_input, sums, first);
                    }
                    scratch.repeats.distinct = distinct.unwrap_or_default();
                }
            }
        }
    }

    /// Copies of `rows` for the product `product`, masked as it asks. They are the packed rows from a first one on, or
    /// of these the distinct ones. `again` if those of the last product were the same ones and are packed already.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "rows, their mask, and where both are")]
    unsafe fn copied<S: Simd<T = T>>(
        &self,
        rows: &mut [*const T],
        product: &GateProduct,
        masks: Masks<T>,
        n: usize,
        (first, distinct): (usize, Option<&[usize]>),
        scratch: &mut Scratch<T>,
        again: bool,
    ) -> Left<T> {
        let (schedule, row) = (self.schedule, n.next_multiple_of(S::LANES));
        let mask = product.mask.map_or(std::ptr::null(), |mask| masks.rows[mask][schedule.base() * n..].as_ptr());
        let row_of = |i: usize| schedule.row_of(first + distinct.map_or(i, |distinct| distinct[i]));
        let to = scratch.copies.as_mut_ptr();
        let len = rows.len();
        // SAFETY: rows and masks of n elements; the buffers have room for all.
        unsafe {
            if packs::<S>() {
                let cut = self.cut::<S>(n, product);
                let whole_steps = schedule.is_regular() && distinct.is_none();
                let tile = match product.mask {
                    // A product that resets is alone with its rows.
                    Some(mask) if masks.rows.len() > 1 && !product.reset && whole_steps => {
                        let (packed, batch) = (scratch.packed.as_mut_ptr(), schedule.rows.len());
                        if !again {
                            pack_rows::<S>(rows, std::ptr::null(), n, packed, row_of, cut);
                        }
                        let mask = masks.packed.add(mask * cut.tiles * packed_stride::<S>(batch, cut));
                        multiply_packed::<S>(packed, mask, to, len, batch, cut)
                    }
                    _ => pack_rows::<S>(rows, mask, n, to, row_of, cut),
                };
                return Left { start: to, blocks: 1, block: 0, len, row: cut.longest(), tile: Some(tile) };
            }
            copy_rows::<S>(rows, mask, n, to, row_of);
        }
        Left { start: to, blocks: 1, block: 0, len, row, tile: None }
    }

    /// How the rows of a product's gradient, which are `n`, are cut into tiles.
    #[inline(always)]
    fn cut<S: Simd<T = T>>(&self, n: usize, product: &GateProduct) -> Cut {
        Cut::new(n, max_rows(S::REGISTERS, product.width(self.plan.products.blocks)))
    }

    /// The masks that the gates have each for themselves, packed as the rows are that they are for; empty where there
    /// are none or nothing is packed.
    #[inline(always)]
    pub(super) unsafe fn packed_masks<S: Simd<T = T>>(
        &self,
        products: &[GateProduct],
        masks: &[&[T]],
        n: usize,
    ) -> Buffer<T> {
        if !packs::<S>() || masks.len() < 2 {
            return take(0);
        }
        let (batch, cut) = (self.schedule.rows.len(), self.cut::<S>(n, &products[0]));
        let each = cut.tiles * packed_stride::<S>(batch, cut);
        let mut packed = take(masks.len() * each);
        for (mask, to) in masks.iter().zip(packed.chunks_exact_mut(each)) {
            let rows: Vec<_> = self.schedule.rows.iter().map(|b| mask[b * n..].as_ptr()).collect();
            // SAFETY: masks of n elements a row; the buffer has room for all.
            unsafe { pack_rows::<S>(&rows, std::ptr::null(), n, to.as_mut_ptr(), |row| row, cut) };
        }
        packed
    }

    /// r∘h for all rows of a chunk, whose h begin at `h`; laid out as these.
    #[inline(always)]
    unsafe fn reset_rows<S: Simd<T = T>>(
        &self,
        scratch: &mut Scratch<T>,
        steps: Range<usize>,
        h: *const T,
    ) -> *const T {
        let (blocks, width) = (self.plan.products.blocks, self.plan.width);
        let panels = self.saved.panels[self.schedule.start(steps.start) * self.plan.panel_elements()..].as_ptr();
        let count = self.schedule.count_of(&steps);
        for (q, v) in (0..count).flat_map(|q| (0..width / S::LANES).map(move |v| (q, v))) {
            let at = q * width + v * S::LANES;
            // SAFETY: r is the second slot of each panel's row; the states have whole panels.
            unsafe {
                let r =
                    S::load(panels.add((v / blocks * count + q) * self.plan.row() + (blocks + v % blocks) * S::LANES));
                let r = value::<S>(self.extras.gate, r);
                S::store(scratch.reset[at..].as_mut_ptr(), S::mul(r, S::load(h.add(at))));
            }
        }
        scratch.reset.as_ptr()
    }
}

/// The left factor of a weight's gradient: a row for each row of the chunk, in blocks of `len` rows.
#[derive(Clone, Copy)]
struct Left<T> {
    start: *const T,
    blocks: usize,
    /// From a block to the next; it may wrap around.
    block: usize,
    len: usize,
    row: usize,
    /// From what a tile of the gradient needs to what the next one does; none where that lies side by side.
    tile: Option<usize>,
}

/// The masks of a left factor, `[batch, n]` each, and what [`Backward::packed_masks`] made of them.
#[derive(Clone, Copy)]
struct Masks<'a, T> {
    rows: &'a [&'a [T]],
    packed: *const T,
}

/// Adds `leftᵀ·d_sums` of a chunk, whose panels have `panel` rows, of which the left factor has the first ones, to the
/// sums of one product of a weight's gradient.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one product: its two factors, their sizes, where it goes")]
unsafe fn add_product<S: Simd>(
    plan: &Plan,
    product: &GateProduct,
    scratch: &mut Scratch<S::T>,
    left: Left<S::T>,
    panel: usize,
    inner: usize,
    sums: *mut S::T,
    first: bool,
) {
    let (row, width) = (plan.row(), product.width(plan.products.blocks));
    let cut = Cut::new(inner, max_rows(S::REGISTERS, width));
    // Rows that lie far apart share few places of the L1 cache, and each is read for all tiles.
    let beside = packs::<S>() && row >= 2 * width * S::LANES;
    for (p, tile) in (0..plan.panels).flat_map(|p| (0..cut.tiles).map(move |tile| (p, tile))) {
        let (from, end) = (cut.start(tile), cut.start(tile + 1));
        // SAFETY: the left factor, the chunk's panels, the copies and the sums as laid out above.
        unsafe {
            let mut b = scratch.d_panels.as_ptr().add(p * panel * row + product.offset * S::LANES);
            if beside {
                let to = scratch.beside.as_mut_ptr();
                if tile == 0 {
                    copy_vectors::<S>(b, row, to, width, left.blocks * left.len);
                }
                b = to;
            }
            let c = sums.add((p * inner + from) * row + product.offset * S::LANES);
            multiply::<S>(&Tile {
                rows: end - from,
                width,
                a: left.start.wrapping_add(left.tile.map_or(from, |stride| tile * stride)),
                a_row: 1,
                a_rows: std::ptr::null(),
                a_step: left.row,
                blocks: left.blocks,
                len: left.len,
                a_block: left.block,
                b,
                b_step: if beside { width * S::LANES } else { row },
                c0: if first { scratch.zeros.as_ptr() } else { c },
                c0_step: if first { 0 } else { row },
                c,
                c_step: row,
            });
        }
    }
}

/// `width` vectors of each of `rows` rows, which are `row` elements apart, side by side.
#[inline(always)]
unsafe fn copy_vectors<S: Simd>(from: *const S::T, row: usize, to: *mut S::T, width: usize, rows: usize) {
    // SAFETY: so many rows at both.
    unsafe {
        match width {
            1 => copy_rows_of::<S, 1>(from, row, to, rows),
            2 => copy_rows_of::<S, 2>(from, row, to, rows),
            3 => copy_rows_of::<S, 3>(from, row, to, rows),
            _ => copy_rows_of::<S, WIDTH>(from, row, to, rows),
        }
    }
}

#[inline(always)]
unsafe fn copy_rows_of<S: Simd, const N: usize>(from: *const S::T, row: usize, to: *mut S::T, rows: usize) {
    for q in 0..rows {
        let (from, to) = (from.wrapping_add(q * row), to.wrapping_add(q * N * S::LANES));
        for v in 0..N {
            // SAFETY: as for the caller.
            unsafe { S::store(to.add(v * S::LANES), S::load(from.add(v * S::LANES))) };
        }
    }
}
