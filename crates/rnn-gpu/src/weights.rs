//! The gradients of weights and biases, sums over all steps of all rows, each in a fixed order.

use crate::activation::again;
use crate::args::Cell;
use crate::input::{at_place, masks_of, row_at};
use crate::matmul::{Tile, along_rows, at, factor, multiply, part as sums_of, put_rows, zeros};
use crate::product::WIDE;
use crate::shape::Shape;
use crate::storage::read;
use cubecl::prelude::*;

/// The gradients of `W_ih` and `b_ih` (first part), and of `W_hh` and `b_hh` (second part).
///
/// The third coordinate of a cube is `part·groups + group`, with the gates in groups of `group` columns: each for
/// itself where x or h has another mask for each, or the reset gate acts on h before the product. `N` is how what
/// forward saved is stored. Vectors of `V` neighbours along the units, and of `F` features, are loaded.
#[cube(launch_unchecked)]
pub(crate) fn gradients<N: Float, V: Size, F: Size>(
    x: ComptimeOption<Box<[Vector<f32, F>]>>,
    saved: &[Vector<N, V>],
    deltas: &[Vector<f32, V>],
    input_masks: ComptimeOption<Box<[f32]>>,
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    d_w_ih: &mut [Vector<f32, V>],
    d_b_ih: &mut [Vector<f32, V>],
    d_w_hh: &mut [Vector<f32, V>],
    d_b_hh: &mut [Vector<f32, V>],
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
    let (wide, features) = comptime!((tile.wide, tile.features));
    let d = comptime!(shape.d_hidden);
    let width = comptime!(shape.cell.gates() * d);
    let delta_row = comptime!(shape.deltas() * d);
    let saved_row = comptime!(shape.saved() * d);
    let after = comptime!(shape.cell == Cell::GruAfter);
    let before = comptime!(shape.cell == Cell::GruBefore);
    let (batch, steps) = (batch as usize, steps as usize);
    let part = CUBE_POS_Z as usize / groups + first_part as usize;
    let group = CUBE_POS_Z as usize % groups;
    let first_row = CUBE_POS_X as usize * tile.rows.size();
    let group_width = comptime!(width / groups);
    let from = group * group_width + CUBE_POS_Y as usize * tile.columns.size();
    let end = (group + 1) * group_width;
    let rows = select(part == 0, d_input as usize, d);

    let mut a = factor(tile.rows, tile);
    let mut b = factor(tile.columns, tile);
    // The last row is that of the biases.
    let mut sums = zeros(comptime!((tile.rows.each + 1) * tile.columns.each));
    // Both parts have as many cubes as the larger one needs.
    let blocks = select(first_row < rows || CUBE_POS_X == 0, steps.div_ceil(comptime!(tile.depth)), 0usize);
    for block in 0..blocks {
        #[unroll]
        for i in 0..comptime!(tile.loads(tile.rows, 1)) {
            let (k, m) = along_rows(i, tile.rows, tile);
            let place = block * tile.depth + k;
            let counts = k < tile.depth && place < steps;
            let mut at = 0usize.runtime();
            if counts {
                at = at_place(&plan, order_at as usize, place);
            }
            if part == 0 {
                let x_row = row_at(at, batch, stride_t as usize, stride_b as usize);
                let mut values = Array::<Vector<f32, F>>::new(comptime!(WIDE / features));
                #[unroll]
                for v in 0..comptime!(WIDE / features) {
                    let row = first_row + m + v * features;
                    let mut value = Vector::<f32, F>::new(0.0f32);
                    if counts && row < rows {
                        #[comptime]
                        if let ComptimeOption::Some(x) = &x {
                            value = x[(x_row + row * stride_i as usize) / features];
                        }
                        if comptime!(input_masks_count > 0) {
                            let mask = if comptime!(input_masks_count > 1) { group } else { 0usize.runtime() };
                            let from = (mask * batch + at % batch) * d_input as usize + row;
                            value *= masks_of::<F>(&input_masks, from, features);
                        }
                    }
                    values[v] = value;
                }
                put_rows(&mut a, k, m, &values, features, tile.rows, tile);
            } else {
                let mut values = Array::<Vector<f32, V>>::new(comptime!(WIDE / wide));
                #[unroll]
                for v in 0..comptime!(WIDE / wide) {
                    let row = first_row + m + v * wide;
                    let mut value = Vector::<f32, V>::new(0.0f32);
                    if counts && row < rows {
                        let of_step = place * saved_row + row;
                        value = Vector::cast_from(saved[(of_step + comptime!(saved_row - d)) / wide]);
                        if before {
                            if group == 2 {
                                value *= gates_again::<V>(Vector::cast_from(saved[of_step / wide]), wide, shape);
                            }
                        }
                        if comptime!(shape.masks > 0) {
                            let mask = if comptime!(shape.masks > 1) { group } else { 0usize.runtime() };
                            value *= masks_of::<V>(&masks, (mask * batch + at % batch) * d + row, wide);
                        }
                    }
                    values[v] = value;
                }
                put_rows(&mut a, k, m, &values, wide, tile.rows, tile);
            }
        }
        #[unroll]
        for i in 0..comptime!(tile.loads(tile.columns, 1)) {
            let (k, n) = along_rows(i, tile.columns, tile);
            let place = block * tile.depth + k;
            let mut values = Array::<Vector<f32, V>>::new(comptime!(WIDE / wide));
            #[unroll]
            for v in 0..comptime!(WIDE / wide) {
                let mut column = from + n + v * wide;
                let mut delta = Vector::<f32, V>::new(0.0f32);
                if place < steps && column < end {
                    // Where the deltas of h's products are others than those of the sums.
                    if comptime!(shape.normalizes_h()) {
                        if part == 1 {
                            column += width;
                        }
                    } else if after {
                        if part == 1 && column >= comptime!(2 * d) {
                            column += d;
                        }
                    }
                    delta = deltas[(place * delta_row + column) / wide];
                }
                values[v] = delta;
            }
            put_rows(&mut b, k, n, &values, wide, tile.columns, tile);
        }
        sync_cube();
        multiply(&mut sums, &a, &b, true, tile);
        sync_cube();
    }
    #[unroll]
    for v in 0..comptime!(tile.columns.each / wide) {
        let j = comptime!(v * wide);
        let column = from + at(j, UNIT_POS_X, tile.columns);
        if column < end {
            #[unroll]
            for i in 0..comptime!(tile.rows.each) {
                let row = first_row + at(i, UNIT_POS_Y, tile.rows);
                if row < rows {
                    let value = sums_of::<V>(&sums, i, j, wide, tile);
                    if part == 0 {
                        d_w_ih[(row * width + column) / wide] = value;
                    } else {
                        d_w_hh[(row * width + column) / wide] = value;
                    }
                }
            }
            if CUBE_POS_X == 0 && UNIT_POS_Y == 0 {
                let value = sums_of::<V>(&sums, tile.rows.each, j, wide, tile);
                if part == 0 {
                    d_b_ih[column / wide] = value;
                } else {
                    d_b_hh[column / wide] = value;
                }
            }
        }
    }
}

