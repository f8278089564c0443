//! A layer over a sequence, backward: back-propagation through time (Werbos, 1990).
//!
//! Each thread goes back over its own rows of the batch, chunk by chunk of steps: the recurrence first, which leaves the
//! gradients of the sums, then, while these are in the cache, their products: the input's gradient, and the weights'
//! gradients summed over the thread's rows. The threads' sums are added at the end, in their order.

use crate::args::{Gradients, Input, Layer, OutputGradients, Sequence, Strides, check_backward, check_forward};
use crate::cell::{Kernel, PANEL, Part, with_kernel};
use crate::float::Float;
use crate::forward::{Saved, SavedPart, copy_rows, input_rows};
use crate::pack;
use crate::plan::Plan;
use crate::pool::{Buffer, take};
use crate::simd::{Op, Simd, run};
use crate::step::{BackStep, Keep, Row};
use crate::threads::{Shared, each};
use crate::tile::{Cut, MAX_ROWS, Tile, WIDTH, max_rows, multiply};
use std::marker::PhantomData;
use std::ops::Range;

/// The gradients of a layer over a sequence; `layer` and `sequence` are those that `saved` was made from.
///
/// # Panics
/// On slices whose sizes do not fit together, or a `saved` of another size.
pub fn backward<T: Float>(
    layer: &Layer<T>,
    sequence: &Sequence<T>,
    saved: &Saved<T>,
    given: OutputGradients<T>,
    wanted: Gradients<T>,
) {
    check_forward(layer, sequence);
    check_backward(layer, sequence, &given, &wanted);
    let plan = Plan::new(saved.plan.machine, layer, sequence);
    let panels = |part: &SavedPart<T>| part.panels.len();
    let expected = plan.parts.iter().map(|part| part.len() * sequence.time * plan.panel_elements());
    assert!(saved.parts.iter().map(panels).eq(expected), "saved for a layer or sequence of another size");
    T::run_backward(&plan, layer, sequence, saved, given, wanted);
}

/// The same for one element type, so that it is compiled with this crate and not with those that call it.
pub trait Entry: Sized {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "sealed")]
    fn run_backward(
        plan: &Plan,
        layer: &Layer<Self>,
        sequence: &Sequence<Self>,
        saved: &Saved<Self>,
        given: OutputGradients<Self>,
        wanted: Gradients<Self>,
    );
}

macro_rules! entry {
    ($t:ty) => {
        impl Entry for $t {
            #[expect(private_interfaces, reason = "sealed")]
            fn run_backward(
                plan: &Plan,
                layer: &Layer<$t>,
                sequence: &Sequence<$t>,
                saved: &Saved<$t>,
                given: OutputGradients<$t>,
                wanted: Gradients<$t>,
            ) {
                with_kernel!(layer.cell, start(plan, layer, sequence, saved, given, wanted));
            }
        }
    };
}

entry!(f32);
entry!(f64);

/// The sums of one thread.
struct Sums<T> {
    /// `[panel][d_input][vector][lane]`
    w_ih: Buffer<T>,
    /// `[panel][d_hidden][vector][lane]`
    w_hh: Buffer<T>,
    /// `[panel][vector][lane]`
    b: Buffer<T>,
}

