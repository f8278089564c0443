//! A layer over a sequence, forward.

use crate::args::{Input, Layer, Output, Sequence, check_forward, check_output};
use crate::cell::{Kernel, PANEL, Part, with_kernel};
use crate::float::Float;
use crate::pack;
use crate::plan::{Plan, rows};
use crate::pool::{Buffer, take};
use crate::simd::{Op, Simd, run};
use crate::step::{Keep, MaskedCopy, Row, Step};
use crate::threads::{Machine, Shared, each};
use crate::tile::{Cut, Tile, max_rows, multiply};
use std::marker::PhantomData;
use std::ops::Range;

/// What backward needs of forward, in the order in which it is read. Its memory goes back to the pool when it is dropped.
pub struct Saved<T> {
    pub(crate) plan: Plan,
    pub(crate) parts: Vec<SavedPart<T>>,
}

/// The same for the rows of one thread.
pub(crate) struct SavedPart<T> {
    /// Chunk by chunk, `[panel][step][row]`.
    pub(crate) panels: Buffer<T>,
    /// Before each step, and after the last.
    pub(crate) h: Buffer<T>,
    pub(crate) c: Buffer<T>,
    pub(crate) rows: Vec<Row>,
}

impl<T: Float> Saved<T> {
    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        let elements = self.parts.iter().map(|part| part.panels.len() + part.h.len() + part.c.len());
        elements.sum::<usize>() * size_of::<T>()
    }
}

impl<T> std::fmt::Debug for Saved<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// Runs `layer` over `sequence` and keeps nothing for backward.
///
/// # Panics
/// On slices whose sizes do not fit, symbols and lengths that are too large, and a level that the machine does not have.
pub fn forward<T: Float>(machine: Machine, layer: &Layer<T>, sequence: &Sequence<T>, output: Output<T>) {
    check_forward(layer, sequence);
    check_output(layer, sequence, &output);
    T::run_forward(machine, layer, sequence, output, false);
}

/// Runs `layer` over `sequence` and saves what [`backward`](crate::backward) needs.
///
/// # Panics
/// Where [`forward`] does.
pub fn forward_saving<T: Float>(
    machine: Machine,
    layer: &Layer<T>,
    sequence: &Sequence<T>,
    output: Output<T>,
) -> Saved<T> {
    check_forward(layer, sequence);
    check_output(layer, sequence, &output);
    let (plan, parts) = T::run_forward(machine, layer, sequence, output, true);
    Saved { plan, parts }
}

/// The same for one element type, so that it is compiled with this crate and not with those that call it.
pub trait Entry: Sized {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "sealed")]
    fn run_forward(
        machine: Machine,
        layer: &Layer<Self>,
        sequence: &Sequence<Self>,
        output: Output<Self>,
        save: bool,
    ) -> (Plan, Vec<SavedPart<Self>>);
}

macro_rules! entry {
    ($t:ty) => {
        impl Entry for $t {
            #[expect(private_interfaces, reason = "sealed")]
            fn run_forward(
                machine: Machine,
                layer: &Layer<$t>,
                sequence: &Sequence<$t>,
                output: Output<$t>,
                save: bool,
            ) -> (Plan, Vec<SavedPart<$t>>) {
                with_kernel!(layer.cell, start(machine, layer, sequence, output, save))
            }
        }
    };
}

entry!(f32);
entry!(f64);

