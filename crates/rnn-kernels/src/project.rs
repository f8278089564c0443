//! Rows without what they have along others: the products of Gram-Schmidt, for many rows at once.

use crate::exec::Exec;
use crate::pool::take;
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each, ranges};
use std::ops::Range;

/// Below so many multiplications one thread does it.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 20 };
/// Elements of a piece of a scalar product, which is small enough for the L1 cache.
const PIECE: usize = 512;
/// Running sums of a scalar product.
const SUMS: usize = 8;
/// Rows whose pieces fit the L2 cache.
const ROWS: usize = 128;
/// Columns that are subtracted from at once.
const COLUMNS: usize = 32;

/// Takes from each of `rows`, `[m, length]`, its projections on the rows of `basis`, `[k, length]`, which are
/// orthonormal: `rows ← rows − (rows·basisᵀ)·basis`.
///
/// The result has the same bits at all instruction sets, for all numbers of threads, and as plain loops make it:
/// nothing is fused; a scalar product is the sum of those of pieces of 512 elements, in each of which element i goes to
/// sum i mod 8, and these are added in their order; a row's projections are subtracted in the order of the basis.
///
/// ```
/// let mut rows = [3.0, 4.0, 5.0];
/// rnn_kernels::project_out(rnn_kernels::Exec::default(), 3, &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], &mut rows);
/// assert_eq!(rows, [3.0, 0.0, 0.0]);
/// ```
///
/// # Panics
/// On slices that are not whole rows of `length` elements.
pub fn project_out(exec: Exec, length: usize, basis: &[f64], rows: &mut [f64]) {
    for (what, slice) in [("the basis", basis), ("rows", &*rows)] {
        let whole = length > 0 && slice.len().is_multiple_of(length);
        assert!(whole, "{what}: {} elements are no rows of {length}", slice.len());
    }
    let (k, m) = (basis.len() / length, rows.len() / length);
    if k == 0 || m == 0 {
        return;
    }
    let threads = if m.saturating_mul(basis.len()) < SMALL { 1 } else { exec.threads };
    let mut along = vec![0.0; m * k];
    let to = Shared(along.as_mut_ptr());
    each(ranges(k, threads), |part: Range<usize>| {
        run(exec.isa, Products { length, basis, part, rows, along: to.get() });
    });
    let to = Shared(rows.as_mut_ptr());
    each(ranges(length.div_ceil(COLUMNS), threads), |part: Range<usize>| {
        run(exec.isa, Subtract { length, basis, part, along: &along, rows: to.get() });
    });
}

/// The scalar products of all rows with some of the basis.
struct Products<'a> {
    length: usize,
    basis: &'a [f64],
    part: Range<usize>,
    rows: &'a [f64],
    /// `[m, k]`, zeros.
    along: *mut f64,
}

impl Op<f64> for Products<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = f64>>(self) {
        // SAFETY: as for the caller.
        unsafe {
            match S::LANES {
                8 => self.all::<S, 4, 4, 1>(),
                4 => self.all::<S, 2, 2, 2>(),
                2 => self.all::<S, 2, 1, 4>(),
                lanes => unreachable!("{lanes} lanes"),
            }
        }
    }
}

