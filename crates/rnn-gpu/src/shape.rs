//! What a kernel is compiled for, and how an adapter wants it.

use crate::Buffer;
use crate::args::{Cell, Counted, Layer, Sequence, Zoneout};
use cubecl::client::Client;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub cell: Cell,
    pub d_hidden: usize,
    /// Rows of the batch in a cube.
    pub rows: usize,
    /// Units of the cube.
    pub units: usize,
    pub reverse: bool,
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

impl Shape {
    /// Without options, for one row.
    pub fn new(client: &Client, cell: Cell, d_hidden: usize) -> Self {
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
    pub fn of(client: &Client, layer: &Layer, sequence: &Sequence, save: bool) -> Self {
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

    /// How many units of the layer belong to one of the cube.
    pub fn chunks(&self) -> usize {
        self.d_hidden.div_ceil(self.units)
    }

    /// How often h stands in shared memory: for each mask, if every gate has its own.
    pub fn operands(&self) -> usize {
        self.masks.max(1)
    }

    /// Shared memory of the two kernels, in bytes.
    pub fn shared(&self) -> usize {
        let reset = if self.cell == Cell::GruBefore { 1 } else { 0 };
        4 * self.rows * self.d_hidden * (self.operands() + reset).max(self.cell.gates())
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
