//! One step back: the cell's derivatives, then the products with the transposed recurrent weights.

use super::{Backward, Scratch};
use crate::cell::{Kernel, unshow, with_kernel};
use crate::float::Float;
use crate::sequence::norm::STATS;
use crate::sequence::products::GateProduct;
use crate::sequence::step::{BackStep, Keep, Shape};
use crate::simd::{Op, Simd};
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply_as};
use std::marker::PhantomData;
use std::ops::Range;

impl<T: Float> Backward<'_, T> {
    /// From the gradients of the state after step `s` to those of its sums and of the state before it.
    #[inline(always)]
    pub(super) unsafe fn step<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, s: usize, steps: Range<usize>) {
        let (plan, schedule, d_hidden) = (self.plan, self.schedule, self.layer.d_hidden);
        let (t, b, batch) = (self.sequence.step(s), schedule.base(), schedule.count(s));
        let (first, start) = (schedule.start(steps.start), schedule.start(s));
        let in_chunk = (start - first) * plan.row();
        let masks = self.sequence.recurrent_masks;
        let mask_of =
            |product: &GateProduct| product.mask.map_or(std::ptr::null(), |m| masks[m][b * plan.h_features..].as_ptr());
        let (d_output, d_output_row, d_output_time) = match self.d_output.sequence {
            Some((slice, strides)) => (slice[strides.at(b, t)..].as_ptr(), strides.batch, strides.time),
            None => (std::ptr::null(), 0, 0),
        };
        scratch.d_reset.fill(T::ZERO);
        let saved = first * plan.panel_elements() + in_chunk;
        let step = BackStep {
            extras: self.extras,
            d_vectors: scratch.d_vectors,
            shape: Shape::new(plan),
            d_hidden,
            width: plan.width,
            h_features: plan.h_features,
            h_width: plan.h_width,
            panels: self.saved.panels[saved..].as_ptr(),
            d_panels: scratch.d_panels.as_mut_ptr().wrapping_add(in_chunk),
            panel: schedule.count_of(&steps) * plan.row(),
            panels_step: (start - schedule.start(s.saturating_sub(1))) * plan.row(),
            h: self.saved.h[start * plan.h_width..].as_ptr(),
            c: if self.layer.cell.has_cell_state() {
                self.saved.c[start * plan.width..].as_ptr()
            } else {
                std::ptr::null()
            },
            d_h: scratch.d_h.as_mut_ptr(),
            d_c: scratch.d_c.as_mut_ptr(),
            d_output,
            d_output_row,
            d_output_next: if self.sequence.reverse { d_output_time } else { d_output_time.wrapping_neg() },
            rows: schedule.at(s),
            keep_h: Keep::at(self.sequence.zoneout_h, t, b, self.sequence.batch, plan.h_features),
            keep_c: Keep::at(self.sequence.zoneout_c, t, b, self.sequence.batch, d_hidden),
            d_reset: scratch.d_reset.as_mut_ptr(),
            d_products: if self.norm().is_some() { scratch.d_hats.as_mut_ptr() } else { scratch.d_panels.as_mut_ptr() }
                .wrapping_add(in_chunk),
            hats: self.saved.hats.each_ref().map(|hats| hats.as_ptr().wrapping_add(saved)),
            stats: self.saved.stats.as_ptr().wrapping_add(start * STATS),
            shown: scratch.shown.as_mut_ptr(),
            d_m: scratch.d_m.as_ptr(),
            m: scratch.m.as_mut_ptr().wrapping_add((start - first) * plan.width),
            reset_mask: plan.products.h.iter().find(|product| product.reset).map_or(std::ptr::null(), mask_of),
        };
        if self.extras.projects {
            // SAFETY: as for `run`.
            unsafe { self.unproject::<S>(scratch, &step, batch, start - first) };
        }
        if self.norm().is_some() && self.layer.cell.has_cell_state() {
            for row in 0..batch {
                // SAFETY: as for `run`.
                unsafe { unshow::<S>(&step, row) };
            }
        }
        // SAFETY: as for `run`.
        unsafe {
            cell_backward::<S>(&step, plan.panels, batch, false);
            self.clear_rest::<S>(&step, batch);
        }
        for (i, product) in plan.products.h.iter().enumerate().filter(|(_, product)| product.reset) {
            // SAFETY: as for `run`.
            unsafe {
                self.normalized_h::<S>(scratch, &step, batch, true);
                let (packed, none) = (&self.w_hh[i], std::ptr::null());
                self.recurrent_gradient::<S>(scratch, &step, batch, product, packed, none);
                cell_backward::<S>(&step, plan.panels, batch, true);
                self.clear_rest::<S>(&step, batch);
            }
        }
        // SAFETY: as for `run`.
        unsafe {
            self.normalized_h::<S>(scratch, &step, batch, false);
            self.normalized_x::<S>(scratch, &step, batch);
        }
        if s == 0 && self.d_h0.is_null() {
            return;
        }
        for (i, product) in plan.products.h.iter().enumerate().filter(|(_, product)| !product.reset) {
            // SAFETY: as for `run`.
            unsafe {
                let (packed, mask) = (&self.w_hh[i], mask_of(product));
                self.recurrent_gradient::<S>(scratch, &step, batch, product, packed, mask);
            }
        }
    }

    /// Zeros in the lanes that fill up the last vector of units. Their weights are zero, but NaN comes of these with an
    /// infinite value, and the products that follow add up over all lanes.
    #[inline(always)]
    unsafe fn clear_rest<S: Simd<T = T>>(&self, step: &BackStep<T>, batch: usize) {
        let (blocks, d_hidden) = (self.plan.products.blocks, self.layer.d_hidden);
        let n = d_hidden % S::LANES;
        if n == 0 {
            return;
        }
        // The vector is in the last panel.
        let first = (self.plan.panels - 1) * step.panel + d_hidden / S::LANES % blocks * S::LANES;
        for row in (0..batch).map(|row| first + row * self.plan.row()) {
            for vector in (0..self.plan.products.vectors).step_by(blocks) {
                // SAFETY: each slot's vector in a row of the last panel.
                unsafe {
                    let at = step.d_panels.add(row + vector * S::LANES);
                    S::store(at, S::load_first(at, n));
                }
            }
        }
    }

    /// Adds the gradient of a recurrent product's left factor, times its mask, to that of h, or of r∘h if the product
    /// resets, for the step's `batch` rows.
    #[inline(always)]
    unsafe fn recurrent_gradient<S: Simd<T = T>>(
        &self,
        scratch: &mut Scratch<T>,
        step: &BackStep<T>,
        batch: usize,
        product: &GateProduct,
        packed: &[T],
        mask: *const T,
    ) {
        let to = if product.reset { step.d_reset } else { step.d_h };
        let h_features = self.plan.h_features;
        let (blocks, row) = (self.plan.products.blocks, self.plan.row());
        let vectors = h_features.div_ceil(S::LANES);
        let inner = self.plan.panels * product.width(blocks) * S::LANES;
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(batch, max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, end) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the chunk's panels and of the state, packed weights as the plan has them.
                unsafe {
                    let to = to.add(from * step.h_width + first);
                    let whole = mask.is_null();
                    let tile = scratch.tile.as_mut_ptr();
                    let product = Tile {
                        rows: end - from,
                        width,
                        a: step.d_products.cast_const().add(from * row + product.offset * S::LANES),
                        a_row: row,
                        a_rows: std::ptr::null(),
                        a_step: 1,
                        blocks: self.plan.panels,
                        len: product.width(blocks) * S::LANES,
                        a_block: step.panel,
                        b: packed.as_ptr().add(first * inner),
                        b_step: width * S::LANES,
                        c0: if whole { to } else { scratch.zeros.as_ptr() },
                        c0_step: if whole { step.h_width } else { 0 },
                        c: if whole { to } else { tile },
                        c_step: if whole { step.h_width } else { WIDTH * S::LANES },
                    };
                    multiply_as::<S>(&product, self.plan.in_order);
                    if whole {
                        continue;
                    }
                    for m in 0..end - from {
                        let mask = mask.add(step.batch_row(from + m) * h_features + first);
                        match width {
                            WIDTH if first + WIDTH * S::LANES <= h_features => {
                                for at in (0..WIDTH).map(|v| v * S::LANES) {
                                    let sum = S::load(tile.add(m * WIDTH * S::LANES + at));
                                    let to = to.add(m * step.h_width + at);
                                    S::store(to, S::fma(sum, S::load(mask.add(at)), S::load(to)));
                                }
                            }
                            _ => {
                                for at in (0..width).map(|v| v * S::LANES) {
                                    let sum = S::load(tile.add(m * WIDTH * S::LANES + at));
                                    let mask = S::load_up_to(mask.add(at), h_features - first - at);
                                    let to = to.add(m * step.h_width + at);
                                    S::store(to, S::fma(sum, mask, S::load(to)));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The cell's derivatives at a step, for all `panels`. With `reset` the second half of a GRU that resets before its product: from
/// the gradient of r∘h to those of r and h.
#[inline(always)]
unsafe fn cell_backward<S: Simd>(step: &BackStep<S::T>, panels: usize, batch: usize, reset: bool) {
    #[inline(always)]
    unsafe fn call<S: Simd, K: Kernel>(step: &BackStep<S::T>, panels: usize, batch: usize, reset: bool) {
        // SAFETY: as for the caller.
        unsafe { S::call(CellBackward { step, panels, batch, reset, kernel: PhantomData::<K> }) }
    }
    // SAFETY: as for `run`.
    unsafe { with_kernel!(step.extras, call::<S>(step, panels, batch, reset)) }
}

/// One cell's derivatives, in a function of their own: the driver around them stands once for all cells.
struct CellBackward<'a, T, K> {
    step: &'a BackStep<'a, T>,
    panels: usize,
    batch: usize,
    reset: bool,
    kernel: PhantomData<K>,
}

impl<T: Float, K: Kernel> Op<T> for CellBackward<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let CellBackward { step, panels, batch, reset, .. } = self;
        for p in 0..panels {
            // SAFETY: as for the caller.
            unsafe {
                match reset {
                    true => K::backward_reset::<S>(step, p, 0, batch),
                    false => K::backward::<S>(step, p, 0, batch),
                }
            }
        }
    }
}
