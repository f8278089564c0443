use super::*;
use crate::simd::{Isa, run};

#[test]
fn cuts_cover_all_rows() {
    for total in 1..60 {
        for max in 1..13 {
            let cut = Cut::new(total, max);
            assert_eq!((cut.start(0), cut.start(cut.tiles)), (0, total));
            assert!((0..cut.tiles).all(|t| (1..=max).contains(&(cut.start(t + 1) - cut.start(t)))));
        }
    }
}

struct AllTiles;

impl<T: Float> Op<T> for AllTiles {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let epsilon = if size_of::<T>() == size_of::<f32>() { f32::EPSILON.into() } else { f64::EPSILON };
        let mut random = fastrand::Rng::with_seed(1);
        let sizes = (1..=WIDTH).flat_map(|width| (1..=max_rows(S::REGISTERS, width)).map(move |rows| (width, rows)));
        for ((width, rows), len) in sizes.flat_map(|size| [0, 3, 4, 9, 14].map(|len| (size, len))) {
            let (blocks, row) = (3, width * S::LANES);
            let mut numbers = |n: usize| -> Vec<T> { (0..n).map(|_| T::from_f64(random.f64() - 0.5)).collect() };
            let (a, b, c0) = (numbers(rows * 400), numbers((blocks * len).max(14) * (row + 3)), numbers(rows * row));
            let mut c = vec![T::from_f64(f64::NAN); rows * row];
            // Rows that lie anywhere or side by side, columns that lie anywhere or side by side, b with and without
            // gaps.
            let layouts = [
                (400, 2, row),
                (400, 1, row),
                (400, 1, row + 3),
                (1, rows, row + 3),
                (1, rows + 1, row + 3),
                (400, rows, row),
            ];
            // Blocks apart and one after the other.
            for ((a_row, a_step, b_step), follow) in layouts.into_iter().flat_map(|l| [(l, false), (l, true)]) {
                let a_block = if follow { len * a_step } else { 100 };
                let a_rows: Vec<*const T> = (0..rows).map(|m| a[m * a_row..].as_ptr()).collect();
                let tile = Tile {
                    rows,
                    width,
                    a: a.as_ptr(),
                    a_row,
                    a_rows: if rows % 2 == 0 { std::ptr::null() } else { a_rows.as_ptr() },
                    a_step,
                    blocks,
                    len,
                    a_block,
                    b: b.as_ptr(),
                    b_step,
                    c0: c0.as_ptr(),
                    c0_step: row,
                    c: c.as_mut_ptr(),
                    c_step: row,
                };
                let mut check = |run: &dyn Fn(), columns: &[(usize, usize)]| {
                    run();
                    for (m, n) in (0..rows).flat_map(|m| (0..row).map(move |n| (m, n))) {
                        let products =
                            columns.iter().map(|&(k, l)| a[m * a_row + k].to_f64() * b[l * b_step + n].to_f64());
                        let expected = c0[m * row + n].to_f64() + products.sum::<f64>();
                        let error = (c[m * row + n].to_f64() - expected).abs();
                        assert!(
                            error < 32.0 * epsilon,
                            "{rows} rows of {width}, steps {a_row}, {a_step}, {b_step}, {a_block}, {columns:?}"
                        );
                    }
                    c.fill(T::from_f64(f64::NAN));
                };
                let all: Vec<_> = (0..blocks * len).map(|l| (l / len * a_block + l % len * a_step, l)).collect();
                // SAFETY: the vectors have the sizes that the tile says.
                check(&|| unsafe { multiply::<S>(&tile) }, &all);
                for kept in [&[][..], &[2], &[0, 1, 4], &[0, 1, 2, 3, 5, 6, 9, 10, 11, 13]] {
                    let columns: Vec<_> = kept.iter().map(|&k| (k as usize, k as usize)).collect();
                    // SAFETY: as above.
                    check(&|| unsafe { multiply_kept::<S>(&Tile { a_step: 1, ..tile }, kept, false) }, &columns);
                }
            }
        }
    }
}

#[test]
fn every_tile_is_the_product() {
    for isa in Isa::available() {
        run::<f64, _>(isa, AllTiles);
        run::<f32, _>(isa, AllTiles);
    }
}

struct AllMasked;

