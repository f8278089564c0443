//! A layer over a sequence, forward.

mod ahead;
mod dropout;
mod input;
mod normalized;
mod recurrence;

use ahead::Ahead;
use dropout::KeptFeatures;
pub(crate) use normalized::{advance_normalized, normalize_inputs};
pub(crate) use recurrence::advance;

use crate::args::{Input, LayerWeights, Output, Sequence, check_forward, check_output};
use crate::cell::{Kernel, with_kernel};
use crate::exec::Exec;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::extras::Extras;
use crate::sequence::norm::STATS;
use crate::sequence::pack;
use crate::sequence::padding::{StepKind, step_kinds};
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::sequence::repeats::{Chunk, Repeats};
use crate::sequence::step::{Keep, MaskedCopy, Shape, Step};
use crate::sequence::{Saved, SavedPart};
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each};
use std::marker::PhantomData;
use std::ops::Range;

/// Runs `layer` over `sequence`. What it gives is complete only if it is to `save`.
pub(crate) fn forward<T: Float>(
    exec: Exec,
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    output: Output<T>,
    save: bool,
) -> Saved<T> {
    check_forward(layer, sequence);
    check_output(layer, sequence, &output);
    with_kernel!(layer.cell, layer.has_options(), start(exec, layer, sequence, output, save))
}

fn start<T: Float, K: Kernel>(
    exec: Exec,
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    output: Output<T>,
    save: bool,
) -> Saved<T> {
    let plan = Plan::new(exec, layer, sequence);
    // Either dropped features are skipped or repeated tokens are deduplicated, not both.
    let scale = plan.scale(sequence);
    let normalized = layer.options.norm_ih.is_some();
    let mut saved: Vec<SavedPart<T>> = (plan.parts.iter().cloned())
        .map(|part| {
            let (rows_count, time) = (part.len(), sequence.time);
            let (steps, states) = if save { (time, time + 1) } else { (plan.chunk::<T>(part.len(), time), 2) };
            let state = states * rows_count * plan.width;
            let kinds = step_kinds(sequence, part.clone());
            SavedPart {
                panels: take(steps * rows_count * plan.panel_elements()),
                h: take(state),
                c: take(if layer.cell.has_cell_state() { state } else { 0 }),
                hats: [(); 2].map(|()| take(if normalized { steps * rows_count * plan.panel_elements() } else { 0 })),
                stats: take(if normalized { steps * rows_count * STATS } else { 0 }),
                repeats: if scale.is_none() { Repeats::new(&plan, sequence, part, &kinds) } else { Repeats::default() },
                kinds,
            }
        })
        .collect();
    Repeats::forget_few(saved.iter_mut().map(|part| &mut part.repeats), sequence.batch * sequence.time);

    let dense = matches!(sequence.input, Input::Dense { .. });
    let x_parts: &[GateProduct] = if dense { &plan.products.x } else { &[] };
    let pack = |weight, product, scale| pack::columns(&plan, layer, weight, product, scale);
    let w_ih: Vec<_> = x_parts.iter().map(|&product| pack(layer.w_ih, product, scale.unwrap_or(T::ONE))).collect();
    let w_hh: Vec<_> = plan.products.h.iter().map(|&product| pack(layer.w_hh, product, T::ONE)).collect();
    let (bias, extras) = (pack::biases(&plan, layer), Extras::new(layer, &plan));
    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (sequence_out, strides) = (Shared(output.sequence.as_mut_ptr()), output.strides);
    let (h_out, c_out) = (shared(output.h), shared(output.c));
    let works = plan.parts.iter().cloned().zip(&mut saved).collect();
    each(works, |(part, saved): (Range<usize>, &mut SavedPart<T>)| {
        let work = Forward::<T, K> {
            plan: &plan,
            layer,
            extras: &extras,
            sequence,
            part,
            scaled: scale.is_some(),
            w_ih: &w_ih,
            w_hh: &w_hh,
            bias: &bias,
            save,
            panels: saved.panels.as_mut_ptr(),
            h: saved.h.as_mut_ptr(),
            c: saved.c.as_mut_ptr(),
            hats: saved.hats.each_mut().map(|hats| hats.as_mut_ptr()),
            stats: saved.stats.as_mut_ptr(),
            kinds: &saved.kinds,
            repeats: &saved.repeats,
            output: sequence_out.get(),
            output_strides: (strides.batch, strides.time),
            h_out: h_out.get(),
            c_out: c_out.get(),
            kernel: PhantomData,
        };
        run(plan.exec.isa, work);
    });
    let shape = [sequence.batch, sequence.time, layer.d_hidden];
    Saved { plan, cell: layer.cell, options: layer.has_options(), shape, parts: saved }
}

