//! Which rows of the batch, which steps and which units a cube and its units do.

use crate::plan::{NONE, RESET};
use crate::shape::Shape;
use cubecl::prelude::*;

/// Which unit of the layer a unit of the cube does as its `chunk`-th; the last in place of one beyond the end.
#[cube]
pub(crate) fn unit_of(#[comptime] chunk: usize, unit: usize, #[comptime] shape: Shape) -> usize {
    let j = chunk * shape.units + unit;
    select(j < shape.d_hidden, j, comptime!(shape.d_hidden - 1))
}

/// The place of a step of a row, or [`NONE`].
#[cube]
pub(crate) fn place(
    plan: &ComptimeOption<Box<[u32]>>,
    index_at: usize,
    row: u32,
    step: usize,
    batch: usize,
    #[comptime] resets: bool,
) -> u32 {
    let place = entry(plan, index_at, row, step, batch);
    if resets { select(place == NONE, place, place & comptime!(!RESET)) } else { place }
}

/// Whether the row's state becomes zero before the step.
#[cube]
pub(crate) fn begins(plan: &ComptimeOption<Box<[u32]>>, index_at: usize, row: u32, step: usize, batch: usize) -> bool {
    let place = entry(plan, index_at, row, step, batch);
    place != NONE && place >= RESET
}

/// What the plan has for a step of a row.
#[cube]
fn entry(plan: &ComptimeOption<Box<[u32]>>, index_at: usize, row: u32, step: usize, batch: usize) -> u32 {
    let mut place = NONE.runtime();
    if row != NONE {
        let at = step * batch + row as usize;
        #[comptime]
        match plan {
            ComptimeOption::Some(plan) => place = plan[index_at + at],
            ComptimeOption::None => place = at as u32,
        }
    }
    place
}

/// The first step that a cube does in the order of the layer, and the one after the last.
#[cube]
pub(crate) fn span(plan: &ComptimeOption<Box<[u32]>>, cube: usize, time: usize) -> (usize, usize) {
    #[comptime]
    match plan {
        ComptimeOption::Some(plan) => (plan[2 * cube] as usize, plan[2 * cube + 1] as usize),
        ComptimeOption::None => (0usize.runtime(), time),
    }
}

/// The rows of the batch that a cube does.
#[cube]
pub(crate) fn rows_of(
    plan: &ComptimeOption<Box<[u32]>>,
    cube: usize,
    cubes: usize,
    batch: usize,
    #[comptime] rows: usize,
) -> Array<u32> {
    let mut row = Array::<u32>::new(rows);
    #[unroll]
    for r in 0..rows {
        #[comptime]
        match plan {
            ComptimeOption::Some(plan) => row[r] = plan[2 * cubes + cube * rows + r],
            ComptimeOption::None => {
                let b = cube * rows + r;
                row[r] = select(b < batch, b as u32, NONE.runtime());
            }
        }
    }
    row
}

/// The state of rows whose sequence begins with step `s`, or its gradient, becomes zero.
#[cube]
pub(crate) fn begin(
    h: &mut Array<f32>,
    c: &mut Array<f32>,
    plan: &ComptimeOption<Box<[u32]>>,
    row: &Array<u32>,
    index_at: usize,
    s: usize,
    time: usize,
    batch: usize,
    #[comptime] shape: Shape,
) {
    if comptime!(shape.resets) {
        let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
        #[unroll]
        for r in 0..comptime!(shape.rows) {
            if begins(plan, index_at, row[r], t, batch) {
                #[unroll]
                for u in 0..comptime!(shape.chunks()) {
                    h[u * shape.rows + r] = 0.0f32;
                    c[u * shape.rows + r] = 0.0f32;
                }
            }
        }
    }
}

/// Writes the state of a cube's rows, or its gradient: h `[batch, d_hidden]`, and c from `c_at` on.
#[cube]
pub(crate) fn put_states(
    states: &mut [f32],
    h: &Array<f32>,
    c: &Array<f32>,
    row: &Array<u32>,
    c_at: usize,
    unit: usize,
    #[comptime] shape: Shape,
) {
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = u * shape.units + unit;
        #[unroll]
        for r in 0..comptime!(shape.rows) {
            if row[r] != NONE && j < comptime!(shape.d_hidden) {
                let at = row[r] as usize * shape.d_hidden + j;
                states[at] = h[u * shape.rows + r];
                if comptime!(shape.cell.has_c()) {
                    states[c_at + at] = c[u * shape.rows + r];
                }
            }
        }
    }
}
