//! What belongs to the input: its products with `W_ih` before the recurrence, its gradient after it.

use crate::matmul::{Tile, along_rows, along_terms, at, factor, multiply, part, put_rows, put_terms, zeros};
use crate::product::WIDE;
use crate::storage::read;
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

/// `x·W_ih` for each place, a row of `width` numbers, stored as `N`. With a mask for each gate the third coordinate of
/// a cube is the gate; otherwise it is 0 and the group all columns. Vectors of `V` neighbours along the gates, and of `F`
/// features, are loaded and stored.
#[cube(launch_unchecked)]
pub(crate) fn products<N: Float, V: Size, F: Size>(
    x: &[Vector<f32, F>],
    w_ih: &[Vector<f32, V>],
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    out: &mut [Vector<N, V>],
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
    let (wide, features) = comptime!((tile.wide, tile.features));
    let row_loads = comptime!(tile.loads(tile.rows, tile.features));
    let (batch, steps, d_input) = (batch as usize, steps as usize, d_input as usize);
    let gate = CUBE_POS_Z as usize;
    let first_row = CUBE_POS_X as usize * tile.rows.size();
    let from = gate * group as usize + CUBE_POS_Y as usize * tile.columns.size();
    let end = (gate + 1) * group as usize;
    let width = width as usize;

    let mut a = factor(tile.rows, tile);
    let mut b = factor(tile.columns, tile);
    let mut sums = zeros(comptime!(tile.rows.each * tile.columns.each));
    let mut row_from = Array::<usize>::new(comptime!(row_loads * WIDE));
    let mut mask_from = Array::<usize>::new(comptime!(row_loads * WIDE));
    #[unroll]
    for i in 0..row_loads {
        let m = along_terms(i, features, tile.rows, tile).1;
        #[unroll]
        for r in 0..WIDE {
            let row = first_row + m + r;
            let at = at_place(&plan, order_at as usize, select(row < steps, row, 0usize));
            row_from[i * WIDE + r] = row_at(at, batch, stride_t as usize, stride_b as usize);
            mask_from[i * WIDE + r] = (gate * batch + at % batch) * d_input;
        }
    }

    for block in 0..d_input.div_ceil(comptime!(tile.depth)) {
        let term = block * tile.depth;
        #[unroll]
        for i in 0..row_loads {
            let (k, m) = along_terms(i, features, tile.rows, tile);
            let mut values = Array::<Vector<f32, F>>::new(WIDE);
            #[unroll]
            for r in 0..WIDE {
                let mut value = Vector::<f32, F>::new(0.0f32);
                if first_row + m + r < steps && term + k < d_input {
                    value = x[(row_from[i * WIDE + r] + (term + k) * stride_i as usize) / features];
                    if masks.is_some() {
                        value *= masks_of::<F>(&masks, mask_from[i * WIDE + r] + term + k, features);
                    }
                }
                values[r] = value;
            }
            put_terms(&mut a, k, m, &values, features, tile.rows, tile);
        }
        #[unroll]
        for i in 0..comptime!(tile.loads(tile.columns, 1)) {
            let (k, n) = along_rows(i, tile.columns, tile);
            let mut values = Array::<Vector<f32, V>>::new(comptime!(WIDE / wide));
            #[unroll]
            for v in 0..comptime!(WIDE / wide) {
                let column = from + n + v * wide;
                let mut value = Vector::<f32, V>::new(0.0f32);
                if term + k < d_input && column < end {
                    value = w_ih[((term + k) * width + column) / wide];
                }
                values[v] = value;
            }
            put_rows(&mut b, k, n, &values, wide, tile.columns, tile);
        }
        sync_cube();
        multiply(&mut sums, &a, &b, false, tile);
        sync_cube();
    }
    #[unroll]
    for i in 0..comptime!(tile.rows.each) {
        let row = first_row + at(i, UNIT_POS_Y, tile.rows);
        #[unroll]
        for v in 0..comptime!(tile.columns.each / wide) {
            let j = comptime!(v * wide);
            let column = from + at(j, UNIT_POS_X, tile.columns);
            if row < steps && column < end {
                out[(row * width + column) / wide] = Vector::<N, V>::cast_from(part::<V>(&sums, i, j, wide, tile));
            }
        }
    }
}

/// The masks from a number on, as a vector.
#[cube]
pub(crate) fn masks_of<V: Size>(
    masks: &ComptimeOption<Box<[f32]>>,
    from: usize,
    #[comptime] wide: usize,
) -> Vector<f32, V> {
    let mut values = Vector::<f32, V>::empty();
    #[unroll]
    for v in 0..wide {
        values.insert(v, read(masks, from + v));
    }
    values
}

