//! The gradients of weights and biases: products over all steps, a chunk at a time.

use super::packed::{multiply_packed, pack_rows, packed_stride, packs};
use super::sums::add_rows;
use super::{Backward, Scratch};
use crate::args::Input;
use crate::cell::{Kernel, value};
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::sequence::rows::{copy_rows, input_rows, keep_rows};
use crate::simd::Simd;
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply};
use std::ops::Range;

impl<T: Float, K: Kernel> Backward<'_, T, K> {
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
        let (plan, batch, d_hidden) = (self.plan, self.part.len(), self.layer.d_hidden);
        // With normalisation they have been added step by step.
        if !self.sums.b.is_empty() && self.norm().is_none() {
            // SAFETY: as for `run`.
            unsafe { self.sums.add_biases::<S>(plan, steps.len() * batch, &scratch.d_panels, first) };
        }
        if self.sums.w_hh.is_empty() {
            return;
        }
        let in_place = !packs::<S>() && self.saved.kinds.is_empty();
        let sums = self.sums.w_hh.as_mut_ptr();
        let mut last = None;
        for product in &plan.products.h {
            // SAFETY: as for `run`.
            unsafe {
                let h = self.saved.h[steps.start * batch * plan.width..].as_ptr();
                let h = if product.reset { self.reset_rows::<S>(scratch, steps.clone(), h) } else { h };
                let left = if let Some((left, mask)) = last
                    && mask == product.mask
                    && !product.reset
                {
                    left
                } else if in_place && product.mask.is_none() {
                    Left { start: h, step: batch * plan.width, row: plan.width, tile: None }
                } else {
                    rows.clear();
                    rows.extend((0..steps.len() * batch).map(|q| h.wrapping_add(q * plan.width)));
                    let masks = Masks { rows: self.sequence.recurrent_masks, packed: scratch.h_masks.as_ptr() };
                    let again = last.is_some() && !product.reset;
                    self.copied::<S>(rows, product, masks, d_hidden, (steps.start, None), scratch, again)
                };
                if !product.reset {
                    last = Some((left, product.mask));
                }
                let (shape, panel) = ([steps.len(), batch], steps.len() * batch);
                add_product::<S>(plan, product, scratch, left, shape, panel, d_hidden, sums, first);
            }
        }
    }

    /// Where tokens are repeated, adds up the gradients of their sums. What is left of the chunk are its distinct rows,
    /// at the start of each panel: that is what [`w_ih_sums`](Self::w_ih_sums) and the input's gradient take.
    #[inline(always)]
    pub(super) unsafe fn gather_repeats<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>) {
        let (repeats, batch, row) = (&self.saved.repeats, self.part.len(), self.plan.row());
        let panel = steps.len() * batch * row;
        scratch.repeats.set(repeats, steps, batch);
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
        let (plan, batch, d_input) = (self.plan, self.part.len(), self.layer.d_input);
        if self.sums.w_ih.is_empty() {
            return;
        }
        let sums = self.sums.w_ih.as_mut_ptr();
        let panel = steps.len() * batch;
        // SAFETY: as for `run`.
        unsafe {
            match self.sequence.input {
                Input::Indices { values, strides } => {
                    if first {
                        self.sums.w_ih.fill(T::ZERO);
                    }
                    for (q, (s, b)) in steps.clone().flat_map(|s| self.part.clone().map(move |b| (s, b))).enumerate() {
                        let symbol = values[strides.at(b, self.sequence.step(s))] as usize;
                        add_rows::<S>(plan, [d_input, panel], sums, symbol, &scratch.d_panels, q);
                    }
                }
                Input::Dense { values, strides } => {
                    let distinct =
                        (!self.saved.repeats.is_empty()).then(|| std::mem::take(&mut scratch.repeats.distinct));
                    let shape = distinct.as_ref().map_or([steps.len(), batch], |distinct| [1, distinct.len()]);
                    let in_place = !packs::<S>() && self.saved.kinds.is_empty() && distinct.is_none();
                    let mut last = None;
                    for product in &plan.products.x {
                        let left = if let Some((left, mask)) = last
                            && mask == product.mask
                        {
                            left
                        } else if in_place && product.mask.is_none() {
                            let time = strides.time;
                            let first = strides.at(self.part.start, self.sequence.step(steps.start));
                            Left {
                                start: values.as_ptr().wrapping_add(first), // steps may go back from here
                                step: if self.sequence.reverse { time.wrapping_neg() } else { time },
                                row: strides.batch,
                                tile: None,
                            }
                        } else {
                            input_rows(self.sequence, self.part.clone(), steps.clone(), rows);
                            if let Some(distinct) = &distinct {
                                keep_rows(rows, distinct);
                            }
                            let masks = Masks { rows: self.sequence.input_masks, packed: scratch.x_masks.as_ptr() };
                            let which = (steps.start, distinct.as_deref());
                            self.copied::<S>(rows, product, masks, d_input, which, scratch, last.is_some())
                        };
                        last = Some((left, product.mask));
                        add_product::<S>(plan, product, scratch, left, shape, panel, d_input, sums, first);
                    }
                    scratch.repeats.distinct = distinct.unwrap_or_default();
                }
            }
        }
    }

    /// Copies of `rows` for the product `product`, masked as it asks; zeros for those that rest, whose inputs may be
    /// anything. They are those of the steps from a first one on, or of these the distinct ones. `again` if those of
    /// the last product were the same ones and are packed already.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "rows, their mask, and where both are")]
    unsafe fn copied<S: Simd<T = T>>(
        &self,
        rows: &mut [*const T],
        product: &GateProduct,
        masks: Masks<T>,
        n: usize,
        (first_step, distinct): (usize, Option<&[usize]>),
        scratch: &mut Scratch<T>,
        again: bool,
    ) -> Left<T> {
        let (batch, row) = (self.part.len(), n.next_multiple_of(S::LANES));
        let mask = product.mask.map_or(std::ptr::null(), |mask| masks.rows[mask][self.part.start * n..].as_ptr());
        let at = |i: usize| distinct.map_or(i, |distinct| distinct[i]);
        let rests = |i: usize| self.rests(first_step * batch + at(i));
        // The zeros of a row that rests take no mask, which may be infinite.
        let row_of = |i: usize| (!rests(i)).then(|| at(i) % batch);
        let some_rest = !self.saved.kinds.is_empty();
        if some_rest {
            rows.iter_mut().enumerate().filter(|(i, _)| rests(*i)).for_each(|(_, row)| *row = scratch.zeros.as_ptr());
        }
        let to = scratch.copies.as_mut_ptr();
        // SAFETY: rows and masks of n elements; the buffers have room for all.
        unsafe {
            if packs::<S>() {
                let cut = self.cut::<S>(n, product);
                let tile = match product.mask {
                    // A product that resets is alone with its rows.
                    Some(mask) if masks.rows.len() > 1 && !product.reset && distinct.is_none() => {
                        let packed = scratch.packed.as_mut_ptr();
                        if !again {
                            pack_rows::<S>(rows, std::ptr::null(), n, packed, row_of, cut);
                        }
                        let mask = masks.packed.add(mask * cut.tiles * packed_stride::<S>(batch, cut));
                        let stride = multiply_packed::<S>(packed, mask, to, rows.len(), batch, cut);
                        for i in (0..if some_rest { rows.len() } else { 0 }).filter(|i| rests(*i)) {
                            for tile in 0..cut.tiles {
                                to.add(tile * stride + i * cut.longest()).write_bytes(0, cut.longest());
                            }
                        }
                        stride
                    }
                    _ => pack_rows::<S>(rows, mask, n, to, row_of, cut),
                };
                return Left { start: to, step: batch * cut.longest(), row: cut.longest(), tile: Some(tile) };
            }
            copy_rows::<S>(rows, mask, n, to, row_of);
        }
        Left { start: to, step: batch * row, row, tile: None }
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
        let (batch, cut) = (self.part.len(), self.cut::<S>(n, &products[0]));
        let each = cut.tiles * packed_stride::<S>(batch, cut);
        let mut packed = take(masks.len() * each);
        for (mask, to) in masks.iter().zip(packed.chunks_exact_mut(each)) {
            let rows: Vec<_> = self.part.clone().map(|b| mask[b * n..].as_ptr()).collect();
            // SAFETY: masks of n elements a row; the buffer has room for all.
            unsafe { pack_rows::<S>(&rows, std::ptr::null(), n, to.as_mut_ptr(), Some, cut) };
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
        let (batch, blocks, width) = (self.part.len(), self.plan.products.blocks, self.plan.width);
        let panels = self.saved.panels[steps.start * batch * self.plan.panel_elements()..].as_ptr();
        let count = steps.len() * batch;
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

/// The left factor of a weight's gradient: a row for each row of the chunk.
#[derive(Clone, Copy)]
struct Left<T> {
    start: *const T,
    /// From a step's first row to the next step's; it may wrap around.
    step: usize,
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

/// Adds `leftᵀ·d_sums` of `steps` steps of `batch` rows of a chunk, whose panels have `panel` rows, to the sums of one
/// product of a weight's gradient.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one product: its two factors, their sizes, where it goes")]
unsafe fn add_product<S: Simd>(
    plan: &Plan,
    product: &GateProduct,
    scratch: &mut Scratch<S::T>,
    left: Left<S::T>,
    [steps, batch]: [usize; 2],
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
                    copy_vectors::<S>(b, row, to, width, steps * batch);
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
                blocks: steps,
                len: batch,
                a_block: left.step,
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