fn start<T: Float, K: Kernel>(
    plan: &Plan,
    layer: &Layer<T>,
    sequence: &Sequence<T>,
    saved: &Saved<T>,
    given: OutputGradients<T>,
    wanted: Gradients<T>,
) {
    let &Layer { d_input, d_hidden, .. } = layer;
    let h_parts: Vec<_> = plan.products.h.iter().map(|&part| pack::transposed(plan, layer, layer.w_hh, part)).collect();
    let x_parts: &[Part] = if wanted.input.is_some() { &plan.products.x } else { &[] };
    let x_parts: Vec<_> = x_parts.iter().map(|&part| pack::transposed(plan, layer, layer.w_ih, part)).collect();

    let elements = |needed: bool, inner: usize| if needed { plan.panel_elements() * inner } else { 0 };
    let need_w_ih = wanted.w_ih.is_some();
    let need_w_hh = wanted.w_hh.is_some();
    let need_b = wanted.b_ih.is_some() || wanted.b_hh.is_some();
    let mut sums: Vec<Sums<T>> = (0..plan.parts.len())
        .map(|_| Sums {
            w_ih: take(elements(need_w_ih, d_input)),
            w_hh: take(elements(need_w_hh, d_hidden)),
            b: take(elements(need_b, 1)),
        })
        .collect();

    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (d_h0, d_c0) = (shared(wanted.h0), shared(wanted.c0));
    let (d_input_rows, d_input_strides) = match wanted.input {
        Some((slice, strides)) => (Shared(slice.as_mut_ptr()), strides),
        None => (Shared(std::ptr::null_mut()), Strides { batch: 0, time: 0 }),
    };
    let works = plan.parts.iter().cloned().zip(saved.parts.iter().zip(&mut sums)).collect();
    each(works, |(part, (saved, sums)): (Range<usize>, (&SavedPart<T>, &mut Sums<T>))| {
        let work = Backward::<T, K> {
            plan,
            layer,
            sequence,
            part,
            saved,
            h_parts: &h_parts,
            x_parts: &x_parts,
            given,
            d_input: d_input_rows.get(),
            d_input_strides,
            d_h0: d_h0.get(),
            d_c0: d_c0.get(),
            sums,
            kernel: PhantomData,
        };
        run(plan.machine.level, work);
    });

    let of = |sum: fn(&Sums<T>) -> &[T]| -> Vec<&[T]> { sums.iter().map(sum).collect() };
    if let Some(to) = wanted.w_ih {
        unpack(plan, layer, &plan.products.x, d_input, &of(|sums| &sums.w_ih), to);
    }
    if let Some(to) = wanted.w_hh {
        unpack(plan, layer, &plan.products.h, d_hidden, &of(|sums| &sums.w_hh), to);
    }
    if let Some(to) = wanted.b_ih {
        unpack(plan, layer, &plan.products.x, 1, &of(|sums| &sums.b), to);
    }
    if let Some(to) = wanted.b_hh {
        unpack(plan, layer, &plan.products.h, 1, &of(|sums| &sums.b), to);
    }
}

/// The sum of the threads' sums, from panels of `inner` rows to `[inner, G·d_hidden]`.
fn unpack<T: Float>(plan: &Plan, layer: &Layer<T>, parts: &[Part], inner: usize, sums: &[&[T]], to: &mut [T]) {
    let (lanes, blocks, d_hidden) = (plan.lanes, plan.products.blocks, layer.d_hidden);
    let row = layer.cell.gates() * d_hidden;
    let to = Shared(to.as_mut_ptr());
    pack::over(plan, inner, inner * row, |k| {
        // SAFETY: row k of the gradient, which no other thread has.
        let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(k * row), row) };
        for (p, part) in (0..plan.panels).flat_map(|p| parts.iter().map(move |part| (p, part))) {
            for (vector, gate, block) in part.vectors(blocks) {
                let unit = (p * blocks + block) * lanes;
                let n = d_hidden.saturating_sub(unit).min(lanes);
                if n == 0 {
                    continue;
                }
                let to = &mut to[gate * d_hidden + unit..][..n];
                let at = ((p * inner + k) * PANEL + vector) * lanes;
                to.copy_from_slice(&sums[0][at..][..n]);
                for sum in &sums[1..] {
                    to.iter_mut().zip(&sum[at..][..n]).for_each(|(to, &sum)| *to += sum);
                }
            }
        }
    });
}

