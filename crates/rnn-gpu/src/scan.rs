//! The recurrence of cells that multiply no h, forwards and backwards: each unit of each row goes over its steps by
//! itself. A cube does [`CUBE`](crate::launch::CUBE) units of one row, or as many as the layer has.

use crate::cell::scan;
use crate::forward::keeps;
use crate::plan::NONE;
use crate::rows::{begins, place, rows_of, span};
use crate::shape::{Shape, Zone};
use crate::storage::{load, read};
use cubecl::prelude::*;

/// The arguments are those of [`crate::forward::recurrence`]; with a `gain` the products are normalised.
#[cube(launch_unchecked)]
pub(crate) fn forward<P: Float, N: Float>(
    products: &[P],
    symbols: ComptimeOption<Box<[u32]>>,
    gain: ComptimeOption<Box<[f32]>>,
    b_ih: ComptimeOption<Box<[f32]>>,
    h0: &[f32],
    keep_h: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    sequence: &mut [f32],
    last: &mut [f32],
    saved: &mut [N],
    time: u32,
    batch: u32,
    index_at: u32,
    mean_h: f32,
    #[comptime] shape: Shape,
) {
    let (time, batch, index_at) = (time as usize, batch as usize, index_at as usize);
    let d = comptime!(shape.d_hidden);
    let gates = comptime!(shape.cell.gates());
    let cube = CUBE_POS_X as usize;
    let rows = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, 1usize);
    let row = rows[0];
    let (from, to) = span(&plan, cube, time);
    let j = (CUBE_POS_Y * CUBE_DIM_X + UNIT_POS_X) as usize;
    if row != NONE && j < d {
        let b = row as usize;
        let mut bias = Array::<f32>::new(gates);
        let mut gains = Array::<f32>::new(gates);
        #[unroll]
        for g in 0..gates {
            bias[g] = read(&b_ih, g * d + j);
            gains[g] = read(&gain, g * d + j);
        }
        let mut h = h0[b * d + j];
        let mut out = 0.0f32;
        for s in 0..time {
            let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
            let mut kept = NONE.runtime();
            if s >= from && s < to {
                kept = place(&plan, index_at, row, t, batch, shape.resets);
            }
            let at = (t * batch + b) * d + j;
            if kept != NONE {
                if comptime!(shape.resets) {
                    if begins(&plan, index_at, row, t, batch) {
                        h = 0.0f32;
                    }
                }
                let mut source = kept as usize;
                #[comptime]
                if let ComptimeOption::Some(symbols) = &symbols {
                    source = symbols[b * time + t] as usize;
                }
                let mut sums = Array::<f32>::new(gates);
                #[unroll]
                for g in 0..gates {
                    let x = load(products, source * comptime!(gates * d) + g * d + j);
                    sums[g] = if gain.is_some() { fma(x, gains[g], bias[g]) } else { x + bias[g] };
                }
                let to = kept as usize * comptime!(shape.cell.saved() * d) + j;
                let mut new = scan::forward(&sums, h, saved, to, shape);
                if comptime!(shape.zoneout_h != Zone::Off) {
                    new = new + (h - new) * keeps(&keep_h, mean_h, at, shape.zoneout_h);
                }
                h = new;
                if comptime!(shape.repeats) {
                    out = new;
                }
                sequence[at] = new;
            } else {
                sequence[at] = out;
            }
        }
        last[b * d + j] = h;
    }
}

/// The arguments are those of [`crate::backward::recurrence`].
#[cube(launch_unchecked)]
pub(crate) fn backward<N: Float>(
    d_sequence: ComptimeOption<Box<[f32]>>,
    d_h: ComptimeOption<Box<[f32]>>,
    saved: &[N],
    keep_h: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    deltas: &mut [f32],
    d_first: &mut [f32],
    stride_t: u32,
    stride_b: u32,
    stride_j: u32,
    time: u32,
    batch: u32,
    index_at: u32,
    mean_h: f32,
    #[comptime] shape: Shape,
) {
    let (time, batch, index_at) = (time as usize, batch as usize, index_at as usize);
    let d = comptime!(shape.d_hidden);
    let gates = comptime!(shape.cell.gates());
    let cube = CUBE_POS_X as usize;
    let rows = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, 1usize);
    let row = rows[0];
    let (from, to) = span(&plan, cube, time);
    let j = (CUBE_POS_Y * CUBE_DIM_X + UNIT_POS_X) as usize;
    if row != NONE && j < d {
        let b = row as usize;
        let mut dh = read(&d_h, b * d + j);
        // The gradient of the output that masked steps repeat.
        let mut repeated = 0.0f32;
        for back in 0..time {
            let s = time - 1 - back;
            let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
            let mut kept = NONE.runtime();
            if s >= from && s < to {
                kept = place(&plan, index_at, row, t, batch, shape.resets);
            }
            let at = t * stride_t as usize + b * stride_b as usize + j * stride_j as usize;
            if kept != NONE {
                let mut d_new = dh + read(&d_sequence, at);
                if comptime!(shape.repeats) {
                    d_new += repeated;
                    repeated = 0.0f32;
                }
                let mut stays = 0.0f32;
                if comptime!(shape.zoneout_h != Zone::Off) {
                    stays = d_new * keeps(&keep_h, mean_h, (t * batch + b) * d + j, shape.zoneout_h);
                    d_new -= stays;
                }
                let of_step = kept as usize * comptime!(shape.cell.saved() * d) + j;
                let mut delta = Array::<f32>::new(gates);
                dh = scan::backward(&mut delta, d_new, stays, saved, of_step, shape);
                #[unroll]
                for g in 0..gates {
                    deltas[kept as usize * comptime!(gates * d) + g * d + j] = delta[g];
                }
                if comptime!(shape.resets) {
                    if begins(&plan, index_at, row, t, batch) {
                        // Nothing reaches the sequence before.
                        dh = 0.0f32;
                    }
                }
            } else if comptime!(shape.repeats) {
                repeated += read(&d_sequence, at);
            }
        }
        d_first[b * d + j] = dh;
    }
}
