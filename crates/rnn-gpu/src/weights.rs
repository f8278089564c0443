//! The gradients of weights and biases, sums over all steps of all rows, each in a fixed order.

use crate::args::Cell;
use crate::input::{at_place, row_at};
use crate::matmul::{Tile, along_rows, factor, multiply, zeros};
use crate::shape::Shape;
use crate::storage::{load, read, store};
use cubecl::prelude::*;

/// The gradients of `W_ih` and `b_ih` (first part), and of `W_hh` and `b_hh` (second part).
///
/// The third coordinate of a cube is `part·groups + group`, with the gates in groups of `group` columns: each for
/// itself where x or h has another mask for each, or the reset gate acts on h before the product. `N` is how what
/// forward saved is stored.
#[cube(launch_unchecked)]
pub(crate) fn gradients<N: Float>(
    x: ComptimeOption<Box<[f32]>>,
    saved: &[N],
    deltas: &[f32],
    input_masks: ComptimeOption<Box<[f32]>>,
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    d_w_ih: &mut [f32],
    d_b_ih: &mut [f32],
    d_w_hh: &mut [f32],
    d_b_hh: &mut [f32],
    stride_t: u32,
    stride_b: u32,
    stride_i: u32,
    batch: u32,
    steps: u32,
    d_input: u32,
    order_at: u32,
    first_part: u32,
    #[comptime] groups: usize,
    #[comptime] input_masks_count: usize,
    #[comptime] shape: Shape,
    #[comptime] tile: Tile,
) {
    let each = comptime!(tile.each);
    let loads = comptime!(tile.loads());
    let d = comptime!(shape.d_hidden);
    let width = comptime!(shape.cell.gates() * d);
    let delta_row = comptime!(shape.cell.deltas() * d);
    let saved_row = comptime!(shape.cell.saved() * d);
    let after = comptime!(shape.cell == Cell::GruAfter);
    let before = comptime!(shape.cell == Cell::GruBefore);
    let (batch, steps) = (batch as usize, steps as usize);
    let part = CUBE_POS_Z as usize / groups + first_part as usize;
    let group = CUBE_POS_Z as usize % groups;
    let first_row = CUBE_POS_X as usize * tile.size();
    let first_column = CUBE_POS_Y as usize * tile.size();
    let group_width = comptime!(width / groups);
    let from = group * group_width + first_column;
    let end = (group + 1) * group_width;
    let rows = select(part == 0, d_input as usize, d);

    let mut a = factor(tile);
    let mut b = factor(tile);
    let mut sums = zeros(comptime!(each * each));
    let mut bias = zeros(each);
    // Both parts have as many cubes as the larger one needs.
    let blocks = select(first_row < rows || CUBE_POS_X == 0, steps.div_ceil(comptime!(tile.depth)), 0usize);
    for block in 0..blocks {
        #[unroll]
        for i in 0..loads {
            let (k, m) = along_rows(i, tile);
            let place = block * tile.depth + k;
            let row = first_row + m;
            let mut value = 0.0f32;
            if place < steps && row < rows {
                if part == 0 {
                    let at = at_place(&plan, order_at as usize, place);
                    value = read(&x, row_at(at, batch, stride_t as usize, stride_b as usize) + row * stride_i as usize);
                    if comptime!(input_masks_count > 0) {
                        let mask = if comptime!(input_masks_count > 1) { group } else { 0usize.runtime() };
                        value *= read(&input_masks, (mask * batch + at % batch) * d_input as usize + row);
                    }
                } else {
                    value = load(saved, place * saved_row + comptime!(saved_row - d) + row);
                    if before {
                        if group == 2 {
                            value *= load(saved, place * saved_row + row);
                        }
                    }
                    if comptime!(shape.masks > 0) {
                        let at = at_place(&plan, order_at as usize, place);
                        let mask = if comptime!(shape.masks > 1) { group } else { 0usize.runtime() };
                        value *= read(&masks, (mask * batch + at % batch) * d + row);
                    }
                }
            }
            a[k * tile.stride() + m] = value;
            let mut column = from + m;
            let mut delta = 0.0f32;
            if place < steps && column < end {
                if after {
                    if part == 1 && column >= comptime!(2 * d) {
                        column += d;
                    }
                }
                delta = deltas[place * delta_row + column];
            }
            b[k * tile.stride() + m] = delta;
        }
        sync_cube();
        multiply(&mut sums, &a, &b, tile);
        if CUBE_POS_X == 0 {
            for k in 0..comptime!(tile.depth) {
                #[unroll]
                for j in 0..each {
                    bias[j] += b[k * tile.stride() + UNIT_POS_X as usize + j * tile.side];
                }
            }
        }
        sync_cube();
    }
    #[unroll]
    for j in 0..each {
        let column = from + UNIT_POS_X as usize + j * tile.side;
        if column < end {
            #[unroll]
            for i in 0..each {
                let row = first_row + UNIT_POS_Y as usize + i * tile.side;
                if row < rows {
                    if part == 0 {
                        d_w_ih[row * width + column] = sums[i * each + j];
                    } else {
                        d_w_hh[row * width + column] = sums[i * each + j];
                    }
                }
            }
            if CUBE_POS_X == 0 && UNIT_POS_Y == 0 {
                if part == 0 {
                    d_b_ih[column] = bias[j];
                } else {
                    d_b_hh[column] = bias[j];
                }
            }
        }
    }
}

