//! Weights in the order in which the micro-kernel reads them.

use crate::args::LayerWeights;
use crate::float::Float;
use crate::linear::Right;
use crate::pool::{Buffer, take};
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::simd::{Op, Simd, Square, run};
use crate::threads::{Shared, each, ranges};
use crate::tile::WIDTH;

/// Below so many elements one thread packs.
const SMALL: usize = 1 << 15;

/// Runs `work` on `0..count`, cut into as many ranges as there are threads.
pub(crate) fn over(plan: &Plan, count: usize, elements: usize, work: impl Fn(usize) + Sync) {
    let threads = if elements < SMALL { 1 } else { plan.threads };
    each(ranges(count, threads), |range: std::ops::Range<usize>| range.for_each(&work));
}

/// The columns of `weight`, `[inner, G·d_hidden]`, that `product` fills panels with, times `scale`:
/// `[panel][inner][vector][lane]`.
pub(crate) fn columns<T: Float>(
    plan: &Plan,
    layer: &LayerWeights<T>,
    weight: &[T],
    product: GateProduct,
    scale: T,
) -> Buffer<T> {
    let (lanes, blocks, d_hidden) = (plan.lanes, plan.products.blocks, layer.d_hidden);
    let row = layer.cell.gates() * d_hidden;
    let inner = weight.len() / row;
    let width = product.width(blocks) * lanes;
    let mut packed = take::<T>(plan.panels * inner * width);
    let to = Shared(packed.as_mut_ptr());
    over(plan, plan.panels, inner * row, |p| {
        // SAFETY: the panel's piece of the buffer, which no other thread has.
        let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(p * inner * width), inner * width) };
        // Each vector's first element in a row of the weights, and how many elements it has: those of units that only
        // fill up the panel have none.
        let mut vectors = [(0, 0); WIDTH];
        for (vector, (_, gate, block)) in vectors.iter_mut().zip(product.vectors(blocks)) {
            let unit = (p * blocks + block) * lanes;
            let n = d_hidden.saturating_sub(unit).min(lanes);
            *vector = (if n > 0 { gate * d_hidden + unit } else { 0 }, n);
        }
        run(plan.exec.isa, Columns { from: weight, row, vectors: &vectors[..width / lanes], scale, to });
    });
    packed
}

/// The vectors of each row, side by side.
struct Columns<'a, T> {
    from: &'a [T],
    row: usize,
    vectors: &'a [(usize, usize)],
    scale: T,
    to: &'a mut [T],
}

impl<T: Float> Op<T> for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        assert!(self.vectors.iter().all(|&(start, n)| start + n <= self.row));
        let rows = self.from.chunks_exact(self.row);
        for (from, to) in rows.zip(self.to.chunks_exact_mut(self.vectors.len() * S::LANES)) {
            for (&(start, n), to) in self.vectors.iter().zip(to.chunks_exact_mut(S::LANES)) {
                // SAFETY: the vector's n elements are in the row; none is read where n is 0.
                unsafe {
                    let vector = if n == 0 { S::zero() } else { S::load_up_to(from.as_ptr().add(start), n) };
                    S::store(to.as_mut_ptr(), S::mul(vector, S::splat(self.scale)));
                }
            }
        }
    }
}

/// The transpose of the same: `[group of d][panel][vector][lane][d]`, where d counts the rows of `weight` in groups of
/// `WIDTH` vectors, the last group of as many as are needed.
pub(crate) fn transposed<T: Float>(
    plan: &Plan,
    layer: &LayerWeights<T>,
    weight: &[T],
    product: GateProduct,
    scale: T,
) -> Buffer<T> {
    let (lanes, blocks, d_hidden) = (plan.lanes, plan.products.blocks, layer.d_hidden);
    let row = layer.cell.gates() * d_hidden;
    let outer = weight.len() / row;
    let vectors = outer.div_ceil(lanes);
    let inner = plan.panels * product.width(blocks) * lanes;
    let mut packed = take::<T>(vectors * lanes * inner);
    let to = Shared(packed.as_mut_ptr());
    over(plan, vectors.div_ceil(WIDTH), outer * row, |group| {
        let first = group * WIDTH * lanes;
        let width = (vectors - group * WIDTH).min(WIDTH) * lanes;
        // SAFETY: the group's piece of the buffer, which no other thread has.
        let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(first * inner), width * inner) };
        let mut squares = to.chunks_exact_mut(lanes * width);
        for p in 0..plan.panels {
            for ((_, gate, block), to) in product.vectors(blocks).zip(squares.by_ref()) {
                let unit = (p * blocks + block) * lanes;
                let n = d_hidden.saturating_sub(unit).min(lanes);
                if n < lanes || first + width > outer {
                    to.fill(T::ZERO);
                }
                if n > 0 {
                    let from = &weight[first * row + gate * d_hidden + unit..];
                    run(plan.exec.isa, Turned { from, row, n, scale, to, width, rows: width.min(outer - first) });
                }
            }
        }
    });
    packed
}

