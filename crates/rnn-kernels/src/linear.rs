//! A dense layer over the rows of a batch, and its gradients.

use crate::args::check_sizes;
use crate::exec::Exec;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::simd::{Op, Simd, lanes, run};
use crate::threads::{Shared, each, filled, ranges};
use crate::tile::{Cut, MAX_ROWS, Tile, WIDTH, max_rows, multiply};
use std::ops::Range;

/// Below so many multiplications one thread does it.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 18 };

/// `y = x·W + b`; see [`linear`](crate::linear).
pub(crate) fn linear<T: Float>(
    exec: Exec,
    shape @ [rows, inner, columns]: [usize; 3],
    x: &[T],
    w: &[T],
    b: &[T],
) -> Vec<T> {
    check(shape, Some(x), Some(w));
    assert!(b.len() == columns, "b has {} elements, not {columns}", b.len());
    let left = Left { values: x, row: inner, step: 1 };
    let right = Right { values: w, inner, columns, row: columns, step: 1 };
    product(exec, rows, left, right, Some(b))
}

/// See [`linear_backward`](crate::linear_backward).
pub(crate) fn linear_backward<T: Float>(
    exec: Exec,
    shape @ [rows, d_input, d_output]: [usize; 3],
    x: Option<&[T]>,
    w: Option<&[T]>,
    d_y: &[T],
    wanted: bool,
) -> [Option<Vec<T>>; 3] {
    check(shape, x, w);
    assert!(d_y.len() == rows * d_output, "the gradient has {} elements, not {rows}·{d_output}", d_y.len());
    let of_x = |w| {
        let left = Left { values: d_y, row: d_output, step: 1 };
        let right = Right { values: w, inner: d_output, columns: d_input, row: 1, step: d_output };
        product(exec, rows, left, right, None)
    };
    let of_w = |x| {
        let left = Left { values: x, row: 1, step: d_input };
        let right = Right { values: d_y, inner: rows, columns: d_output, row: d_output, step: 1 };
        product(exec, d_input, left, right, None)
    };
    let of_b = || {
        let mut sums = vec![T::ZERO; d_output];
        for row in d_y.chunks_exact(d_output.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, &d)| *sum += d);
        }
        sums
    };
    [w.map(of_x), x.map(of_w), wanted.then(of_b)]
}

fn check<T>(shape @ [rows, d_input, d_output]: [usize; 3], x: Option<&[T]>, w: Option<&[T]>) {
    check_sizes(shape);
    x.inspect(|x| assert!(x.len() == rows * d_input, "x has {} elements, not {rows}·{d_input}", x.len()));
    w.inspect(|w| assert!(w.len() == d_input * d_output, "W has {} elements, not {d_input}·{d_output}", w.len()));
}

/// A left factor: element k of row m lies at `m·row + k·step`.
#[derive(Clone, Copy)]
struct Left<'a, T> {
    values: &'a [T],
    row: usize,
    step: usize,
}

/// A right factor, `[inner, columns]`: element j of row k lies at `k·row + j·step`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    pub(crate) row: usize,
    pub(crate) step: usize,
}

impl<T: Float> Right<'_, T> {
    /// `[group of WIDTH vectors][inner][vector][lane]`, filled up with zeros.
    pub(crate) fn packed(&self, lanes: usize) -> Buffer<T> {
        let Right { values, inner, columns, row, step } = *self;
        let vectors = columns.div_ceil(lanes);
        let mut packed = take(vectors * lanes * inner);
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * lanes;
            let width = (vectors - group * WIDTH).min(WIDTH) * lanes;
            let n = width.min(columns - first);
            let rows = packed[first * inner..][..width * inner].chunks_exact_mut(width);
            for (k, to) in rows.enumerate() {
                let from = &values[k * row + first * step..];
                match step {
                    1 => to[..n].copy_from_slice(&from[..n]),
                    _ => to[..n].iter_mut().zip(from.iter().step_by(step)).for_each(|(to, &from)| *to = from),
                }
                to[n..].fill(T::ZERO);
            }
        }
        packed
    }
}

/// `c₀ + a·b`, `[rows, columns]`, the rows divided among the threads.
fn product<T: Float>(exec: Exec, rows: usize, a: Left<T>, b: Right<T>, c0: Option<&[T]>) -> Vec<T> {
    let Right { inner, columns, .. } = b;
    let lanes = lanes::<T>(exec.isa);
    let packed = b.packed(lanes);
    let mut start = take(columns.next_multiple_of(lanes));
    start.fill(T::ZERO);
    if let Some(c0) = c0 {
        start[..columns].copy_from_slice(c0);
    }
    let small = rows.saturating_mul(inner).saturating_mul(columns) < SMALL;
    filled([rows, columns], |c: Shared<T>| {
        each(ranges(rows, if small { 1 } else { exec.threads }), |rows: Range<usize>| {
            run(exec.isa, Product { rows, a, inner, columns, b: &packed, c0: &start, c: c.get() });
        });
    })
}

/// Rows of it.
struct Product<'a, T> {
    rows: Range<usize>,
    a: Left<'a, T>,
    inner: usize,
    columns: usize,
    b: &'a [T],
    c0: &'a [T],
    c: *mut T,
}

