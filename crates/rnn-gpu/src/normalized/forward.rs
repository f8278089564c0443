//! Forwards.

use super::STATS;
use crate::activation::value;
use crate::args::Cell;
use crate::cell::lstm::{PEEPHOLES, read_peepholes};
use crate::cell::{gru, lstm, rnn, save};
use crate::forward::operand::{gates as products_of, publish};
use crate::forward::{fill, keeps, settle};
use crate::matmul::zeros;
use crate::norm::{memory, normalize};
use crate::plan::NONE;
use crate::product::{Wide, put};
use crate::rows::{begin, place, put_states, rows_of, span, unit_of};
use crate::shape::{Shape, Zone};
use crate::storage::{load, read};
use cubecl::prelude::*;

/// `γ_ih∘x̂ + b_ih` of a gate.
#[cube]
fn of_input<N: Float>(
    normalized: &[N],
    at: usize,
    gain: &Array<f32>,
    bias: &Array<f32>,
    #[comptime] gate: usize,
) -> f32 {
    fma(load(normalized, at), gain[gate], bias[gate])
}

/// The arguments are those of [`crate::forward::recurrence`], and the gains and shifts; `normalized` are the input's
/// products, normalised, of each place or symbol. Writes [`STATS`] numbers for each place.
#[allow(unused_assignments, reason = "one of the branches that follow is compiled, and each assigns")]
#[cube(launch_unchecked)]
pub(crate) fn recurrence<N: Float, L: Size>(
    normalized: &[N],
    symbols: ComptimeOption<Box<[u32]>>,
    w_hh: &[Vector<N, Wide>],
    norm_ih: &[f32],
    norm_hh: &[f32],
    gamma_c: ComptimeOption<Box<[f32]>>,
    beta_c: ComptimeOption<Box<[f32]>>,
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
    stats: &mut [f32],
    time: u32,
    batch: u32,
    index_at: u32,
    last_c_at: u32,
    mean_h: f32,
    mean_c: f32,
    #[comptime] shape: Shape,
) {
    let (time, batch, index_at) = (time as usize, batch as usize, index_at as usize);
    let cell = comptime!(shape.cell);
    let d = comptime!(shape.d_hidden);
    let (rows, chunks) = comptime!((shape.rows, shape.chunks()));
    let count = comptime!(chunks * rows);
    let (gates, slots) = comptime!((cell.gates(), shape.saved()));
    let is_lstm = comptime!(cell.has_c());
    let after = comptime!(cell == Cell::GruAfter);
    let before = comptime!(cell == Cell::GruBefore);
    let per_gate = comptime!(shape.masks > 1);
    let cube = CUBE_POS_X as usize;
    let unit = UNIT_POS_X as usize;

    let (terms, lines) = comptime!((shape.terms(), shape.lines()));
    let mut operand = Shared::<[Vector<f32, L>]>::new_slice(comptime!(shape.operands() * terms * lines));
    let mut reset = Shared::<[Vector<f32, L>]>::new_slice(comptime!(if before { terms * lines } else { 1 }));
    let mut memory = memory::<L>(shape);
    let row = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, rows);
    let (from, to) = span(&plan, cube, time);

    let mut h = Array::<f32>::new(count);
    let mut c = Array::<f32>::new(count);
    let mut out = Array::<f32>::new(count);
    let mut update = zeros(count);
    let mut g_x = Array::<f32>::new(comptime!(chunks * gates));
    let mut g_h = Array::<f32>::new(comptime!(chunks * gates));
    let mut b_x = Array::<f32>::new(comptime!(chunks * gates));
    let mut b_h = Array::<f32>::new(comptime!(chunks * gates));
    let mut peepholes = Array::<f32>::new(comptime!(chunks * PEEPHOLES));
    #[unroll]
    for u in 0..chunks {
        let j = unit_of(u, unit, shape);
        read_peepholes(&mut peepholes, &p_i, &p_f, &p_o, j, u * PEEPHOLES, shape);
        #[unroll]
        for g in 0..gates {
            g_x[u * gates + g] = norm_ih[g * d + j];
            g_h[u * gates + g] = norm_hh[g * d + j];
            b_x[u * gates + g] = read(&b_ih, g * d + j);
            b_h[u * gates + g] = read(&b_hh, g * d + j);
        }
        #[unroll]
        for r in 0..rows {
            let at = select(row[r] == NONE, 0u32, row[r]) as usize * d + j;
            h[u * rows + r] = h0[at];
            out[u * rows + r] = 0.0f32;
            c[u * rows + r] = read(&c0, at);
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
        let mut source = Array::<usize>::new(rows);
        #[unroll]
        for r in 0..rows {
            kept[r] = place(&plan, index_at, row[r], t, batch, shape.resets);
            let mut from = select(kept[r] == NONE, 0u32, kept[r]);
            #[comptime]
            if let ComptimeOption::Some(symbols) = &symbols {
                from = symbols[select(row[r] == NONE, 0u32, row[r]) as usize * time + t];
            }
            source[r] = from as usize * comptime!(gates * d);
        }

        // The gates that multiply h: all, or r and z.
        let together = comptime!(if before { 2 } else { gates });
        let mut of_h = zeros(comptime!(count * together));
        #[unroll]
        for u in 0..chunks {
            let mut part = zeros(comptime!(together * rows));
            let j = unit_of(u, unit, shape);
            products_of(&mut part, &operand, w_hh, j, 0usize, together, per_gate, shape);
            #[unroll]
            for i in 0..comptime!(together * rows) {
                of_h[u * together * rows + i] = part[i];
            }
        }
        let scale_h = normalize(&mut of_h, &mut memory, unit, together, shape).1;
        let mut of_reset = zeros(count);
        let mut scale_reset = zeros(rows);
        if before {
            #[unroll]
            for u in 0..chunks {
                let j = unit_of(u, unit, shape);
                let mine = u * shape.units + unit;
                let mut sums = zeros(comptime!(together * rows));
                let mut values = Array::<f32>::new(rows);
                #[unroll]
                for r in 0..rows {
                    #[unroll]
                    for g in 0..together {
                        let gate = comptime!(u * gates + g);
                        let x = of_input(normalized, source[r] + g * d + j, &g_x, &b_x, gate);
                        let x_hat = of_h[(u * together + g) * rows + r];
                        sums[g * rows + r] = x + fma(x_hat, g_h[gate], b_h[gate]);
                    }
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
            #[unroll]
            for u in 0..chunks {
                let mut part = zeros(comptime!(gates * rows));
                products_of(&mut part, &reset, w_hh, unit_of(u, unit, shape), 2usize, 1usize, false, shape);
                #[unroll]
                for r in 0..rows {
                    of_reset[u * rows + r] = part[2 * rows + r];
                }
            }
            scale_reset = normalize(&mut of_reset, &mut memory, unit, 1usize, shape).1;
        }

        // h' of the cells that do not normalise it; o and c' of an LSTM.
        let mut new = zeros(count);
        let mut c_new = zeros(count);
        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            #[unroll]
            for r in 0..rows {
                let i = comptime!(u * rows + r);
                let is_kept = kept[r] != NONE && mine;
                if is_kept {
                    let at = kept[r] as usize * comptime!(slots * d) + j;
                    let mut sums = zeros(comptime!(gates * rows));
                    let mut n_x = 0.0f32;
                    #[unroll]
                    for g in 0..gates {
                        let gate = comptime!(u * gates + g);
                        let mut x_hat = 0.0f32;
                        if comptime!(before && g == 2) {
                            x_hat = of_reset[i];
                        } else {
                            x_hat = of_h[(u * together + g) * rows + r];
                        }
                        save(saved, at, comptime!(cell.saved() - 1 + g), x_hat, shape);
                        if comptime!(!before || g == 2) {
                            let x = of_input(normalized, source[r] + g * d + j, &g_x, &b_x, gate);
                            let of_h = fma(x_hat, g_h[gate], b_h[gate]);
                            if comptime!(after && g == 2) {
                                n_x = x;
                                sums[g * rows + r] = of_h;
                            } else {
                                sums[g * rows + r] = x + of_h;
                            }
                        }
                    }
                    save(saved, at, comptime!(slots - 1), h[i], shape);
                    if is_lstm {
                        let (o, state) = lstm::forward(&sums, c[i], &peepholes, saved, at, r, u * PEEPHOLES, shape);
                        new[i] = o;
                        c_new[i] = state;
                    } else if comptime!(after) {
                        let (reset_gate, z) = gru::gates(&sums, saved, at, true, r, shape);
                        let n_h = sums[2 * rows + r];
                        save(saved, at, 3usize, n_h, shape);
                        new[i] = gru::forward(z, fma(reset_gate, n_h, n_x), h[i], saved, at, shape);
                    } else if comptime!(before) {
                        new[i] = gru::forward(update[i], sums[2 * rows + r], h[i], saved, at, shape);
                    } else {
                        new[i] = rnn::forward(sums[r], saved, at, shape);
                    }
                }
            }
        }
        let mut mean_of_c = zeros(rows);
        let mut scale_c = zeros(rows);
        if is_lstm {
            let mut shown = Array::<f32>::new(count);
            #[unroll]
            for i in 0..count {
                shown[i] = c_new[i];
            }
            (mean_of_c, scale_c) = normalize(&mut shown, &mut memory, unit, 1usize, shape);
            #[unroll]
            for u in 0..chunks {
                let j = unit_of(u, unit, shape);
                #[unroll]
                for r in 0..rows {
                    let i = comptime!(u * rows + r);
                    let shown = fma(shown[i], read(&gamma_c, j), read(&beta_c, j));
                    new[i] *= value(shown, comptime!(shape.options.hidden));
                }
            }
        }
        if comptime!(shape.save) {
            if unit == 0 {
                #[unroll]
                for r in 0..rows {
                    if kept[r] != NONE {
                        let at = kept[r] as usize * STATS;
                        stats[at] = scale_h[r];
                        stats[at + 1] = scale_reset[r];
                        stats[at + 2] = mean_of_c[r];
                        stats[at + 3] = scale_c[r];
                    }
                }
            }
        }
        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            #[unroll]
            for r in 0..rows {
                let i = comptime!(u * rows + r);
                let at = (t * batch + row[r] as usize) * d + j;
                if kept[r] != NONE && mine {
                    if is_lstm {
                        let mut state = c_new[i];
                        if comptime!(shape.zoneout_c != Zone::Off) {
                            state = state + (c[i] - state) * keeps(&keep_c, mean_c, at, shape.zoneout_c);
                        }
                        c[i] = state;
                    }
                    settle(sequence, &mut h, &mut out, new[i], at, &keep_h, mean_h, i, shape);
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
