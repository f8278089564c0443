//! How work is divided among threads: once, in as many parts as there are threads, so that the result depends on their
//! number only.

use crate::simd::Level;
use crate::team;
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
