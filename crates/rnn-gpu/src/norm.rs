//! Layer normalisation (Ba, Kiros and Hinton, 2016) in the form of haste: `γ∘x̂` with
//! `x̂ = (x − mean)/√(variance + ε)`, over all gates of a product, each product for itself.
//!
//! With `t = γ∘d`, the gradient of x is `(t − mean(t) − x̂·mean(t∘x̂))/√(variance + ε)`.

use crate::input::at_place;
use crate::launch::CUBE;
use crate::matmul::zeros;
use crate::product::put;
use crate::shape::Shape;
use crate::storage::{load, store};
use cubecl::prelude::*;

const EPSILON: f32 = 1e-5;
/// So many units' numbers are added up by one of them.
pub(crate) const GROUP: usize = 8;

/// The memory of [`total`].
#[cube]
pub(crate) fn memory<L: Size>(#[comptime] shape: Shape) -> Shared<[Vector<f32, L>]> {
    Shared::<[Vector<f32, L>]>::new_slice(comptime!(shape.totals() * shape.lines()))
}

/// For each row the sum of the units' `values`, in a fixed order.
#[cube]
pub(crate) fn total<L: Size>(
    memory: &mut Shared<[Vector<f32, L>]>,
    values: &Array<f32>,
    unit: usize,
    #[comptime] shape: Shape,
) -> Array<f32> {
    let groups = comptime!(shape.units / GROUP);
    sync_cube();
    put(memory, unit, values, shape);
    sync_cube();
    if unit < groups {
        let sums = sum_from(memory, unit * GROUP, GROUP, shape);
        put(memory, shape.units + unit, &sums, shape);
    }
    sync_cube();
    sum_from(memory, shape.units.runtime(), groups, shape)
}

#[cube]
fn sum_from<L: Size>(
    memory: &mut Shared<[Vector<f32, L>]>,
    from: usize,
    #[comptime] count: usize,
    #[comptime] shape: Shape,
) -> Array<f32> {
    let (line, lines) = comptime!((shape.line(), shape.lines()));
    let mut sums = zeros(comptime!(shape.rows));
    for k in 0..count {
        #[unroll]
        for i in 0..lines {
            let rows = memory[(from + k) * lines + i];
            #[unroll]
            for r in 0..line {
                sums[i * line + r] += rows.extract(r);
            }
        }
    }
    sums
}

/// The mean of each row: each unit of the layer has `each` numbers in a row. `values` holds, for each row, the sum of the
/// numbers that this unit of the cube holds.
#[cube]
fn mean<L: Size>(
    memory: &mut Shared<[Vector<f32, L>]>,
    values: &Array<f32>,
    unit: usize,
    #[comptime] each: usize,
    #[comptime] shape: Shape,
) -> Array<f32> {
    let mut means = total(memory, values, unit, shape);
    #[unroll]
    for r in 0..comptime!(shape.rows) {
        means[r] *= f32::new(comptime!(1.0 / (each * shape.d_hidden) as f32));
    }
    means
}

/// `x̂` in place of x, and of each row the mean and `1/√(variance + ε)`. A unit of the layer has `each` numbers: number k
/// of a unit's chunk u, row r, is at `(u·each + k)·rows + r`.
#[cube]
pub(crate) fn normalize<L: Size>(
    x: &mut Array<f32>,
    memory: &mut Shared<[Vector<f32, L>]>,
    unit: usize,
    #[comptime] each: usize,
    #[comptime] shape: Shape,
) -> (Array<f32>, Array<f32>) {
    let rows = comptime!(shape.rows);
    let count = comptime!(shape.chunks() * each);
    let mut sums = zeros(rows);
    #[unroll]
    for k in 0..count {
        let own = k / each * shape.units + unit < comptime!(shape.d_hidden);
        #[unroll]
        for r in 0..rows {
            sums[r] += select(own, x[k * rows + r], 0.0f32);
        }
    }
    let means = mean(memory, &sums, unit, each, shape);
    let mut squares = zeros(rows);
    #[unroll]
    for k in 0..count {
        let own = k / each * shape.units + unit < comptime!(shape.d_hidden);
        #[unroll]
        for r in 0..rows {
            let centred = x[k * rows + r] - means[r];
            x[k * rows + r] = centred;
            squares[r] += select(own, centred * centred, 0.0f32);
        }
    }
    let mut scales = mean(memory, &squares, unit, each, shape);
    #[unroll]
    for r in 0..rows {
        scales[r] = 1.0f32 / (scales[r] + EPSILON).sqrt();
    }
    #[unroll]
    for k in 0..count {
        #[unroll]
        for r in 0..rows {
            x[k * rows + r] *= scales[r];
        }
    }
    (means, scales)
}

/// The gradient of x in place of t.
#[cube]
pub(crate) fn through<L: Size>(
    t: &mut Array<f32>,
    x_hat: &Array<f32>,
    scales: &Array<f32>,
    memory: &mut Shared<[Vector<f32, L>]>,
    unit: usize,
    #[comptime] each: usize,
    #[comptime] shape: Shape,
) {
    let rows = comptime!(shape.rows);
    let count = comptime!(shape.chunks() * each);
    let mut sums = zeros(rows);
    let mut products = zeros(rows);
    #[unroll]
    for k in 0..count {
        let own = k / each * shape.units + unit < comptime!(shape.d_hidden);
        #[unroll]
        for r in 0..rows {
            let at = comptime!(k * rows + r);
            sums[r] += select(own, t[at], 0.0f32);
            products[r] += select(own, t[at] * x_hat[at], 0.0f32);
        }
    }
    let means = mean(memory, &sums, unit, each, shape);
    let along = mean(memory, &products, unit, each, shape);
    #[unroll]
    for k in 0..count {
        #[unroll]
        for r in 0..rows {
            let at = comptime!(k * rows + r);
            t[at] = scales[r] * (t[at] - means[r] - x_hat[at] * along[r]);
        }
    }
}

