//! The micro-kernel: one tile of a product, held in registers. The recurrence, the input product and all products of
//! backward are made of it.

mod masked;
mod matrices;
mod row;

use crate::float::Float;
use crate::simd::{Columns, Op, Simd};
pub(crate) use masked::{Factors, max_masked_rows, multiply_masked};
pub(crate) use matrices::{Matrices, multiply_matrices};
pub(crate) use row::{BESIDE, Beside, RowProduct, multiply_row};

/// The most rows of a tile at any instruction set.
pub(crate) const MAX_ROWS: usize = 9;
/// The most vectors in a row of a tile.
pub(crate) const WIDTH: usize = 4;

/// The most rows of a tile of `width` vectors: the accumulators, the shorter of a column of a and a row of b and one
/// vector of the other fit the registers, and the addresses of the rows of a those for integers.
pub(crate) const fn max_rows(registers: usize, width: usize) -> usize {
    match (registers, width) {
        (32, 4) => 6,
        (32, _) => 9,
        (_, 4) => 3,
        (_, 3) => 4,
        (_, 2) => 6,
        (_, _) => 9,
    }
}

/// As [`max_rows`], for [`multiply_kept`], to which a fourth row of three vectors was a loss, and for
/// [`multiply_masked`], whose masks take registers.
pub(crate) const fn max_sparse_rows(registers: usize, width: usize) -> usize {
    match (registers, width) {
        (0..32, 3) => 3,
        _ => max_rows(registers, width),
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
    unsafe { multiply_as::<S>(tile, false) }
}

/// The same; with `in_order` each element is summed in one chain, so that its bits do not depend on the tile's size.
/// Otherwise small tiles are summed in several chains, as the latency of their few sums would be waited for.
///
/// # Safety
/// As for [`multiply`].
#[inline(always)]
pub(crate) unsafe fn multiply_as<S: Simd>(tile: &Tile<S::T>, in_order: bool) {
    // SAFETY: as for the caller.
    unsafe { S::call(Multiply { tile, kept: None, in_order }) }
}

/// The same with only the columns `kept` of a and rows of b; `blocks` is 1 and `len` does not count.
///
/// # Safety
/// As for [`multiply`], for all columns up to the last one kept.
#[inline(always)]
pub(crate) unsafe fn multiply_kept<S: Simd>(tile: &Tile<S::T>, kept: &[u32], in_order: bool) {
    // SAFETY: as for the caller.
    unsafe { S::call(Multiply { tile, kept: Some(kept), in_order }) }
}

struct Multiply<'a, T> {
    tile: &'a Tile<T>,
    kept: Option<&'a [u32]>,
    in_order: bool,
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

use by_size;

impl<T: Float> Op<T> for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        by_size!(self.tile, in_sets(self.tile, self.kept, self.in_order));
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
unsafe fn in_sets<S: Simd, const M: usize, const N: usize, const SETS: usize>(
    tile: &Tile<S::T>,
    kept: Option<&[u32]>,
    in_order: bool,
) {
    // SAFETY: as for `multiply`.
    unsafe {
        match SETS > 1 && in_order {
            true => fixed::<S, M, N, 1>(tile, kept),
            false => fixed::<S, M, N, SETS>(tile, kept),
        }
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
        // Blocks that follow upon each other are one.
        let (blocks, len) = match tile.a_block == tile.len * a_step {
            true => (1, tile.blocks * tile.len),
            false => (tile.blocks, tile.len),
        };
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
        for block in 0..if kept.is_some() { 0 } else { blocks } {
            let mut k = block.wrapping_mul(tile.a_block);
            let mut len = len;
            if SETS == 1 {
                let rows = rows.map(|row| row.wrapping_add(k));
                let done = S::multiply_columns(&mut c[0], &Columns { rows, a_step, b, b_step, len });
                k = k.wrapping_add(done * a_step);
                b = b.wrapping_add(done * b_step);
                len -= done;
            }
            for _ in 0..len / SETS {
                for c in &mut c {
                    multiply_add::<S, M, N>(c, &rows, k, b);
                    k += a_step;
                    b = b.wrapping_add(b_step);
                }
            }
            for _ in 0..len % SETS {
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
        add_outer::<S, M, N>(c, |m| S::splat(*rows[m].wrapping_add(k)), |n| S::load(b.wrapping_add(n * S::LANES)));
    }
}

/// Adds the outer product of a column, whose element m in all lanes `a` gives, and a row, whose vector n `b` gives. The
/// shorter of the two is kept in registers: of 16 there are just enough.
#[inline(always)]
unsafe fn add_outer<S: Simd, const M: usize, const N: usize>(
    c: &mut [[S::V; N]; M],
    a: impl Fn(usize) -> S::V,
    b: impl Fn(usize) -> S::V,
) {
    // SAFETY: as for `multiply`.
    unsafe {
        if M < N {
            let mut column = [S::zero(); M];
            for m in 0..M {
                column[m] = a(m);
            }
            for n in 0..N {
                let b = b(n);
                for m in 0..M {
                    c[m][n] = S::fma(column[m], b, c[m][n]);
                }
            }
        } else {
            let mut row = [S::zero(); N];
            for n in 0..N {
                row[n] = b(n);
            }
            for m in 0..M {
                let a = a(m);
                for n in 0..N {
                    c[m][n] = S::fma(a, row[n], c[m][n]);
                }
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

    /// The most rows of a tile.
    #[inline(always)]
    pub(crate) fn longest(&self) -> usize {
        self.start(1)
    }

    /// How many tiles there are of either length, and their rows; the longer ones come first.
    #[inline(always)]
    pub(crate) fn both(&self) -> [(usize, usize); 2] {
        [(self.longer, self.base + 1), (self.tiles - self.longer, self.base)]
    }

    /// The first row of tile `t`; the total for t = `tiles`.
    #[inline(always)]
    pub(crate) fn start(&self, t: usize) -> usize {
        t * self.base + t.min(self.longer)
    }
}

#[cfg(test)]
mod tests;