impl<T: Float> Op<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let Product { rows, a, inner, columns, b, c0, c } = self;
        if rows.is_empty() {
            return;
        }
        let vectors = columns.div_ceil(S::LANES);
        // Tiles that reach beyond the columns go here first.
        let mut narrow = take::<T>(MAX_ROWS * WIDTH * S::LANES);
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let (row, n) = (width * S::LANES, columns - first);
            let cut = Cut::new(rows.len(), max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, end) = (rows.start + cut.start(tile), rows.start + cut.start(tile + 1));
                // SAFETY: rows of a and columns of b, which is packed so; the rows of c are this thread's, and a tile
                // is written there only as far as c has columns.
                unsafe {
                    let to = c.add(from * columns + first);
                    let (place, c_step) = if row <= n { (to, columns) } else { (narrow.as_mut_ptr(), row) };
                    multiply::<S>(&Tile {
                        rows: end - from,
                        width,
                        a: a.values.as_ptr().wrapping_add(from * a.row),
                        a_row: a.row,
                        a_rows: std::ptr::null(),
                        a_step: a.step,
                        blocks: 1,
                        len: inner,
                        a_block: 0,
                        b: b.as_ptr().add(first * inner),
                        b_step: row,
                        c0: c0.as_ptr().add(first),
                        c0_step: 0,
                        c: place,
                        c_step,
                    });
                    if row > n {
                        for m in 0..end - from {
                            std::ptr::copy_nonoverlapping(narrow.as_ptr().add(m * row), to.add(m * columns), n);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    /// `a·b + c` in f64, the plain way: a `[rows, inner]` and b `[inner, columns]` by their functions.
    fn plain(
        [rows, inner, columns]: [usize; 3],
        a: impl Fn(usize, usize) -> f64,
        b: impl Fn(usize, usize) -> f64,
        c: impl Fn(usize) -> f64,
    ) -> Vec<f64> {
        let places = (0..rows).flat_map(|m| (0..columns).map(move |j| (m, j)));
        places.map(|(m, j)| c(j) + (0..inner).map(|k| a(m, k) * b(k, j)).sum::<f64>()).collect()
    }

    fn close<T: Float>(what: &str, found: &[T], expected: &[f64], inner: usize) {
        let epsilon = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        assert_eq!(found.len(), expected.len(), "{what}");
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let error = (found.to_f64() - expected).abs();
            assert!(error <= epsilon * (inner + 2) as f64, "{what}, element {i}: {} for {expected}", found.to_f64());
        }
    }

    fn equals<T: Float>(exec: Exec, shape @ [rows, inner, columns]: [usize; 3], random: &mut fastrand::Rng) {
        let mut numbers = |n: usize| -> Vec<T> { (0..n).map(|_| T::from_f64(random.f64() - 0.5)).collect() };
        let (x, w, b, d_y) =
            (numbers(rows * inner), numbers(inner * columns), numbers(columns), numbers(rows * columns));
        let what = format!("{exec:?} {shape:?} {} bytes", size_of::<T>());
        let at = |m: &Vec<T>, row: usize, i: usize, j: usize| m[i * row + j].to_f64();
        let y = linear(exec, shape, &x, &w, &b);
        let expected = plain(shape, |m, k| at(&x, inner, m, k), |k, j| at(&w, columns, k, j), |j| b[j].to_f64());
        close(&what, &y, &expected, inner);
        let [d_x, d_w, d_b] =
            linear_backward(exec, shape, Some(&x), Some(&w), &d_y, true).map(Option::unwrap_or_default);
        let expected =
            plain([rows, columns, inner], |m, j| at(&d_y, columns, m, j), |j, k| at(&w, columns, k, j), |_| 0.0);
        close(&what, &d_x, &expected, columns);
        let expected =
            plain([inner, rows, columns], |k, m| at(&x, inner, m, k), |m, j| at(&d_y, columns, m, j), |_| 0.0);
        close(&what, &d_w, &expected, rows);
        let expected = plain([1, rows, columns], |_, _| 1.0, |m, j| at(&d_y, columns, m, j), |_| 0.0);
        close(&what, &d_b, &expected, rows);
    }

    #[test]
    fn products_and_their_gradients_are_the_plain_ones() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut shapes = vec![[0, 3, 2], [3, 0, 2], [3, 2, 0], [1, 1, 1], [5, 9, 17]];
        if !cfg!(miri) {
            shapes.extend([[128, 128, 55], [70, 33, 130], [7, 300, 129], [50, 128, 1]]);
            shapes.extend((0..30).map(|_| [0; 3].map(|_| random.usize(1..80))));
        }
        for isa in Isa::available() {
            for threads in if cfg!(miri) { 1..2 } else { 1..4 } {
                for &shape in &shapes {
                    equals::<f32>(Exec { isa, threads }, shape, &mut random);
                    equals::<f64>(Exec { isa, threads }, shape, &mut random);
                }
            }
        }
    }

    #[test]
    fn only_what_is_wanted_is_made() {
        let exec = Exec { isa: Isa::Portable, threads: 1 };
        let (x, w) = ([1.0f32; 6], [1.0; 12]);
        for wanted in [[true, false, false], [false, true, false], [false, false, true]] {
            let (w, x) = (wanted[0].then_some(&w[..]), wanted[1].then_some(&x[..]));
            let made = linear_backward(exec, [2, 3, 4], x, w, &[1.0; 8], wanted[2]);
            assert_eq!(made.map(|made| made.is_some()), wanted);
        }
    }

    #[test]
    #[should_panic(expected = "[4, 4611686018427387904, 4] are too large")]
    #[cfg(target_pointer_width = "64")]
    fn sizes_whose_product_wraps_around_are_refused() {
        linear(Exec { isa: Isa::Portable, threads: 1 }, [4, 1 << 62, 4], &[0.0f32; 0], &[], &[0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "W has 5 elements, not 2·3")]
    fn weights_of_another_size_are_refused() {
        let exec = Exec { isa: Isa::Portable, threads: 1 };
        linear(exec, [1, 2, 3], &[0.0f32; 2], &[0.0; 5], &[0.0; 3]);
    }
}
