//! A layer over a batch of sequences: the kernels in their order.

mod backward;
mod check;
mod forward;

use crate::Buffer;
use crate::args::{Cell, Strided};
use crate::buffer::ALIGNMENT;
use crate::matmul::{Side, Tile};
use crate::plan::Plan;
use crate::product::WIDE;
use crate::shape::{Shape, is_narrow, lanes};
use crate::storage::Storage;
use cubecl::client::Client;
use cubecl::prelude::*;

pub use backward::backward;
pub use forward::forward;

/// What forward keeps for backward.
#[derive(Debug, Clone)]
pub struct Saved {
    /// For each place `[Cell::saved, d_hidden]`, stored as `storage` says.
    states: Buffer,
    storage: Storage,
    plan: Plan,
    input_masks: Option<Buffer>,
    masks: Option<Buffer>,
    normalized: Option<Normalized>,
}

/// What forward keeps of the normalisations.
#[derive(Debug, Clone)]
struct Normalized {
    /// The input's products of each place, or of each symbol, and what they were multiplied by.
    products: Buffer,
    scales: Buffer,
    symbols: Option<Buffer>,
    /// As [`crate::normalized::STATS`] says; empty without products of h.
    stats: Buffer,
}

impl Saved {
    /// How many bytes of the device's memory the gates and states of all steps take: what [`Storage::F16`] halves.
    pub fn bytes(&self) -> u64 {
        self.states.handle().size_in_used()
    }
}

/// What a layer asks of an adapter.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// The cell.
    pub cell: Cell,
    /// Units.
    pub d_hidden: usize,
    /// Masks of recurrent dropout.
    pub recurrent_masks: usize,
    /// Whether the layer has peepholes.
    pub peepholes: bool,
    /// Whether its sums are normalised.
    pub norm: bool,
    /// How its largest buffers are stored.
    pub storage: Storage,
}

/// Whether the adapter can do a layer.
///
/// # Errors
/// Which of its limits is in the way.
pub fn fits(client: &Client, needs: &Needs) -> Result<(), &'static str> {
    let Needs { cell, d_hidden, recurrent_masks, peepholes, norm, storage } = *needs;
    let hardware = &client.properties().hardware;
    let shape = Shape { masks: recurrent_masks, norm, ..Shape::new(client, cell, d_hidden) };
    // Of the kernel with the most: the recurrence forwards, or the products and their gradients.
    let bindings = match (cell.has_w_hh(), norm) {
        (false, _) => 10,
        (true, true) => 22,
        (true, false) if peepholes => 17,
        (true, false) => 14,
    };
    let refused = [
        (!storage.is_on(client), "the adapter has no 16-bit floats"),
        (hardware.max_bindings < bindings, "the adapter binds too few buffers at once"),
        (shape.shared() > hardware.max_shared_memory_size, "the adapter has too little shared memory for the units"),
        (
            tile(client, d_hidden, None).shared() > hardware.max_shared_memory_size,
            "the adapter has too little shared memory",
        ),
        (
            tile(client, d_hidden, None).units() > hardware.max_units_per_cube as usize,
            "the adapter's cubes have too few units",
        ),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, reason)) => Err(reason),
        None => Ok(()),
    }
}

/// The tiles of a layer's products; of an `x`, where it is not symbols.
fn tile(client: &Client, d_hidden: usize, x: Option<(&Strided, usize)>) -> Tile {
    let wide = |starts: &[usize]| if starts.iter().all(|start| start % WIDE == 0) { WIDE } else { 1 };
    let features = match x {
        Some((Strided { strides: [t, b, 1], .. }, d_input)) => wide(&[*t, *b, d_input]),
        Some(_) => 1,
        None => WIDE,
    };
    let wide = wide(&[d_hidden]);
    match is_narrow(client) {
        true => Tile {
            // A number that is stored alone is much code.
            rows: Side { units: 4, each: if wide.min(features) == WIDE { 16 } else { 8 } },
            columns: Side { units: 8, each: 8 },
            depth: 8,
            lanes: lanes(client),
            wide,
            features,
        },
        false => {
            let side = Side { units: 16, each: 4 };
            Tile { rows: side, columns: side, depth: 16, lanes: 1, wide, features }
        }
    }
}

fn optional(buffer: Option<&Buffer>) -> ComptimeOptionArgs<Box<[f32]>> {
    buffer.map(Buffer::arg).into()
}

fn optional_u32(buffer: Option<&Buffer>) -> ComptimeOptionArgs<Box<[u32]>> {
    buffer.map(Buffer::arg).into()
}

/// Two tensors of `len` numbers in one buffer: the buffer, where the second begins, and both.
fn pair(client: &Client, len: usize) -> (Buffer, usize, Buffer, Buffer) {
    let second_at = len.next_multiple_of(ALIGNMENT);
    let both = Buffer::empty(client, second_at + len);
    let (first, second) = (both.part(0, len), both.part(second_at, len));
    (both, second_at, first, second)
}
