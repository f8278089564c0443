//! The recurrence backwards: what [`crate::forward`] does, from the last step to the first.

use crate::args::Cell;
use crate::cell::lstm::{PEEPHOLES, read_peepholes};
use crate::cell::{gru, lstm, rnn};
use crate::forward::keeps;
use crate::matmul::zeros;
use crate::plan::NONE;
use crate::product::{Wide, product, put};
use crate::rows::{begin, place, put_states, rows_of, span, unit_of};
use crate::shape::{Shape, Zone};
use crate::storage::read;
use cubecl::prelude::*;

/// The deltas' product with `W_hh` transposed, under the masks: the gates from `first` to `end`.
#[cube]
pub(crate) fn through<N: Float, L: Size>(
    sums: &mut Array<f32>,
    shared: &Shared<[Vector<f32, L>]>,
    w_hh_t: &[Vector<N, Wide>],
    factors: &Array<f32>,
    unit: usize,
    #[comptime] first: usize,
    #[comptime] end: usize,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let chunks = comptime!(shape.chunks());
    let count = comptime!(chunks * shape.rows);
    // Gates under the same mask are one stretch.
    let stretches = comptime!(if shape.masks > 1 { end - first } else { 1 });
    let gates = comptime!(if shape.masks > 1 { 1 } else { end - first });
    let mut columns = Array::<usize>::new(chunks);
    #[unroll]
    for u in 0..chunks {
        columns[u] = unit_of(u, unit, shape);
    }
    #[unroll]
    for i in 0..count {
        sums[i] = 0.0f32;
    }
    #[unroll]
    for stretch in 0..stretches {
        let from = comptime!((first + stretch) * shape.terms()).runtime();
        let mut part = zeros(count);
        product(&mut part, shared, from, w_hh_t, from, &columns, d, 0usize, chunks, gates, shape);
        #[unroll]
        for i in 0..count {
            if comptime!(shape.masks > 0) {
                let mask = comptime!(if shape.masks > 1 { first + stretch } else { 0 });
                sums[i] = fma(part[i], factors[mask * count + i], sums[i]);
            } else {
                sums[i] += part[i];
            }
        }
    }
}

/// Adds up the gradients of outputs behind the last step, which repeat that step's.
#[cube]
pub(crate) fn repeat(
    repeated: &mut Array<f32>,
    d_sequence: &ComptimeOption<Box<[f32]>>,
    row: &Array<u32>,
    stride_t: usize,
    stride_b: usize,
    stride_j: usize,
    from: usize,
    time: usize,
    unit: usize,
    #[comptime] shape: Shape,
) {
    if comptime!(shape.repeats) {
        for s in from..time {
            let t = if comptime!(shape.reverse) { time - 1 - s } else { s };
            #[unroll]
            for u in 0..comptime!(shape.chunks()) {
                let j = unit_of(u, unit, shape);
                #[unroll]
                for r in 0..comptime!(shape.rows) {
                    let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                    repeated[u * shape.rows + r] += read(d_sequence, t * stride_t + b * stride_b + j * stride_j);
                }
            }
        }
    }
}

