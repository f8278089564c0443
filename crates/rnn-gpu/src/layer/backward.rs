//! Backward: the recurrence, then the gradients of the weights and of the input.

use super::{Normalized, Saved, optional, optional_u32, pair, tile};
use crate::args::{Cell, Gradients, Input, Layer, Norm, OutputGradients, Sequence, Wanted};
use crate::buffer::ALIGNMENT;
use crate::launch::{CUBE, cubes, rows};
use crate::normalized::{BETA_C, GAMMA_C, OF_GATES};
use crate::product::{Matrix, WIDE};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::{Buffer, backward as plain, input, norm, normalized, scan, weights};
use cubecl::client::Client;
use cubecl::prelude::*;
use half::f16;

/// The places of the steps are summed in so many stretches.
const STRETCHES: usize = 64;

/// The gradients that are wanted, of a call that was saved. At most four launches,
/// one more for peepholes, and four more for layer normalisation.
///
/// # Panics
/// As [`forward`](crate::forward).
pub fn backward(
    client: &Client,
    layer: &Layer,
    sequence: &Sequence,
    saved: &Saved,
    d_output: &OutputGradients,
    wanted: Wanted,
) -> Gradients {
    match saved.storage {
        Storage::F32 => stored::<f32>(client, layer, sequence, saved, d_output, wanted),
        Storage::F16 => stored::<f16>(client, layer, sequence, saved, d_output, wanted),
    }
}

/// A call, what forward kept of it, and what its recurrence writes.
struct Call<'a> {
    client: &'a Client,
    layer: &'a Layer,
    sequence: &'a Sequence<'a>,
    saved: &'a Saved,
    d_output: &'a OutputGradients,
    shape: Shape,
    deltas: Buffer,
    d_first: Buffer,
    first_c_at: usize,
}

