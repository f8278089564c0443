//! The micro-kernel: one tile of a product, held in registers. The recurrence, the input product and all products of
//! backward are made of it.

use crate::float::Float;
use crate::simd::{Op, Simd};

/// The most rows of a tile at any level.
pub(crate) const MAX_ROWS: usize = 9;
/// The most vectors in a row of a tile.
pub(crate) const WIDTH: usize = 4;

/// The most rows of a tile of `width` vectors: the accumulators, one row of b and one element of a fit the registers, and
/// the addresses of the rows of a those for integers.
pub(crate) const fn max_rows(registers: usize, width: usize) -> usize {
    match (registers, width) {
        (32, 4) => 6,
        (32, 3) => 9,
        (32, _) => 9,
        (_, 4) => 3,
        (_, 3) => 4,
        (_, 2) => 6,
        (_, _) => 9,
    }
}

/// `c = c₀ + a·b` for a tile c of `rows` rows and `width` vectors, which lie side by side in b, c₀ and c.
#[derive(Clone, Copy)]
pub(crate) struct Tile<T> {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// The first element of a, and from one of its rows to the next;
    pub(crate) a: *const T,
    pub(crate) a_row: usize,
    /// or, unless it is null, the first element of each row.
    pub(crate) a_rows: *const *const T,
    /// From an element of a row of a to the next.
    pub(crate) a_step: usize,
    /// The inner dimension is `blocks` times `len`.
    pub(crate) blocks: usize,
    pub(crate) len: usize,
    /// From the start of a block of a to that of the next; wraps around for steps back.
    pub(crate) a_block: usize,
    pub(crate) b: *const T,
    /// From a row of b to the next.
    pub(crate) b_step: usize,
    pub(crate) c0: *const T,
    /// From a row of c₀ to the next; 0 gives all rows of c the same start.
    pub(crate) c0_step: usize,
    pub(crate) c: *mut T,
    pub(crate) c_step: usize,
}

/// # Safety
/// The pointers must be valid for what the sizes and steps say; c overlaps neither a nor b. `rows` is at most
/// [`max_rows`] for the width.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd>(tile: &Tile<S::T>) {
    // SAFETY: as for the caller.
    unsafe { S::call(Multiply { tile, kept: None }) }
}

/// The same with only the columns `kept` of a and rows of b; `blocks` is 1 and `len` does not count.
///
/// # Safety
/// As for [`multiply`], for all columns up to the last one kept.
#[inline(always)]
pub(crate) unsafe fn multiply_kept<S: Simd>(tile: &Tile<S::T>, kept: &[u32]) {
    // SAFETY: as for the caller.
    unsafe { S::call(Multiply { tile, kept: Some(kept) }) }
}

/// One row of sums in place: `c += a·b`. All vectors lie side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<T> {
    pub(crate) a: *const T,
    /// The inner dimension.
    pub(crate) len: usize,
    pub(crate) b: *const T,
    pub(crate) c: *mut T,
}

/// The rows of [`Beside`].
pub(crate) const BESIDE: usize = 4;

/// A product that is done beside a [`Row`]: `c = c₀ + a·b` for [`BESIDE`] rows of as many vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<T> {
    pub(crate) a: *const T,
    /// From a row of a to the next; it may wrap around.
    pub(crate) a_row: usize,
    /// The inner dimension, and how many columns of the row are done for each of these.
    pub(crate) len: usize,
    pub(crate) share: usize,
    pub(crate) b: *const T,
    pub(crate) c0: *const T,
    /// From a row of c₀ to the next; 0 gives all rows of c the same start.
    pub(crate) c0_step: usize,
    pub(crate) c: *mut T,
    pub(crate) c_step: usize,
}

