//! Forward: the input products, then the recurrence.

use super::check::check;
use super::{Normalized, Saved, optional, optional_u32, pair, tile};
use crate::args::{Input, Layer, Norm, Output, Sequence, Strided};
use crate::launch::{CUBE, cubes, rows};
use crate::normalized::STATS;
use crate::plan::Plan;
use crate::product::{Matrix, WIDE};
use crate::shape::Shape;
use crate::storage::Storage;
use crate::{Buffer, forward as plain, input, norm, normalized, scan, weights};
use cubecl::client::Client;
use cubecl::prelude::*;
use half::f16;

/// Runs a layer over a batch; saves for backward if it is to `save`. Three launches; one
/// less with symbols, and another less for a cell without `W_hh`; one more for masks of each gate of the input, and
/// another more for layer normalisation.
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

/// A call, and what its recurrence reads and writes.
struct Call<'a> {
    client: &'a Client,
    layer: &'a Layer,
    sequence: &'a Sequence<'a>,
    shape: Shape,
    plan: Plan,
    /// For each place, or each symbol: a row of `W_ih` itself where there are symbols and nothing is normalised.
    products: Buffer,
    symbols: Option<Buffer>,
    output: Buffer,
    last: Buffer,
    last_c_at: usize,
    states: Buffer,
    stats: Buffer,
}

/// The same; `N` is `sequence.storage` as a type.
fn stored<N: Float>(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> (Output, Option<Saved>) {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, storage, .. } = *sequence;
    let shape = Shape::of(client, layer, sequence, save);
    let plan = Plan::new(client, sequence, shape.rows);
    let input_masks = joined(client, &sequence.input_masks);
    let (products, symbols) = match &sequence.input {
        Input::Symbols(symbols) => (layer.w_ih.clone(), Some(Buffer::from_u32(client, symbols))),
        Input::Dense(x) => (products::<N>(client, layer, sequence, x, input_masks.as_ref(), &plan), None),
    };
    let (products, scales) = match &layer.norm {
        None => (products, None),
        Some(_) => {
            let count = if symbols.is_some() { d_input } else { plan.steps };
            let (products, scales) = normalized_rows::<N>(client, &products, symbols.is_some(), count, shape, storage);
            (products, Some(scales))
        }
    };
    let output = Buffer::empty(client, time * batch * d_hidden);
    let (last, last_c_at, h, c) = pair(client, batch * d_hidden);
    let kept = |each: usize| if save { plan.steps * each } else { 1 };
    let states = Buffer::stored(client, storage, kept(shape.saved() * d_hidden));
    let stats = Buffer::empty(client, if shape.normalizes_h() { kept(STATS) } else { 0 });
    let call = Call { client, layer, sequence, shape, plan, products, symbols, output, last, last_c_at, states, stats };
    let masks = match &layer.w_hh {
        None => {
            call.scan::<N>();
            None
        }
        Some(w_hh) => call.recurrence::<N>(w_hh),
    };
    let Call { plan, products, symbols, output, states, stats, .. } = call;
    let normalized = scales.map(|scales| Normalized { products, scales, symbols, stats });
    let saved = save.then_some(Saved { states, storage, plan, input_masks, masks, normalized });
    (Output { sequence: output, h, c: cell.has_c().then_some(c) }, saved)
}

/// `x·W_ih` of each place.
fn products<N: Float>(
    client: &Client,
    layer: &Layer,
    sequence: &Sequence,
    x: &Strided,
    masks: Option<&Buffer>,
    plan: &Plan,
) -> Buffer {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, storage, .. } = *sequence;
    let width = cell.gates() * d_hidden;
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
            optional(masks),
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
    products
}

/// The rows of `products`, which are f32 if they are symbols', normalised; and what they were multiplied by.
fn normalized_rows<N: Float>(
    client: &Client,
    products: &Buffer,
    are_symbols: bool,
    count: usize,
    shape: Shape,
    storage: Storage,
) -> (Buffer, Buffer) {
    let normalized = Buffer::stored(client, storage, products.len());
    let scales = Buffer::empty(client, count);
    let of_rows = match are_symbols {
        true => norm::products::launch_unchecked::<f32, N>,
        false => norm::products::launch_unchecked::<N, N>,
    };
    if count == 0 {
        return (normalized, scales);
    }
    let shape = shape.of_sums();
    // SAFETY: the kernel stays within `count` rows of all gates' units.
    unsafe {
        of_rows(
            client,
            rows(count),
            CubeDim::new_1d(shape.units as u32),
            shape.line(),
            products.arg(),
            normalized.arg(),
            scales.arg(),
            count as u32,
            shape,
        )
    }
    (normalized, scales)
}