fn start<T: Float, K: Kernel>(
    machine: Machine,
    layer: &Layer<T>,
    sequence: &Sequence<T>,
    output: Output<T>,
    save: bool,
) -> (Plan, Vec<SavedPart<T>>) {
    let plan = Plan::new(machine, layer, sequence);
    let dense = matches!(sequence.input, Input::Dense { .. });
    let x_parts: &[Part] = if dense { &plan.products.x } else { &[] };
    let w_ih: Vec<_> = x_parts.iter().map(|&part| pack::columns(&plan, layer, layer.w_ih, part)).collect();
    let w_hh: Vec<_> = plan.products.h.iter().map(|&part| pack::columns(&plan, layer, layer.w_hh, part)).collect();
    let bias = pack::biases(&plan, layer);
    let mut saved: Vec<SavedPart<T>> = (plan.parts.iter().cloned())
        .map(|part| {
            let (rows_count, time) = (part.len(), sequence.time);
            let (steps, states) = if save { (time, time + 1) } else { (plan.chunk::<T>(part.len(), time), 2) };
            let state = states * rows_count * plan.width;
            SavedPart {
                panels: take(steps * rows_count * plan.panel_elements()),
                h: take(state),
                c: take(if K::HAS_C { state } else { 0 }),
                rows: rows(sequence, part),
            }
        })
        .collect();
    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (sequence_out, strides) = (Shared(output.sequence.as_mut_ptr()), output.strides);
    let (h_out, c_out) = (shared(output.h), shared(output.c));
    let works = plan.parts.iter().cloned().zip(&mut saved).collect();
    each(works, |(part, saved): (Range<usize>, &mut SavedPart<T>)| {
        let work = Forward::<T, K> {
            plan: &plan,
            layer,
            sequence,
            part,
            w_ih: &w_ih,
            w_hh: &w_hh,
            bias: &bias,
            save,
            panels: saved.panels.as_mut_ptr(),
            h: saved.h.as_mut_ptr(),
            c: saved.c.as_mut_ptr(),
            rows: &saved.rows,
            output: sequence_out.get(),
            output_strides: (strides.batch, strides.time),
            h_out: h_out.get(),
            c_out: c_out.get(),
            kernel: PhantomData,
        };
        run(plan.machine.level, work);
    });
    (plan, saved)
}

/// The rows of one thread.
struct Forward<'a, T, K> {
    plan: &'a Plan,
    layer: &'a Layer<'a, T>,
    sequence: &'a Sequence<'a, T>,
    part: Range<usize>,
    w_ih: &'a [Buffer<T>],
    w_hh: &'a [Buffer<T>],
    bias: &'a [T],
    save: bool,
    panels: *mut T,
    h: *mut T,
    c: *mut T,
    rows: &'a [Row],
    output: *mut T,
    output_strides: (usize, usize),
    h_out: *mut T,
    c_out: *mut T,
    kernel: PhantomData<K>,
}

/// The rows of a chunk: where each one's left factor lies.
pub(crate) fn input_rows<T: Float>(
    sequence: &Sequence<T>,
    part: Range<usize>,
    steps: Range<usize>,
    to: &mut Vec<*const T>,
) {
    to.clear();
    if let Input::Dense { values, strides } = sequence.input {
        for s in steps {
            let t = sequence.step(s);
            to.extend(part.clone().map(|b| values[strides.at(b, t)..].as_ptr()));
        }
    }
}

/// Copies of rows of `n` elements side by side, filled up to whole vectors, times the mask of their row of the batch
/// unless that is null; `rows` is replaced by where the copies lie.
///
/// # Safety
/// The rows and the mask, `[batch, n]`, must be there. A row may lie where its copy goes.
#[inline(always)]
pub(crate) unsafe fn copy_rows<S: Simd>(
    rows: &mut [*const S::T],
    mask: *const S::T,
    n: usize,
    to: &mut [S::T],
    batch: usize,
) {
    let width = n.next_multiple_of(S::LANES);
    for (q, row) in rows.iter_mut().enumerate() {
        let to = to[q * width..][..width].as_mut_ptr();
        let mask = mask.wrapping_add(if mask.is_null() { 0 } else { q % batch * n });
        let mut i = 0;
        while i < n {
            // SAFETY: the row, its mask and the buffer have n elements, the last one up to a whole vector.
            unsafe {
                let mut x = S::load_up_to(row.add(i), n - i);
                if !mask.is_null() {
                    x = S::mul(x, S::load_up_to(mask.add(i), n - i));
                }
                S::store(to.add(i), x);
            }
            i += S::LANES;
        }
        *row = to;
    }
}

