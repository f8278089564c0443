//! Tiles of products whose columns are masked.

use super::{Tile, by_size, max_rows, sets};
use crate::float::Float;
use crate::simd::{Op, Simd};

/// A product; the columns of b whose mask is not positive count as zero.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factors<T> {
    pub(crate) a: *const T,
    pub(crate) b: *const T,
    pub(crate) mask: *const T,
}

/// `c = c₀ +` the sum of masked products whose sizes and steps are those of `tile`, whose own a and b do not count; there are
/// `columns` from its first on.
///
/// # Safety
/// As for [`super::multiply`], for each of the products.
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

impl<T: Float> Op<T> for Masked<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        by_size!(self.tile, masked(self.tile, self.factors, self.columns));
    }
}

#[inline(always)]
unsafe fn masked<S: Simd, const M: usize, const N: usize, const _SETS: usize>(
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
