//! The recurrence forwards: one cube does a few rows of the batch from their first step to their last.
//!
//! A unit of the cube belongs to one unit of the layer, or to every `units`-th of them. It keeps their h and c in
//! registers. What the product needs of all units, h with its dropout, lies in shared memory; the weights come from
//! global memory at every step, where all cubes find them in the cache.

pub(crate) mod operand;

use crate::activation::value;
use crate::args::Cell;
use crate::cell::lstm::{PEEPHOLES, read_peepholes};
use crate::cell::{gru, lstm, rnn, save};
use crate::plan::NONE;
use crate::product::{Wide, put};
use crate::rows::{begin, place, put_states, rows_of, span, unit_of};
use crate::shape::{Shape, Zone};
use crate::storage::{load, read};
use cubecl::prelude::*;
use operand::{gates as products_of, publish};

/// How much of a tensor of the state stays, from 0 to 1.
#[cube]
pub(crate) fn keeps(drawn: &ComptimeOption<Box<[f32]>>, mean: f32, at: usize, #[comptime] zone: Zone) -> f32 {
    if comptime!(zone == Zone::Drawn) { read(drawn, at) } else { mean }
}

/// Ends a step of one unit and row: applies zoneout to `new`, stores it as h number `i` of those that the unit of the cube
/// keeps, and writes it to the output.
#[cube]
pub(crate) fn settle(
    sequence: &mut [f32],
    h: &mut Array<f32>,
    out: &mut Array<f32>,
    new: f32,
    at: usize,
    keep_h: &ComptimeOption<Box<[f32]>>,
    mean_h: f32,
    #[comptime] i: usize,
    #[comptime] shape: Shape,
) {
    let mut new = new;
    if comptime!(shape.zoneout_h != Zone::Off) {
        new = new + (h[i] - new) * keeps(keep_h, mean_h, at, shape.zoneout_h);
    }
    h[i] = new;
    if comptime!(shape.repeats) {
        out[i] = new;
    }
    sequence[at] = new;
}

/// Writes the outputs of steps that no row of the cube counts.
#[cube]
pub(crate) fn fill(
    sequence: &mut [f32],
    out: &Array<f32>,
    row: &Array<u32>,
    from: usize,
    to: usize,
    time: usize,
    batch: usize,
    unit: usize,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    for s in from..to {
        let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
        #[unroll]
        for u in 0..comptime!(shape.chunks()) {
            let j = u * shape.units + unit;
            #[unroll]
            for r in 0..rows {
                if row[r] != NONE && j < d {
                    sequence[(t * batch + row[r] as usize) * d + j] = out[u * rows + r];
                }
            }
        }
    }
}