impl Call<'_> {
    /// The recurrence of a cell without `W_hh`.
    fn scan<N: Float>(&self) {
        let Call { client, layer, sequence, shape, plan, .. } = self;
        // Rows of `W_ih` are f32.
        let forward = match (&self.symbols, &layer.norm) {
            (Some(_), None) => scan::forward::launch_unchecked::<f32, N>,
            _ => scan::forward::launch_unchecked::<N, N>,
        };
        // SAFETY: as above.
        unsafe {
            forward(
                client,
                CubeCount::Static(plan.cubes as u32, shape.chunks() as u32, 1),
                CubeDim::new_1d(shape.units as u32),
                self.products.arg(),
                optional_u32(self.symbols.as_ref()),
                optional(layer.norm.as_ref().map(|norm| &norm.ih)),
                optional(layer.b_ih.as_ref()),
                sequence.h0.arg(),
                optional(sequence.zoneout_h.drawn()),
                optional_u32(plan.table.as_ref()),
                self.output.arg(),
                self.last.arg(),
                self.states.arg(),
                sequence.time as u32,
                sequence.batch as u32,
                plan.index_at() as u32,
                sequence.zoneout_h.mean(),
                *shape,
            )
        }
    }

    /// That of any other; its masks of h in one buffer.
    fn recurrence<N: Float>(&self, w_hh: &Buffer) -> Option<Buffer> {
        let Call { client, layer, sequence, shape, plan, .. } = self;
        let (d_hidden, width) = (layer.d_hidden, layer.cell.gates() * layer.d_hidden);
        let packed = Matrix { groups: 1, terms: d_hidden, columns: width, term_stride: width, column_stride: 1 };
        let (w_hh, masks) = packed.pack::<N>(client, sequence.storage, w_hh, &sequence.recurrent_masks);
        let count = CubeCount::Static(plan.cubes as u32, 1, 1);
        let dim = CubeDim::new_1d(shape.units as u32);
        let [p_i, p_f, p_o] = layer.peepholes.each_ref().map(|vector| optional(vector.as_ref()));
        if let Some(Norm { ih, hh: Some(hh), c }) = &layer.norm {
            let [gamma_c, beta_c] = [0, 1].map(|which| optional(c.as_ref().map(|c| &c[which])));
            // SAFETY: as above.
            unsafe {
                normalized::forward::recurrence::launch_unchecked::<N>(
                    client,
                    count,
                    dim,
                    shape.line(),
                    self.products.arg(),
                    optional_u32(self.symbols.as_ref()),
                    w_hh.arg_of(WIDE),
                    ih.arg(),
                    hh.arg(),
                    gamma_c,
                    beta_c,
                    optional(layer.b_ih.as_ref()),
                    optional(layer.b_hh.as_ref()),
                    sequence.h0.arg(),
                    optional(sequence.c0.as_ref()),
                    p_i,
                    p_f,
                    p_o,
                    optional(masks.as_ref()),
                    optional(sequence.zoneout_h.drawn()),
                    optional(sequence.zoneout_c.drawn()),
                    optional_u32(plan.table.as_ref()),
                    self.output.arg(),
                    self.last.arg(),
                    self.states.arg(),
                    self.stats.arg(),
                    sequence.time as u32,
                    sequence.batch as u32,
                    plan.index_at() as u32,
                    self.last_c_at as u32,
                    sequence.zoneout_h.mean(),
                    sequence.zoneout_c.mean(),
                    *shape,
                )
            }
            return masks;
        }
        // Rows of `W_ih` are f32.
        let recurrence = match self.symbols {
            Some(_) => plain::recurrence::launch_unchecked::<f32, N>,
            None => plain::recurrence::launch_unchecked::<N, N>,
        };
        // SAFETY: as above.
        unsafe {
            recurrence(
                client,
                count,
                dim,
                shape.line(),
                self.products.arg(),
                optional_u32(self.symbols.as_ref()),
                w_hh.arg_of(WIDE),
                optional(layer.b_ih.as_ref()),
                optional(layer.b_hh.as_ref()),
                sequence.h0.arg(),
                optional(sequence.c0.as_ref()),
                p_i,
                p_f,
                p_o,
                optional(masks.as_ref()),
                optional(sequence.zoneout_h.drawn()),
                optional(sequence.zoneout_c.drawn()),
                optional_u32(plan.table.as_ref()),
                self.output.arg(),
                self.last.arg(),
                self.states.arg(),
                sequence.time as u32,
                sequence.batch as u32,
                plan.index_at() as u32,
                self.last_c_at as u32,
                sequence.zoneout_h.mean(),
                sequence.zoneout_c.mean(),
                *shape,
            )
        }
        masks
    }
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