impl<T: Float, K: Kernel> Op<T> for Forward<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let (batch, time) = (self.part.len(), self.sequence.time);
        let (plan, d_hidden) = (self.plan, self.layer.d_hidden);
        let state = batch * plan.width;
        let chunk = plan.chunk::<T>(batch, time);
        let mut x_rows = Vec::with_capacity(chunk * batch);
        let x_width = self.layer.d_input.next_multiple_of(S::LANES);
        let masked_x = if self.sequence.input_masks.is_empty() { 0 } else { chunk * batch * x_width };
        let mut masked_x = take::<T>(masked_x);

        // Each masked copy of h twice: one is read while the next is written.
        let masks: Vec<usize> =
            plan.products.h.iter().filter(|part| !part.reset).filter_map(|part| part.mask).collect();
        let mut masked_h = take::<T>(2 * masks.len() * state);
        let mut reset = take::<T>(if plan.products.h.iter().any(|part| part.reset) { state } else { 0 });
        let (masked_h, reset) = (masked_h.as_mut_ptr(), reset.as_mut_ptr());
        let first_row = self.part.start * d_hidden;
        let mask_of = |mask: usize| self.sequence.recurrent_masks[mask][first_row..].as_ptr();
        // SAFETY: copy `i` of the buffer above, at step s.
        let copy_of = |i: usize, s: usize| unsafe { masked_h.add((2 * i + s % 2) * state) };

        // SAFETY: the machine has the instruction set; everything was sized by the plan and checked by the caller.
        unsafe {
            self.initial::<S>(self.h, self.sequence.h0);
            if K::HAS_C {
                self.initial::<S>(self.c, self.sequence.c0);
            }
            for (i, &mask) in masks.iter().enumerate() {
                for row in 0..batch {
                    let (mask, copy) = (mask_of(mask).add(row * d_hidden), copy_of(i, 0).add(row * plan.width));
                    for u in 0..d_hidden {
                        *copy.add(u) = *self.h.add(row * plan.width + u) * *mask.add(u);
                    }
                }
            }
            let mut from = 0;
            while from < time {
                let to = (from + chunk).min(time);
                let panels =
                    if self.save { self.panels.add(from * batch * plan.panel_elements()) } else { self.panels };
                self.input_sums::<S>(panels, from..to, &mut x_rows, &mut masked_x);
                for s in from..to {
                    let t = self.sequence.step(s);
                    let at = |s: usize| if self.save { s * state } else { s % 2 * state };
                    let mut step = Step {
                        d_hidden,
                        width: plan.width,
                        panels: panels.add((s - from) * batch * PANEL * S::LANES),
                        panel: (to - from) * batch * PANEL * S::LANES,
                        h: self.h.add(at(s)),
                        h_new: self.h.add(at(s + 1)),
                        c: self.c.wrapping_add(at(s)),
                        c_new: self.c.wrapping_add(at(s + 1)),
                        output: self.output.add(self.part.start * self.output_strides.0 + t * self.output_strides.1),
                        output_row: self.output_strides.0,
                        rows: self.rows.get(s * batch).map_or(std::ptr::null(), |row| row),
                        keep_h: Keep::at(self.sequence.zoneout_h, t, self.part.start, self.sequence.batch, d_hidden),
                        keep_c: Keep::at(self.sequence.zoneout_c, t, self.part.start, self.sequence.batch, d_hidden),
                        masked: [MaskedCopy { mask: std::ptr::null(), h: std::ptr::null_mut() }; 4],
                        masks: masks.len(),
                        reset,
                        reset_mask: std::ptr::null(),
                    };
                    for (i, &mask) in masks.iter().enumerate() {
                        step.masked[i] = MaskedCopy { mask: mask_of(mask), h: copy_of(i, s + 1) };
                    }
                    let mut left = [std::ptr::null(); 4];
                    let mut copy = 0;
                    for (left, part) in left.iter_mut().zip(&plan.products.h) {
                        *left = match (part.reset, part.mask) {
                            (true, mask) => {
                                step.reset_mask = mask.map_or(std::ptr::null(), mask_of);
                                reset
                            }
                            (false, None) => step.h,
                            (false, Some(_)) => {
                                copy += 1;
                                copy_of(copy - 1, s)
                            }
                        };
                    }
                    advance::<S, K>(plan, self.w_hh, batch, s, &step, &left);
                }
                from = to;
            }
            let last = if self.save { time * state } else { time % 2 * state };
            self.last(self.h_out, self.h.add(last));
            self.last(self.c_out, self.c.wrapping_add(last));
        }
    }
}

