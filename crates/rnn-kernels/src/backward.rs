//! A layer over a sequence, backward: back-propagation through time (Werbos, 1990).
//!
//! Each thread goes back over its own rows of the batch, chunk by chunk of steps: the recurrence first, which leaves
//! the gradients of the sums, then, while these are in the cache, their products: the input's gradient, and the
//! weights' gradients summed over the thread's rows. The threads' sums are added at the end, in their order.

mod dropout;
mod input;
mod normalized;
mod packed;
mod projected;
mod recurrence;
mod sums;
mod turn;
mod weights;

use crate::args::{
    Gradients, Input, LayerWeights, OptionGradients, OutputGradients, Sequence, Strides, check_backward, check_forward,
};
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::extras::{Extras, Vector};
use crate::sequence::pack;
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::sequence::repeats::Chunk;
use crate::sequence::schedule::Schedule;
use crate::sequence::{Saved, SavedPart};
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each};
use crate::tile::{MAX_ROWS, WIDTH};
use packed::{copy_elements, packs};
use sums::{Sums, add_vectors, unpack};

/// The gradients of a layer over a sequence; `layer` and `sequence` are those that `saved` was made from.
pub(crate) fn backward<T: Float>(
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    saved: &Saved<T>,
    d_output: OutputGradients<T>,
    wanted: Gradients<T>,
) {
    check_forward(layer, sequence);
    check_backward(layer, sequence, &d_output, &wanted);
    let found = (layer.cell, [sequence.batch, sequence.time, layer.d_hidden, layer.h_features()]);
    assert!((saved.cell, saved.shape) == found, "saved for {:?}, not for {found:?}", (saved.cell, saved.shape));
    assert!(saved.options == layer.has_options(), "saved {} options", if saved.options { "with" } else { "without" });
    let plan = Plan::new(saved.plan.exec, layer, sequence);
    // The division among threads depends on the size of the input too.
    let same = (saved.plan.threads, saved.plan.in_order) == (plan.threads, plan.in_order);
    assert!(same, "saved for an input of another size than {}", layer.d_input);
    let plan = &plan;
    let &LayerWeights { d_input, d_hidden, .. } = layer;
    let scale = plan.scale(sequence);
    let pack = |weight, product, scale| pack::transposed(plan, layer, weight, product, scale);
    let w_hh: Vec<_> = plan.products.h.iter().map(|&product| pack(layer.w_hh, product, T::ONE)).collect();
    let products: &[GateProduct] = if wanted.input.is_some() { &plan.products.x } else { &[] };
    let w_ih: Vec<_> = products.iter().map(|&product| pack(layer.w_ih, product, scale.unwrap_or(T::ONE))).collect();

    let elements = |needed: bool, inner: usize| if needed { plan.panel_elements() * inner } else { 0 };
    let w_hr = pack::projection_transposed(plan, layer);
    let need_w_ih = wanted.w_ih.is_some();
    let need_w_hh = wanted.w_hh.is_some();
    let need_b = wanted.b_ih.is_some() || wanted.b_hh.is_some();
    let normalized = layer.options.norm_ih.is_some();
    let extras = Extras::new(layer, plan);
    let mut sums: Vec<Sums<T>> = (0..saved.parts.len())
        .map(|_| Sums {
            w_ih: take(elements(need_w_ih, d_input)),
            w_hh: take(elements(need_w_hh, layer.w_hh_rows())),
            b: take(elements(need_b || normalized, 1)),
            vectors: take(extras.len()),
            w_hr: take(if wanted.options.w_hr.is_some() { d_hidden * plan.h_width } else { 0 }),
            gains: [(); 2].map(|()| take(elements(normalized, 1))),
        })
        .collect();

    let shared = |slice: Option<&mut [T]>| Shared(slice.map_or(std::ptr::null_mut(), |slice| slice.as_mut_ptr()));
    let (d_h0, d_c0) = (shared(wanted.h0), shared(wanted.c0));
    let (d_input_rows, d_input_strides) = match wanted.input {
        Some((slice, strides)) => (Shared(slice.as_mut_ptr()), strides),
        None => (Shared(std::ptr::null_mut()), Strides { batch: 0, time: 0 }),
    };
    let mut h_resting = take(sequence.batch * plan.h_width);
    let mut c_resting = take(if layer.cell.has_cell_state() { sequence.batch * plan.width } else { 0 });
    let resting = [Shared(h_resting.as_mut_ptr()), Shared(c_resting.as_mut_ptr())];
    let works = saved.parts.iter().zip(&mut sums).collect();
    each(works, |(saved, sums): (&SavedPart<T>, &mut Sums<T>)| {
        let work = Backward::<T> {
            plan,
            layer,
            extras: &extras,
            sequence,
            schedule: &saved.schedule,
            saved,
            resting: resting.map(Shared::get),
            w_hh: &w_hh,
            w_hr: &w_hr,
            w_ih: &w_ih,
            scaled: scale.is_some(),
            d_output,
            d_input: d_input_rows.get(),
            d_input_strides,
            d_h0: d_h0.get(),
            d_c0: d_c0.get(),
            sums,
        };
        run(plan.exec.isa, work);
    });

    let per_thread = |sum: fn(&Sums<T>) -> &[T]| -> Vec<&[T]> { sums.iter().map(sum).collect() };
    if let Some(to) = wanted.w_ih {
        unpack(plan, layer, &plan.products.x, d_input, &per_thread(|sums| &sums.w_ih), to);
    }
    if let Some(to) = wanted.w_hh {
        unpack(plan, layer, &plan.products.h, layer.w_hh_rows(), &per_thread(|sums| &sums.w_hh), to);
    }
    if let Some(to) = wanted.b_ih {
        unpack(plan, layer, &plan.products.x, 1, &per_thread(|sums| &sums.b), to);
    }
    if let Some(to) = wanted.b_hh {
        unpack(plan, layer, &plan.products.h, 1, &per_thread(|sums| &sums.b), to);
    }
    let OptionGradients { p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr } = wanted.options;
    if let Some(to) = norm_ih {
        unpack(plan, layer, &plan.products.x, 1, &per_thread(|sums| &sums.gains[0]), to);
    }
    if let Some(to) = norm_hh {
        unpack(plan, layer, &plan.products.h, 1, &per_thread(|sums| &sums.gains[1]), to);
    }
    for (unit, to) in w_hr.into_iter().flat_map(|to| to.chunks_exact_mut(plan.h_features)).enumerate() {
        add_vectors(&per_thread(|sums| &sums.w_hr), unit * plan.h_width, to);
    }
    let vectors = [
        (Vector::PeepholeI, p_i),
        (Vector::PeepholeF, p_f),
        (Vector::PeepholeO, p_o),
        (Vector::GammaC, gamma_c),
        (Vector::BetaC, beta_c),
    ];
    for (vector, to) in vectors {
        if let Some(to) = to {
            add_vectors(&per_thread(|sums| &sums.vectors), vector as usize * plan.width, to);
        }
    }
}

