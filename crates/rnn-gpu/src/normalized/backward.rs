//! Backwards.

use super::{BETA_C, GAMMA_C, OF_GATES, STATS};
use crate::args::Cell;
use crate::backward::{repeat, through as through_weights};
use crate::cell::lstm::{PEEPHOLES, read_peepholes};
use crate::cell::{gru, lstm, rnn, saved_at};
use crate::forward::keeps;
use crate::matmul::zeros;
use crate::norm::{memory, through};
use crate::plan::NONE;
use crate::product::{Wide, put};
use crate::rows::{begin, place, put_states, rows_of, span, unit_of};
use crate::shape::{Shape, Zone};
use crate::storage::read;
use cubecl::prelude::*;

/// The arguments are those of [`crate::backward::recurrence`], and the gains and shifts.
///
/// Leaves for each place the gradients of the sums and, behind them, those of h's products. `of_cubes` has for each cube
/// the sums over its rows of the gradients of what a unit learns, as [`Shape::learned_at`] says.
#[cube(launch_unchecked)]
pub(crate) fn recurrence<N: Float, L: Size>(
    d_sequence: ComptimeOption<Box<[f32]>>,
    d_h: ComptimeOption<Box<[f32]>>,
    d_c: ComptimeOption<Box<[f32]>>,
    saved: &[N],
    stats: &[f32],
    w_hh_t: &[Vector<N, Wide>],
    norm_hh: &[f32],
    gamma_c: ComptimeOption<Box<[f32]>>,
    beta_c: ComptimeOption<Box<[f32]>>,
    p_i: ComptimeOption<Box<[f32]>>,
    p_f: ComptimeOption<Box<[f32]>>,
    p_o: ComptimeOption<Box<[f32]>>,
    masks: ComptimeOption<Box<[f32]>>,
    keep_h: ComptimeOption<Box<[f32]>>,
    keep_c: ComptimeOption<Box<[f32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    deltas: &mut [f32],
    d_first: &mut [f32],
    of_cubes: &mut [f32],
    stride_t: u32,
    stride_b: u32,
    stride_j: u32,
    time: u32,
    batch: u32,
    index_at: u32,
    first_c_at: u32,
    mean_h: f32,
    mean_c: f32,
    #[comptime] shape: Shape,
) {
    let (time, batch, index_at) = (time as usize, batch as usize, index_at as usize);
    let (stride_t, stride_b, stride_j) = (stride_t as usize, stride_b as usize, stride_j as usize);
    let cell = comptime!(shape.cell);
    let d = comptime!(shape.d_hidden);
    let (rows, chunks, terms) = comptime!((shape.rows, shape.chunks(), shape.terms()));
    let count = comptime!(chunks * rows);
    let (gates, slots) = comptime!((cell.gates(), shape.saved()));
    let delta_row = comptime!(shape.deltas() * d);
    let is_lstm = comptime!(cell.has_c());
    let after = comptime!(cell == Cell::GruAfter);
    let before = comptime!(cell == Cell::GruBefore);
    // The gates whose products with h are normalised together.
    let together = comptime!(if before { 2 } else { gates });
    let learned = comptime!(OF_GATES + 2 * gates);
    let cube = CUBE_POS_X as usize;
    let unit = UNIT_POS_X as usize;

    let mut shared = Shared::<[Vector<f32, L>]>::new_slice(comptime!(gates * terms * shape.lines()));
    let mut memory = memory::<L>(shape);
    let row = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, rows);
    let (from, to) = span(&plan, cube, time);
    let mut dh = Array::<f32>::new(count);
    let mut dc = Array::<f32>::new(count);
    // The gradient of the output that masked steps repeat.
    let mut repeated = Array::<f32>::new(count);
    let mut factors = Array::<f32>::new(comptime!(count * shape.masks.max(1)));
    let mut peepholes = Array::<f32>::new(comptime!(chunks * PEEPHOLES));
    let mut of_peepholes = zeros(comptime!(chunks * PEEPHOLES));
    let mut of_norms = zeros(comptime!(chunks * learned));
    let mut gain = Array::<f32>::new(comptime!(chunks * gates));
    #[unroll]
    for u in 0..chunks {
        let j = unit_of(u, unit, shape);
        read_peepholes(&mut peepholes, &p_i, &p_f, &p_o, j, u * PEEPHOLES, shape);
        #[unroll]
        for g in 0..gates {
            gain[u * gates + g] = norm_hh[g * d + j];
        }
        #[unroll]
        for r in 0..rows {
            let b = select(row[r] == NONE, 0u32, row[r]) as usize;
            dh[u * rows + r] = read(&d_h, b * d + j);
            dc[u * rows + r] = read(&d_c, b * d + j);
            repeated[u * rows + r] = 0.0f32;
            #[unroll]
            for m in 0..comptime!(shape.masks) {
                factors[m * count + u * rows + r] = read(&masks, (m * batch + b) * d + j);
            }
        }
    }
    repeat(&mut repeated, &d_sequence, &row, stride_t, stride_b, stride_j, to, time, unit, shape);

    for back in from..to {
        let s = to - 1 - (back - from);
        let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
        let mut kept = Array::<u32>::new(rows);
        let mut scales_h = zeros(rows);
        let mut scales_reset = zeros(rows);
        let mut means_c = zeros(rows);
        let mut scales_c = zeros(rows);
        #[unroll]
        for r in 0..rows {
            kept[r] = place(&plan, index_at, row[r], t, batch, shape.resets);
            if kept[r] != NONE {
                let at = kept[r] as usize * STATS;
                scales_h[r] = stats[at];
                scales_reset[r] = stats[at + 1];
                means_c[r] = stats[at + 2];
                scales_c[r] = stats[at + 3];
            }
        }
        // The gradient of h', without what zoneout keeps, and that.
        let mut d_new = zeros(count);
        let mut stays = zeros(count);
        // Of an LSTM: the gradient of o's sum, of c' by way of h', and the normalised c'.
        let mut d_o = zeros(count);
        let mut d_shown = zeros(count);
        let mut c_hat = zeros(count);
        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            #[unroll]
            for r in 0..rows {
                let i = comptime!(u * rows + r);
                let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                let mut arriving = read(&d_sequence, t * stride_t + b * stride_b + j * stride_j);
                if kept[r] != NONE {
                    if comptime!(shape.repeats) {
                        arriving += repeated[i];
                        repeated[i] = 0.0f32;
                    }
                    let mut d = dh[i] + arriving;
                    if comptime!(shape.zoneout_h != Zone::Off) {
                        let at = (t * batch + b) * comptime!(shape.d_hidden) + j;
                        stays[i] = d * keeps(&keep_h, mean_h, at, shape.zoneout_h);
                        d -= stays[i];
                    }
                    d_new[i] = d;
                    if is_lstm {
                        let at = kept[r] as usize * comptime!(slots * shape.d_hidden) + j;
                        let step = lstm::again(saved, at, shape);
                        let normal = (step.c_new - means_c[r]) * scales_c[r];
                        let gamma = read(&gamma_c, j);
                        let (of_o, of_shown) =
                            lstm::through_output(&step, fma(normal, gamma, read(&beta_c, j)), d, shape);
                        d_o[i] = of_o;
                        c_hat[i] = normal;
                        d_shown[i] = of_shown * gamma;
                        if mine {
                            let first = comptime!(u * learned);
                            of_norms[first + GAMMA_C] = fma(of_shown, normal, of_norms[first + GAMMA_C]);
                            of_norms[first + BETA_C] += of_shown;
                        }
                    }
                } else if comptime!(shape.repeats) {
                    repeated[i] += arriving;
                }
            }
        }
        if is_lstm {
            through(&mut d_shown, &c_hat, &scales_c, &mut memory, unit, 1usize, shape);
        }

        // The gradients of h's products: first γ times that of the sum, of the gates from `first` on.
        let mut x_hat = zeros(comptime!(count * together));
        let mut of_h = zeros(comptime!(count * together));
        let mut n_hat = zeros(count);
        let mut of_n = zeros(count);
        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            #[unroll]
            for r in 0..rows {
                let i = comptime!(u * rows + r);
                let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                if kept[r] != NONE {
                    let at = kept[r] as usize * comptime!(slots * d) + j;
                    let to = kept[r] as usize * delta_row + j;
                    let mut delta = Array::<f32>::new(4usize);
                    if is_lstm {
                        let mut d_c_new = dc[i];
                        let mut c_stays = 0.0f32;
                        if comptime!(shape.zoneout_c != Zone::Off) {
                            let keep = keeps(&keep_c, mean_c, (t * batch + b) * d + j, shape.zoneout_c);
                            c_stays = d_c_new * keep;
                            d_c_new -= c_stays;
                        }
                        let step = lstm::again(saved, at, shape);
                        dc[i] = lstm::through_state(
                            &mut delta,
                            &step,
                            d_o[i],
                            d_c_new + d_shown[i],
                            c_stays,
                            &peepholes,
                            &mut of_peepholes,
                            u * PEEPHOLES,
                            shape,
                        );
                        dh[i] = stays[i];
                    } else if comptime!(after || before) {
                        dh[i] = gru::backward(&mut delta, d_new[i], stays[i], saved, at, shape);
                        if after {
                            gru::reset_after(&mut delta, saved, at, shape);
                        } else {
                            delta[0] = 0.0f32;
                        }
                    } else {
                        delta[0] = rnn::backward(d_new[i], saved, at, shape);
                        dh[i] = stays[i];
                    }
                    if mine {
                        #[unroll]
                        for g in 0..gates {
                            deltas[to + g * d] = delta[g];
                            let hat = saved_at(saved, at, comptime!(cell.saved() - 1 + g), shape);
                            let of_sum = delta[comptime!(cell.hidden_delta(g))];
                            let t = of_sum * gain[u * gates + g];
                            if comptime!(before && g == 0) {
                                // It comes later.
                                x_hat[u * together * rows + r] = hat;
                            } else {
                                let first = comptime!(u * learned + OF_GATES);
                                of_norms[first + g] = fma(of_sum, hat, of_norms[first + g]);
                                of_norms[first + gates + g] += of_sum;
                                if comptime!(before && g == 2) {
                                    n_hat[i] = hat;
                                    of_n[i] = t;
                                } else {
                                    x_hat[(u * together + g) * rows + r] = hat;
                                    of_h[(u * together + g) * rows + r] = t;
                                }
                            }
                        }
                    }
                }
            }
        }
        let mut sums = Array::<f32>::new(count);
        if before {
            // Through r∘h.
            through(&mut of_n, &n_hat, &scales_reset, &mut memory, unit, 1usize, shape);
            share(&mut shared, deltas, &of_n, &kept, unit, 0usize, 1usize, 2usize, shape);
            sync_cube();
            through_weights(&mut sums, &shared, w_hh_t, &factors, unit, 2usize, 3usize, shape);
            #[unroll]
            for u in 0..chunks {
                let j = unit_of(u, unit, shape);
                #[unroll]
                for r in 0..rows {
                    let i = comptime!(u * rows + r);
                    if kept[r] != NONE && u * shape.units + unit < d {
                        let at = kept[r] as usize * comptime!(slots * d) + j;
                        let (delta, reset_gate) = gru::reset_before(sums[i], saved, at, shape);
                        deltas[kept[r] as usize * delta_row + j] = delta;
                        dh[i] = fma(sums[i], reset_gate, dh[i]);
                        let first = comptime!(u * learned + OF_GATES);
                        let hat = x_hat[u * together * rows + r];
                        of_norms[first] = fma(delta, hat, of_norms[first]);
                        of_norms[first + gates] += delta;
                        of_h[u * together * rows + r] = delta * gain[u * gates];
                    }
                }
            }
        }
        through(&mut of_h, &x_hat, &scales_h, &mut memory, unit, together, shape);
        #[unroll]
        for g in 0..together {
            share(&mut shared, deltas, &of_h, &kept, unit, g, together, g, shape);
        }
        sync_cube();
        through_weights(&mut sums, &shared, w_hh_t, &factors, unit, 0usize, together, shape);
        #[unroll]
        for i in 0..count {
            dh[i] += sums[i];
        }
        // Nothing reaches the sequence before.
        begin(&mut dh, &mut dc, &plan, &row, index_at, s, time, batch, shape);
        sync_cube();
    }

    #[unroll]
    for u in 0..chunks {
        let j = u * shape.units + unit;
        if j < d {
            #[unroll]
            for k in 0..learned {
                let mut sum = of_norms[u * learned + k];
                if comptime!(k < PEEPHOLES) {
                    sum = of_peepholes[u * PEEPHOLES + k];
                }
                of_cubes[cube * comptime!(shape.learned()) + comptime!(shape.learned_at(k)) + j] = sum;
            }
        }
    }
    put_states(d_first, &dh, &dc, &row, first_c_at as usize, unit, shape);
}

/// Puts the gradients of h's products of a gate where the next product finds them, and among the deltas: number `k` of
/// the `each` that a unit has in `gradients`.
#[cube]
fn share<L: Size>(
    shared: &mut Shared<[Vector<f32, L>]>,
    deltas: &mut [f32],
    gradients: &Array<f32>,
    kept: &Array<u32>,
    unit: usize,
    #[comptime] k: usize,
    #[comptime] each: usize,
    #[comptime] gate: usize,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    let to = comptime!((shape.cell.gates() + gate) * d);
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = u * shape.units + unit;
        let mut values = zeros(rows);
        #[unroll]
        for r in 0..rows {
            if kept[r] != NONE && j < d {
                values[r] = gradients[(u * each + k) * rows + r];
                deltas[kept[r] as usize * comptime!(shape.deltas() * d) + to + j] = values[r];
            }
        }
        if j < comptime!(shape.terms()) {
            put(shared, comptime!(gate * shape.terms()) + j, &values, shape);
        }
    }
}