/// The gradient of x, `[time, batch, d_input]`: the deltas' product with `W_ih` transposed, under the masks; zero at
/// the steps that do not count, which have the places from `steps` on.
///
/// `delta_row` is from the deltas of a place to those of the next. Vectors are as in [`products`].
#[cube(launch_unchecked)]
pub(crate) fn gradient<V: Size, F: Size>(
    deltas: &[Vector<f32, V>],
    w_ih: &[Vector<f32, V>],
    masks: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    out: &mut [Vector<f32, F>],
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
    let (wide, features) = comptime!((tile.wide, tile.features));
    let count = comptime!(tile.rows.each * tile.columns.each);
    let (batch, steps, d_input) = (batch as usize, steps as usize, d_input as usize);
    let (width, group) = (width as usize, group as usize);
    let first_row = CUBE_POS_X as usize * tile.rows.size();
    let first_column = CUBE_POS_Y as usize * tile.columns.size();
    let mut a = factor(tile.rows, tile);
    let mut b = factor(tile.columns, tile);
    let mut sums = zeros(count);
    let mut ats = Array::<usize>::new(comptime!(tile.rows.each));
    #[unroll]
    for i in 0..comptime!(tile.rows.each) {
        let row = first_row + at(i, UNIT_POS_Y, tile.rows);
        ats[i] = at_place(&plan, order_at as usize, select(row < all_steps as usize, row, 0usize));
    }

    // A tile of steps that do not count has no terms.
    let blocks = select(first_row < steps, group.div_ceil(comptime!(tile.depth)), 0usize);
    #[unroll]
    for g in 0..groups {
        let mut of_group = zeros(count);
        for block in 0..blocks {
            let term = block * tile.depth;
            #[unroll]
            for i in 0..comptime!(tile.loads(tile.rows, tile.wide)) {
                let (k, m) = along_terms(i, wide, tile.rows, tile);
                let mut values = Array::<Vector<f32, V>>::new(WIDE);
                #[unroll]
                for r in 0..WIDE {
                    let row = first_row + m + r;
                    let mut value = Vector::<f32, V>::new(0.0f32);
                    if term + k < group && row < steps {
                        value = deltas[(row * delta_row as usize + g * group + term + k) / wide];
                    }
                    values[r] = value;
                }
                put_terms(&mut a, k, m, &values, wide, tile.rows, tile);
            }
            #[unroll]
            for i in 0..comptime!(tile.loads(tile.columns, tile.wide)) {
                let (k, n) = along_terms(i, wide, tile.columns, tile);
                let mut values = Array::<Vector<f32, V>>::new(WIDE);
                #[unroll]
                for r in 0..WIDE {
                    let row = first_column + n + r;
                    let mut value = Vector::<f32, V>::new(0.0f32);
                    if term + k < group && row < d_input {
                        value = w_ih[(row * width + g * group + term + k) / wide];
                    }
                    values[r] = value;
                }
                put_terms(&mut b, k, n, &values, wide, tile.columns, tile);
            }
            sync_cube();
            multiply(&mut of_group, &a, &b, false, tile);
            sync_cube();
        }
        #[unroll]
        for i in 0..comptime!(tile.rows.each) {
            #[unroll]
            for j in 0..comptime!(tile.columns.each) {
                let mut factor = 1.0f32;
                if masks.is_some() {
                    let column = first_column + at(j, UNIT_POS_X, tile.columns);
                    if column < d_input {
                        factor = read(&masks, (g * batch + ats[i] % batch) * d_input + column);
                    }
                }
                let sum = comptime!(i * tile.columns.each + j);
                sums[sum] = fma(of_group[sum], factor, sums[sum]);
            }
        }
    }
    #[unroll]
    for i in 0..comptime!(tile.rows.each) {
        let row = first_row + at(i, UNIT_POS_Y, tile.rows);
        #[unroll]
        for v in 0..comptime!(tile.columns.each / features) {
            let j = comptime!(v * features);
            let column = first_column + at(j, UNIT_POS_X, tile.columns);
            if row < all_steps as usize && column < d_input {
                let mut value = part::<F>(&sums, i, j, features, tile);
                if row >= steps {
                    value = Vector::<f32, F>::new(0.0f32);
                }
                out[(ats[i] * d_input + column) / features] = value;
            }
        }
    }
}