/// The rows of one thread.
struct Backward<'a, T> {
    plan: &'a Plan,
    layer: &'a LayerWeights<'a, T>,
    extras: &'a Extras<T>,
    sequence: &'a Sequence<'a, T>,
    schedule: &'a Schedule,
    saved: &'a SavedPart<T>,
    /// The gradients of h and c of all rows of the batch that rest, rows of the plan's widths.
    resting: [*mut T; 2],
    w_hh: &'a [Buffer<T>],
    /// The transpose, packed; empty without a projection.
    w_hr: &'a [T],
    w_ih: &'a [Buffer<T>],
    /// Whether the input's masks only drop features, as their scale is in its weights.
    scaled: bool,
    d_output: OutputGradients<'a, T>,
    d_input: *mut T,
    d_input_strides: Strides,
    d_h0: *mut T,
    d_c0: *mut T,
    sums: &'a mut Sums<T>,
}

/// Memory for one thread.
struct Scratch<T> {
    d_h: Buffer<T>,
    d_c: Buffer<T>,
    d_reset: Buffer<T>,
    /// The sums for the cell's own vectors.
    d_vectors: *mut T,
    /// With layer normalisation: the sums for the gains and for the bias; the gradients of the products on h of a
    /// chunk; those of c' by way of h of a step.
    d_gains: [*mut T; 2],
    d_bias: *mut T,
    d_hats: Buffer<T>,
    shown: Buffer<T>,
    /// Where h is projected: the gradients of m·W_hr and m for a chunk, and the gradients of m for a step.
    d_projected: Buffer<T>,
    m: Buffer<T>,
    d_m: Buffer<T>,
    /// The gradients of a chunk's sums, `[panel][packed row]`.
    d_panels: Buffer<T>,
    /// One tile.
    tile: Buffer<T>,
    /// Zeros, for sums to start from.
    zeros: Buffer<T>,
    /// r∘h of a chunk.
    reset: Buffer<T>,
    /// Rows of a weight gradient's left factor that are not read where they lie.
    copies: Buffer<T>,
    /// Such rows packed, before they are multiplied by the masks that gates have each for themselves, and these masks.
    packed: Buffer<T>,
    x_masks: Buffer<T>,
    h_masks: Buffer<T>,
    /// The rows of a product's right factor, which are those of one product in a panel, side by side.
    beside: Buffer<T>,
    /// Where tokens are repeated: the rows of a chunk, and the gradients of the visited steps of each token,
    /// `[panel][chain]`.
    repeats: Chunk,
    chains: Buffer<T>,
}