impl<T: Float, K: Kernel> Forward<'_, T, K> {
    /// The rows' own initial state, filled up with zeros.
    #[inline(always)]
    unsafe fn initial<S: Simd<T = T>>(&self, to: *mut T, given: Option<&[T]>) {
        let d_hidden = self.layer.d_hidden;
        for (row, b) in self.part.clone().enumerate() {
            // SAFETY: the state has a row of the plan's width for each row of the part.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(row * self.plan.width), self.plan.width) };
            to.fill(T::ZERO);
            if let Some(given) = given {
                to[..d_hidden].copy_from_slice(&given[b * d_hidden..][..d_hidden]);
            }
        }
    }

    /// The last state to the caller's memory, if it is wanted.
    #[inline(always)]
    unsafe fn last(&self, to: *mut T, from: *const T) {
        if to.is_null() {
            return;
        }
        let d_hidden = self.layer.d_hidden;
        for (row, b) in self.part.clone().enumerate() {
            // SAFETY: the caller's `[batch, d_hidden]`, in which these rows are this thread's.
            unsafe { std::ptr::copy_nonoverlapping(from.add(row * self.plan.width), to.add(b * d_hidden), d_hidden) };
        }
    }

    /// `x·W_ih + b` for all rows of the steps `steps`, into the panels.
    #[inline(always)]
    unsafe fn input_sums<S: Simd<T = T>>(
        &self,
        panels: *mut T,
        steps: Range<usize>,
        x_rows: &mut Vec<*const T>,
        masked_x: &mut [T],
    ) {
        let (plan, d_input) = (self.plan, self.layer.d_input);
        let row = PANEL * S::LANES;
        let rows = steps.len() * self.part.len();
        // Vectors that no input product fills start from the bias too.
        let filled: usize = plan.products.x.iter().map(|part| part.width(K::BLOCKS)).sum();
        for p in 0..plan.panels {
            for vector in filled..PANEL {
                // SAFETY: vectors of the chunk's panels and of the biases, which have the same layout.
                unsafe {
                    let bias = S::load(self.bias.as_ptr().add(p * row + vector * S::LANES));
                    for q in 0..rows {
                        S::store(panels.add((p * rows + q) * row + vector * S::LANES), bias);
                    }
                }
            }
        }
        if let Input::Indices { values, strides } = self.sequence.input {
            let mut q = 0;
            for s in steps {
                let t = self.sequence.step(s);
                for b in self.part.clone() {
                    let symbol = values[strides.at(b, t)] as usize;
                    // SAFETY: row q of the chunk.
                    unsafe { self.look_up::<S>(panels.add(q * row), rows * row, symbol) };
                    q += 1;
                }
            }
            return;
        }
        input_rows(self.sequence, self.part.clone(), steps.clone(), x_rows);
        for (part, packed) in plan.products.x.iter().zip(self.w_ih) {
            if let Some(mask) = part.mask {
                input_rows(self.sequence, self.part.clone(), steps.clone(), x_rows);
                let mask = self.sequence.input_masks[mask][self.part.start * d_input..].as_ptr();
                // SAFETY: rows and masks of d_input elements; the buffer has room for all.
                unsafe { copy_rows::<S>(x_rows, mask, d_input, masked_x, self.part.len()) };
            }
            let width = part.width(K::BLOCKS);
            let cut = Cut::new(rows, max_rows(S::REGISTERS, width));
            for p in 0..plan.panels {
                for tile in 0..cut.tiles {
                    let (q, end) = (cut.start(tile), cut.start(tile + 1));
                    // SAFETY: the packed weights, biases and panels as the plan has them; rows of d_input elements.
                    unsafe {
                        multiply::<S>(&Tile {
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
                            c0: self.bias.as_ptr().add(p * row + part.offset * S::LANES),
                            c0_step: 0,
                            c: panels.add((p * rows + q) * row + part.offset * S::LANES),
                            c_step: row,
                        });
                    }
                }
            }
        }
    }

    /// One row of sums from a row of `W_ih`.
    #[inline(always)]
    unsafe fn look_up<S: Simd<T = T>>(&self, to: *mut T, panel: usize, symbol: usize) {
        let d_hidden = self.layer.d_hidden;
        let weights = &self.layer.w_ih[symbol * self.layer.cell.gates() * d_hidden..];
        for part in &self.plan.products.x {
            for p in 0..self.plan.panels {
                for (i, &gate) in part.gates.iter().enumerate() {
                    for block in 0..K::BLOCKS {
                        let unit = (p * K::BLOCKS + block) * S::LANES;
                        let vector = (part.offset + i * K::BLOCKS + block) * S::LANES;
                        // SAFETY: vectors of the panels; of the weights only what d_hidden leaves.
                        unsafe {
                            let bias = S::load(self.bias.as_ptr().add(p * PANEL * S::LANES + vector));
                            let sum = if unit < d_hidden {
                                let w = weights.as_ptr().add(gate * d_hidden + unit);
                                S::add(bias, S::load_up_to(w, d_hidden - unit))
                            } else {
                                bias
                            };
                            S::store(to.add(p * panel + vector), sum);
                        }
                    }
                }
            }
        }
    }
}