/// - `products`: `x·W_ih`, a row of `G·d_hidden` for each place; with symbols `W_ih` itself
/// - `last`: h, `[batch, d_hidden]`, and c from `last_c_at` on
/// - `saved`: for each place `[Cell::saved, d_hidden]`
///
/// - `w_hh`: packed, [`crate::product::Matrix`]
///
/// `N` is how `W_hh` and what is saved are stored, `P` how the products are. A vector of `L` rows lies side by side.
#[allow(unused_assignments, reason = "one of the branches that follow is compiled, and each assigns")]
#[cube(launch_unchecked)]
pub(crate) fn recurrence<P: Float, N: Float, L: Size>(
    products: &[P],
    symbols: ComptimeOption<Box<[u32]>>,
    w_hh: &[Vector<N, Wide>],
    b_ih: ComptimeOption<Box<[f32]>>,
    b_hh: ComptimeOption<Box<[f32]>>,
    h0: &[f32],
    c0: ComptimeOption<Box<[f32]>>,
    p_i: ComptimeOption<Box<[f32]>>,
    p_f: ComptimeOption<Box<[f32]>>,
    p_o: ComptimeOption<Box<[f32]>>,
    masks: ComptimeOption<Box<[f32]>>,
    keep_h: ComptimeOption<Box<[f32]>>,
    keep_c: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    sequence: &mut [f32],
    last: &mut [f32],
    saved: &mut [N],
    time: u32,
    batch: u32,
    index_at: u32,
    last_c_at: u32,
    mean_h: f32,
    mean_c: f32,
    #[comptime] shape: Shape,
) {
    let time = time as usize;
    let batch = batch as usize;
    let index_at = index_at as usize;
    let cell = comptime!(shape.cell);
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    let chunks = comptime!(shape.chunks());
    let gates = comptime!(cell.gates());
    let slots = comptime!(shape.saved());
    let is_lstm = comptime!(cell.has_c());
    let after = comptime!(cell == Cell::GruAfter);
    let before = comptime!(cell == Cell::GruBefore);
    let per_gate = comptime!(shape.masks > 1);
    let cube = CUBE_POS_X as usize;
    let unit = UNIT_POS_X as usize;

    let terms = comptime!(shape.terms());
    let lines = comptime!(shape.lines());
    let mut operand = Shared::<[Vector<f32, L>]>::new_slice(comptime!(shape.operands() * terms * lines));
    let mut reset = Shared::<[Vector<f32, L>]>::new_slice(comptime!(if before { terms * lines } else { 1 }));
    let row = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, rows);
    let (from, to) = span(&plan, cube, time);

    let mut h = Array::<f32>::new(comptime!(chunks * rows));
    let mut c = Array::<f32>::new(comptime!(chunks * rows));
    let mut out = Array::<f32>::new(comptime!(chunks * rows));
    let mut update = Array::<f32>::new(comptime!(chunks * rows));
    let mut b_x = Array::<f32>::new(comptime!(chunks * gates));
    let mut b_h = Array::<f32>::new(comptime!(chunks * gates));
    let mut peepholes = Array::<f32>::new(comptime!(chunks * PEEPHOLES));
    #[unroll]
    for u in 0..chunks {
        let j = unit_of(u, unit, shape);
        read_peepholes(&mut peepholes, &p_i, &p_f, &p_o, j, u * PEEPHOLES, shape);
        #[unroll]
        for g in 0..gates {
            b_x[u * gates + g] = read(&b_ih, g * d + j);
            b_h[u * gates + g] = read(&b_hh, g * d + j);
        }
        #[unroll]
        for r in 0..rows {
            let at = select(row[r] == NONE, 0u32, row[r]) as usize * d + j;
            h[u * rows + r] = h0[at];
            out[u * rows + r] = 0.0f32;
            c[u * rows + r] = read(&c0, at);
            update[u * rows + r] = 0.0f32;
        }
    }
    if from < to {
        begin(&mut h, &mut c, &plan, &row, index_at, from, time, batch, shape);
    }
    publish(&mut operand, &h, &row, &masks, batch, unit, shape);
    fill(sequence, &out, &row, 0usize.runtime(), from, time, batch, unit, shape);
    sync_cube();

    for s in from..to {
        let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
        let mut kept = Array::<u32>::new(rows);
        let mut source = Array::<u32>::new(rows);
        #[unroll]
        for r in 0..rows {
            kept[r] = place(&plan, index_at, row[r], t, batch, shape.resets);
            let mut from = select(kept[r] == NONE, 0u32, kept[r]);
            #[comptime]
            if let ComptimeOption::Some(symbols) = &symbols {
                from = symbols[select(row[r] == NONE, 0u32, row[r]) as usize * time + t];
            }
            source[r] = from;
        }

        if before {
            // The gates r and z, and r∘h.
            #[unroll]
            for u in 0..chunks {
                let j = unit_of(u, unit, shape);
                let mut sums = Array::<f32>::new(comptime!(gates * rows));
                #[unroll]
                for g in 0..2usize {
                    #[unroll]
                    for r in 0..rows {
                        let x = load(products, source[r] as usize * comptime!(gates * d) + g * d + j);
                        sums[g * rows + r] = x + b_x[u * gates + g] + b_h[u * gates + g];
                    }
                }
                products_of(&mut sums, &operand, w_hh, j, 0usize, 2usize, per_gate, shape);
                let mine = u * shape.units + unit;
                let mut values = Array::<f32>::new(rows);
                #[unroll]
                for r in 0..rows {
                    let is_kept = kept[r] != NONE && mine < d;
                    let at = select(is_kept, kept[r], 0u32) as usize * comptime!(slots * d) + j;
                    let (reset_gate, z) = gru::gates(&sums, saved, at, is_kept, r, shape);
                    update[u * rows + r] = z;
                    let mut value = reset_gate * h[u * rows + r];
                    if comptime!(shape.masks > 0) {
                        let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                        let mask = comptime!(if per_gate { 2usize } else { 0usize });
                        value *= read(&masks, (mask * batch + b) * d + j);
                    }
                    values[r] = select(mine < d, value, 0.0f32);
                }
                if mine < terms {
                    put(&mut reset, mine, &values, shape);
                }
            }
            sync_cube();
        }

        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            let mut sums = Array::<f32>::new(comptime!(gates * rows));
            let mut n_x = Array::<f32>::new(rows);
            let first = comptime!(if before { 2usize } else { 0usize });
            #[unroll]
            for i in 0..comptime!(gates - first) {
                let g = comptime!(first + i);
                #[unroll]
                for r in 0..rows {
                    let x = load(products, source[r] as usize * comptime!(gates * d) + g * d + j) + b_x[u * gates + g];
                    if comptime!(after && g == 2) {
                        n_x[r] = x;
                        sums[g * rows + r] = b_h[u * gates + g];
                    } else {
                        sums[g * rows + r] = x + b_h[u * gates + g];
                    }
                }
            }
            if before {
                products_of(&mut sums, &reset, w_hh, j, 2usize, 1usize, false, shape);
            } else {
                products_of(&mut sums, &operand, w_hh, j, 0usize, gates, per_gate, shape);
            }
            #[unroll]
            for r in 0..rows {
                let i = comptime!(u * rows + r);
                let at = (t * batch + row[r] as usize) * d + j;
                if kept[r] != NONE && mine {
                    let to = kept[r] as usize * comptime!(slots * d) + j;
                    let old = h[i];
                    let mut new = 0.0f32;
                    if is_lstm {
                        let (o, mut c_new) = lstm::forward(&sums, c[i], &peepholes, saved, to, r, u * PEEPHOLES, shape);
                        new = o * value(c_new, comptime!(shape.options.hidden));
                        if comptime!(shape.zoneout_c != Zone::Off) {
                            let keep = keeps(&keep_c, mean_c, at, shape.zoneout_c);
                            c_new = c_new + (c[i] - c_new) * keep;
                        }
                        c[i] = c_new;
                    } else if comptime!(after) {
                        let (reset_gate, z) = gru::gates(&sums, saved, to, true, r, shape);
                        let n_h = sums[2 * rows + r];
                        save(saved, to, 3usize, n_h, shape);
                        new = gru::forward(z, fma(reset_gate, n_h, n_x[r]), old, saved, to, shape);
                    } else if comptime!(before) {
                        new = gru::forward(update[i], sums[2 * rows + r], old, saved, to, shape);
                    } else {
                        new = rnn::forward(sums[r], saved, to, shape);
                    }
                    save(saved, to, comptime!(slots - 1), old, shape);
                    settle(sequence, &mut h, &mut out, new, at, &keep_h, mean_h, i, shape);
                } else if row[r] != NONE && mine {
                    sequence[at] = out[i];
                }
            }
        }
        sync_cube();
        if s + 1 < to {
            begin(&mut h, &mut c, &plan, &row, index_at, s + 1, time, batch, shape);
        }
        publish(&mut operand, &h, &row, &masks, batch, unit, shape);
        sync_cube();
    }

    fill(sequence, &out, &row, to, time, time, batch, unit, shape);
    put_states(last, &h, &c, &row, last_c_at as usize, unit, shape);
}