/// The rows of one thread.
struct Forward<'a, T, K> {
    plan: &'a Plan,
    layer: &'a LayerWeights<'a, T>,
    extras: &'a Extras<T>,
    sequence: &'a Sequence<'a, T>,
    part: Range<usize>,
    /// Whether the input's masks only drop features, as their scale is in the weights.
    scaled: bool,
    w_ih: &'a [Buffer<T>],
    w_hh: &'a [Buffer<T>],
    bias: &'a [T],
    save: bool,
    panels: *mut T,
    h: *mut T,
    c: *mut T,
    /// As saved, with layer normalisation.
    hats: [*mut T; 2],
    stats: *mut T,
    kinds: &'a [StepKind],
    repeats: &'a Repeats,
    output: *mut T,
    output_strides: (usize, usize),
    h_out: *mut T,
    c_out: *mut T,
    kernel: PhantomData<K>,
}

/// What a thread needs to deduplicate tokens: the rows of a chunk, and the sums of tokens that are repeated in later
/// chunks, `[panel][chain]`.
struct Repeating<T> {
    chunk: Chunk,
    chains: Buffer<T>,
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
        let mut repeating =
            Repeating { chunk: Chunk::default(), chains: take(self.repeats.chains * plan.panel_elements()) };
        let x_width = self.layer.d_input.next_multiple_of(S::LANES);
        let kept =
            self.scaled.then(|| KeptFeatures::new(self.sequence.input_masks, self.part.clone(), self.layer.d_input));
        let masked = !self.sequence.input_masks.is_empty() && kept.is_none();
        let mut masked_x = take::<T>(if masked { chunk * batch * x_width } else { 0 });

        // Each masked copy of h twice: one is read while the next is written.
        let mut masks: Vec<usize> =
            plan.products.h.iter().filter(|product| !product.reset).filter_map(|product| product.mask).collect();
        masks.dedup();
        let mut masked_h = take::<T>(2 * masks.len() * state);
        let mut reset = take::<T>(if plan.products.h.iter().any(|product| product.reset) { state } else { 0 });
        // With layer normalisation products start from zeros, in place of the bias, and c' is kept until its row is.
        let mut zeros = take::<T>(if self.norm().is_some() { plan.panel_elements() } else { 0 });
        let mut shown = take::<T>(if self.norm().is_some() { state } else { 0 });
        zeros.fill(T::ZERO);
        let bias = if self.norm().is_some() { &zeros } else { self.bias };
        let (masked_h, reset) = (masked_h.as_mut_ptr(), reset.as_mut_ptr());
        let first_row = self.part.start * d_hidden;
        let mask_of = |mask: usize| self.sequence.recurrent_masks[mask][first_row..].as_ptr();
        // SAFETY: copy `i` of the buffer above, at step s.
        let copy_of = |i: usize, s: usize| unsafe { masked_h.add((2 * i + s % 2) * state) };

