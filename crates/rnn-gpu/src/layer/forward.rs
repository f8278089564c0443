//! Forward: the input products, then the recurrence.

use super::check::check;
use super::{Saved, optional, optional_u32, pair, tile};
use crate::args::{Input, Layer, Output, Sequence};
use crate::launch::{CUBE, cubes};
use crate::plan::Plan;
use crate::product::{Matrix, WIDE};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::{Buffer, forward as fore, input, weights};
use cubecl::client::Client;
use cubecl::prelude::*;
use half::f16;

/// Runs a layer over a batch; saves for backward if it is to `save`. Three launches, two with symbols; one more for
/// masks of each gate of the input.
///
/// # Panics
/// If a buffer has another length than the sizes say. What [`fits`](crate::fits) refuses must not come here.
pub fn forward(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> (Output, Option<Saved>) {
    check(layer, sequence);
    match sequence.storage {
        Storage::F32 => stored::<f32>(client, layer, sequence, save),
        Storage::F16 => stored::<f16>(client, layer, sequence, save),
    }
}

/// The same; `N` is `sequence.storage` as a type.
fn stored<N: Float>(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> (Output, Option<Saved>) {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, storage, .. } = *sequence;
    let width = cell.gates() * d_hidden;
    let shape = Shape::of(client, layer, sequence, save);
    let plan = Plan::new(client, batch, time, shape.rows, sequence.counted, sequence.reverse);
    let input_masks = joined(client, &sequence.input_masks);

    let (products, symbols) = match &sequence.input {
        Input::Symbols(symbols) => (layer.w_ih.clone(), Some(Buffer::from_u32(client, symbols))),
        Input::Dense(x) => {
            let products = Buffer::stored(client, storage, plan.steps * width);
            let tile = tile(client, d_hidden, Some((x, d_input)));
            let groups = if sequence.input_masks.len() > 1 { cell.gates() } else { 1 };
            let count = CubeCount::Static(tile.rows.over(plan.steps), tile.columns.over(width / groups), groups as u32);
            let [stride_t, stride_b, stride_i] = x.strides.map(|stride| stride as u32);
            // SAFETY: `check` looked at the sizes; the kernel stays within them.
            unsafe {
                input::products::launch_unchecked::<N>(
                    client,
                    count,
                    tile.dim(),
                    tile.wide,
                    tile.features,
                    x.buffer.arg_of(tile.features),
                    layer.w_ih.arg_of(tile.wide),
                    optional(input_masks.as_ref()),
                    optional_u32(plan.table.as_ref()),
                    products.arg_of(tile.wide),
                    stride_t,
                    stride_b,
                    stride_i,
                    batch as u32,
                    plan.steps as u32,
                    d_input as u32,
                    width as u32,
                    (width / groups) as u32,
                    plan.order_at(batch, time) as u32,
                    tile,
                )
            }
            (products, None)
        }
    };

    let packed = Matrix { groups: 1, terms: d_hidden, columns: width, term_stride: width, column_stride: 1 };
    let (w_hh, masks) = packed.pack::<N>(client, storage, &layer.w_hh, &sequence.recurrent_masks);
    let output = Buffer::empty(client, time * batch * d_hidden);
    let (last, last_c_at, h, c) = pair(client, batch * d_hidden);
    let states = Buffer::stored(client, storage, if save { plan.steps * cell.saved() * d_hidden } else { 1 });
    // With symbols the products are rows of `W_ih`, where it lies.
    let recurrence = match symbols {
        Some(_) => fore::recurrence::launch_unchecked::<f32, N>,
        None => fore::recurrence::launch_unchecked::<N, N>,
    };
    // SAFETY: as above.
    unsafe {
        recurrence(
            client,
            CubeCount::Static(plan.cubes as u32, 1, 1),
            CubeDim::new_1d(shape.units as u32),
            shape.line(),
            products.arg(),
            optional_u32(symbols.as_ref()),
            w_hh.arg_of(WIDE),
            optional(layer.b_ih.as_ref()),
            optional(layer.b_hh.as_ref()),
            sequence.h0.arg(),
            optional(sequence.c0.as_ref()),
            optional(masks.as_ref()),
            optional(sequence.zoneout_h.drawn()),
            optional(sequence.zoneout_c.drawn()),
            optional_u32(plan.table.as_ref()),
            output.arg(),
            last.arg(),
            states.arg(),
            time as u32,
            batch as u32,
            plan.index_at() as u32,
            0,
            last_c_at as u32,
            sequence.zoneout_h.mean(),
            sequence.zoneout_c.mean(),
            shape,
        )
    }
    let saved = save.then_some(Saved { states, storage, plan, input_masks, masks });
    (Output { sequence: output, h, c: cell.has_c().then_some(c) }, saved)
}

/// The masks one after the other in one buffer.
fn joined(client: &Client, masks: &[Buffer]) -> Option<Buffer> {
    let [first, _, ..] = masks else { return masks.first().cloned() };
    let len = first.len();
    let out = Buffer::empty(client, masks.len() * len);
    // SAFETY: the kernel stays within `len` numbers of each mask.
    unsafe {
        weights::joined::launch_unchecked(
            client,
            cubes(len),
            CubeDim::new_1d(CUBE),
            optional(masks.first()),
            optional(masks.get(1)),
            optional(masks.get(2)),
            optional(masks.get(3)),
            out.arg(),
            len as u32,
        )
    }
    Some(out)
}