/// A row of `N` vectors, alone or beside something. Alone it waits for its b more than it multiplies, as it reads b for
/// one multiplication only.
///
/// # Safety
/// As for [`multiply`], for both products; neither c overlaps the other.
#[inline(always)]
pub(crate) unsafe fn multiply_row<S: Simd, const N: usize>(row: &Row<S::T>, beside: Option<&Beside<S::T>>) {
    let &Row { a, len, mut b, c } = row;
    // SAFETY: as for the caller.
    unsafe {
        let mut sums = [[S::zero(); N]];
        for n in 0..N {
            sums[0][n] = S::load(c.add(n * S::LANES));
        }
        let mut k = 0;
        if let Some(&Beside { a: many, a_row, len, share, b: mut b_many, c0, c0_step, c, c_step }) = beside {
            let (mut rows, mut c_many) = ([many; BESIDE], [[S::zero(); N]; BESIDE]);
            for m in 0..BESIDE {
                rows[m] = many.wrapping_add(m.wrapping_mul(a_row));
                for n in 0..N {
                    c_many[m][n] = S::load(c0.add(m * c0_step + n * S::LANES));
                }
            }
            for column in 0..len {
                for _ in 0..share {
                    multiply_add::<S, 1, N>(&mut sums, &[a], k, b);
                    k += 1;
                    b = b.wrapping_add(N * S::LANES);
                }
                multiply_add::<S, BESIDE, N>(&mut c_many, &rows, column, b_many);
                b_many = b_many.wrapping_add(N * S::LANES);
            }
            for m in 0..BESIDE {
                for n in 0..N {
                    S::store(c.add(m * c_step + n * S::LANES), c_many[m][n]);
                }
            }
        }
        // What is left of the row, two columns at a time into accumulators of their own.
        let mut others = [[S::zero(); N]];
        while k + 1 < len {
            multiply_add::<S, 1, N>(&mut sums, &[a], k, b);
            multiply_add::<S, 1, N>(&mut others, &[a], k + 1, b.wrapping_add(N * S::LANES));
            k += 2;
            b = b.wrapping_add(2 * N * S::LANES);
        }
        if k < len {
            multiply_add::<S, 1, N>(&mut sums, &[a], k, b);
        }
        for n in 0..N {
            S::store(c.add(n * S::LANES), S::add(sums[0][n], others[0][n]));
        }
    }
}

/// A product, of whose right factor's rows only the columns count for which the mask is positive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors<T> {
    pub(crate) a: *const T,
    pub(crate) b: *const T,
    pub(crate) mask: *const T,
}

/// `c = c₀ +` the sum of masked products whose sizes and steps are those of `tile`; there are `columns` from its first on.
///
/// # Safety
/// As for [`multiply`], for each of the products.
#[inline(always)]
pub(crate) unsafe fn multiply_masked<S: Simd>(tile: &Tile<S::T>, factors: &[Factors<S::T>], columns: usize) {
    // SAFETY: as for the caller.
    unsafe { S::call(Masked { tile, factors, columns }) }
}

struct Masked<'a, T> {
    tile: &'a Tile<T>,
    factors: &'a [Factors<T>],
    columns: usize,
}

struct Multiply<'a, T> {
    tile: &'a Tile<T>,
    kept: Option<&'a [u32]>,
}

/// Calls `$function` with the tile's rows and width as constants.
macro_rules! by_size {
    ($tile:expr, $function:ident $args:tt) => {
        match $tile.width {
            4 => by_size!($tile, $function $args, 4, 1 2 3 4 5 6),
            3 => by_size!($tile, $function $args, 3, 1 2 3 4 5 6 7 8 9),
            2 => by_size!($tile, $function $args, 2, 1 2 3 4 5 6 7 8 9),
            1 => by_size!($tile, $function $args, 1, 1 2 3 4 5 6 7 8 9),
            width => unreachable!("a tile of {width} vectors"),
        }
    };
    ($tile:expr, $function:ident $args:tt, $width:literal, $($rows:literal)*) => {
        match $tile.rows {
            // SAFETY: as for the caller.
            $($rows if $rows <= max_rows(S::REGISTERS, $width) => unsafe {
                $function::<S, $rows, $width, { sets($rows, $width) }> $args
            },)*
            rows => unreachable!("a tile of {rows} rows and {} vectors", $width),
        }
    };
}

impl<T: Float> Op<T> for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        by_size!(self.tile, fixed(self.tile, self.kept));
    }
}

impl<T: Float> Op<T> for Masked<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        by_size!(self.tile, masked(self.tile, self.factors, self.columns));
    }
}

