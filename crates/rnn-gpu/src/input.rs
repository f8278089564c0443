//! What belongs to the input: its products with `W_ih` before the recurrence, its gradient after it.

use crate::matmul::{Tile, along_rows, along_terms, factor, multiply, zeros};
use crate::storage::{read, store};
use cubecl::prelude::*;

/// Where the features of `t·batch + b` begin.
#[cube]
pub(crate) fn row_at(at: usize, batch: usize, stride_t: usize, stride_b: usize) -> usize {
    (at / batch) * stride_t + (at % batch) * stride_b
}

/// The `t·batch + b` that is kept at a place.
#[cube]
pub(crate) fn at_place(plan: &ComptimeOption<Box<[u32]>>, order_at: usize, place: usize) -> usize {
    #[comptime]
    match plan {
        ComptimeOption::Some(plan) => plan[order_at + place] as usize,
        ComptimeOption::None => place,
    }
}

/// `x·W_ih` for each place, a row of `width` numbers, stored as `N`. With a mask for each gate the third coordinate of a
/// cube is the gate; otherwise it is 0 and the group all columns.
#[cube(launch_unchecked)]
pub(crate) fn products<N: Float>(
    x: &[f32],
    w_ih: &[f32],
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    out: &mut [N],
    stride_t: u32,
    stride_b: u32,
    stride_i: u32,
    batch: u32,
    steps: u32,
    d_input: u32,
    width: u32,
    group: u32,
    order_at: u32,
    #[comptime] tile: Tile,
) {
    let each = comptime!(tile.each);
    let loads = comptime!(tile.loads());
    let (batch, steps, d_input) = (batch as usize, steps as usize, d_input as usize);
    let gate = CUBE_POS_Z as usize;
    let first_row = CUBE_POS_X as usize * tile.size();
    let first_column = CUBE_POS_Y as usize * tile.size();
    let from = gate * group as usize + first_column;
    let end = (gate + 1) * group as usize;
    let width = width as usize;

    let mut a = factor(tile);
    let mut b = factor(tile);
    let mut sums = zeros(comptime!(each * each));
    let mut row_from = Array::<usize>::new(loads);
    let mut mask_from = Array::<usize>::new(loads);
    #[unroll]
    for i in 0..loads {
        let m = along_terms(i, tile).1;
        let place = select(first_row + m < steps, first_row + m, 0usize);
        let at = at_place(&plan, order_at as usize, place);
        row_from[i] = row_at(at, batch, stride_t as usize, stride_b as usize);
        mask_from[i] = (gate * batch + at % batch) * d_input;
    }

    let blocks = d_input.div_ceil(comptime!(tile.depth));
    for block in 0..blocks {
        let term = block * tile.depth;
        #[unroll]
        for i in 0..loads {
            let (k, m) = along_terms(i, tile);
            let mut value = 0.0f32;
            if first_row + m < steps && term + k < d_input {
                value = x[row_from[i] + (term + k) * stride_i as usize];
                if masks.is_some() {
                    value *= read(&masks, mask_from[i] + term + k);
                }
            }
            a[k * tile.stride() + m] = value;
            let (k, n) = along_rows(i, tile);
            let mut value = 0.0f32;
            if term + k < d_input && from + n < end {
                value = w_ih[(term + k) * width + from + n];
            }
            b[k * tile.stride() + n] = value;
        }
        sync_cube();
        multiply(&mut sums, &a, &b, tile);
        sync_cube();
    }
    #[unroll]
    for i in 0..each {
        #[unroll]
        for j in 0..each {
            let row = first_row + UNIT_POS_Y as usize + i * tile.side;
            let column = from + UNIT_POS_X as usize + j * tile.side;
            if row < steps && column < end {
                store(out, row * width + column, sums[i * each + j]);
            }
        }
    }
}

/// The gradient of x, `[time, batch, d_input]`: the deltas' product with `W_ih` transposed, under the masks; zero at
/// the steps that do not count, which have the places from `steps` on.
///
/// `delta_row` is from the deltas of a place to those of the next.
#[cube(launch_unchecked)]
pub(crate) fn gradient(
    deltas: &[f32],
    w_ih: &[f32],
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    out: &mut [f32],
    batch: u32,
    steps: u32,
    all_steps: u32,
    d_input: u32,
    width: u32,
    delta_row: u32,
    order_at: u32,
    // The deltas of one gate under a mask for each gate, otherwise all.
    group: u32,
    #[comptime] groups: usize,
    #[comptime] tile: Tile,
) {
    let each = comptime!(tile.each);
    let loads = comptime!(tile.loads());
    let (batch, steps, d_input) = (batch as usize, steps as usize, d_input as usize);
    let (width, group) = (width as usize, group as usize);
    let first_row = CUBE_POS_X as usize * tile.size();
    let first_column = CUBE_POS_Y as usize * tile.size();
    let mut a = factor(tile);
    let mut b = factor(tile);
    let mut sums = zeros(comptime!(each * each));
    let mut ats = Array::<usize>::new(each);
    #[unroll]
    for i in 0..each {
        let row = first_row + UNIT_POS_Y as usize + i * tile.side;
        ats[i] = at_place(&plan, order_at as usize, select(row < all_steps as usize, row, 0usize));
    }

    // A tile of steps that do not count has no terms.
    let blocks = select(first_row < steps, group.div_ceil(comptime!(tile.depth)), 0usize);
    #[unroll]
    for g in 0..groups {
        let mut part = zeros(comptime!(each * each));
        for block in 0..blocks {
            let term = block * tile.depth;
            #[unroll]
            for i in 0..loads {
                let (k, m) = along_terms(i, tile);
                let column = g * group + term + k;
                let mut value = 0.0f32;
                let mut weight = 0.0f32;
                if term + k < group {
                    if first_row + m < steps {
                        value = deltas[(first_row + m) * delta_row as usize + column];
                    }
                    if first_column + m < d_input {
                        weight = w_ih[(first_column + m) * width + column];
                    }
                }
                a[k * tile.stride() + m] = value;
                b[k * tile.stride() + m] = weight;
            }
            sync_cube();
            multiply(&mut part, &a, &b, tile);
            sync_cube();
        }
        #[unroll]
        for i in 0..each {
            #[unroll]
            for j in 0..each {
                let mut factor = 1.0f32;
                if masks.is_some() {
                    let column = first_column + UNIT_POS_X as usize + j * tile.side;
                    if column < d_input {
                        factor = read(&masks, (g * batch + ats[i] % batch) * d_input + column);
                    }
                }
                sums[i * each + j] = fma(part[i * each + j], factor, sums[i * each + j]);
            }
        }
    }
    #[unroll]
    for i in 0..each {
        #[unroll]
        for j in 0..each {
            let row = first_row + UNIT_POS_Y as usize + i * tile.side;
            let column = first_column + UNIT_POS_X as usize + j * tile.side;
            if row < all_steps as usize && column < d_input {
                let value = sums[i * each + j];
                out[ats[i] * d_input + column] = select(row < steps, value, 0.0f32);
            }
        }
    }
}