impl Products<'_> {
    /// In tiles of M rows and N of the basis; P vectors are the running sums of one product.
    #[inline(always)]
    unsafe fn all<S: Simd<T = f64>, const M: usize, const N: usize, const P: usize>(&self) {
        let (length, k) = (self.length, self.basis.len() / self.length);
        // Rows a power of two apart share few places of the caches.
        let mut packed = take::<f64>(ROWS * PIECE);
        for (number, rows) in self.rows.chunks(ROWS * length).enumerate() {
            let count = rows.len() / length;
            for from in (0..length).step_by(PIECE) {
                let len = PIECE.min(length - from);
                for (row, to) in rows.chunks_exact(length).zip(packed.chunks_exact_mut(PIECE)) {
                    to[..len].copy_from_slice(&row[from..][..len]);
                }
                let mut i = self.part.start;
                while i < self.part.end {
                    let n = if i + N <= self.part.end { N } else { 1 };
                    let mut row = 0;
                    while row < count {
                        let m = if row + M <= count { M } else { 1 };
                        let a = packed[row * PIECE..].as_ptr();
                        let b = self.basis[i * length + from..].as_ptr();
                        let to = self.along.wrapping_add((number * ROWS + row) * k + i);
                        // SAFETY: m packed rows and n of the basis have `len` elements from there on; these products
                        // are this thread's.
                        unsafe {
                            match (m == M, n == N) {
                                (true, true) => add_products::<S, M, N, P>(a, b, length, len, to, k),
                                (true, false) => add_products::<S, M, 1, P>(a, b, length, len, to, k),
                                (false, true) => add_products::<S, 1, N, P>(a, b, length, len, to, k),
                                (false, false) => add_products::<S, 1, 1, P>(a, b, length, len, to, k),
                            }
                        }
                        row += m;
                    }
                    i += n;
                }
            }
        }
    }
}

/// Adds the products of M rows at `a`, `PIECE` apart, with N at `b`, `length` apart, of `len` elements to those at
/// `to`.
#[inline(always)]
unsafe fn add_products<S: Simd<T = f64>, const M: usize, const N: usize, const P: usize>(
    a: *const f64,
    b: *const f64,
    length: usize,
    len: usize,
    to: *mut f64,
    k: usize,
) {
    // SAFETY: as for the caller.
    unsafe {
        let mut sums = [[[S::zero(); P]; N]; M];
        let whole = len / SUMS * SUMS;
        for at in (0..whole).step_by(SUMS) {
            let mut row = [[S::zero(); P]; M];
            for m in 0..M {
                for p in 0..P {
                    row[m][p] = S::load(a.add(m * PIECE + at + p * S::LANES));
                }
            }
            for n in 0..N {
                for p in 0..P {
                    let b = S::load(b.add(n * length + at + p * S::LANES));
                    for m in 0..M {
                        sums[m][n][p] = S::add(sums[m][n][p], S::mul(row[m][p], b));
                    }
                }
            }
        }
        for (m, n) in (0..M).flat_map(|m| (0..N).map(move |n| (m, n))) {
            let mut all = [0.0; SUMS];
            for p in 0..P {
                S::store(all.as_mut_ptr().add(p * S::LANES), sums[m][n][p]);
            }
            for (sum, at) in all.iter_mut().zip(whole..len) {
                *sum += *a.add(m * PIECE + at) * *b.add(n * length + at);
            }
            let mut sum = all[0];
            for one in &all[1..] {
                sum += one;
            }
            *to.add(m * k + n) += sum;
        }
    }
}

/// Subtracts the projections from some panels of columns of all rows.
struct Subtract<'a> {
    length: usize,
    basis: &'a [f64],
    part: Range<usize>,
    along: &'a [f64],
    rows: *mut f64,
}

impl Op<f64> for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = f64>>(self) {
        let Subtract { length, basis, part, along, rows } = self;
        let k = basis.len() / length;
        let m = along.len() / k;
        let mut packed = take::<f64>(k * COLUMNS);
        for first in part.map(|panel| panel * COLUMNS) {
            let n = COLUMNS.min(length - first);
            for (from, to) in basis.chunks_exact(length).zip(packed.chunks_exact_mut(COLUMNS)) {
                to[..n].copy_from_slice(&from[first..][..n]);
                to[n..].fill(0.0);
            }
            let mut row = 0;
            while row < m {
                let most = if S::REGISTERS >= 32 { 4 } else { 2 };
                let count = if row + most <= m { most } else { 1 };
                for at in (0..n).step_by(WIDTH * S::LANES) {
                    let to = rows.wrapping_add(row * length + first + at);
                    let (along, b) = (along[row * k..].as_ptr(), packed[at..].as_ptr());
                    // SAFETY: `count` rows, of whose columns these are this thread's; k of the packed basis.
                    unsafe {
                        match count {
                            4 => subtract::<S, 4>(to, length, n - at, along, b, k),
                            2 => subtract::<S, 2>(to, length, n - at, along, b, k),
                            _ => subtract::<S, 1>(to, length, n - at, along, b, k),
                        }
                    }
                }
                row += count;
            }
        }
    }
}