/// Gates from what was saved of them.
#[cube]
fn gates_again<V: Size>(saved: Vector<f32, V>, #[comptime] wide: usize, #[comptime] shape: Shape) -> Vector<f32, V> {
    let mut gates = Vector::<f32, V>::empty();
    #[unroll]
    for v in 0..wide {
        gates.insert(v, again(saved.extract(v), comptime!(shape.options.gate)));
    }
    gates
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

/// Up to four masks one after the other.
#[cube(launch_unchecked)]
pub(crate) fn joined(
    first: ComptimeOption<Box<[f32]>>,
    second: ComptimeOption<Box<[f32]>>,
    third: ComptimeOption<Box<[f32]>>,
    fourth: ComptimeOption<Box<[f32]>>,
    out: &mut [f32],
    len: u32,
) {
    let (at, len) = (ABSOLUTE_POS, len as usize);
    side_by_side(&first, out, 0usize.runtime(), at, len);
    side_by_side(&second, out, len, at, len);
    side_by_side(&third, out, 2 * len, at, len);
    side_by_side(&fourth, out, 3 * len, at, len);
}

/// Number `at` of a mask of `len` numbers goes to the mask's place, from `to` on.
#[cube]
pub(crate) fn side_by_side(mask: &ComptimeOption<Box<[f32]>>, out: &mut [f32], to: usize, at: usize, len: usize) {
    if mask.is_some() {
        if at < len {
            out[to + at] = read(mask, at);
        }
    }
}
