//! A layer over a sequence, forward.

mod ahead;
mod dropout;
mod input;
mod recurrence;
mod turn;

use ahead::Ahead;
use dropout::KeptFeatures;
pub(crate) use recurrence::advance;

use crate::args::{Input, LayerWeights, Output, Sequence, check_forward, check_output};
use crate::cell::{Kernel, with_kernel};
use crate::exec::Exec;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::pack;
use crate::sequence::plan::{Plan, TILE_STEPS};
use crate::sequence::products::GateProduct;
use crate::sequence::repeats::{Chunk, Repeats};
use crate::sequence::schedule::{Schedule, schedules};
use crate::sequence::step::{Keep, MaskedCopy, Shape, Step};
use crate::sequence::{Saved, SavedPart};
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each};
use std::marker::PhantomData;
use turn::States;

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
    with_kernel!(layer.cell, start(exec, layer, sequence, output, save))
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
    let mut saved: Vec<SavedPart<T>> = schedules(&plan, sequence, if scale.is_some() { TILE_STEPS } else { 1 })
        .into_iter()
        .map(|schedule| {
            let (rows, states) = match save {
                // The last step's rows leave from behind those before all steps.
                true => (schedule.total(), schedule.total() + schedule.most),
                false => (schedule.chunk_rows(), 2 * schedule.most),
            };
            let state = states * plan.width;
            SavedPart {
                panels: take(rows * plan.panel_elements()),
                h: take(state),
                c: take(if K::HAS_C { state } else { 0 }),
                repeats: if scale.is_none() { Repeats::new(sequence, &schedule) } else { Repeats::default() },
                schedule,
            }
        })
        .collect();
    let total = saved.iter().map(|part| part.schedule.total()).sum();
    Repeats::forget_few(saved.iter_mut().map(|part| &mut part.repeats), total);

    let dense = matches!(sequence.input, Input::Dense { .. });
    let x_parts: &[GateProduct] = if dense { &plan.products.x } else { &[] };
    let pack = |weight, product, scale| pack::columns(&plan, layer, weight, product, scale);
    let w_ih: Vec<_> = x_parts.iter().map(|&product| pack(layer.w_ih, product, scale.unwrap_or(T::ONE))).collect();
    let w_hh: Vec<_> = plan.products.h.iter().map(|&product| pack(layer.w_hh, product, T::ONE)).collect();
    let bias = pack::biases(&plan, layer);
    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (sequence_out, strides) = (Shared(output.sequence.as_mut_ptr()), output.strides);
    let (h_out, c_out) = (shared(output.h), shared(output.c));
    let state = sequence.batch * plan.width;
    let (mut h_resting, mut c_resting) = (take(state), take(if K::HAS_C { state } else { 0 }));
    let resting = [Shared(h_resting.as_mut_ptr()), Shared(c_resting.as_mut_ptr())];
    each(saved.iter_mut().collect(), |saved: &mut SavedPart<T>| {
        let work = Forward::<T, K> {
            plan: &plan,
            layer,
            sequence,
            schedule: &saved.schedule,
            scaled: scale.is_some(),
            w_ih: &w_ih,
            w_hh: &w_hh,
            bias: &bias,
            save,
            panels: saved.panels.as_mut_ptr(),
            h: saved.h.as_mut_ptr(),
            c: saved.c.as_mut_ptr(),
            resting: resting.map(Shared::get),
            repeats: &saved.repeats,
            output: sequence_out.get(),
            output_strides: (strides.batch, strides.time),
            h_out: h_out.get(),
            c_out: c_out.get(),
            kernel: PhantomData,
        };
        run(plan.exec.isa, work);
    });
    Saved { plan, cell: layer.cell, shape: [sequence.batch, sequence.time, layer.d_hidden], parts: saved }
}

