//! Which cube does which rows and steps, and where what belongs to a step is kept.
//!
//! Rows are sorted by where they end, so that the rows of a cube stop together; steps that do not count have no place
//! in the buffers between the kernels, so that the products over all steps cost what the counted ones cost.

use crate::Buffer;
use crate::args::{Counted, Sequence};
use cubecl::client::Client;

/// In place of a row or step that is not there.
pub(crate) const NONE: u32 = u32::MAX;
/// The bit of a place before whose step the row's state becomes zero.
pub(crate) const RESET: u32 = 1 << 31;

/// How a call is laid out. All counts are of numbers in the buffer:
///
/// | from | to each | |
/// |---|---|---|
/// | 0 | cube | the first step that it does, and the one after the last, in the order of the layer |
/// | `2·cubes` | cube and place in it | the row of the batch, or [`NONE`] |
/// | `index_at` | step and row, `t·batch + b` | the place of what is kept for the step, with [`RESET`] or without, or [`NONE`] |
/// | `order_at` | place | `t·batch + b`; after the counted steps all others |
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The table; none where every step counts, when row r of cube q is row `q·rows + r` and a step's place `t·batch +
    /// b`.
    pub table: Option<Buffer>,
    /// The rows of a cube.
    pub rows: usize,
    pub cubes: usize,
    /// How many steps of all rows count.
    pub steps: usize,
}

impl Plan {
    pub fn index_at(&self) -> usize {
        2 * self.cubes + self.cubes * self.rows
    }

    pub fn order_at(&self, batch: usize, time: usize) -> usize {
        self.index_at() + batch * time
    }

    /// The plan of a call whose cubes have `rows` rows each.
    pub fn new(client: &Client, sequence: &Sequence, rows: usize) -> Self {
        let Sequence { batch, time, .. } = *sequence;
        let cubes = batch.div_ceil(rows);
        let all = sequence.resets.is_none()
            && match sequence.counted {
                Counted::All => true,
                Counted::Lengths(lengths) => lengths.iter().all(|&length| length >= time),
                Counted::Mask(mask) => mask.iter().all(|&counts| counts),
            };
        if all {
            return Plan { table: None, rows, cubes, steps: batch * time };
        }
        let (table, steps) = table(sequence, rows);
        Plan { table: Some(Buffer::from_u32(client, &table)), rows, cubes, steps }
    }
}

fn table(sequence: &Sequence, rows: usize) -> (Vec<u32>, usize) {
    let Sequence { batch, time, counted, reverse, resets, .. } = *sequence;
    let step = |s: usize| if reverse { time - 1 - s } else { s };
    let span = |row: usize| {
        let counts = |s: &usize| counted.has(row, step(*s), time);
        (0..time).find(counts).map_or((0, 0), |first| (first, (0..time).rfind(counts).map_or(0, |last| last + 1)))
    };
    let spans: Vec<(usize, usize)> = (0..batch).map(span).collect();
    let mut sorted: Vec<usize> = (0..batch).collect();
    // The longest first: they start first.
    sorted.sort_by_key(|&row| (std::cmp::Reverse(spans[row].1 - spans[row].0), spans[row]));

    let mut table = Vec::with_capacity(2 * batch + batch + 2 * batch * time);
    for cube in sorted.chunks(rows) {
        let busy = || cube.iter().map(|&row| spans[row]).filter(|(from, to)| from < to);
        table.push(busy().map(|(from, _)| from).min().unwrap_or(0) as u32);
        table.push(busy().map(|(_, to)| to).max().unwrap_or(0) as u32);
    }
    for cube in sorted.chunks(rows) {
        table.extend((0..rows).map(|place| cube.get(place).map_or(NONE, |&row| row as u32)));
    }
    let (mut order, mut others) = (Vec::with_capacity(batch * time), Vec::new());
    for t in 0..time {
        for row in 0..batch {
            let at = (t * batch + row) as u32;
            match counted.has(row, t, time) {
                true => {
                    let resets = resets.is_some_and(|resets| resets[row * time + t]);
                    table.push(order.len() as u32 | if resets { RESET } else { 0 });
                    order.push(at);
                }
                false => {
                    table.push(NONE);
                    others.push(at);
                }
            }
        }
    }
    let steps = order.len();
    table.extend(order);
    table.extend(others);
    (table, steps)
}
