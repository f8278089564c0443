//! Rows of a table, and the gradient of the table that they came from.

use crate::float::Float;
use crate::simd::{Op, Simd, run};
use crate::threads::{Machine, Shared, each};
use std::ops::Range;

/// Below so many elements one thread does it.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 16 };

/// The rows `ids` of `table`, `[n, d]`: `[ids, d]`.
///
/// # Panics
/// On an id that is not below n.
pub fn embed<T: Float>(machine: Machine, table: &[T], d: usize, ids: &[usize]) -> Vec<T> {
    filled(ids.len() * d, |to: Shared<T>| {
        each(ranges(machine, ids.len() * d, ids.len()), |range: Range<usize>| {
            for i in range {
                let row = &table[ids[i] * d..][..d];
                // SAFETY: row i of the new rows, which no other thread has.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to.get().add(i * d), d) };
            }
        });
    })
}

/// The gradient of a table `[n, d]` from that of its rows `ids`, `grads`, `[ids, d]`: the sum of those of each row, in their
/// order, whatever the number of threads.
///
/// # Panics
/// On an id that is not below n, and if `grads` does not have d elements for each id.
pub fn embed_backward<T: Float>(machine: Machine, grads: &[T], [n, d]: [usize; 2], ids: &[usize]) -> Vec<T> {
    assert!(grads.len() == ids.len() * d, "{} elements for {} rows of {d}", grads.len(), ids.len());
    assert!(ids.iter().all(|&id| id < n), "an id is not below {n}");
    filled(n * d, |to: Shared<T>| {
        each(ranges(machine, n * d, n), |range: Range<usize>| {
            // SAFETY: rows of the table, which no other thread has.
            unsafe { to.get().add(range.start * d).write_bytes(0, range.len() * d) };
        });
        // A few rows come often, so it is their columns that are divided.
        each(ranges(machine, grads.len(), d), |columns| {
            run(machine.level, Sums { grads, d, ids, columns, to: to.get() });
        });
    })
}

/// A new vector of `len` elements that `fill` writes all of.
fn filled<T: Float>(len: usize, fill: impl FnOnce(Shared<T>)) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    fill(Shared(values.as_mut_ptr()));
    // SAFETY: there is room for `len` elements, and they were written.
    unsafe { values.set_len(len) };
    values
}

/// `0..count` in parts, one a thread, for work on so many elements.
fn ranges(machine: Machine, elements: usize, count: usize) -> Vec<Range<usize>> {
    let threads = if elements < SMALL { 1 } else { machine.threads.clamp(1, count.max(1)) };
    (0..threads).map(|i| i * count / threads..(i + 1) * count / threads).collect()
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
    use crate::simd::Level;

    /// Small ones on one thread, and ones of more elements than one thread takes alone.
    #[test]
    fn rows_come_and_their_gradients_go_back() {
        let mut random = fastrand::Rng::with_seed(5);
        let large = if cfg!(miri) { [9, 33, 7] } else { [700, 130, 1000] };
        for [n, d, count] in [[3, 1, 0], [1, 0, 4], [5, 7, 20], [40, 3, 1], large] {
            let mut numbers = |n: usize| -> Vec<f64> { (0..n).map(|_| random.f64() - 0.5).collect() };
            let (table, grads) = (numbers(n * d), numbers(count * d));
            let ids: Vec<usize> = (0..count).map(|i| i * i % n).collect();
            let mut sums = vec![0.0; n * d];
            for (i, id) in ids.iter().enumerate() {
                (0..d).for_each(|k| sums[id * d + k] += grads[i * d + k]);
            }
            let rows: Vec<f64> = ids.iter().flat_map(|id| table[id * d..][..d].to_vec()).collect();
            for (level, threads) in Level::available().into_iter().flat_map(|level| [1, 2, 3].map(|n| (level, n))) {
                let machine = Machine { level, threads };
                assert_eq!(embed(machine, &table, d, &ids), rows);
                assert_eq!(embed_backward(machine, &grads, [n, d], &ids), sums);
            }
        }
    }

    #[test]
    #[should_panic(expected = "an id is not below 3")]
    fn an_id_beyond_the_table_is_refused() {
        embed_backward(Machine::default(), &[1.0f32; 2], [3, 1], &[0, 3]);
    }
}
