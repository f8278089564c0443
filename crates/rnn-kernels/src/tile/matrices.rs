//! A product of whole matrices, one tile after the other.

use super::{Cut, Tile, WIDTH, max_rows, multiply_as};
use crate::float::Float;
use crate::simd::Simd;

/// `c = a·b`, or `c += a·b`. The rows of b and c are whole vectors.
pub(crate) struct Matrices<T> {
    /// Rows of a, the inner dimension, columns of b.
    pub(crate) shape: [usize; 3],
    /// Element k of row m lies at `m·a_row + k·a_step`.
    pub(crate) a: *const T,
    pub(crate) a_row: usize,
    pub(crate) a_step: usize,
    pub(crate) b: *const T,
    /// From a row of b to the next; `None` if b is packed, `[group of WIDTH vectors][inner][vector][lane]`.
    pub(crate) b_row: Option<usize>,
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    /// Whether the product is added to what c holds.
    pub(crate) adds: bool,
}

/// With `in_order` as for [`multiply_as`].
///
/// # Safety
/// The pointers must be valid for what the sizes and steps say; c overlaps neither a nor b.
#[inline(always)]
pub(crate) unsafe fn multiply_matrices<S: Simd>(matrices: &Matrices<S::T>, in_order: bool) {
    let &Matrices { shape: [rows, inner, columns], a, a_row, a_step, b, b_row, c, c_row, adds } = matrices;
    // As many elements as the widest tile at any instruction set.
    let zeros = [S::T::ZERO; WIDTH * 16];
    let vectors = columns.div_ceil(S::LANES);
    for group in 0..vectors.div_ceil(WIDTH) {
        let first = group * WIDTH * S::LANES;
        let width = (vectors - group * WIDTH).min(WIDTH);
        let cut = Cut::new(rows, max_rows(S::REGISTERS, width));
        for (from, to) in (0..cut.tiles).map(|tile| (cut.start(tile), cut.start(tile + 1))) {
            // SAFETY: as for the caller.
            unsafe {
                let c = c.add(from * c_row + first);
                let tile = Tile {
                    rows: to - from,
                    width,
                    a: a.add(from * a_row),
                    a_row,
                    a_rows: std::ptr::null(),
                    a_step,
                    blocks: 1,
                    len: inner,
                    a_block: 0,
                    b: b.add(if b_row.is_some() { first } else { first * inner }),
                    b_step: b_row.unwrap_or(width * S::LANES),
                    c0: if adds { c } else { zeros.as_ptr() },
                    c0_step: if adds { c_row } else { 0 },
                    c,
                    c_step: c_row,
                };
                multiply_as::<S>(&tile, in_order);
            }
        }
    }
}