/// The input's products of each place, or of each symbol: x̂, stored as `N`, and what it was multiplied by. A cube does
/// one row.
#[cube(launch_unchecked)]
pub(crate) fn products<P: Float, N: Float, L: Size>(
    from: &[P],
    out: &mut [N],
    scales: &mut [f32],
    count: u32,
    #[comptime] shape: Shape,
) {
    let gates = comptime!(shape.cell.gates());
    let (d, unit) = (comptime!(shape.d_hidden), UNIT_POS_X as usize);
    let row = CUBE_POS;
    let is_there = row < count as usize;
    let begin = select(is_there, row, 0usize) * comptime!(gates * d);
    let mut x = Array::<f32>::new(comptime!(shape.chunks() * gates));
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = crate::rows::unit_of(u, unit, shape);
        #[unroll]
        for g in 0..gates {
            x[u * gates + g] = load(from, begin + g * d + j);
        }
    }
    let mut memory = memory::<L>(shape);
    let (_, scale) = normalize(&mut x, &mut memory, unit, gates, shape);
    if is_there {
        #[unroll]
        for u in 0..comptime!(shape.chunks()) {
            let j = u * shape.units + unit;
            if j < d {
                #[unroll]
                for g in 0..gates {
                    store(out, begin + g * d + j, x[u * gates + g]);
                }
            }
        }
        if unit == 0 {
            scales[row] = scale[0];
        }
    }
}

/// Where the normalised row of a place is: at the place, or at its symbol.
#[cube]
fn row_at(
    symbols: &ComptimeOption<Box<[u32]>>,
    plan: &ComptimeOption<Box<[u32]>>,
    order_at: usize,
    place: usize,
    batch: usize,
    time: usize,
) -> usize {
    #[comptime]
    match symbols {
        ComptimeOption::Some(symbols) => {
            let at = at_place(plan, order_at, place);
            symbols[(at % batch) * time + at / batch] as usize
        }
        ComptimeOption::None => place,
    }
}

/// The gradients of the products in place of those of the normalised ones, the first `G·d_hidden` of the deltas of each
/// place. A cube does one place.
#[cube(launch_unchecked)]
pub(crate) fn gradient<N: Float, L: Size>(
    deltas: &mut [f32],
    normalized: &[N],
    scales: &[f32],
    gain: &[f32],
    symbols: ComptimeOption<Box<[u32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    steps: u32,
    order_at: u32,
    batch: u32,
    time: u32,
    #[comptime] shape: Shape,
) {
    let gates = comptime!(shape.cell.gates());
    let (d, unit) = (comptime!(shape.d_hidden), UNIT_POS_X as usize);
    let is_there = CUBE_POS < steps as usize;
    let place = select(is_there, CUBE_POS, 0usize);
    let row = row_at(&symbols, &plan, order_at as usize, place, batch as usize, time as usize);
    let begin = place * comptime!(shape.deltas() * d);
    let count = comptime!(shape.chunks() * gates);
    let (mut t, mut x_hat) = (Array::<f32>::new(count), Array::<f32>::new(count));
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = crate::rows::unit_of(u, unit, shape);
        #[unroll]
        for g in 0..gates {
            t[u * gates + g] = deltas[begin + g * d + j] * gain[g * d + j];
            x_hat[u * gates + g] = load(normalized, row * comptime!(gates * d) + g * d + j);
        }
    }
    let mut scale = Array::<f32>::new(1usize);
    scale[0] = scales[row];
    let mut memory = memory::<L>(shape);
    through(&mut t, &x_hat, &scale, &mut memory, unit, gates, shape);
    if is_there {
        #[unroll]
        for u in 0..comptime!(shape.chunks()) {
            let j = u * shape.units + unit;
            if j < d {
                #[unroll]
                for g in 0..gates {
                    deltas[begin + g * d + j] = t[u * gates + g];
                }
            }
        }
    }
}

/// For each stretch of places the sums that make the gradients of the gain and of the bias, `stride` numbers each: of
/// the deltas times x̂, and of the deltas.
#[cube(launch_unchecked)]
pub(crate) fn sums<N: Float>(
    deltas: &[f32],
    normalized: &[N],
    symbols: ComptimeOption<Box<[u32]>>,
    plan: ComptimeOption<Box<[u32]>>,
    out: &mut [f32],
    steps: u32,
    stretch: u32,
    stride: u32,
    order_at: u32,
    batch: u32,
    time: u32,
    #[comptime] shape: Shape,
) {
    let width = comptime!(shape.cell.gates() * shape.d_hidden);
    let column = (CUBE_POS_Y * CUBE + UNIT_POS_X) as usize;
    if column < width {
        let begin = CUBE_POS_X as usize * stretch as usize;
        let end = begin + stretch as usize;
        let end = select(end < steps as usize, end, steps as usize);
        let mut of_gain = 0.0f32;
        let mut of_bias = 0.0f32;
        for place in begin..end {
            let row = row_at(&symbols, &plan, order_at as usize, place, batch as usize, time as usize);
            let delta = deltas[place * comptime!(shape.deltas() * shape.d_hidden) + column];
            of_gain = fma(delta, load(normalized, row * width + column), of_gain);
            of_bias += delta;
        }
        let to = CUBE_POS_X as usize * 2 * stride as usize + column;
        out[to] = of_gain;
        out[to + stride as usize] = of_bias;
    }
}
