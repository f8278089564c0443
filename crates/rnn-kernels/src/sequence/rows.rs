//! The rows of the input that a product reads: where they lie, and copies of them.

use crate::args::{Input, Sequence};
use crate::float::Float;
use crate::sequence::schedule::Schedule;
use crate::simd::Simd;
use std::ops::Range;

/// The rows of a chunk: where each one's left factor lies.
pub(crate) fn input_rows<T: Float>(
    sequence: &Sequence<T>,
    schedule: &Schedule,
    steps: Range<usize>,
    to: &mut Vec<*const T>,
) {
    to.clear();
    if let Input::Dense { values, strides } = sequence.input {
        to.extend(schedule.entries(steps).map(|(s, b)| values[strides.at(b, sequence.step(s))..].as_ptr()));
    }
}

/// Leaves only those `kept` of the rows.
pub(crate) fn keep_rows<T>(rows: &mut Vec<*const T>, kept: &[usize]) {
    kept.iter().enumerate().for_each(|(i, &q)| rows[i] = rows[q]);
    rows.truncate(kept.len());
}

/// Copies of rows of `n` elements side by side, filled up to whole vectors, times the mask of their row of the batch,
/// which `row_of` tells, unless it is null; `rows` is replaced by where the copies lie.
///
/// # Safety
/// The rows, the mask, `[batch, n]`, and room for the copies must be there.
#[inline(always)]
pub(crate) unsafe fn copy_rows<S: Simd>(
    rows: &mut [*const S::T],
    mask: *const S::T,
    n: usize,
    to: *mut S::T,
    row_of: impl Fn(usize) -> usize,
) {
    let width = n.next_multiple_of(S::LANES);
    for (q, row) in rows.iter_mut().enumerate() {
        let to = to.wrapping_add(q * width);
        let mask = mask_of_row(mask, n, || row_of(q));
        let mut i = 0;
        while i < n {
            // SAFETY: the row, its mask and the buffer have n elements, the last one up to a whole vector.
            unsafe {
                let mut x = S::load_up_to(row.add(i), n - i);
                if !mask.is_null() {
                    x = S::mul(x, S::load_up_to(mask.add(i), n - i));
                }
                S::store(to.add(i), x);
            }
            i += S::LANES;
        }
        *row = to;
    }
}

/// Where the mask of a row of the batch begins; null if there is none.
#[inline(always)]
pub(crate) fn mask_of_row<T>(mask: *const T, n: usize, row: impl Fn() -> usize) -> *const T {
    if mask.is_null() { mask } else { mask.wrapping_add(row() * n) }
}