/// The rows of one thread.
struct Backward<'a, T, K> {
    plan: &'a Plan,
    layer: &'a Layer<'a, T>,
    sequence: &'a Sequence<'a, T>,
    part: Range<usize>,
    saved: &'a SavedPart<T>,
    h_parts: &'a [Buffer<T>],
    x_parts: &'a [Buffer<T>],
    given: OutputGradients<'a, T>,
    d_input: *mut T,
    d_input_strides: Strides,
    d_h0: *mut T,
    d_c0: *mut T,
    sums: &'a mut Sums<T>,
    kernel: PhantomData<K>,
}

/// Memory for one thread.
struct Scratch<T> {
    d_h: Buffer<T>,
    d_c: Buffer<T>,
    d_reset: Buffer<T>,
    /// The gradients of a chunk's sums, `[panel][step][row]`.
    d_panels: Buffer<T>,
    /// One tile.
    tile: Buffer<T>,
    /// Zeros, for sums to start from and for rows that rest.
    zeros: Buffer<T>,
    /// Rows of a weight gradient's left factor that cannot be read where they lie.
    copies: Buffer<T>,
}

impl<T: Float, K: Kernel> Op<T> for Backward<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(mut self) {
        let (batch, time, plan) = (self.part.len(), self.sequence.time, self.plan);
        let chunk = plan.chunk::<T>(batch, time);
        let state = batch * plan.width;
        let inner = self.layer.d_input.max(self.layer.d_hidden);
        let masks = !self.sequence.input_masks.is_empty() || !self.sequence.recurrent_masks.is_empty();
        let resets = plan.products.h.iter().any(|part| part.reset);
        let rests = !self.saved.rows.is_empty();
        let row = inner.next_multiple_of(S::LANES);
        let mut scratch = Scratch {
            d_h: take(state),
            d_c: take(if K::HAS_C { state } else { 0 }),
            d_reset: take(if resets { state } else { 0 }),
            d_panels: take(chunk * batch * plan.panel_elements()),
            tile: take(MAX_ROWS * WIDTH * S::LANES),
            zeros: take(row.max(PANEL * S::LANES)),
            copies: take(if masks || resets || rests { chunk * batch * row } else { 0 }),
        };
        scratch.zeros.fill(T::ZERO);
        self.initial(&mut scratch.d_h, self.given.h);
        if K::HAS_C {
            self.initial(&mut scratch.d_c, self.given.c);
        }
        let mut rows = Vec::with_capacity(chunk * batch);
        // Chunks as forward cut them.
        for number in (0..time.div_ceil(chunk)).rev() {
            let steps = number * chunk..((number + 1) * chunk).min(time);
            // SAFETY: the machine has the instruction set; everything was sized by the plan and checked by the caller.
            unsafe {
                for s in steps.clone().rev() {
                    self.step::<S>(&mut scratch, s, steps.clone());
                }
                self.weight_sums::<S>(&mut scratch, steps.clone(), &mut rows, number + 1 == time.div_ceil(chunk));
                if !self.d_input.is_null() {
                    self.input_gradient::<S>(&mut scratch, steps);
                }
            }
        }
        self.last(self.d_h0, &scratch.d_h);
        self.last(self.d_c0, &scratch.d_c);
    }
}