#[inline(always)]
unsafe fn masked<S: Simd, const M: usize, const N: usize, const SETS: usize>(
    tile: &Tile<S::T>,
    factors: &[Factors<S::T>],
    columns: usize,
) {
    // SAFETY: as for `multiply_masked`.
    unsafe {
        let mut c = [[S::zero(); N]; M];
        for m in 0..M {
            for n in 0..N {
                c[m][n] = S::load(tile.c0.add(m * tile.c0_step + n * S::LANES));
            }
        }
        for &Factors { a, mut b, mask } in factors {
            let mut masks = [S::zero(); N];
            for n in 0..N {
                if n * S::LANES < columns {
                    masks[n] = S::load_up_to(mask.add(n * S::LANES), columns - n * S::LANES);
                }
            }
            for block in 0..tile.blocks {
                let a = a.wrapping_add(block.wrapping_mul(tile.a_block));
                for k in 0..tile.len {
                    let mut b_row = [S::zero(); N];
                    for n in 0..N {
                        b_row[n] = S::where_positive(masks[n], S::load(b.wrapping_add(n * S::LANES)));
                    }
                    for m in 0..M {
                        let a = S::splat(*a.add(m * tile.a_row + k * tile.a_step));
                        for n in 0..N {
                            c[m][n] = S::fma(a, b_row[n], c[m][n]);
                        }
                    }
                    b = b.wrapping_add(tile.b_step);
                }
            }
        }
        for m in 0..M {
            for n in 0..N {
                S::store(tile.c.add(m * tile.c_step + n * S::LANES), c[m][n]);
            }
        }
    }
}

/// How many sets of accumulators take turns: a fused multiply-add takes 4 cycles and two start in each, so 8 must be
/// under way.
const fn sets(rows: usize, width: usize) -> usize {
    match rows * width {
        0..4 => 4,
        4..8 => 2,
        _ => 1,
    }
}

#[inline(always)]
unsafe fn fixed<S: Simd, const M: usize, const N: usize, const SETS: usize>(tile: &Tile<S::T>, kept: Option<&[u32]>) {
    // SAFETY: as for `multiply`.
    unsafe {
        let mut c = [[[S::zero(); N]; M]; SETS];
        for m in 0..M {
            for n in 0..N {
                c[0][m][n] = S::load(tile.c0.add(m * tile.c0_step + n * S::LANES));
            }
        }
        let mut rows = [tile.a; M];
        for m in 0..M {
            rows[m] = if tile.a_rows.is_null() {
                tile.a.wrapping_add(m.wrapping_mul(tile.a_row))
            } else {
                *tile.a_rows.add(m)
            };
        }
        let (a_step, b_step) = (tile.a_step, tile.b_step);
        let mut b = tile.b;
        if let Some(kept) = kept {
            let mut groups = kept.chunks_exact(SETS);
            for group in &mut groups {
                for (c, &k) in c.iter_mut().zip(group) {
                    multiply_add::<S, M, N>(c, &rows, k as usize, b.wrapping_add(k as usize * b_step));
                }
            }
            for &k in groups.remainder() {
                multiply_add::<S, M, N>(&mut c[0], &rows, k as usize, b.wrapping_add(k as usize * b_step));
            }
        }
        for block in 0..if kept.is_some() { 0 } else { tile.blocks } {
            let mut k = block.wrapping_mul(tile.a_block);
            for _ in 0..tile.len / SETS {
                for c in &mut c {
                    multiply_add::<S, M, N>(c, &rows, k, b);
                    k += a_step;
                    b = b.wrapping_add(b_step);
                }
            }
            for _ in 0..tile.len % SETS {
                multiply_add::<S, M, N>(&mut c[0], &rows, k, b);
                k += a_step;
                b = b.wrapping_add(b_step);
            }
        }
        for m in 0..M {
            for n in 0..N {
                let mut sum = c[0][m][n];
                for set in &c[1..] {
                    sum = S::add(sum, set[m][n]);
                }
                S::store(tile.c.add(m * tile.c_step + n * S::LANES), sum);
            }
        }
    }
}