impl Op<f64> for AllMasked {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<T = f64>>(self) {
        let (blocks, len, a_block) = (3, 5, 11);
        let mut random = fastrand::Rng::with_seed(3);
        for (width, rows) in
            (1..=WIDTH).flat_map(|width| (1..=max_masked_rows(S::REGISTERS, width)).map(move |rows| (width, rows)))
        {
            let row = width * S::LANES;
            let columns = row - random.usize(0..S::LANES);
            let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
            let (a, b) = ([0, 1].map(|_| numbers(rows * 40)), [0, 1].map(|_| numbers(blocks * len * row)));
            let (c0, masks) = (numbers(rows * row), [0, 1].map(|_| numbers(columns)));
            let mut c = vec![f64::NAN; rows * row];
            let tile = Tile {
                rows,
                width,
                a: std::ptr::null(),
                a_row: 40,
                a_rows: std::ptr::null(),
                a_step: 1,
                blocks,
                len,
                a_block,
                b: std::ptr::null(),
                b_step: row,
                c0: c0.as_ptr(),
                c0_step: row,
                c: c.as_mut_ptr(),
                c_step: row,
            };
            let factors = [0, 1].map(|i| Factors { a: a[i].as_ptr(), b: b[i].as_ptr(), mask: masks[i].as_ptr() });
            // SAFETY: the vectors have the sizes that the tile says.
            unsafe { multiply_masked::<S>(&tile, &factors, columns) };
            for (m, n) in (0..rows).flat_map(|m| (0..row).map(move |n| (m, n))) {
                let product = |i: usize, k: usize| a[i][m * 40 + k / len * a_block + k % len] * b[i][k * row + n];
                let kept = [0, 1].into_iter().filter(|&i| n < columns && masks[i][n] > 0.0);
                let sum: f64 = kept.flat_map(|i| (0..blocks * len).map(move |k| product(i, k))).sum();
                let expected = c0[m * row + n] + sum;
                assert!((c[m * row + n] - expected).abs() < 1e-14, "{rows} rows of {width}");
            }
        }
    }
}

#[test]
fn every_masked_tile_is_the_products() {
    Isa::available().into_iter().for_each(|isa| run(isa, AllMasked));
}

struct AllRows;

impl Op<f64> for AllRows {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<T = f64>>(self) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            rows_of::<S, 3>();
            rows_of::<S, 4>();
        }
    }
}

#[inline(always)]
unsafe fn rows_of<S: Simd<T = f64>, const N: usize>() {
    let width = N * S::LANES;
    let mut random = fastrand::Rng::with_seed(2);
    let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
    let product = |a: &[f64], b: &[f64], column: usize, c0: f64| {
        c0 + a.iter().zip(b.chunks(width)).map(|(a, b)| a * b[column]).sum::<f64>()
    };
    for (len, columns) in (0..12).flat_map(|len| (0..=len).map(move |columns| (len, columns))) {
        let (a, b, start) = (numbers(len), numbers(len * width), numbers(width));
        let (a_many, b_many, c0) = (numbers(BESIDE * 20), numbers(columns * width), numbers(BESIDE * width));
        let (mut alone, mut with) = (start.clone(), start.clone());
        let mut c = vec![f64::NAN; BESIDE * width];
        let row = RowProduct { a: a.as_ptr(), len, b: b.as_ptr(), c: alone.as_mut_ptr(), in_order: false };
        let beside = Beside {
            a: a_many.as_ptr(),
            a_row: 20,
            len: columns,
            share: len / columns.max(1),
            b: b_many.as_ptr(),
            c0: c0.as_ptr(),
            c0_step: width,
            c: c.as_mut_ptr(),
            c_step: width,
        };
        // SAFETY: the vectors have the sizes that the products say.
        unsafe {
            multiply_row::<S, N>(&row, None);
            multiply_row::<S, N>(&RowProduct { c: with.as_mut_ptr(), ..row }, Some(&beside));
        }
        for n in 0..width {
            let expected = product(&a, &b, n, start[n]);
            assert!((alone[n] - expected).abs() < 1e-14 && (with[n] - expected).abs() < 1e-14, "{len} alone");
            for m in 0..BESIDE {
                let expected = product(&a_many[m * 20..][..columns], &b_many, n, c0[m * width + n]);
                assert!((c[m * width + n] - expected).abs() < 1e-14, "row {m} of {columns} beside {len}");
            }
        }
    }
}

#[test]
fn every_row_is_the_product() {
    Isa::available().into_iter().for_each(|isa| run(isa, AllRows));
}