/// The first `n` of each of the first `rows` rows: element k of row d goes to `k·width + d`.
struct Turned<'a, T> {
    from: &'a [T],
    row: usize,
    n: usize,
    rows: usize,
    scale: T,
    to: &'a mut [T],
    width: usize,
}

impl<T: Float> Op<T> for Turned<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let Turned { from, row, n, rows, scale, to, width } = self;
        assert!(rows <= width && n <= S::LANES && to.len() == S::LANES * width && (rows - 1) * row + n <= from.len());
        let squares = if n == S::LANES { rows / S::LANES } else { 0 };
        for d in (0..squares).map(|i| i * S::LANES) {
            // SAFETY: `LANES` rows and elements of each are there, and as many places, as was asserted.
            unsafe {
                let (from, to) = (from.as_ptr().add(d * row), to.as_mut_ptr().add(d));
                S::transpose(&Square { from, from_row: row, to, to_row: width, scale });
            }
        }
        for d in squares * S::LANES..rows {
            for (lane, &w) in from[d * row..][..n].iter().enumerate() {
                to[lane * width + d] = w * scale;
            }
        }
    }
}

/// `W_hr`, `[group of WIDTH vectors][d_hidden][vector][lane]`; nothing where h is not projected.
pub(crate) fn projection<T: Float>(plan: &Plan, layer: &LayerWeights<T>) -> Buffer<T> {
    let Some(values) = layer.options.w_hr else { return take(0) };
    let columns = layer.h_features();
    Right { values, inner: layer.d_hidden, columns, row: columns, step: 1 }.packed(plan.lanes)
}

/// Its transpose, `[group of WIDTH vectors][h_features][vector][lane]`.
pub(crate) fn projection_transposed<T: Float>(plan: &Plan, layer: &LayerWeights<T>) -> Buffer<T> {
    let Some(values) = layer.options.w_hr else { return take(0) };
    let inner = layer.h_features();
    Right { values, inner, columns: layer.d_hidden, row: 1, step: inner }.packed(plan.lanes)
}

/// What a panel's sums start from: `b_ih + b_hh`, each where its product goes, `[panel][vector][lane]`.
pub(crate) fn biases<T: Float>(plan: &Plan, layer: &LayerWeights<T>) -> Buffer<T> {
    let mut packed = take::<T>(plan.panel_elements());
    packed.fill(T::ZERO);
    for (products, bias) in [(&plan.products.x, layer.b_ih), (&plan.products.h, layer.b_hh)] {
        let Some(bias) = bias else { continue };
        for product in products {
            each_unit(plan, layer.d_hidden, *product, |panel, column| packed[panel] += bias[column]);
        }
    }
    packed
}

/// Calls `unit(place in a row of all panels, column of a packed weight)` for all that `product` fills.
pub(crate) fn each_unit(plan: &Plan, d_hidden: usize, product: GateProduct, mut unit: impl FnMut(usize, usize)) {
    let (lanes, blocks) = (plan.lanes, plan.products.blocks);
    for p in 0..plan.panels {
        for (vector, gate, block) in product.vectors(blocks) {
            let first = (p * blocks + block) * lanes;
            for lane in 0..d_hidden.saturating_sub(first).min(lanes) {
                unit(p * plan.row() + vector * lanes + lane, gate * d_hidden + first + lane);
            }
        }
    }
}