/// The gradient of `W_ih` where the input is symbols: for each symbol, the sum of the deltas at the places in its list.
///
/// - `lists`: where each symbol's list begins, and the end; then the lists
#[cube(launch_unchecked)]
pub(crate) fn of_symbols(deltas: &[f32], lists: &[u32], out: &mut [f32], symbols: u32, width: u32, delta_row: u32) {
    let symbol = CUBE_POS_X as usize;
    let column = (CUBE_POS_Y * CUBE_DIM_X + UNIT_POS_X) as usize;
    if column < width as usize {
        let begin = symbols as usize + 1;
        let mut sum = 0.0f32;
        for i in lists[symbol] as usize..lists[symbol + 1] as usize {
            sum += deltas[lists[begin + i] as usize * delta_row as usize + column];
        }
        out[symbol * width as usize + column] = sum;
    }
}

/// Where each symbol stands: the table of [`of_symbols`].
pub(crate) fn symbol_lists(
    symbols: &[u32],
    count: usize,
    batch: usize,
    time: usize,
    counts: impl Fn(usize, usize) -> bool,
) -> Vec<u32> {
    let mut lists: Vec<Vec<u32>> = vec![Vec::new(); count];
    let mut place = 0;
    for t in 0..time {
        for row in 0..batch {
            if counts(row, t) {
                lists[symbols[row * time + t] as usize].push(place);
                place += 1;
            }
        }
    }
    let mut table = vec![0];
    for list in &lists {
        table.push(table[table.len() - 1] + list.len() as u32);
    }
    table.extend(lists.into_iter().flatten());
    table
}

/// The transpose of a matrix, stored as `N`.
#[cube(launch_unchecked)]
pub(crate) fn transpose<N: Float>(matrix: &[f32], out: &mut [N], rows: u32, columns: u32) {
    let at = ABSOLUTE_POS;
    let (rows, columns) = (rows as usize, columns as usize);
    if at < rows * columns {
        store(out, at, matrix[(at % rows) * columns + at / rows]);
    }
}

/// A copy of a matrix, stored as `N`.
#[cube(launch_unchecked)]
pub(crate) fn copy<N: Float>(matrix: &[f32], out: &mut [N], len: u32) {
    let at = ABSOLUTE_POS;
    if at < len as usize {
        store(out, at, matrix[at]);
    }
}

/// Up to four masks one after the other.
#[cube(launch_unchecked)]
pub(crate) fn side_by_side(
    first: &[f32],
    second: &[f32],
    third: ComptimeOption<Box<[f32]>>,
    fourth: ComptimeOption<Box<[f32]>>,
    out: &mut [f32],
    len: u32,
) {
    let at = ABSOLUTE_POS;
    let len = len as usize;
    if at < len {
        out[at] = first[at];
        out[len + at] = second[at];
        if third.is_some() {
            out[2 * len + at] = read(&third, at);
        }
        if fourth.is_some() {
            out[3 * len + at] = read(&fourth, at);
        }
    }
}
