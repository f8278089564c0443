//! Left factors of the weights' gradients, copied so that what a tile needs lies together.

use crate::sequence::rows::mask_of_row;
use crate::simd::Simd;
use crate::tile::{Cut, WIDTH, max_rows};

/// Whether the left factor is copied so that what a tile needs lies together. Where registers are few tiles are narrow,
/// and each line of the cache would be read for many of them. Miri is to see both ways.
pub(super) const fn packs<S: Simd>() -> bool {
    S::REGISTERS < 32 && !(cfg!(miri) && size_of::<S::T>() == size_of::<f64>())
}

/// Elements of the copies of `rows` rows of `n` elements.
pub(super) fn copy_elements<S: Simd>(rows: usize, n: usize) -> usize {
    if packs::<S>() {
        let tiles = n.div_ceil(max_rows(S::REGISTERS, WIDTH));
        // Tiles differ by one of n; a vector is written beyond each.
        rows * (n + tiles) + tiles * S::LANES
    } else {
        rows * n.next_multiple_of(S::LANES)
    }
}

/// From a tile of packed rows to the next.
#[inline(always)]
pub(super) fn packed_stride<S: Simd>(rows: usize, cut: Cut) -> usize {
    // Whole vectors are written: what is too much is the next row's place, or behind the last row. All tiles are taken
    // for as long as the longest, which is at most one more than the shortest, so that no row ends before what is read
    // of it begins.
    rows * cut.longest() + S::LANES
}

/// Copies of rows of `n` elements as [`copy_rows`](crate::sequence::rows::copy_rows) makes them, but tile by tile as
/// `cut` says: `[tile][row][element]`, and a vector more after each tile. Gives the distance of two tiles.
///
/// # Safety
/// As for `copy_rows`.
#[inline(always)]
pub(super) unsafe fn pack_rows<S: Simd>(
    rows: &[*const S::T],
    mask: *const S::T,
    n: usize,
    to: *mut S::T,
    row_of: impl Fn(usize) -> usize,
    cut: Cut,
) -> usize {
    let longest = cut.longest();
    let stride = packed_stride::<S>(rows.len(), cut);
    for (q, row) in rows.iter().enumerate() {
        let mask = mask_of_row(mask, n, || row_of(q));
        let mut to = to.wrapping_add(q * longest);
        let mut from = 0;
        // The tiles whose one vector is in the row as a whole: the longer ones, then the others.
        for (tiles, len) in cut.both() {
            let whole =
                if longest <= S::LANES { tiles.min((n + len).saturating_sub(from + S::LANES) / len) } else { 0 };
            for _ in 0..whole {
                // SAFETY: a vector of the row and of its mask; the buffer has room for each tile's rows and a vector.
                unsafe {
                    let x = S::load(row.add(from));
                    S::store(to, if mask.is_null() { x } else { S::mul(x, S::load(mask.add(from))) });
                }
                from += len;
                to = to.wrapping_add(stride);
            }
            for _ in whole..tiles {
                for i in (0..longest).step_by(S::LANES) {
                    // SAFETY: what the row and its mask have from there on; room as above.
                    unsafe {
                        let mut x = S::load_up_to(row.add(from + i), n - from - i);
                        if !mask.is_null() {
                            x = S::mul(x, S::load_up_to(mask.add(from + i), n - from - i));
                        }
                        S::store(to.add(i), x);
                    }
                }
                from += len;
                to = to.wrapping_add(stride);
            }
        }
    }
    stride
}

/// What [`pack_rows`] makes of rows and their mask, from `rows` of them packed and the mask, packed as `batch` rows.
///
/// # Safety
/// The packed rows and mask, and room for as many rows, must be there, with a vector more after each tile; `rows` are
/// whole steps of `batch`.
#[inline(always)]
pub(super) unsafe fn multiply_packed<S: Simd>(
    packed: *const S::T,
    mask: *const S::T,
    to: *mut S::T,
    rows: usize,
    batch: usize,
    cut: Cut,
) -> usize {
    let (stride, step) = (packed_stride::<S>(rows, cut), batch * cut.longest());
    for tile in 0..cut.tiles {
        let mask = mask.wrapping_add(tile * packed_stride::<S>(batch, cut));
        for first in (0..rows / batch).map(|s| tile * stride + s * step) {
            for i in (0..step).step_by(S::LANES) {
                // SAFETY: there is a vector more after each tile. What is written beyond a step is the next one's
                // place.
                unsafe {
                    let x = S::load(packed.add(first + i));
                    S::store(to.add(first + i), S::mul(x, S::load(mask.wrapping_add(i))));
                }
            }
        }
    }
    stride
}
