//! Backward: the recurrence, then the gradients of the weights and of the input.

use super::{Saved, optional, optional_u32, pair, tile};
use crate::args::{Cell, Gradients, Input, Layer, OutputGradients, Sequence, Wanted};
use crate::launch::CUBE;
use crate::product::{Matrix, WIDE};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::{Buffer, backward as back, input, weights};
use cubecl::client::Client;
use cubecl::prelude::*;
use half::f16;

/// The gradients that are wanted, of a call that was saved. At most four launches.
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
    let Saved { states, storage, plan, input_masks, masks } = saved;
    let width = cell.gates() * d_hidden;
    let delta_row = cell.deltas() * d_hidden;
    let shape = Shape { rows: plan.rows, ..Shape::of(client, layer, sequence, true) };

    let gates = cell.gates();
    let packed = Matrix { groups: gates, terms: d_hidden, columns: d_hidden, term_stride: 1, column_stride: width };
    let (w_hh_t, _) = packed.pack::<N>(client, *storage, &layer.w_hh, &[]);
    let deltas = Buffer::stored(client, Storage::F32, plan.steps * delta_row);
    let (d_first, first_c_at, h0, c0) = pair(client, batch * d_hidden);
    let d_sequence = d_output.sequence.as_ref();
    let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
    // SAFETY: as in `forward`, here and below.
    unsafe {
        back::recurrence::launch_unchecked::<N>(
            client,
            CubeCount::Static(plan.cubes as u32, 1, 1),
            CubeDim::new_1d(shape.units as u32),
            shape.line(),
            optional(d_sequence.map(|grad| &grad.buffer)),
            optional(d_output.h.as_ref()),
            optional(d_output.c.as_ref()),
            states.arg(),
            w_hh_t.arg_of(WIDE),
            optional(masks.as_ref()),
            optional(sequence.zoneout_h.drawn()),
            optional(sequence.zoneout_c.drawn()),
            optional_u32(plan.table.as_ref()),
            deltas.arg(),
            d_first.arg(),
            stride_t,
            stride_b,
            stride_j,
            time as u32,
            batch as u32,
            plan.index_at() as u32,
            first_c_at as u32,
            sequence.zoneout_h.mean(),
            sequence.zoneout_c.mean(),
            shape,
        )
    }
    let mut gradients =
        Gradients { input: None, w_ih: None, b_ih: None, w_hh: None, b_hh: None, h0, c0: cell.has_c().then_some(c0) };
    let x = if let Input::Dense(x) = &sequence.input { Some(x) } else { None };
    let tile = tile(client, d_hidden, x.map(|x| (x, d_input)));
    let (wide, features) = (tile.wide, tile.features);
    let order_at = plan.order_at(batch, time) as u32;

    if wanted.input_weights || wanted.hidden_weights {
        let d_x = if x.is_some() { d_input } else { 0 };
        let [stride_t, stride_b, stride_i] = x.map_or([0; 3], |x| x.strides.map(|stride| stride as u32));
        let of_gates = sequence.input_masks.len() > 1 || shape.masks > 1 || cell == Cell::GruBefore;
        let groups = if of_gates { cell.gates() } else { 1 };
        let (first, end) = (u32::from(!wanted.input_weights), 1 + u32::from(wanted.hidden_weights));
        let rows = [d_x, d_hidden][first as usize..end as usize].iter().copied().max().unwrap_or(0);
        let d_w_ih = Buffer::stored(client, Storage::F32, d_x * width);
        let [d_b_ih, d_b_hh] = [(); 2].map(|()| Buffer::empty(client, width));
        let d_w_hh = Buffer::stored(client, Storage::F32, if wanted.hidden_weights { d_hidden * width } else { 0 });
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
                shape,
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
        if wanted.hidden_weights {
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
    gradients
}