/// Vectors of a tile.
const WIDTH: usize = 4;

/// Up to `n` columns of M rows, `length` apart, less k rows at `b`, each times its number in `along`, `[M, k]`.
#[inline(always)]
unsafe fn subtract<S: Simd<T = f64>, const M: usize>(
    rows: *mut f64,
    length: usize,
    n: usize,
    along: *const f64,
    mut b: *const f64,
    k: usize,
) {
    // Vectors beyond the columns are done with zeros and not stored.
    let left = |v: usize| n.saturating_sub(v * S::LANES);
    // SAFETY: as for the caller.
    unsafe {
        let mut c = [[S::zero(); WIDTH]; M];
        for m in 0..M {
            for v in 0..WIDTH {
                if left(v) > 0 {
                    c[m][v] = S::load_up_to(rows.add(m * length + v * S::LANES), left(v));
                }
            }
        }
        for i in 0..k {
            let mut row = [S::zero(); WIDTH];
            for v in 0..WIDTH {
                row[v] = S::load(b.add(v * S::LANES));
            }
            for m in 0..M {
                let along = S::splat(*along.add(m * k + i));
                for v in 0..WIDTH {
                    c[m][v] = S::sub(c[m][v], S::mul(along, row[v]));
                }
            }
            b = b.wrapping_add(COLUMNS);
        }
        for m in 0..M {
            for v in 0..WIDTH {
                if left(v) > 0 {
                    S::store_up_to(rows.add(m * length + v * S::LANES), c[m][v], left(v));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    /// As the documentation says.
    fn plain(length: usize, basis: &[f64], rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(length) {
            let product = |other: &[f64]| {
                let mut all = 0.0;
                for (a, b) in other.chunks(PIECE).zip(row.chunks(PIECE)) {
                    let mut sums = [0.0; SUMS];
                    a.iter().zip(b).enumerate().for_each(|(i, (a, b))| sums[i % SUMS] += a * b);
                    all += sums.into_iter().reduce(|a, b| a + b).unwrap_or_default();
                }
                all
            };
            let along: Vec<f64> = basis.chunks_exact(length).map(product).collect();
            for (along, other) in along.iter().zip(basis.chunks_exact(length)) {
                row.iter_mut().zip(other).for_each(|(x, b)| *x -= along * b);
            }
        }
    }

    #[test]
    fn all_instruction_sets_and_threads_have_the_bits_of_plain_loops() {
        let mut random = fastrand::Rng::with_seed(1);
        let shapes = [[0, 3, 5], [3, 0, 5], [1, 1, 1], [5, 7, 13], [9, 3, 512], [6, 130, 515], [33, 21, 1100]];
        for [k, m, length] in &shapes[..if cfg!(miri) { 4 } else { 7 }] {
            let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
            let (basis, rows) = (numbers(k * length), numbers(m * length));
            let mut expected = rows.clone();
            plain(*length, &basis, &mut expected);
            for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [1, 2, 3].map(|n| (isa, n))) {
                let mut found = rows.clone();
                project_out(Exec { isa, threads }, *length, &basis, &mut found);
                let same = found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{k} {m} {length}, {isa:?}, {threads} threads");
            }
        }
    }

    #[test]
    #[should_panic(expected = "rows: 4 elements are no rows of 3")]
    fn half_a_row_is_refused() {
        project_out(Exec { isa: Isa::Portable, threads: 1 }, 3, &[1.0; 6], &mut [1.0; 4]);
    }
}