impl<T: Float, K: Kernel> Backward<'_, T, K> {
    fn initial(&self, to: &mut [T], given: Option<&[T]>) {
        let d_hidden = self.layer.d_hidden;
        to.fill(T::ZERO);
        if let Some(given) = given {
            for (to, b) in to.chunks_exact_mut(self.plan.width).zip(self.part.clone()) {
                to[..d_hidden].copy_from_slice(&given[b * d_hidden..][..d_hidden]);
            }
        }
    }

    fn last(&self, to: *mut T, from: &[T]) {
        if to.is_null() {
            return;
        }
        let d_hidden = self.layer.d_hidden;
        for (from, b) in from.chunks_exact(self.plan.width).zip(self.part.clone()) {
            // SAFETY: the caller's `[batch, d_hidden]`, in which these rows are this thread's.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.add(b * d_hidden), d_hidden) };
        }
    }

    /// From the gradients of the state after step `s` to those of its sums and of the state before it.
    #[inline(always)]
    unsafe fn step<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, s: usize, steps: Range<usize>) {
        let (plan, batch, d_hidden) = (self.plan, self.part.len(), self.layer.d_hidden);
        let (t, b, state) = (self.sequence.step(s), self.part.start, batch * plan.width);
        let in_chunk = (s - steps.start) * batch * PANEL * S::LANES;
        let masks = self.sequence.recurrent_masks;
        let mask_of = |part: &Part| part.mask.map_or(std::ptr::null(), |m| masks[m][b * d_hidden..].as_ptr());
        let (d_output, d_output_row) = match self.given.sequence {
            Some((slice, strides)) => (slice[strides.at(b, t)..].as_ptr(), strides.batch),
            None => (std::ptr::null(), 0),
        };
        let step = BackStep {
            d_hidden,
            width: plan.width,
            panels: self.saved.panels[steps.start * batch * plan.panel_elements() + in_chunk..].as_ptr(),
            d_panels: scratch.d_panels[in_chunk..].as_mut_ptr(),
            panel: steps.len() * batch * PANEL * S::LANES,
            h: self.saved.h[s * state..].as_ptr(),
            c: if K::HAS_C { self.saved.c[s * state..].as_ptr() } else { std::ptr::null() },
            d_h: scratch.d_h.as_mut_ptr(),
            d_c: scratch.d_c.as_mut_ptr(),
            d_output,
            d_output_row,
            rows: self.saved.rows.get(s * batch).map_or(std::ptr::null(), |row| row),
            keep_h: Keep::at(self.sequence.zoneout_h, t, b, self.sequence.batch, d_hidden),
            keep_c: Keep::at(self.sequence.zoneout_c, t, b, self.sequence.batch, d_hidden),
            d_reset: scratch.d_reset.as_ptr(),
            reset_mask: plan.products.h.iter().find(|part| part.reset).map_or(std::ptr::null(), mask_of),
        };
        for p in 0..plan.panels {
            // SAFETY: as for `run`.
            unsafe { K::backward::<S>(&step, p, 0, batch) };
        }
        for (i, part) in plan.products.h.iter().enumerate().filter(|(_, part)| part.reset) {
            scratch.d_reset.fill(T::ZERO);
            // SAFETY: as for `run`.
            unsafe {
                self.recurrent_gradient::<S>(
                    scratch,
                    &step,
                    part,
                    &self.h_parts[i],
                    std::ptr::null(),
                    step.d_reset.cast_mut(),
                );
                for p in 0..plan.panels {
                    K::backward_reset::<S>(&step, p, 0, batch);
                }
            }
        }
        if s == 0 && self.d_h0.is_null() {
            return;
        }
        for (i, part) in plan.products.h.iter().enumerate().filter(|(_, part)| !part.reset) {
            // SAFETY: as for `run`.
            unsafe { self.recurrent_gradient::<S>(scratch, &step, part, &self.h_parts[i], mask_of(part), step.d_h) };
        }
    }

    /// Adds the gradient of a recurrent product's left factor, times its mask, to `to`.
    #[inline(always)]
    unsafe fn recurrent_gradient<S: Simd<T = T>>(
        &self,
        scratch: &mut Scratch<T>,
        step: &BackStep<T>,
        part: &Part,
        packed: &[T],
        mask: *const T,
        to: *mut T,
    ) {
        let d_hidden = self.layer.d_hidden;
        let vectors = d_hidden.div_ceil(S::LANES);
        let inner = self.plan.panels * part.width(K::BLOCKS) * S::LANES;
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(self.part.len(), max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, end) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the chunk's panels and of the state, packed weights as the plan has them.
                unsafe {
                    let to = to.add(from * step.width + first);
                    let whole = mask.is_null();
                    multiply::<S>(&Tile {
                        rows: end - from,
                        width,
                        a: step.d_panels.add((from * PANEL + part.offset) * S::LANES),
                        a_row: PANEL * S::LANES,
                        a_rows: std::ptr::null(),
                        a_step: 1,
                        blocks: self.plan.panels,
                        len: part.width(K::BLOCKS) * S::LANES,
                        a_block: step.panel,
                        b: packed.as_ptr().add(first * inner),
                        b_step: width * S::LANES,
                        c0: if whole { to } else { scratch.zeros.as_ptr() },
                        c0_step: if whole { step.width } else { 0 },
                        c: if whole { to } else { scratch.tile.as_mut_ptr() },
                        c_step: if whole { step.width } else { WIDTH * S::LANES },
                    });
                    if whole {
                        continue;
                    }
                    for m in 0..end - from {
                        for v in 0..width {
                            let at = v * S::LANES;
                            let sum = S::load(scratch.tile.as_ptr().add(m * WIDTH * S::LANES + at));
                            let mask = mask.add((from + m) * d_hidden + first + at);
                            let mask = S::load_up_to(mask, d_hidden - first - at);
                            let to = to.add(m * step.width + at);
                            S::store(to, S::fma(sum, mask, S::load(to)));
                        }
                    }
                }
            }
        }
    }

    /// The input's gradient for a chunk of steps.
    #[inline(always)]
    unsafe fn input_gradient<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>) {
        let (batch, d_input) = (self.part.len(), self.layer.d_input);
        let rows = steps.len() * batch;
        let vectors = d_input.div_ceil(S::LANES);
        let parts = &self.plan.products.x;
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let cut = Cut::new(rows, max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, end) = (cut.start(tile), cut.start(tile + 1));
                for (i, (part, packed)) in parts.iter().zip(self.x_parts).enumerate() {
                    let inner = self.plan.panels * part.width(K::BLOCKS) * S::LANES;
                    // SAFETY: rows of the chunk's panels and of the input's gradient, packed weights as the plan has them.
                    unsafe {
                        multiply::<S>(&Tile {
                            rows: end - from,
                            width,
                            a: scratch.d_panels.as_ptr().add((from * PANEL + part.offset) * S::LANES),
                            a_row: PANEL * S::LANES,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: self.plan.panels,
                            len: part.width(K::BLOCKS) * S::LANES,
                            a_block: rows * PANEL * S::LANES,
                            b: packed.as_ptr().add(first * inner),
                            b_step: width * S::LANES,
                            c0: scratch.zeros.as_ptr(),
                            c0_step: 0,
                            c: scratch.tile.as_mut_ptr(),
                            c_step: WIDTH * S::LANES,
                        });
                        for m in 0..end - from {
                            let (b, t) = ((from + m) % batch, self.sequence.step(steps.start + (from + m) / batch));
                            let b = self.part.start + b;
                            let to = self.d_input.add(self.d_input_strides.at(b, t) + first);
                            for v in 0..width {
                                let (at, n) = (v * S::LANES, d_input - first - v * S::LANES);
                                let mut sum = S::load(scratch.tile.as_ptr().add(m * WIDTH * S::LANES + at));
                                if let Some(mask) = part.mask {
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

    /// Adds a chunk's products to the sums of the weights' and biases' gradients; `first` starts them.
    #[inline(always)]
    unsafe fn weight_sums<S: Simd<T = T>>(
        &mut self,
        scratch: &mut Scratch<T>,
        steps: Range<usize>,
        rows: &mut Vec<*const T>,
        first: bool,
    ) {
        let (plan, batch) = (self.plan, self.part.len());
        let &Layer { d_input, d_hidden, .. } = self.layer;
        // SAFETY: as for `run`.
        unsafe {
            if !self.sums.b.is_empty() {
                self.sums.add_biases::<S>(plan.panels, steps.len() * batch, &scratch.d_panels, first);
            }
            let shape = [steps.len(), batch];
            if !self.sums.w_ih.is_empty() {
                let sums = self.sums.w_ih.as_mut_ptr();
                match self.sequence.input {
                    Input::Indices { values, strides } => {
                        if first {
                            self.sums.w_ih.fill(T::ZERO);
                        }
                        for (q, (s, b)) in
                            steps.clone().flat_map(|s| self.part.clone().map(move |b| (s, b))).enumerate()
                        {
                            let symbol = values[strides.at(b, self.sequence.step(s))] as usize;
                            let rows = [d_input, steps.len() * batch];
                            add_rows::<S>(plan.panels, rows, sums, symbol, &scratch.d_panels, q);
                        }
                    }
                    Input::Dense { values, strides } => {
                        for part in &plan.products.x {
                            let left = if part.mask.is_none() && self.saved.rows.is_empty() {
                                let time = strides.time;
                                Left {
                                    start: values[strides.at(self.part.start, self.sequence.step(steps.start))..]
                                        .as_ptr(),
                                    step: if self.sequence.reverse { time.wrapping_neg() } else { time },
                                    row: strides.batch,
                                }
                            } else {
                                input_rows(self.sequence, self.part.clone(), steps.clone(), rows);
                                self.copied::<S>(rows, part, self.sequence.input_masks, d_input, steps.start, scratch)
                            };
                            product::<S>(plan.panels, part, K::BLOCKS, scratch, left, shape, d_input, sums, first);
                        }
                    }
                }
            }
            if !self.sums.w_hh.is_empty() {
                for part in &plan.products.h {
                    let sums = self.sums.w_hh.as_mut_ptr();
                    let h = self.saved.h[steps.start * batch * plan.width..].as_ptr();
                    let left = if !part.reset && part.mask.is_none() && self.saved.rows.is_empty() {
                        Left { start: h, step: batch * plan.width, row: plan.width }
                    } else {
                        rows.clear();
                        rows.extend((0..steps.len() * batch).map(|q| h.wrapping_add(q * plan.width)));
                        if part.reset {
                            self.reset_rows::<S>(scratch, steps.clone(), rows);
                        }
                        self.copied::<S>(rows, part, self.sequence.recurrent_masks, d_hidden, steps.start, scratch)
                    };
                    product::<S>(plan.panels, part, K::BLOCKS, scratch, left, shape, d_hidden, sums, first);
                }
            }
        }
    }

    /// Copies of `rows`, masked as `part` asks; zeros for those that rest, whose inputs may be anything.
    #[inline(always)]
    unsafe fn copied<S: Simd<T = T>>(
        &self,
        rows: &mut [*const T],
        part: &Part,
        masks: &[&[T]],
        n: usize,
        first_step: usize,
        scratch: &mut Scratch<T>,
    ) -> Left<T> {
        let (batch, row) = (self.part.len(), n.next_multiple_of(S::LANES));
        let mask = part.mask.map_or(std::ptr::null(), |mask| masks[mask][self.part.start * n..].as_ptr());
        if let Some(kinds) = self.saved.rows.get(first_step * batch..) {
            for (row, _) in rows.iter_mut().zip(kinds).filter(|(_, kind)| **kind != Row::Counts) {
                *row = scratch.zeros.as_ptr();
            }
        }
        // SAFETY: rows and masks of n elements; the buffer has room for all.
        unsafe { copy_rows::<S>(rows, mask, n, &mut scratch.copies, batch) };
        Left { start: scratch.copies.as_ptr(), step: batch * row, row }
    }

    /// r∘h for all rows of a chunk.
    #[inline(always)]
    unsafe fn reset_rows<S: Simd<T = T>>(&self, scratch: &mut Scratch<T>, steps: Range<usize>, rows: &mut [*const T]) {
        let width = self.layer.d_hidden.next_multiple_of(S::LANES);
        let batch = self.part.len();
        let panels = self.saved.panels[steps.start * batch * self.plan.panel_elements()..].as_ptr();
        let count = rows.len();
        for (q, row) in rows.iter_mut().enumerate() {
            let to = scratch.copies[q * width..][..width].as_mut_ptr();
            for p in 0..width / S::LANES {
                // SAFETY: r is the second vector of each panel's row; the states have whole vectors.
                unsafe {
                    let r = S::load(panels.add(((p * count + q) * PANEL + 1) * S::LANES));
                    S::store(to.add(p * S::LANES), S::mul(r, S::load(row.add(p * S::LANES))));
                }
            }
            *row = to;
        }
    }
}

impl<T: Float> Sums<T> {
    /// Adds the rows of each panel.
    #[inline(always)]
    unsafe fn add_biases<S: Simd<T = T>>(&mut self, panels: usize, rows: usize, d_panels: &[T], first: bool) {
        for p in 0..panels {
            let to = self.b[p * PANEL * S::LANES..][..PANEL * S::LANES].as_mut_ptr();
            let from = d_panels[p * rows * PANEL * S::LANES..][..rows * PANEL * S::LANES].as_ptr();
            // SAFETY: the slices above have so many rows of vectors.
            unsafe {
                let mut sums = [S::zero(); PANEL];
                for v in 0..PANEL {
                    if !first {
                        sums[v] = S::load(to.add(v * S::LANES));
                    }
                }
                for q in 0..rows {
                    for v in 0..PANEL {
                        sums[v] = S::add(sums[v], S::load(from.add((q * PANEL + v) * S::LANES)));
                    }
                }
                for v in 0..PANEL {
                    S::store(to.add(v * S::LANES), sums[v]);
                }
            }
        }
    }
}

/// Adds row `q` of each panel to row `symbol` of each panel of the sums.
#[inline(always)]
unsafe fn add_rows<S: Simd>(
    panels: usize,
    [symbols, rows]: [usize; 2],
    sums: *mut S::T,
    symbol: usize,
    d_panels: &[S::T],
    q: usize,
) {
    for p in 0..panels {
        for v in 0..PANEL {
            // SAFETY: rows of the sums and of the chunk's panels.
            unsafe {
                let to = sums.add(((p * symbols + symbol) * PANEL + v) * S::LANES);
                let from = d_panels.as_ptr().add(((p * rows + q) * PANEL + v) * S::LANES);
                S::store(to, S::add(S::load(to), S::load(from)));
            }
        }
    }
}

/// The left factor of a weight's gradient: a row for each row of the chunk.
struct Left<T> {
    start: *const T,
    /// From a step's first row to the next step's; it may wrap around.
    step: usize,
    row: usize,
}

/// Adds `leftᵀ·d_sums` of a chunk of `steps` steps of `batch` rows to the sums of one part of a weight's gradient.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one product: its two factors, their sizes, where it goes")]
unsafe fn product<S: Simd>(
    panels: usize,
    part: &Part,
    blocks: usize,
    scratch: &Scratch<S::T>,
    left: Left<S::T>,
    [steps, batch]: [usize; 2],
    inner: usize,
    sums: *mut S::T,
    first: bool,
) {
    let (rows, width) = (steps * batch, part.width(blocks));
    let cut = Cut::new(inner, max_rows(S::REGISTERS, width));
    let row = PANEL * S::LANES;
    for p in 0..panels {
        for tile in 0..cut.tiles {
            let (from, end) = (cut.start(tile), cut.start(tile + 1));
            // SAFETY: the left factor, the chunk's panels and the sums as laid out above.
            unsafe {
                let c = sums.add((p * inner + from) * row + part.offset * S::LANES);
                multiply::<S>(&Tile {
                    rows: end - from,
                    width,
                    a: left.start.add(from),
                    a_row: 1,
                    a_rows: std::ptr::null(),
                    a_step: left.row,
                    blocks: steps,
                    len: batch,
                    a_block: left.step,
                    b: scratch.d_panels.as_ptr().add(p * rows * row + part.offset * S::LANES),
                    b_step: row,
                    c0: if first { scratch.zeros.as_ptr() } else { c },
                    c0_step: if first { 0 } else { row },
                    c,
                    c_step: row,
                });
            }
        }
    }
}