/// One step of the recurrence for `batch` rows: products into the panels, then the cell, tile by tile. `left` has the left
/// factor of each part of the product, `w_hh` the right one, packed.
#[inline(always)]
pub(crate) unsafe fn advance<S: Simd, K: Kernel>(
    plan: &Plan,
    w_hh: &[Buffer<S::T>],
    batch: usize,
    s: usize,
    step: &Step<S::T>,
    left: &[*const S::T; 4],
) {
    let parts = &plan.products.h;
    let resets = parts.iter().any(|part| part.reset);
    for reset in [false, true] {
        if reset && !resets {
            break;
        }
        let now = || parts.iter().enumerate().filter(move |(_, part)| part.reset == reset);
        let most = now().map(|(_, part)| max_rows(S::REGISTERS, part.width(K::BLOCKS))).min().unwrap_or(1);
        let cut = Cut::new(batch, most);
        for p in 0..plan.panels {
            // To and fro: the weights that one step used last are still in the L1 cache when the next begins.
            let p = if s.is_multiple_of(2) { p } else { plan.panels - 1 - p };
            for tile in 0..cut.tiles {
                let (from, to) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the state; the packed weights and panels as the plan has them.
                unsafe {
                    for (i, part) in now() {
                        let width = part.width(K::BLOCKS);
                        let c = step.panel_row::<S>(p, from).add(part.offset * S::LANES);
                        multiply::<S>(&Tile {
                            rows: to - from,
                            width,
                            a: left[i].add(from * step.width),
                            a_row: step.width,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: 1,
                            len: step.d_hidden,
                            a_block: 0,
                            b: w_hh[i].as_ptr().add(p * step.d_hidden * width * S::LANES),
                            b_step: width * S::LANES,
                            c0: c,
                            c0_step: PANEL * S::LANES,
                            c,
                            c_step: PANEL * S::LANES,
                        });
                    }
                    if resets && !reset {
                        K::reset::<S>(step, p, from, to);
                    } else {
                        K::finish::<S>(step, p, from, to);
                    }
                }
            }
        }
    }
}