/// - `d_sequence`: of the outputs, with its strides; none is zero
/// - `d_h`, `d_c`: of the last state
/// - `saved`: what forward saved
/// - `w_hh_t`: `W_hh` transposed, `[G·d_hidden, d_hidden]`, packed with a gate as a group of terms,
///   [`crate::product::Matrix`]
/// - `deltas`: the gradients of the sums, for each place `[Cell::deltas, d_hidden]`
/// - `d_first`: of the first h, and of c from `first_c_at` on
/// - `of_cubes`: for each cube the sums over its rows of the gradients of the peepholes, as [`Shape::learned_at`] says
///
/// `N` is how `W_hh` and what forward saved are stored. The deltas are f32: in f16 small ones would become zero.
/// A vector of `L` rows lies side by side.
#[cube(launch_unchecked)]
pub(crate) fn recurrence<N: Float, L: Size>(
    d_sequence: ComptimeOption<Box<[f32]>>,
    d_h: ComptimeOption<Box<[f32]>>,
    d_c: ComptimeOption<Box<[f32]>>,
    saved: &[N],
    w_hh_t: &[Vector<N, Wide>],
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
    let rows = comptime!(shape.rows);
    let chunks = comptime!(shape.chunks());
    let count = comptime!(chunks * rows);
    let gates = comptime!(cell.gates());
    let slots = comptime!(shape.saved());
    let delta_row = comptime!(shape.deltas() * d);
    let is_lstm = comptime!(cell.has_c());
    let after = comptime!(cell == Cell::GruAfter);
    let before = comptime!(cell == Cell::GruBefore);
    let cube = CUBE_POS_X as usize;
    let unit = UNIT_POS_X as usize;

    let terms = comptime!(shape.terms());
    let mut shared = Shared::<[Vector<f32, L>]>::new_slice(comptime!(gates * terms * shape.lines()));
    let row = rows_of(&plan, cube, CUBE_COUNT_X as usize, batch, rows);
    let (from, to) = span(&plan, cube, time);
    let mut dh = Array::<f32>::new(count);
    let mut dc = Array::<f32>::new(count);
    // The gradient of the output that masked steps repeat.
    let mut repeated = Array::<f32>::new(count);
    let mut factors = Array::<f32>::new(comptime!(count * shape.masks.max(1)));
    let mut peepholes = Array::<f32>::new(comptime!(chunks * PEEPHOLES));
    let mut of_peepholes = zeros(comptime!(chunks * PEEPHOLES));
    #[unroll]
    for u in 0..chunks {
        let j = unit_of(u, unit, shape);
        read_peepholes(&mut peepholes, &p_i, &p_f, &p_o, j, u * PEEPHOLES, shape);
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
        let mut sums = Array::<f32>::new(count);
        #[unroll]
        for r in 0..rows {
            kept[r] = place(&plan, index_at, row[r], t, batch, shape.resets);
        }
        #[unroll]
        for u in 0..chunks {
            let j = unit_of(u, unit, shape);
            let mine = u * shape.units + unit < d;
            // For each gate what the product reads, one number for each row.
            let mut hidden = zeros(comptime!(gates * rows));
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
                    let at = kept[r] as usize * comptime!(slots * d) + j;
                    let to = kept[r] as usize * delta_row + j;
                    let drawn_at = (t * batch + b) * d + j;
                    let mut d_new = dh[i] + arriving;
                    let mut stays = 0.0f32;
                    if comptime!(shape.zoneout_h != Zone::Off) {
                        let keep = keeps(&keep_h, mean_h, drawn_at, shape.zoneout_h);
                        stays = d_new * keep;
                        d_new -= stays;
                    }
                    let mut delta = Array::<f32>::new(4usize);
                    if is_lstm {
                        let mut d_c_new = dc[i];
                        let mut c_stays = 0.0f32;
                        if comptime!(shape.zoneout_c != Zone::Off) {
                            let keep = keeps(&keep_c, mean_c, drawn_at, shape.zoneout_c);
                            c_stays = d_c_new * keep;
                            d_c_new -= c_stays;
                        }
                        let step = lstm::again(saved, at, shape);
                        let (d_o, d_shown) = lstm::through_output(&step, step.c_new, d_new, shape);
                        dc[i] = lstm::through_state(
                            &mut delta,
                            &step,
                            d_o,
                            d_c_new + d_shown,
                            c_stays,
                            &peepholes,
                            &mut of_peepholes,
                            u * PEEPHOLES,
                            shape,
                        );
                        dh[i] = stays;
                    } else if comptime!(after || before) {
                        dh[i] = gru::backward(&mut delta, d_new, stays, saved, at, shape);
                        if after {
                            gru::reset_after(&mut delta, saved, at, shape);
                        } else {
                            delta[0] = 0.0f32;
                        }
                    } else {
                        delta[0] = rnn::backward(d_new, saved, at, shape);
                        dh[i] = stays;
                    }
                    if mine {
                        #[unroll]
                        for g in 0..comptime!(cell.deltas()) {
                            deltas[to + g * d] = delta[g];
                        }
                        #[unroll]
                        for g in 0..gates {
                            hidden[g * rows + r] = delta[comptime!(cell.hidden_delta(g))];
                        }
                    }
                } else if comptime!(shape.repeats) {
                    repeated[i] += arriving;
                }
            }
            if u * shape.units + unit < terms {
                #[unroll]
                for g in 0..gates {
                    let mut values = Array::<f32>::new(rows);
                    #[unroll]
                    for r in 0..rows {
                        values[r] = hidden[g * rows + r];
                    }
                    put(&mut shared, g * terms + u * shape.units + unit, &values, shape);
                }
            }
        }
        sync_cube();
        if before {
            // Through r∘h.
            through(&mut sums, &shared, w_hh_t, &factors, unit, 2usize, 3usize, shape);
            #[unroll]
            for u in 0..chunks {
                let j = unit_of(u, unit, shape);
                let mut values = zeros(rows);
                #[unroll]
                for r in 0..rows {
                    let i = comptime!(u * rows + r);
                    if kept[r] != NONE && u * shape.units + unit < d {
                        let at = kept[r] as usize * comptime!(slots * d) + j;
                        let (delta, reset_gate) = gru::reset_before(sums[i], saved, at, shape);
                        deltas[kept[r] as usize * delta_row + j] = delta;
                        values[r] = delta;
                        dh[i] = fma(sums[i], reset_gate, dh[i]);
                    }
                }
                if u * shape.units + unit < terms {
                    put(&mut shared, u * shape.units + unit, &values, shape);
                }
            }
            sync_cube();
        }
        through(&mut sums, &shared, w_hh_t, &factors, unit, 0usize, comptime!(if before { 2 } else { gates }), shape);
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
        if comptime!(shape.peepholes) {
            if j < d {
                #[unroll]
                for p in 0..PEEPHOLES {
                    of_cubes[cube * comptime!(shape.learned()) + comptime!(shape.learned_at(p)) + j] =
                        of_peepholes[u * PEEPHOLES + p];
                }
            }
        }
    }
    put_states(d_first, &dh, &dc, &row, first_c_at as usize, unit, shape);
}

/// The sum over the cubes of what each has left in its row of `width` numbers, in their order.
#[cube(launch_unchecked)]
pub(crate) fn sum_of_cubes(of_cubes: &[f32], out: &mut [f32], cubes: u32, width: u32) {
    let (at, width) = (ABSOLUTE_POS, width as usize);
    if at < width {
        let mut sum = 0.0f32;
        for cube in 0..cubes as usize {
            sum += of_cubes[cube * width + at];
        }
        out[at] = sum;
    }
}