/// `c += a·b` for column `k` of a and the row of b at `b`.
#[inline(always)]
unsafe fn multiply_add<S: Simd, const M: usize, const N: usize>(
    c: &mut [[S::V; N]; M],
    rows: &[*const S::T; M],
    k: usize,
    b: *const S::T,
) {
    // SAFETY: as for `multiply`.
    unsafe {
        let mut b_row = [S::zero(); N];
        for n in 0..N {
            b_row[n] = S::load(b.wrapping_add(n * S::LANES));
        }
        for m in 0..M {
            let a = S::splat(*rows[m].wrapping_add(k));
            for n in 0..N {
                c[m][n] = S::fma(a, b_row[n], c[m][n]);
            }
        }
    }
}

/// Cuts `total` rows into tiles of at most `max` rows that differ by at most one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) tiles: usize,
    base: usize,
    longer: usize,
}

impl Cut {
    #[inline(always)]
    pub(crate) fn new(total: usize, max: usize) -> Self {
        let tiles = total.div_ceil(max).max(1);
        Cut { tiles, base: total / tiles, longer: total % tiles }
    }

    /// The first row of tile `t`; the total for t = `tiles`.
    #[inline(always)]
    pub(crate) fn start(&self, t: usize) -> usize {
        t * self.base + t.min(self.longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, run};

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

    impl Op<f64> for AllTiles {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd<T = f64>>(self) {
            let (blocks, len, a_block, a_step) = (3, 5, 11, 2);
            let mut random = fastrand::Rng::with_seed(1);
            for (width, rows) in
                (1..=WIDTH).flat_map(|width| (1..=max_rows(S::REGISTERS, width)).map(move |rows| (width, rows)))
            {
                let row = width * S::LANES;
                let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
                let (a, b, c0) = (numbers(rows * 40), numbers(blocks * len * row), numbers(rows * row));
                let mut c = vec![f64::NAN; rows * row];
                let a_rows: Vec<*const f64> = (0..rows).map(|m| a[m * 40..].as_ptr()).collect();
                let tile = Tile {
                    rows,
                    width,
                    a: a.as_ptr(),
                    a_row: 40,
                    a_rows: if rows % 2 == 0 { std::ptr::null() } else { a_rows.as_ptr() },
                    a_step,
                    blocks,
                    len,
                    a_block,
                    b: b.as_ptr(),
                    b_step: row,
                    c0: c0.as_ptr(),
                    c0_step: row,
                    c: c.as_mut_ptr(),
                    c_step: row,
                };
                // SAFETY: the vectors have the sizes that the tile says.
                unsafe { multiply::<S>(&tile) };
                for (m, n) in (0..rows).flat_map(|m| (0..row).map(move |n| (m, n))) {
                    let product = |k: usize| a[m * 40 + (k / len) * a_block + (k % len) * a_step] * b[k * row + n];
                    let expected = c0[m * row + n] + (0..blocks * len).map(product).sum::<f64>();
                    assert!((c[m * row + n] - expected).abs() < 1e-14, "{rows} rows of {width}");
                }
                for kept in [&[][..], &[2], &[0, 1, 4], &[0, 1, 2, 3, 5, 6, 9, 10, 11, 13]] {
                    // SAFETY: as above.
                    unsafe { multiply_kept::<S>(&Tile { a_step: 1, ..tile }, kept) };
                    for (m, n) in (0..rows).flat_map(|m| (0..row).map(move |n| (m, n))) {
                        let product = |&k: &u32| a[m * 40 + k as usize] * b[k as usize * row + n];
                        let expected = c0[m * row + n] + kept.iter().map(product).sum::<f64>();
                        assert!((c[m * row + n] - expected).abs() < 1e-14, "{kept:?} of {rows} rows of {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_tile_is_the_product() {
        Level::available().into_iter().for_each(|level| run(level, AllTiles));
    }

    struct AllRows;

    impl Op<f64> for AllRows {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd<T = f64>>(self) {
            // SAFETY: the caller has the level.
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
            let row = Row { a: a.as_ptr(), len, b: b.as_ptr(), c: alone.as_mut_ptr() };
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
                multiply_row::<S, N>(&Row { c: with.as_mut_ptr(), ..row }, Some(&beside));
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
        Level::available().into_iter().for_each(|level| run(level, AllRows));
    }
}
