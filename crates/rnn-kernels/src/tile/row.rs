//! One row, alone or with another product beside it.

use super::multiply_add;
use crate::simd::Simd;

/// One row of sums in place: `c += a·b`. All vectors lie side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowProduct<T> {
    pub(crate) a: *const T,
    /// The inner dimension.
    pub(crate) len: usize,
    pub(crate) b: *const T,
    pub(crate) c: *mut T,
    /// As [`multiply_as`](super::multiply_as) has it.
    pub(crate) in_order: bool,
}

/// The rows of [`Beside`].
pub(crate) const BESIDE: usize = 4;

/// A product that is done beside a [`RowProduct`]: `c = c₀ + a·b` for [`BESIDE`] rows of as many vectors.
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
/// As for [`super::multiply`], for both products; neither c overlaps the other.
#[inline(always)]
pub(crate) unsafe fn multiply_row<S: Simd, const N: usize>(row: &RowProduct<S::T>, beside: Option<&Beside<S::T>>) {
    let &RowProduct { a, len, mut b, c, in_order } = row;
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
        if in_order {
            for k in k..len {
                multiply_add::<S, 1, N>(&mut sums, &[a], k, b);
                b = b.wrapping_add(N * S::LANES);
            }
            for n in 0..N {
                S::store(c.add(n * S::LANES), sums[0][n]);
            }
            return;
        }
        // What is left of the row: every other column into accumulators of its own.
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
