//! How work is divided among threads: once, into one range for each, so that the result depends on nothing but their
//! number.

use crate::float::Float;
use crate::team;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Runs `work` on each item, the first on this thread and each of the others on a thread of the team.
pub(crate) fn each<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync) {
    let items: Vec<_> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let take = |i: usize| items[i].lock().unwrap_or_else(PoisonError::into_inner).take();
    match items.len() {
        1 => take(0).into_iter().for_each(work),
        count => team::run(count, &|i| take(i).into_iter().for_each(&work)),
    }
}

/// `0..count` cut into as many ranges as there are `threads`, or into `count` where that is less, but at least into
/// one.
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

/// A pointer that several threads write through, each to elements of its own.
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
