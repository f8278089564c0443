//! A layer over a batch of sequences: the kernels in their order.

use crate::args::{
    Cell, Counted, Gradients, Input, Layer, Output, OutputGradients, Sequence, Strided, Wanted, Zoneout,
};
use crate::forward::{Shape, Zone};
use crate::launch::{CUBE, cubes};
use crate::matmul::Tile;
use crate::plan::Plan;
use crate::{Buffer, backward as back, forward as fore, input, weights};
use cubecl::client::Client;
use cubecl::prelude::*;

/// Where a second tensor in a buffer begins is a multiple of so many numbers: what devices ask of a tensor's begin.
const ALIGNMENT: usize = 64;

/// What forward keeps for backward.
#[derive(Debug, Clone)]
pub struct Saved {
    states: Buffer,
    plan: Plan,
    input_masks: Option<Buffer>,
    masks: Option<Buffer>,
}

/// Whether the adapter can do a layer of such a size.
///
/// # Errors
/// Which of its limits is in the way.
pub fn fits(client: &Client, cell: Cell, d_hidden: usize, recurrent_masks: usize) -> Result<(), &'static str> {
    let hardware = &client.properties().hardware;
    let shape = Shape { masks: recurrent_masks, rows: 1, ..Shape::new(client, cell, d_hidden) };
    let refused = [
        (hardware.max_bindings < 14, "the adapter binds too few buffers at once"),
        (shape.shared() > hardware.max_shared_memory_size, "the adapter has too little shared memory for the units"),
        (tile(client).shared() > hardware.max_shared_memory_size, "the adapter has too little shared memory"),
        (tile(client).units() > hardware.max_units_per_cube as usize, "the adapter's cubes have too few units"),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

/// Whether the adapter is a CPU in disguise: its planes are the width of its vectors. Then a load that many rows share
/// counts more than many cubes.
fn is_narrow(client: &Client) -> bool {
    client.properties().hardware.plane_size_max <= 8
}

fn tile(client: &Client) -> Tile {
    match is_narrow(client) {
        true => Tile { side: 8, each: 8, depth: 16 },
        false => Tile { side: 16, each: 4, depth: 16 },
    }
}

impl Shape {
    fn new(client: &Client, cell: Cell, d_hidden: usize) -> Self {
        let most = (client.properties().hardware.max_units_per_cube as usize).min(256);
        let units = d_hidden.next_multiple_of(if is_narrow(client) { 8 } else { 32 });
        Shape {
            cell,
            d_hidden,
            rows: 1,
            units: units.min(most),
            reverse: false,
            repeats: false,
            masks: 0,
            zoneout_h: Zone::Off,
            zoneout_c: Zone::Off,
            save: false,
        }
    }

    /// For a call.
    fn of(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> Self {
        let shape = Shape {
            reverse: sequence.reverse,
            repeats: sequence.masked_repeats && !matches!(sequence.counted, Counted::All),
            masks: sequence.recurrent_masks.len(),
            zoneout_h: sequence.zoneout_h.kind(),
            zoneout_c: sequence.zoneout_c.kind(),
            save,
            ..Shape::new(client, layer.cell, layer.d_hidden)
        };
        let wanted = if is_narrow(client) { 2 } else { 64 };
        let mut rows = sequence.batch.div_ceil(wanted).next_power_of_two().min(8);
        while rows > 1
            && (Shape { rows, ..shape }.shared() > client.properties().hardware.max_shared_memory_size
                || rows * shape.chunks() > 16)
        {
            rows /= 2;
        }
        Shape { rows, ..shape }
    }
}

impl Zoneout {
    fn kind(&self) -> Zone {
        match self {
            Zoneout::Off => Zone::Off,
            Zoneout::Mean(_) => Zone::Mean,
            Zoneout::Drawn(_) => Zone::Drawn,
        }
    }

    fn mean(&self) -> f32 {
        if let Zoneout::Mean(p) = self { *p } else { 0.0 }
    }

    fn drawn(&self) -> Option<&Buffer> {
        if let Zoneout::Drawn(keep) = self { Some(keep) } else { None }
    }
}

fn optional(buffer: Option<&Buffer>) -> ComptimeOptionArgs<Box<[f32]>> {
    buffer.map(Buffer::arg).into()
}

fn optional_u32(buffer: Option<&Buffer>) -> ComptimeOptionArgs<Box<[u32]>> {
    buffer.map(Buffer::arg).into()
}

/// The masks one after the other in one buffer.
fn joined(client: &Client, masks: &[Buffer]) -> Option<Buffer> {
    let [first, second, others @ ..] = masks else { return masks.first().cloned() };
    let len = first.len();
    let out = Buffer::empty(client, masks.len() * len);
    // SAFETY: the kernel stays within `len` numbers of each mask.
    unsafe {
        weights::side_by_side::launch_unchecked(
            client,
            cubes(len),
            CubeDim::new_1d(CUBE),
            first.arg(),
            second.arg(),
            optional(others.first()),
            optional(others.get(1)),
            out.arg(),
            len as u32,
        )
    }
    Some(out)
}

/// Two tensors of `len` numbers in one buffer: the buffer, where the second begins, and both.
fn pair(client: &Client, len: usize) -> (Buffer, usize, Buffer, Buffer) {
    let second_at = len.next_multiple_of(ALIGNMENT);
    let both = Buffer::empty(client, second_at + len);
    let first = Buffer::new(both.handle().clone().offset_end(4 * second_at as u64), len);
    let second = Buffer::new(both.handle().clone().offset_start(4 * second_at as u64), len);
    (both, second_at, first, second)
}

/// Runs a layer over a batch; saves for backward if it is to `save`. Two launches, and one for masks of each gate.
///
/// # Panics
/// If a buffer has another length than the sizes say. What [`fits`] refuses must not come here.
pub fn forward(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> (Output, Option<Saved>) {
    check(layer, sequence);
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, .. } = *sequence;
    let width = cell.gates() * d_hidden;
    let shape = Shape::of(client, layer, sequence, save);
    let plan = Plan::new(client, batch, time, shape.rows, sequence.counted, sequence.reverse);
    let input_masks = joined(client, &sequence.input_masks);
    let masks = joined(client, &sequence.recurrent_masks);

    let (products, symbols) = match &sequence.input {
        Input::Symbols(symbols) => (layer.w_ih.clone(), Some(Buffer::from_u32(client, symbols))),
        Input::Dense(x) => {
            let products = Buffer::empty(client, plan.steps * width);
            let tile = tile(client);
            let groups = if sequence.input_masks.len() > 1 { cell.gates() } else { 1 };
            let count = CubeCount::Static(tile.over(plan.steps), tile.over(width / groups), groups as u32);
            let [stride_t, stride_b, stride_i] = x.strides.map(|stride| stride as u32);
            // SAFETY: `check` looked at the sizes; the kernel stays within them.
            unsafe {
                input::products::launch_unchecked(
                    client,
                    count,
                    tile.dim(),
                    x.buffer.arg(),
                    layer.w_ih.arg(),
                    optional(input_masks.as_ref()),
                    optional_u32(plan.table.as_ref()),
                    products.arg(),
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

    let output = Buffer::empty(client, time * batch * d_hidden);
    let (last, last_c_at, h, c) = pair(client, batch * d_hidden);
    let states = Buffer::empty(client, if save { plan.steps * cell.saved() * d_hidden } else { 1 });
    // SAFETY: as above.
    unsafe {
        fore::recurrence::launch_unchecked(
            client,
            CubeCount::Static(plan.cubes as u32, 1, 1),
            CubeDim::new_1d(shape.units as u32),
            products.arg(),
            optional_u32(symbols.as_ref()),
            layer.w_hh.arg(),
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
    let saved = save.then_some(Saved { states, plan, input_masks, masks });
    (Output { sequence: output, h, c: cell.has_c().then_some(c) }, saved)
}

/// The gradients that are wanted, of a call that was saved. At most four launches.
///
/// # Panics
/// As [`forward`].
pub fn backward(
    client: &Client,
    layer: &Layer,
    sequence: &Sequence,
    saved: &Saved,
    d_output: &OutputGradients,
    wanted: Wanted,
) -> Gradients {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, .. } = *sequence;
    let Saved { states, plan, input_masks, masks } = saved;
    let width = cell.gates() * d_hidden;
    let delta_row = cell.deltas() * d_hidden;
    let shape = Shape { rows: plan.rows, ..Shape::of(client, layer, sequence, true) };

    let w_hh_t = Buffer::empty(client, d_hidden * width);
    // SAFETY: as in `forward`, here and below.
    unsafe {
        weights::transpose::launch_unchecked(
            client,
            cubes(w_hh_t.len()),
            CubeDim::new_1d(CUBE),
            layer.w_hh.arg(),
            w_hh_t.arg(),
            d_hidden as u32,
            width as u32,
        )
    }
    let deltas = Buffer::empty(client, plan.steps * delta_row);
    let (d_first, first_c_at, h0, c0) = pair(client, batch * d_hidden);
    let d_sequence = d_output.sequence.as_ref();
    let [stride_t, stride_b, stride_j] = d_sequence.map_or([0; 3], |grad| grad.strides.map(|stride| stride as u32));
    unsafe {
        back::recurrence::launch_unchecked(
            client,
            CubeCount::Static(plan.cubes as u32, 1, 1),
            CubeDim::new_1d(shape.units as u32),
            optional(d_sequence.map(|grad| &grad.buffer)),
            optional(d_output.h.as_ref()),
            optional(d_output.c.as_ref()),
            states.arg(),
            w_hh_t.arg(),
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
    let tile = tile(client);
    let order_at = plan.order_at(batch, time) as u32;

    if wanted.input_weights || wanted.hidden_weights {
        let (x, d_x) = match &sequence.input {
            Input::Dense(x) => (Some(x), d_input),
            Input::Symbols(_) => (None, 0),
        };
        let [stride_t, stride_b, stride_i] = x.map_or([0; 3], |x| x.strides.map(|stride| stride as u32));
        let of_gates = sequence.input_masks.len() > 1 || shape.masks > 1 || cell == Cell::GruBefore;
        let groups = if of_gates { cell.gates() } else { 1 };
        let (first, end) = (u32::from(!wanted.input_weights), 1 + u32::from(wanted.hidden_weights));
        let rows = [d_x, d_hidden][first as usize..end as usize].iter().copied().max().unwrap_or(0);
        let d_w_ih = Buffer::empty(client, d_x * width);
        let [d_b_ih, d_b_hh] = [(); 2].map(|()| Buffer::empty(client, width));
        let d_w_hh = Buffer::empty(client, if wanted.hidden_weights { d_hidden * width } else { 1 });
        unsafe {
            weights::gradients::launch_unchecked(
                client,
                CubeCount::Static(tile.over(rows), tile.over(width / groups), (end - first) * groups as u32),
                tile.dim(),
                optional(x.map(|x| &x.buffer)),
                states.arg(),
                deltas.arg(),
                optional(input_masks.as_ref()),
                optional(masks.as_ref()),
                optional_u32(plan.table.as_ref()),
                d_w_ih.arg(),
                d_b_ih.arg(),
                d_w_hh.arg(),
                d_b_hh.arg(),
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
                CubeCount::Static(tile.over(time * batch), tile.over(d_input), 1),
                tile.dim(),
                deltas.arg(),
                layer.w_ih.arg(),
                optional(input_masks.as_ref()),
                optional_u32(plan.table.as_ref()),
                out.arg(),
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

fn check(layer: &Layer, sequence: &Sequence) {
    let Layer { cell, d_input, d_hidden, .. } = *layer;
    let Sequence { batch, time, .. } = *sequence;
    let width = cell.gates() * d_hidden;
    let same = |what: &str, buffer: &Buffer, len: usize| {
        assert_eq!(buffer.len(), len, "{what} of {d_input} features, {d_hidden} units, {batch} rows and {time} steps");
    };
    assert!(d_hidden > 0 && batch > 0 && time > 0, "a layer has units, rows and steps");
    same("W_ih", &layer.w_ih, d_input * width);
    same("W_hh", &layer.w_hh, d_hidden * width);
    [&layer.b_ih, &layer.b_hh].into_iter().flatten().for_each(|bias| same("a bias", bias, width));
    same("h0", &sequence.h0, batch * d_hidden);
    assert_eq!(sequence.c0.is_some(), cell.has_c(), "an LSTM has a c0, and no other cell");
    sequence.c0.iter().for_each(|c0| same("c0", c0, batch * d_hidden));
    sequence.input_masks.iter().for_each(|mask| same("a mask of the input", mask, batch * d_input));
    sequence.recurrent_masks.iter().for_each(|mask| same("a mask of h", mask, batch * d_hidden));
    for count in [sequence.input_masks.len(), sequence.recurrent_masks.len()] {
        assert!([0, 1, cell.gates()].contains(&count), "{count} masks: none, one, or one for each gate");
    }
    let drawn = [&sequence.zoneout_h, &sequence.zoneout_c].into_iter().filter_map(Zoneout::drawn);
    drawn.for_each(|keep| same("zoneout", keep, time * batch * d_hidden));
    match &sequence.input {
        Input::Dense(Strided { buffer, strides }) => {
            let reach: usize = strides.iter().zip([time, batch, d_input]).map(|(s, n)| s * n.saturating_sub(1)).sum();
            assert!(reach < buffer.len().max(1), "x of {} numbers has strides {strides:?}", buffer.len());
        }
        Input::Symbols(symbols) => {
            assert_eq!(symbols.len(), batch * time, "a symbol for each step");
            assert!(symbols.iter().all(|&symbol| (symbol as usize) < d_input), "symbols are below {d_input}");
            assert!(sequence.input_masks.is_empty(), "symbols have no masks");
        }
    }
    match sequence.counted {
        Counted::All => {}
        Counted::Lengths(lengths) => {
            assert!(lengths.len() == batch && lengths.iter().all(|&l| l <= time), "a length up to {time} for each row")
        }
        Counted::Mask(mask) => assert_eq!(mask.len(), batch * time, "true or false for each step"),
    }
}
