//! Tiles of products whose columns are masked.

use super::{Tile, add_outer, by_size, max_rows, max_sparse_rows, sets};
use crate::float::Float;
use crate::simd::{Op, Simd};

/// A product; the columns of b whose mask is not positive count as zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors<T> {
    pub(crate) a: *const T,
    pub(crate) b: *const T,
    pub(crate) mask: *const T,
}

/// `c = c₀ +` the sum of masked products whose sizes and steps are those of `tile`, whose own a and b do not count;
/// there are `columns` from its first on.
///
/// # Safety
/// As for [`super::multiply`], for each of the products, but with [`max_masked_rows`]. There are columns for the last
/// vector.
#[inline(always)]
pub(crate) unsafe fn multiply_masked<S: Simd>(tile: &Tile<S::T>, factors: &[Factors<S::T>], columns: usize) {
    // SAFETY: as for the caller.
    unsafe { S::call(Masked { tile, factors, columns }) }
}

/// Whether the halves of a tile are done one after the other: the masks take registers too.
const fn halved(registers: usize, width: usize) -> bool {
    registers < 32 && width == 4
}

/// The most rows of a masked tile.
pub(crate) const fn max_masked_rows(registers: usize, width: usize) -> usize {
    max_sparse_rows(registers, if halved(registers, width) { 2 } else { width })
}

struct Masked<'a, T> {
    tile: &'a Tile<T>,
    factors: &'a [Factors<T>],
    columns: usize,
}

impl<T: Float> Op<T> for Masked<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let halves = if halved(S::REGISTERS, self.tile.width) { 2 } else { 1 };
        let width = self.tile.width / halves;
        for first in (0..halves).map(|half| half * width * S::LANES) {
            let part = |factors: &Factors<T>| Factors {
                a: factors.a,
                b: factors.b.wrapping_add(first),
                mask: factors.mask.wrapping_add(first),
            };
            let (c0, c) = (self.tile.c0.wrapping_add(first), self.tile.c.wrapping_add(first));
            let tile = Tile { width, c0, c, ..*self.tile };
            by_size!(tile, masked(&tile, self.factors, part, self.columns - first));
        }
    }
}

#[inline(always)]
unsafe fn masked<S: Simd, const M: usize, const N: usize, const _SETS: usize>(
    tile: &Tile<S::T>,
    factors: &[Factors<S::T>],
    part: impl Fn(&Factors<S::T>) -> Factors<S::T>,
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
        for Factors { a, mut b, mask } in factors.iter().map(part) {
            let mut masks = [S::zero(); N];
            for n in 0..N {
                masks[n] = S::load_up_to(mask.add(n * S::LANES), columns - n * S::LANES);
            }
            for block in 0..tile.blocks {
                let a = a.wrapping_add(block.wrapping_mul(tile.a_block));
                for k in 0..tile.len {
                    let a = |m: usize| S::splat(*a.add(m * tile.a_row + k * tile.a_step));
                    let b_masked = |n: usize| S::where_positive(masks[n], S::load(b.wrapping_add(n * S::LANES)));
                    add_outer::<S, M, N>(&mut c, a, b_masked);
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