/// The rows of one thread.
struct Forward<'a, T, K> {
    plan: &'a Plan,
    layer: &'a LayerWeights<'a, T>,
    sequence: &'a Sequence<'a, T>,
    schedule: &'a Schedule,
    /// Whether the input's masks only drop features, as their scale is in the weights.
    scaled: bool,
    w_ih: &'a [Buffer<T>],
    w_hh: &'a [Buffer<T>],
    bias: &'a [T],
    save: bool,
    panels: *mut T,
    h: *mut T,
    c: *mut T,
    /// h and c of all rows of the batch that rest, rows of the plan's width.
    resting: [*mut T; 2],
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
        let (plan, schedule, d_hidden) = (self.plan, self.schedule, self.layer.d_hidden);
        let state = schedule.most * plan.width;
        let chunk_rows = schedule.chunk_rows();
        let mut x_rows = Vec::with_capacity(chunk_rows);
        let mut repeating =
            Repeating { chunk: Chunk::default(), chains: take(self.repeats.chains * plan.panel_elements()) };
        let d_input = self.layer.d_input;
        let x_width = d_input.next_multiple_of(S::LANES);
        let masks = self.sequence.input_masks;
        let kept = self.scaled.then(|| KeptFeatures::new(masks, &schedule.rows, self.sequence.batch, d_input));
        let masked = !masks.is_empty() && kept.is_none();
        let mut masked_x = take::<T>(if masked { chunk_rows * x_width } else { 0 });

        // Each masked copy of h twice: one is read while the next is written.
        let mut masks: Vec<usize> =
            plan.products.h.iter().filter(|product| !product.reset).filter_map(|product| product.mask).collect();
        masks.dedup();
        let mut masked_h = take::<T>(2 * masks.len() * state);
        let mut reset = take::<T>(if plan.products.h.iter().any(|product| product.reset) { state } else { 0 });
        let (masked_h, reset) = (masked_h.as_mut_ptr(), reset.as_mut_ptr());
        let base = schedule.base();
        let mask_of = |mask: usize| self.sequence.recurrent_masks[mask][base * d_hidden..].as_ptr();
        let copy_of = |i: usize, s: usize| masked_h.wrapping_add((2 * i + s % 2) * state);
        // Those before step s.
        let states_at = |s: usize| {
            let at = if self.save { schedule.start(s) * plan.width } else { s % 2 * state };
            let mut copies = [MaskedCopy { mask: std::ptr::null(), h: std::ptr::null_mut() }; 4];
            for (i, (copy, &mask)) in copies.iter_mut().zip(&masks).enumerate() {
                *copy = MaskedCopy { mask: mask_of(mask), h: copy_of(i, s) };
            }
            States { h: self.h.wrapping_add(at), c: self.c.wrapping_add(at), copies, masks: masks.len() }
        };

        // SAFETY: the machine has the instruction set; everything was sized by the plan and checked by the caller.
        unsafe {
            self.initial();
            self.turn(None, &states_at(0));
            let output_next =
                if self.sequence.reverse { self.output_strides.1.wrapping_neg() } else { self.output_strides.1 };
            for steps in &schedule.chunks {
                let rows = schedule.count_of(steps);
                let first = schedule.start(steps.start);
                let panels = if self.save { self.panels.add(first * plan.panel_elements()) } else { self.panels };
                let mut ahead = None;
                if rows > 0 {
                    ahead = self.ahead::<S>(panels, steps.clone());
                    let now = ahead.as_ref().map_or(steps.len(), Ahead::start);
                    let repeating = (!self.repeats.is_empty()).then_some(&mut repeating);
                    let x_rows = &mut x_rows;
                    match &kept {
                        Some(kept) => self.kept_sums::<S>(panels, steps.clone(), kept),
                        None => {
                            self.input_sums::<S>(panels, steps.clone(), now, x_rows, masked_x.as_mut_ptr(), repeating);
                        }
                    }
                }
                for s in steps.clone() {
                    let (t, batch) = (self.sequence.step(s), schedule.count(s));
                    let (now, next) = (states_at(s), states_at(s + 1));
                    let mut step = Step {
                        cell: self.layer.cell,
                        shape: Shape::new(plan),
                        d_hidden,
                        width: plan.width,
                        panels: panels.add((schedule.start(s) - first) * plan.row()),
                        panel: rows * plan.row(),
                        h: now.h,
                        h_new: next.h,
                        c: now.c,
                        c_new: next.c,
                        output: self.output.add(base * self.output_strides.0 + t * self.output_strides.1),
                        output_row: self.output_strides.0,
                        output_next,
                        rows: schedule.at(s),
                        keep_h: Keep::at(self.sequence.zoneout_h, t, base, self.sequence.batch, d_hidden),
                        keep_c: Keep::at(self.sequence.zoneout_c, t, base, self.sequence.batch, d_hidden),
                        masked: next.copies,
                        masks: masks.len(),
                        reset,
                        reset_mask: std::ptr::null(),
                    };
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
                    if batch > 0 {
                        let ahead = ahead.as_ref().and_then(|ahead| ahead.beside(s - steps.start));
                        advance::<S, K>(plan, self.w_hh, batch, s, &step, &left, ahead.as_ref());
                    }
                    self.turn(Some(s), &next);
                }
            }
            self.last(self.h_out, self.resting[0]);
            self.last(self.c_out, self.resting[1]);
        }
    }
}