/// The same; `N` is `saved.storage` as a type.
fn stored<N: Float>(
    client: &Client,
    layer: &Layer,
    sequence: &Sequence,
    saved: &Saved,
    d_output: &OutputGradients,
    wanted: Wanted,
) -> Gradients {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, .. } = *sequence;
    let Saved { states, plan, input_masks, masks, .. } = saved;
    let width = cell.gates() * d_hidden;
    let shape = Shape { rows: plan.rows, ..Shape::of(client, layer, sequence, true) };
    let delta_row = shape.deltas() * d_hidden;
    let deltas = Buffer::stored(client, Storage::F32, plan.steps * delta_row);
    let (d_first, first_c_at, h0, c0) = pair(client, batch * d_hidden);
    let call = Call { client, layer, sequence, saved, d_output, shape, deltas, d_first, first_c_at };
    let learned = match &layer.w_hh {
        Some(w_hh) => call.recurrence::<N>(w_hh),
        None => {
            call.scan::<N>();
            None
        }
    };
    // γ_ih and b_ih, of a layer that normalises its sums.
    let of_input = saved.normalized.as_ref().map(|normalized| call.through_norm::<N>(normalized));
    let deltas = &call.deltas;

    let learned_at = |k: usize, len: usize| learned.as_ref().map(|learned| learned.part(shape.learned_at(k), len));
    let peepholes = std::array::from_fn(|k| layer.peepholes[k].as_ref().and_then(|_| learned_at(k, d_hidden)));
    let of_c = || Some([learned_at(GAMMA_C, d_hidden)?, learned_at(BETA_C, d_hidden)?]);
    let norm = of_input.as_ref().map(|[gain, _]| Norm {
        ih: gain.clone(),
        hh: learned_at(OF_GATES, width),
        c: if cell.has_c() { of_c() } else { None },
    });
    let mut gradients = Gradients {
        input: None,
        w_ih: None,
        b_ih: None,
        w_hh: None,
        b_hh: None,
        peepholes,
        norm,
        h0,
        c0: cell.has_c().then_some(c0),
    };
    let hidden_weights = wanted.hidden_weights && cell.has_w_hh();
    let x = if let Input::Dense(x) = &sequence.input { Some(x) } else { None };
    let tile = tile(client, d_hidden, x.map(|x| (x, d_input)));
    let (wide, features) = (tile.wide, tile.features);
    let order_at = plan.order_at(batch, time) as u32;

    if wanted.input_weights || hidden_weights {
        let d_x = if x.is_some() { d_input } else { 0 };
        let [stride_t, stride_b, stride_i] = x.map_or([0; 3], |x| x.strides.map(|stride| stride as u32));
        let of_gates = sequence.input_masks.len() > 1 || shape.masks > 1 || cell == Cell::GruBefore;
        let groups = if of_gates { cell.gates() } else { 1 };
        let (first, end) = (u32::from(!wanted.input_weights), 1 + u32::from(hidden_weights));
        let rows = [d_x, d_hidden][first as usize..end as usize].iter().copied().max().unwrap_or(0);
        let d_w_ih = Buffer::stored(client, Storage::F32, d_x * width);
        let [d_b_ih, d_b_hh] = [(); 2].map(|()| Buffer::empty(client, width));
        let d_w_hh = Buffer::stored(client, Storage::F32, if hidden_weights { d_hidden * width } else { 0 });
        unsafe {
            weights::gradients::launch_unchecked::<N>(
                client,
                CubeCount::Static(
                    tile.rows.over(rows),
                    tile.columns.over(width / groups),
                    (end - first) * groups as u32,
                ),
                tile.dim(),
                wide,
                features,
                x.map(|x| x.buffer.arg_of(features)).into(),
                states.arg_of(wide),
                deltas.arg_of(wide),
                optional(input_masks.as_ref()),
                optional(masks.as_ref()),
                optional_u32(plan.table.as_ref()),
                d_w_ih.arg_of(wide),
                d_b_ih.arg_of(wide),
                d_w_hh.arg_of(wide),
                d_b_hh.arg_of(wide),
                stride_t,
                stride_b,
                stride_i,
                batch as u32,
                plan.steps as u32,
                d_x as u32,
                order_at,
                first,
                groups,
                sequence.input_masks.len(),
                shape.of_sums(),
                tile,
            )
        }
        if wanted.input_weights {
            gradients.w_ih = Some(match &sequence.input {
                Input::Dense(_) => d_w_ih,
                Input::Symbols(symbols) => {
                    let counts = |row, t| sequence.counted.has(row, t, time);
                    let lists = weights::symbol_lists(symbols, d_input, batch, time, counts);
                    let lists = Buffer::from_u32(client, &lists);
                    let out = Buffer::empty(client, d_input * width);
                    unsafe {
                        weights::of_symbols::launch_unchecked(
                            client,
                            CubeCount::Static(d_input as u32, (width as u32).div_ceil(CUBE), 1),
                            CubeDim::new_1d(CUBE),
                            deltas.arg(),
                            lists.arg(),
                            out.arg(),
                            d_input as u32,
                            width as u32,
                            delta_row as u32,
                        )
                    }
                    out
                }
            });
            gradients.b_ih = Some(d_b_ih);
        }
        if hidden_weights {
            (gradients.w_hh, gradients.b_hh) = (Some(d_w_hh), Some(d_b_hh));
        }
    }

    if wanted.input && matches!(sequence.input, Input::Dense(_)) {
        let out = Buffer::empty(client, time * batch * d_input);
        let groups = if sequence.input_masks.len() > 1 { cell.gates() } else { 1 };
        unsafe {
            input::gradient::launch_unchecked(
                client,
                CubeCount::Static(tile.rows.over(time * batch), tile.columns.over(d_input), 1),
                tile.dim(),
                wide,
                features,
                deltas.arg_of(wide),
                layer.w_ih.arg_of(wide),
                optional(input_masks.as_ref()),
                optional_u32(plan.table.as_ref()),
                out.arg_of(features),
                batch as u32,
                plan.steps as u32,
                (time * batch) as u32,
                d_input as u32,
                width as u32,
                delta_row as u32,
                order_at,
                (width / groups) as u32,
                groups,
                tile,
            )
        }
        gradients.input = Some(out);
    }
    // The biases are outside of the normalisations.
    if let Some([_, bias]) = of_input {
        gradients.b_ih = Some(bias);
        gradients.b_hh = learned_at(OF_GATES + cell.gates(), width);
    }
    gradients
}