        // SAFETY: the machine has the instruction set; everything was sized by the plan and checked by the caller.
        unsafe {
            self.initial::<S>(self.h, self.sequence.h0);
            if self.layer.cell.has_cell_state() {
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
            let output_next =
                if self.sequence.reverse { self.output_strides.1.wrapping_neg() } else { self.output_strides.1 };
            let mut from = 0;
            while from < time {
                let to = (from + chunk).min(time);
                let panels =
                    if self.save { self.panels.add(from * batch * plan.panel_elements()) } else { self.panels };
                let in_chunk = if self.save { from * batch } else { 0 };
                let hats = self.hats.map(|hats| hats.wrapping_add(in_chunk * plan.panel_elements()));
                let stats = self.stats.wrapping_add(in_chunk * STATS);
                let ahead = self.ahead::<S>(panels, from..to);
                let now = ahead.as_ref().map_or(to - from, Ahead::start);
                let repeating = (!self.repeats.is_empty()).then_some(&mut repeating);
                match &kept {
                    Some(kept) => self.kept_sums::<S>(panels, from..to, kept, bias),
                    None => {
                        let masked_x = masked_x.as_mut_ptr();
                        self.input_sums::<S>(panels, from..to, now, &mut x_rows, masked_x, repeating, bias);
                    }
                }
                if let Some(norm) = self.norm() {
                    let rows = (to - from) * batch;
                    normalize_inputs::<S>(norm, plan, self.bias.as_ptr(), [panels, hats[0], stats], rows);
                }
                for s in from..to {
                    let t = self.sequence.step(s);
                    let at = |s: usize| if self.save { s * state } else { s % 2 * state };
                    let mut step = Step {
                        extras: self.extras,
                        shape: Shape::new(plan),
                        d_hidden,
                        width: plan.width,
                        panels: panels.add((s - from) * batch * plan.row()),
                        panel: (to - from) * batch * plan.row(),
                        h: self.h.add(at(s)),
                        h_new: self.h.add(at(s + 1)),
                        c: self.c.wrapping_add(at(s)),
                        c_new: self.c.wrapping_add(at(s + 1)),
                        output: self.output.add(self.part.start * self.output_strides.0 + t * self.output_strides.1),
                        output_row: self.output_strides.0,
                        output_next,
                        kinds: StepKind::at(self.kinds, s * batch),
                        keep_h: Keep::at(self.sequence.zoneout_h, t, self.part.start, self.sequence.batch, d_hidden),
                        keep_c: Keep::at(self.sequence.zoneout_c, t, self.part.start, self.sequence.batch, d_hidden),
                        masked: [MaskedCopy { mask: std::ptr::null(), h: std::ptr::null_mut() }; 4],
                        masks: masks.len(),
                        reset,
                        reset_mask: std::ptr::null(),
                        hats: hats[1].wrapping_add((s - from) * batch * plan.row()),
                        stats: stats.wrapping_add((s - from) * batch * STATS),
                        shown: shown.as_mut_ptr(),
                    };
                    for (i, &mask) in masks.iter().enumerate() {
                        step.masked[i] = MaskedCopy { mask: mask_of(mask), h: copy_of(i, s + 1) };
                    }
                    let mut left = [std::ptr::null(); 4];
                    for (left, product) in left.iter_mut().zip(&plan.products.h) {
                        *left = match (product.reset, product.mask) {
                            (true, mask) => {
                                step.reset_mask = mask.map_or(std::ptr::null(), mask_of);
                                reset
                            }
                            (false, None) => step.h,
                            // There is one copy, or one for each gate.
                            (false, Some(mask)) => copy_of(masks.iter().position(|&m| m == mask).unwrap_or(0), s),
                        };
                    }
                    if let Some(norm) = self.norm() {
                        advance_normalized::<S, K>(plan, norm, self.w_hh, batch, &step, &left, zeros.as_ptr());
                        continue;
                    }
                    let ahead = ahead.as_ref().and_then(|ahead| ahead.beside(s - from));
                    advance::<S, K>(plan, self.w_hh, batch, s, &step, &left, ahead.as_ref());
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
    unsafe fn initial<S: Simd<T = T>>(&self, to: *mut T, state: Option<&[T]>) {
        let d_hidden = self.layer.d_hidden;
        for (row, b) in self.part.clone().enumerate() {
            // SAFETY: the state has a row of the plan's width for each row of the part.
            let to = unsafe { std::slice::from_raw_parts_mut(to.add(row * self.plan.width), self.plan.width) };
            to.fill(T::ZERO);
            if let Some(state) = state {
                to[..d_hidden].copy_from_slice(&state[b * d_hidden..][..d_hidden]);
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
}
