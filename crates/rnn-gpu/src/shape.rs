//! What a kernel is compiled for, and how an adapter wants it.

use crate::Buffer;
use crate::args::{Activation, Cell, Counted, Layer, Options, Sequence, Zoneout};
use crate::buffer::ALIGNMENT;
use crate::cell::lstm::PEEPHOLES;
use crate::norm::GROUP;
use crate::normalized::OF_GATES;
use crate::product::{TERMS, WIDE};
use cubecl::client::Client;
use cubecl::ir::features::Plane;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub cell: Cell,
    pub options: Options,
    pub peepholes: bool,
    /// Whether the sums are normalised.
    pub norm: bool,
    pub d_hidden: usize,
    /// Rows of the batch in a cube.
    pub rows: usize,
    /// Units of the cube.
    pub units: usize,
    /// How many terms of a product a plane holds, each lane another; 1 where every lane reads all.
    pub lanes: usize,
    pub reverse: bool,
    /// Whether a new sequence may begin within a row.
    pub resets: bool,
    /// Whether a masked step's output is the one before.
    pub repeats: bool,
    /// Masks of recurrent dropout: 0, 1, or one for each gate.
    pub masks: usize,
    pub zoneout_h: Zone,
    pub zoneout_c: Zone,
    /// Whether forward saves for backward.
    pub save: bool,
}

/// What a kernel knows of a tensor's zoneout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Zone {
    Off,
    Mean,
    Drawn,
}

/// Whether the adapter is a CPU in disguise: its planes are the width of its vectors. Then a load that many rows share
/// counts more than many cubes.
pub(crate) fn is_narrow(client: &Client) -> bool {
    client.properties().hardware.plane_size_max <= 8
}

/// How many lanes of a plane hand each other what they loaded. A CPU in disguise does that in one instruction, and
/// loads lane by lane; a GPU gives all lanes the same number of shared memory at once, so there each lane loads: 1. So
/// does a CPU in disguise whose planes cannot, or are of no known width.
pub(crate) fn lanes(client: &Client) -> usize {
    let properties = client.properties();
    let hardware = &properties.hardware;
    let known = hardware.plane_size_min == hardware.plane_size_max;
    // CubeCL says of no CPU that it can; Mesa's can.
    let can = properties.features.plane.contains(Plane::Ops) || properties.identity.name.starts_with("llvmpipe");
    if is_narrow(client) && known && can { hardware.plane_size_max as usize } else { 1 }
}

impl Shape {
    /// Without options, for one row.
    pub fn new(client: &Client, cell: Cell, d_hidden: usize) -> Self {
        let most = (client.properties().hardware.max_units_per_cube as usize).min(256);
        let units = d_hidden.next_multiple_of(if is_narrow(client) { 8 } else { 32 });
        Shape {
            cell,
            options: Options::plain(cell),
            peepholes: false,
            norm: false,
            d_hidden,
            rows: 1,
            units: units.min(most),
            lanes: lanes(client),
            reverse: false,
            resets: false,
            repeats: false,
            masks: 0,
            zoneout_h: Zone::Off,
            zoneout_c: Zone::Off,
            save: false,
        }
    }

    /// For a call.
    pub fn of(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> Self {
        let shape = Shape {
            options: layer.options,
            peepholes: layer.peepholes.iter().any(Option::is_some),
            norm: layer.norm.is_some(),
            reverse: sequence.reverse,
            resets: sequence.resets.is_some(),
            repeats: sequence.masked_repeats && !matches!(sequence.counted, Counted::All),
            masks: sequence.recurrent_masks.len(),
            zoneout_h: sequence.zoneout_h.kind(),
            zoneout_c: sequence.zoneout_c.kind(),
            save,
            ..Shape::new(client, layer.cell, layer.d_hidden)
        };
        if !layer.cell.has_w_hh() {
            // Nothing is shared among rows.
            return shape;
        }
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

    /// What the kernels that follow no row need to know, so that calls that differ in nothing else share them.
    pub fn of_sums(&self) -> Self {
        // The gates that reset h before the product are read again.
        let gate = if self.cell == Cell::GruBefore { self.options.gate } else { Activation::Sigmoid };
        Shape {
            options: Options { gate, ..Options::plain(self.cell) },
            peepholes: false,
            rows: 1,
            reverse: false,
            resets: false,
            repeats: false,
            zoneout_h: Zone::Off,
            zoneout_c: Zone::Off,
            save: true,
            ..*self
        }
    }

    /// How many units of the layer belong to one of the cube.
    pub fn chunks(&self) -> usize {
        self.d_hidden.div_ceil(self.units)
    }

    /// The terms of a product over the units, with the zeros that round them up.
    pub fn terms(&self) -> usize {
        self.d_hidden.next_multiple_of(TERMS)
    }

    /// How many rows lie side by side as a vector.
    pub fn line(&self) -> usize {
        self.rows.min(WIDE)
    }

    /// How many such vectors the rows of a cube are.
    pub fn lines(&self) -> usize {
        self.rows / self.line()
    }

    /// How often h stands in shared memory: for each mask, if every gate has its own.
    pub fn operands(&self) -> usize {
        self.masks.max(1)
    }

    /// How many values a unit saves at a step: what its cell does, and before the last the normalised product of h with
    /// each gate.
    pub fn saved(&self) -> usize {
        self.cell.saved() + if self.normalizes_h() { self.cell.gates() } else { 0 }
    }

    /// How many gradients of sums a unit has at a step: what its cell has; or one for each gate, and one for the product
    /// of h that went into the sum normalised.
    pub fn deltas(&self) -> usize {
        if self.normalizes_h() { 2 * self.cell.gates() } else { self.cell.deltas() }
    }

    /// Whether products of h are normalised.
    pub fn normalizes_h(&self) -> bool {
        self.norm && self.cell.has_w_hh()
    }

    /// Where among what a unit learns beside its weights its number `k` begins: the peepholes, γ_c and β_c, then γ_hh
    /// and b_hh of each gate. What tensors are made of begins where devices let a tensor begin.
    pub fn learned_at(&self, k: usize) -> usize {
        let (one, gates) = (self.d_hidden.next_multiple_of(ALIGNMENT), self.cell.gates());
        let all = (gates * self.d_hidden).next_multiple_of(ALIGNMENT);
        match k.checked_sub(OF_GATES) {
            None => k * one,
            Some(k) => OF_GATES * one + k / gates * all + k % gates * self.d_hidden,
        }
    }

    /// How many numbers that is in all.
    pub fn learned(&self) -> usize {
        match (self.normalizes_h(), self.peepholes) {
            (true, _) => self.learned_at(OF_GATES + 2 * self.cell.gates()),
            (false, true) => self.learned_at(PEEPHOLES),
            (false, false) => 0,
        }
    }

    /// How many numbers a sum over all units takes, for each row.
    pub fn totals(&self) -> usize {
        self.units + self.units / GROUP
    }

    /// Shared memory of the two kernels, in bytes.
    pub fn shared(&self) -> usize {
        if !self.cell.has_w_hh() {
            return 4 * self.totals();
        }
        let reset = if self.cell == Cell::GruBefore { 1 } else { 0 };
        let totals = if self.norm { self.totals() } else { 0 };
        4 * self.rows * (self.terms() * (self.operands() + reset).max(self.cell.gates()) + totals)
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

    pub(crate) fn mean(&self) -> f32 {
        if let Zoneout::Mean(p) = self { *p } else { 0.0 }
    }

    pub(crate) fn drawn(&self) -> Option<&Buffer> {
        if let Zoneout::Drawn(keep) = self { Some(keep) } else { None }
    }
}
