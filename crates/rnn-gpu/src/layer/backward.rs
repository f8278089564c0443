//! Backward: the recurrence, then the gradients of the weights and of the input.

mod norm;
mod recurrence;

use super::{Saved, optional, optional_u32, pair, tile};
use crate::args::{Cell, Gradients, Input, Layer, Norm, OutputGradients, Sequence, Wanted};
use crate::launch::{CUBE, cubes};
use crate::normalized::{BETA_C, GAMMA_C, OF_GATES};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::{Buffer, backward as plain, input, weights};
use cubecl::client::Client;
use cubecl::prelude::*;
use half::f16;

/// The gradients that are wanted, of a call that was saved. At most four launches; five with
/// peepholes, eight with layer normalisation. Of a cell without `W_hh` three, with layer normalisation six.
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

/// The sum of `count` rows of `width` numbers.
fn sum(client: &Client, all: &Buffer, count: usize, width: usize) -> Buffer {
    let sums = Buffer::empty(client, width);
    // SAFETY: as in `forward`.
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