impl Call<'_> {
    /// The recurrence of a cell without `W_hh`.
    fn scan<N: Float>(&self) {
        let Call { client, sequence, saved, d_output, shape, .. } = self;
        let Saved { states, plan, .. } = saved;
        let d_sequence = d_output.sequence.as_ref();
        let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
        // SAFETY: as in `forward`, here and below.
        unsafe {
            scan::backward::launch_unchecked::<N>(
                client,
                CubeCount::Static(plan.cubes as u32, shape.chunks() as u32, 1),
                CubeDim::new_1d(shape.units as u32),
                optional(d_sequence.map(|grad| &grad.buffer)),
                optional(d_output.h.as_ref()),
                states.arg(),
                optional(sequence.zoneout_h.drawn()),
                optional_u32(plan.table.as_ref()),
                self.deltas.arg(),
                self.d_first.arg(),
                stride_t,
                stride_b,
                stride_j,
                sequence.time as u32,
                sequence.batch as u32,
                plan.index_at() as u32,
                sequence.zoneout_h.mean(),
                *shape,
            )
        }
    }

    /// That of any other. The gradients of what the layer learns beside its weights, as [`Shape::learned_at`] says.
    fn recurrence<N: Float>(&self, w_hh: &Buffer) -> Option<Buffer> {
        let Call { client, layer, sequence, saved, d_output, shape, first_c_at, .. } = self;
        let Saved { states, storage, plan, masks, .. } = saved;
        let (gates, d_hidden) = (layer.cell.gates(), layer.d_hidden);
        let packed = Matrix {
            groups: gates,
            terms: d_hidden,
            columns: d_hidden,
            term_stride: 1,
            column_stride: gates * d_hidden,
        };
        let (w_hh_t, _) = packed.pack::<N>(client, *storage, w_hh, &[]);
        let of_cubes = Buffer::empty(client, plan.cubes * shape.learned());
        let count = CubeCount::Static(plan.cubes as u32, 1, 1);
        let dim = CubeDim::new_1d(shape.units as u32);
        let d_sequence = d_output.sequence.as_ref();
        let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
        let [p_i, p_f, p_o] = layer.peepholes.each_ref().map(|vector| optional(vector.as_ref()));
        match (&layer.norm, &saved.normalized) {
            (Some(Norm { hh: Some(hh), c, .. }), Some(normalized)) => {
                let [gamma_c, beta_c] = [0, 1].map(|which| optional(c.as_ref().map(|c| &c[which])));
                unsafe {
                    normalized::backward::recurrence::launch_unchecked::<N>(
                        client,
                        count,
                        dim,
                        shape.line(),
                        optional(d_sequence.map(|grad| &grad.buffer)),
                        optional(d_output.h.as_ref()),
                        optional(d_output.c.as_ref()),
                        states.arg(),
                        normalized.stats.arg(),
                        w_hh_t.arg_of(WIDE),
                        hh.arg(),
                        gamma_c,
                        beta_c,
                        p_i,
                        p_f,
                        p_o,
                        optional(masks.as_ref()),
                        optional(sequence.zoneout_h.drawn()),
                        optional(sequence.zoneout_c.drawn()),
                        optional_u32(plan.table.as_ref()),
                        self.deltas.arg(),
                        self.d_first.arg(),
                        of_cubes.arg(),
                        stride_t,
                        stride_b,
                        stride_j,
                        sequence.time as u32,
                        sequence.batch as u32,
                        plan.index_at() as u32,
                        *first_c_at as u32,
                        sequence.zoneout_h.mean(),
                        sequence.zoneout_c.mean(),
                        *shape,
                    )
                }
            }
            _ => unsafe {
                plain::recurrence::launch_unchecked::<N>(
                    client,
                    count,
                    dim,
                    shape.line(),
                    optional(d_sequence.map(|grad| &grad.buffer)),
                    optional(d_output.h.as_ref()),
                    optional(d_output.c.as_ref()),
                    states.arg(),
                    w_hh_t.arg_of(WIDE),
                    p_i,
                    p_f,
                    p_o,
                    optional(masks.as_ref()),
                    optional(sequence.zoneout_h.drawn()),
                    optional(sequence.zoneout_c.drawn()),
                    optional_u32(plan.table.as_ref()),
                    self.deltas.arg(),
                    self.d_first.arg(),
                    of_cubes.arg(),
                    stride_t,
                    stride_b,
                    stride_j,
                    sequence.time as u32,
                    sequence.batch as u32,
                    plan.index_at() as u32,
                    *first_c_at as u32,
                    sequence.zoneout_h.mean(),
                    sequence.zoneout_c.mean(),
                    *shape,
                )
            },
        }
        (shape.learned() > 0).then(|| sum(client, &of_cubes, plan.cubes, shape.learned()))
    }

    /// The gradients of γ_ih and b_ih; and puts the gradients of the input's products in place of those of the sums.
    fn through_norm<N: Float>(&self, normalized: &Normalized) -> [Buffer; 2] {
        let Call { client, layer, sequence, saved, deltas, .. } = self;
        let shape = self.shape.of_sums();
        let Some(Norm { ih, .. }) = &layer.norm else { unreachable!("forward normalised") };
        let Saved { plan, .. } = saved;
        let width = layer.cell.gates() * layer.d_hidden;
        let stride = width.next_multiple_of(ALIGNMENT);
        let stretch = plan.steps.div_ceil(STRETCHES).max(1);
        let stretches = plan.steps.div_ceil(stretch).max(1);
        let of_stretches = Buffer::empty(client, stretches * 2 * stride);
        let (symbols, table) = (normalized.symbols.as_ref(), plan.table.as_ref());
        let order_at = plan.order_at(sequence.batch, sequence.time) as u32;
        unsafe {
            norm::sums::launch_unchecked::<N>(
                client,
                CubeCount::Static(stretches as u32, (width as u32).div_ceil(CUBE), 1),
                CubeDim::new_1d(CUBE),
                deltas.arg(),
                normalized.products.arg(),
                optional_u32(symbols),
                optional_u32(table),
                of_stretches.arg(),
                plan.steps as u32,
                stretch as u32,
                stride as u32,
                order_at,
                sequence.batch as u32,
                sequence.time as u32,
                shape,
            )
        }
        let sums = sum(client, &of_stretches, stretches, 2 * stride);
        let of_input = [sums.part(0, width), sums.part(stride, width)];
        if plan.steps == 0 {
            return of_input;
        }
        unsafe {
            norm::gradient::launch_unchecked::<N>(
                client,
                rows(plan.steps),
                CubeDim::new_1d(shape.units as u32),
                shape.line(),
                deltas.arg(),
                normalized.products.arg(),
                normalized.scales.arg(),
                ih.arg(),
                optional_u32(symbols),
                optional_u32(table),
                plan.steps as u32,
                order_at,
                sequence.batch as u32,
                sequence.time as u32,
                shape,
            )
        }
        of_input
    }
}

/// The sum of `count` rows of `width` numbers.
fn sum(client: &Client, all: &Buffer, count: usize, width: usize) -> Buffer {
    let sums = Buffer::empty(client, width);
    unsafe {
        plain::sum_of_cubes::launch_unchecked(
            client,
            cubes(width),
            CubeDim::new_1d(CUBE),
            all.arg(),
            sums.arg(),
            count as u32,
            width as u32,
        )
    }
    sums
}
