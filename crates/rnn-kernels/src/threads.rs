//! How work is divided among threads: once, in as many parts as there are threads, so that the result depends on their
//! number only.

use crate::float::Float;
use crate::simd::Level;
use crate::team;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Where kernels run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// The instruction set.
    pub level: Level,
    /// The most threads. The result depends on this number, in its last digits, and on nothing else.
    pub threads: usize,
}

impl Default for Machine {
    /// The best instruction set, and rayon's number of threads.
    fn default() -> Self {
        Machine { level: Level::best(), threads: rayon::current_num_threads() }
    }
}

/// Runs `part` on each item, the first here and each of the others on a thread of its own.
pub(crate) fn each<I: Send>(items: Vec<I>, part: impl Fn(I) + Sync) {
    let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let take = |i: usize| items[i].lock().unwrap_or_else(PoisonError::into_inner).take();
    match items.len() {
        1 => take(0).into_iter().for_each(part),
        count => team::run(count, &|i| take(i).into_iter().for_each(&part)),
    }
}

/// `0..count` cut into as many ranges as there are `threads`, or into `count` where that is less, but at least into one.
pub(crate) fn ranges(count: usize, threads: usize) -> Vec<Range<usize>> {
    let threads = threads.clamp(1, count.max(1));
    (0..threads).map(|i| i * count / threads..(i + 1) * count / threads).collect()
}

/// A new vector of `rows` times `d` elements that `fill` writes all of.
pub(crate) fn filled<T: Float>([rows, d]: [usize; 2], fill: impl FnOnce(Shared<T>)) -> Vec<T> {
    // So that no place in it is computed with an overflow.
    let len = rows.checked_mul(d).unwrap_or_else(|| panic!("{rows} rows of {d} are too many"));
    let mut values = Vec::with_capacity(len);
    fill(Shared(values.as_mut_ptr()));
    // SAFETY: there is room for `len` elements, and they were written.
    unsafe { values.set_len(len) };
    values
}

/// A pointer that parts on several threads write through, each to its own elements.
#[derive(Debug)]
pub(crate) struct Shared<T>(pub(crate) *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Shared<T> {}

// SAFETY: whoever writes through it keeps to elements that no other thread touches.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}
