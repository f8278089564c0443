//! Rows of a table, and the table's gradient: one launch each, without atomics.

use crate::Buffer;
use crate::launch::{CUBE, cubes};
use cubecl::client::Client;
use cubecl::prelude::*;

/// Which rows of a table make up a batch, on the device.
#[derive(Debug, Clone)]
pub struct Named {
    /// The id of each step.
    ids: Buffer,
    /// The steps, sorted by their ids, those of one id in their order.
    steps: Buffer,
    /// Where the steps of each id begin among them, and the end: `[n + 1]`.
    starts: Buffer,
    n: usize,
}

impl Named {
    /// The rows `ids` of a table of `n` rows.
    ///
    /// # Panics
    /// On an id that is not below n.
    pub fn new(client: &Client, n: usize, ids: &[u32]) -> Self {
        let mut starts = vec![0u32; n + 1];
        for &id in ids {
            assert!((id as usize) < n, "id {id}: the table has {n} rows");
            starts[id as usize + 1] += 1;
        }
        for id in 0..n {
            starts[id + 1] += starts[id];
        }
        let mut next = starts.clone();
        let mut steps = vec![0u32; ids.len().max(1)];
        for (step, &id) in ids.iter().enumerate() {
            steps[next[id as usize] as usize] = step as u32;
            next[id as usize] += 1;
        }
        let [ids, steps, starts] = [ids, &steps, &starts].map(|values| Buffer::from_u32(client, values));
        Named { ids, steps, starts, n }
    }

    /// The rows of `table`, `[n, d]`: `[steps, d]`.
    ///
    /// # Panics
    /// On a table of another length.
    pub fn rows(&self, client: &Client, table: &Buffer, d: usize) -> Buffer {
        assert!(table.len() == self.n * d, "a table of {} numbers for {} rows of {d}", table.len(), self.n);
        let rows = Buffer::empty(client, self.ids.len() * d);
        if !rows.is_empty() {
            let (count, cube) = (cubes(rows.len()), CubeDim::new_1d(CUBE));
            look_up::launch(client, count, cube, table.arg(), self.ids.arg(), rows.arg(), d as u32);
        }
        rows
    }

    /// The gradient of the table, `[n, d]`, from that of its rows, `[steps, d]`: those of one id are added up in the
    /// order of the steps.
    ///
    /// # Panics
    /// On rows of another length.
    pub fn gradient(&self, client: &Client, rows: &Buffer, d: usize) -> Buffer {
        assert!(rows.len() == self.ids.len() * d, "rows of {} numbers for {} of {d}", rows.len(), self.ids.len());
        let table = Buffer::empty(client, self.n * d);
        if !table.is_empty() {
            let (count, cube) = (cubes(table.len()), CubeDim::new_1d(CUBE));
            add_up::launch(client, count, cube, rows.arg(), self.steps.arg(), self.starts.arg(), table.arg(), d as u32);
        }
        table
    }
}

#[cube(launch)]
fn look_up(table: &[f32], ids: &[u32], rows: &mut [f32], d: u32) {
    let i = ABSOLUTE_POS;
    let d = d as usize;
    if i < rows.len() {
        rows[i] = table[ids[i / d] as usize * d + i % d];
    }
}

/// A unit for each number of the table: most rows have no step, and are zeroed.
#[cube(launch)]
fn add_up(rows: &[f32], steps: &[u32], starts: &[u32], table: &mut [f32], d: u32) {
    let i = ABSOLUTE_POS;
    let d = d as usize;
    if i < table.len() {
        let (id, column) = (i / d, i % d);
        let mut sum = 0.0f32;
        for at in starts[id]..starts[id + 1] {
            sum += rows[steps[at as usize] as usize * d + column];
        }
        table[i] = sum;
    }
}
