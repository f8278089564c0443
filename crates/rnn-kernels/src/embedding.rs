//! Rows of a table, and the gradient of the table that they came from.

use crate::exec::Exec;
use crate::float::Float;
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each, filled, ranges};
use std::ops::Range;

/// Below so many elements one thread does it.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 16 };

/// The rows `ids` of `table`; see [`embed`](crate::embed).
pub(crate) fn embed<T: Float>(exec: Exec, table: &[T], d: usize, ids: &[usize]) -> Vec<T> {
    let Some(n) = table.len().checked_div(d) else { return Vec::new() };
    check(ids, n);
    filled([ids.len(), d], |to: Shared<T>| {
        each(share(exec, [ids.len(), d]), |range: Range<usize>| {
            for i in range {
                let row = &table[ids[i] * d..][..d];
                // SAFETY: row i of the new rows, which no other thread has.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to.get().add(i * d), d) };
            }
        });
    })
}

/// The gradient of the table; see [`embed_backward`](crate::embed_backward).
pub(crate) fn embed_backward<T: Float>(exec: Exec, grads: &[T], [n, d]: [usize; 2], ids: &[usize]) -> Vec<T> {
    let fits = ids.len().checked_mul(d) == Some(grads.len());
    assert!(fits, "{} elements for {} rows of {d}", grads.len(), ids.len());
    check(ids, n);
    filled([n, d], |to: Shared<T>| {
        each(share(exec, [n, d]), |range: Range<usize>| {
            // SAFETY: rows of the table, which no other thread has.
            unsafe { to.get().add(range.start * d).write_bytes(0, range.len() * d) };
        });
        // A few rows come often, so it is their columns that are divided.
        each(share(exec, [d, ids.len()]), |columns| {
            run(exec.isa, Sums { grads, d, ids, columns, to: to.get() });
        });
    })
}

fn check(ids: &[usize], n: usize) {
    if let Some((at, id)) = ids.iter().enumerate().find(|(_, id)| **id >= n) {
        panic!("id {id} at {at} is not below {n}");
    }
}

/// `0..count` as one range for each thread, for work on `count` rows of `d` elements.
fn share(exec: Exec, [count, d]: [usize; 2]) -> Vec<Range<usize>> {
    ranges(count, if count.saturating_mul(d) < SMALL { 1 } else { exec.threads })
}

/// Adds columns of each gradient to its row of the table.
struct Sums<'a, T> {
    grads: &'a [T],
    d: usize,
    ids: &'a [usize],
    columns: Range<usize>,
    to: *mut T,
}

impl<T: Float> Op<T> for Sums<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        for (&id, grad) in self.ids.iter().zip(self.grads.chunks_exact(self.d.max(1))) {
            let grad = &grad[self.columns.clone()];
            let mut i = 0;
            while i < grad.len() {
                let n = grad.len() - i;
                // SAFETY: n of this thread's columns are left in both rows; the ids were checked.
                unsafe {
                    let to = self.to.add(id * self.d + self.columns.start + i);
                    let sum = S::add(S::load_up_to(to, n), S::load_up_to(grad.as_ptr().add(i), n));
                    S::store_up_to(to, sum, n);
                }
                i += S::LANES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    /// Small ones on one thread, and ones of more elements than one thread takes alone.
    #[test]
    fn rows_come_and_their_gradients_go_back() {
        let mut random = fastrand::Rng::with_seed(5);
        let large = if cfg!(miri) { [9, 33, 7] } else { [700, 130, 1000] };
        for [n, d, count] in [[3, 1, 0], [0, 4, 0], [3, 0, 5], [5, 7, 20], [40, 3, 1], large] {
            let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
            let (table, grads) = (numbers(n * d), numbers(count * d));
            let ids: Vec<usize> = (0..count).map(|i| i * i % n).collect();
            let mut sums = vec![0.0; n * d];
            for (i, id) in ids.iter().enumerate() {
                (0..d).for_each(|k| sums[id * d + k] += grads[i * d + k]);
            }
            let rows: Vec<f64> = ids.iter().flat_map(|id| table[id * d..][..d].to_vec()).collect();
            for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [1, 2, 3].map(|n| (isa, n))) {
                let exec = Exec { isa, threads };
                assert_eq!(embed(exec, &table, d, &ids), rows);
                assert_eq!(embed_backward(exec, &grads, [n, d], &ids), sums);
            }
        }
    }

    /// By one thread, for Miri does not like how rayon starts its own.
    const ONE: Exec = Exec { isa: Isa::Portable, threads: 1 };

    #[test]
    #[should_panic(expected = "id 3 at 1 is not below 3")]
    fn a_gradient_for_a_row_beyond_the_table_is_refused() {
        embed_backward(ONE, &[1.0f32; 2], [3, 1], &[0, 3]);
    }

    #[test]
    #[should_panic(expected = "id 9223372036854775808 at 0 is not below 2")]
    #[cfg(target_pointer_width = "64")]
    fn a_row_whose_place_wraps_around_is_refused() {
        embed(ONE, &[1.0f32, 2.0, 3.0, 4.0], 2, &[1 << 63]);
    }

    #[test]
    #[should_panic(expected = "are too many")]
    #[cfg(target_pointer_width = "64")]
    fn a_table_whose_size_wraps_around_is_refused() {
        embed_backward::<f32>(ONE, &[], [1 << 18, (1 << 46) + 1], &[]);
    }
}
