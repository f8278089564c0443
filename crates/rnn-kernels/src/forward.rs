//! A layer over a sequence, forward.

mod ahead;
mod dropout;
mod input;
mod normalized;
mod projected;
mod recurrence;
mod turn;

use ahead::Ahead;
use dropout::KeptFeatures;
pub(crate) use normalized::{advance_normalized, normalize_inputs};
pub(crate) use projected::project;
pub(crate) use recurrence::{Advance, advance};

use crate::args::{Input, LayerWeights, Output, Sequence, check_forward, check_output};
use crate::exec::Exec;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::extras::Extras;
use crate::sequence::norm::STATS;
use crate::sequence::pack;
use crate::sequence::plan::{Plan, TILE_STEPS};
use crate::sequence::products::GateProduct;
use crate::sequence::repeats::{Chunk, Repeats};
use crate::sequence::schedule::{Schedule, schedules};
use crate::sequence::step::{Keep, MaskedCopy, Shape, Step};
use crate::sequence::{Saved, SavedPart};
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each};
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
    let plan = Plan::new(exec, layer, sequence);
    // Either dropped features are skipped or repeated tokens are deduplicated, not both.
    let scale = plan.scale(sequence);
    let normalized = layer.options.norm_ih.is_some();
    let mut saved: Vec<SavedPart<T>> = schedules(&plan, sequence, if scale.is_some() { TILE_STEPS } else { 1 })
        .into_iter()
        .map(|schedule| {
            let (rows, states) = match save {
                // The last step's rows leave from behind those before all steps.
                true => (schedule.total(), schedule.total() + schedule.most),
                false => (schedule.chunk_rows(), 2 * schedule.most),
            };
            SavedPart {
                panels: take(rows * plan.panel_elements()),
                h: take(states * plan.h_width),
                c: take(if layer.cell.has_cell_state() { states * plan.width } else { 0 }),
                hats: [(); 2].map(|()| take(if normalized { rows * plan.panel_elements() } else { 0 })),
                stats: take(if normalized { rows * STATS } else { 0 }),
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
    let (bias, extras) = (pack::biases(&plan, layer), Extras::new(layer, &plan));
    let w_hr = pack::projection(&plan, layer);
    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (sequence_out, strides) = (Shared(output.sequence.as_mut_ptr()), output.strides);
    let (h_out, c_out) = (shared(output.h), shared(output.c));
    let mut h_resting = take(sequence.batch * plan.h_width);
    let mut c_resting = take(if layer.cell.has_cell_state() { sequence.batch * plan.width } else { 0 });
    let resting = [Shared(h_resting.as_mut_ptr()), Shared(c_resting.as_mut_ptr())];
    each(saved.iter_mut().collect(), |saved: &mut SavedPart<T>| {
        let work = Forward::<T> {
            plan: &plan,
            layer,
            extras: &extras,
            sequence,
            schedule: &saved.schedule,
            scaled: scale.is_some(),
            w_ih: &w_ih,
            w_hh: &w_hh,
            w_hr: &w_hr,
            bias: &bias,
            save,
            panels: saved.panels.as_mut_ptr(),
            h: saved.h.as_mut_ptr(),
            c: saved.c.as_mut_ptr(),
            hats: saved.hats.each_mut().map(|hats| hats.as_mut_ptr()),
            stats: saved.stats.as_mut_ptr(),
            resting: resting.map(Shared::get),
            repeats: &saved.repeats,
            output: sequence_out.get(),
            output_strides: (strides.batch, strides.time),
            h_out: h_out.get(),
            c_out: c_out.get(),
        };
        run(plan.exec.isa, work);
    });
    let shape = [sequence.batch, sequence.time, layer.d_hidden, layer.h_features()];
    Saved { plan, cell: layer.cell, options: layer.has_options(), shape, parts: saved }
}

/// The rows of one thread.
struct Forward<'a, T> {
    plan: &'a Plan,
    layer: &'a LayerWeights<'a, T>,
    extras: &'a Extras<T>,
    sequence: &'a Sequence<'a, T>,
    schedule: &'a Schedule,
    /// Whether the input's masks only drop features, as their scale is in the weights.
    scaled: bool,
    w_ih: &'a [Buffer<T>],
    w_hh: &'a [Buffer<T>],
    /// Packed; empty without a projection.
    w_hr: &'a [T],
    bias: &'a [T],
    save: bool,
    panels: *mut T,
    h: *mut T,
    c: *mut T,
    /// As saved, with layer normalisation.
    hats: [*mut T; 2],
    stats: *mut T,
    /// h and c of all rows of the batch that rest, rows of the plan's widths.
    resting: [*mut T; 2],
    repeats: &'a Repeats,
    output: *mut T,
    output_strides: (usize, usize),
    h_out: *mut T,
    c_out: *mut T,
}

/// What a thread needs to deduplicate tokens: the rows of a chunk, and the sums of tokens that are repeated in later
/// chunks, `[panel][chain]`.
struct Repeating<T> {
    chunk: Chunk,
    chains: Buffer<T>,
}

impl<T: Float> Op<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let (plan, schedule, d_hidden) = (self.plan, self.schedule, self.layer.d_hidden);
        let h_features = plan.h_features;
        let [h_size, c_size] = [plan.h_width, plan.width].map(|width| schedule.most * width);
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
        let mut masked_h = take::<T>(2 * masks.len() * h_size);
        let mut reset = take::<T>(if plan.products.h.iter().any(|product| product.reset) { h_size } else { 0 });
        // With layer normalisation products start from zeros, in place of the bias.
        let mut zeros = take::<T>(if self.norm().is_some() { plan.panel_elements() } else { 0 });
        let by_rows = self.norm().is_some() || self.extras.projects;
        let mut shown = take::<T>(if by_rows { c_size } else { 0 });
        zeros.fill(T::ZERO);
        let bias = if self.norm().is_some() { &zeros } else { self.bias };
        let (masked_h, reset) = (masked_h.as_mut_ptr(), reset.as_mut_ptr());
        let base = schedule.base();
        let mask_of = |mask: usize| self.sequence.recurrent_masks[mask][base * h_features..].as_ptr();
        let copy_of = |i: usize, s: usize| masked_h.wrapping_add((2 * i + s % 2) * h_size);
        // Those before step s.
        let states_at = |s: usize| {
            let at = |width: usize| if self.save { schedule.start(s) * width } else { s % 2 * schedule.most * width };
            let mut copies = [MaskedCopy { mask: std::ptr::null(), h: std::ptr::null_mut() }; 4];
            for (i, (copy, &mask)) in copies.iter_mut().zip(&masks).enumerate() {
                *copy = MaskedCopy { mask: mask_of(mask), h: copy_of(i, s) };
            }
            States {
                h: self.h.wrapping_add(at(plan.h_width)),
                c: self.c.wrapping_add(at(plan.width)),
                copies,
                masks: masks.len(),
            }
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
                let at = if self.save { first } else { 0 };
                let hats = self.hats.map(|hats| hats.wrapping_add(at * plan.panel_elements()));
                let stats = self.stats.wrapping_add(at * STATS);
                let mut ahead = None;
                if rows > 0 {
                    ahead = self.ahead::<S>(panels, steps.clone());
                    let now = ahead.as_ref().map_or(steps.len(), Ahead::start);
                    let repeating = (!self.repeats.is_empty()).then_some(&mut repeating);
                    let x_rows = &mut x_rows;
                    match &kept {
                        Some(kept) => self.kept_sums::<S>(panels, steps.clone(), kept, bias),
                        None => {
                            let masked_x = masked_x.as_mut_ptr();
                            self.input_sums::<S>(panels, steps.clone(), now, x_rows, masked_x, repeating, bias);
                        }
                    }
                    if let Some(norm) = self.norm() {
                        normalize_inputs::<S>(norm, plan, self.bias.as_ptr(), [panels, hats[0], stats], rows);
                    }
                }
                for s in steps.clone() {
                    let (t, batch) = (self.sequence.step(s), schedule.count(s));
                    let (now, next) = (states_at(s), states_at(s + 1));
                    let mut step = Step {
                        extras: self.extras,
                        shape: Shape::new(plan),
                        d_hidden,
                        width: plan.width,
                        h_features,
                        h_width: plan.h_width,
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
                        keep_h: Keep::at(self.sequence.zoneout_h, t, base, self.sequence.batch, h_features),
                        keep_c: Keep::at(self.sequence.zoneout_c, t, base, self.sequence.batch, d_hidden),
                        masked: next.copies,
                        masks: masks.len(),
                        reset,
                        reset_mask: std::ptr::null(),
                        hats: hats[1].wrapping_add((schedule.start(s) - first) * plan.row()),
                        stats: stats.wrapping_add((schedule.start(s) - first) * STATS),
                        shown: shown.as_mut_ptr(),
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
                        if let Some(norm) = self.norm() {
                            advance_normalized::<S>(plan, norm, self.w_hh, batch, &step, &left, zeros.as_ptr());
                        } else {
                            let ahead = ahead.as_ref().and_then(|ahead| ahead.beside(s - steps.start));
                            let ahead = ahead.as_ref();
                            advance::<S>(Advance { plan, w_hh: self.w_hh, batch, s, step: &step, left: &left, ahead });
                        }
                        if self.extras.projects {
                            project::<S>(plan, self.w_hr, batch, &step);
                        }
                    }
                    self.turn(Some(s), &next);
                }
            }
            self.last(self.h_out, self.resting[0], [plan.h_features, plan.h_width]);
            self.last(self.c_out, self.resting[1], [d_hidden, plan.width]);
        }
    }
}