impl<T: Float> Op<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(mut self) {
        let (plan, schedule, chunk_rows) = (self.plan, self.schedule, self.schedule.chunk_rows());
        let [h_size, c_size] = [plan.h_width, plan.width].map(|width| schedule.most * width);
        // Of indices there are no rows.
        let dense = matches!(self.sequence.input, Input::Dense { .. });
        let inner = if dense { self.layer.d_input.max(plan.h_features) } else { plan.h_features };
        let masks = !self.sequence.input_masks.is_empty() || !self.sequence.recurrent_masks.is_empty();
        let resets = plan.products.h.iter().any(|product| product.reset);
        let (regular, repeats) = (schedule.is_regular(), !self.saved.repeats.is_empty());
        let row = inner.next_multiple_of(S::LANES);
        let (no_w_ih, no_w_hh) = (self.sums.w_ih.is_empty(), self.sums.w_hh.is_empty());
        let x_masks = if no_w_ih || repeats || !regular { &[] } else { self.sequence.input_masks };
        let h_masks = if no_w_hh || !regular { &[] } else { self.sequence.recurrent_masks };
        // SAFETY: the machine has the instruction set; the caller checked the masks' sizes.
        let (x_masks, h_masks) = unsafe {
            (
                self.packed_masks::<S>(&plan.products.x, x_masks, self.layer.d_input),
                self.packed_masks::<S>(&plan.products.h, h_masks, plan.h_features),
            )
        };
        let several = !x_masks.is_empty() || !h_masks.is_empty();
        self.sums.vectors.fill(T::ZERO);
        let (normalized, projects) = (self.norm().is_some(), self.extras.projects);
        if normalized {
            self.sums.b.fill(T::ZERO);
            self.sums.gains.iter_mut().for_each(|gain| gain.fill(T::ZERO));
        }
        let mut scratch = Scratch {
            d_vectors: self.sums.vectors.as_mut_ptr(),
            d_gains: self.sums.gains.each_mut().map(|gain| gain.as_mut_ptr()),
            d_bias: self.sums.b.as_mut_ptr(),
            d_hats: take(if normalized { chunk_rows * plan.panel_elements() } else { 0 }),
            shown: take(if normalized { c_size } else { 0 }),
            d_projected: take(if projects { chunk_rows * plan.h_width } else { 0 }),
            m: take(if projects { chunk_rows * plan.width } else { 0 }),
            d_m: take(if projects { c_size } else { 0 }),
            d_h: take(h_size),
            d_c: take(if self.layer.cell.has_cell_state() { c_size } else { 0 }),
            d_reset: take(if resets { h_size } else { 0 }),
            d_panels: take(chunk_rows * plan.panel_elements()),
            tile: take(MAX_ROWS * WIDTH * S::LANES),
            zeros: take(row.max(WIDTH * S::LANES)),
            reset: take(if resets { chunk_rows * plan.width } else { 0 }),
            packed: take(if several { copy_elements::<S>(chunk_rows, inner) } else { 0 }),
            x_masks,
            h_masks,
            repeats: Chunk::default(),
            chains: take(self.saved.repeats.chains * plan.panel_elements()),
            beside: take(if packs::<S>() { chunk_rows * WIDTH * S::LANES } else { 0 }),
            copies: take(if packs::<S>() || masks || !regular || repeats {
                copy_elements::<S>(chunk_rows, inner)
            } else {
                0
            }),
        };
        scratch.zeros.fill(T::ZERO);
        // Nothing is written where vectors only fill up the last panel.
        scratch.d_hats.fill(T::ZERO);
        // SAFETY: the machine has the instruction set; everything was sized by the plan and checked by the caller.
        unsafe {
            self.initial();
            let mut rows = Vec::with_capacity(chunk_rows);
            let mut first = true;
            let mut after = None;
            for steps in schedule.chunks.iter().rev() {
                for s in steps.clone().rev() {
                    self.turn(&mut scratch, after, Some(s));
                    after = Some(s);
                    if schedule.count(s) > 0 {
                        self.step::<S>(&mut scratch, s, steps.clone());
                    }
                }
                if schedule.count_of(steps) == 0 {
                    continue;
                }
                // The gradients of the sums are those of the products on x, but of those on h only without
                // normalisation.
                if normalized {
                    std::mem::swap(&mut scratch.d_panels, &mut scratch.d_hats);
                }
                self.recurrent_sums::<S>(&mut scratch, steps.clone(), &mut rows, first);
                if normalized {
                    std::mem::swap(&mut scratch.d_panels, &mut scratch.d_hats);
                }
                self.projection_sums::<S>(&scratch, schedule.count_of(steps), first);
                if repeats {
                    self.gather_repeats::<S>(&mut scratch, steps.clone());
                }
                self.w_ih_sums::<S>(&mut scratch, steps.clone(), &mut rows, first);
                match (self.d_input.is_null(), self.scaled) {
                    (true, _) => {}
                    (false, true) => self.kept_gradient::<S>(&mut scratch, steps.clone()),
                    (false, false) => self.input_gradient::<S>(&mut scratch, steps.clone()),
                }
                first = false;
            }
            if first {
                let Sums { w_ih, w_hh, w_hr, b, .. } = &mut *self.sums;
                [w_ih, w_hh, w_hr, b].into_iter().for_each(|sums| sums.fill(T::ZERO));
            }
            self.turn(&mut scratch, after, None);
            self.last(self.d_h0, self.resting[0], [plan.h_features, plan.h_width]);
            self.last(self.d_c0, self.resting[1], [self.layer.d_hidden, plan.width]);
        }
    }
}
