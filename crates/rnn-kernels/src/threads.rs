//! How work is divided among threads: once, in as many parts as there are threads, so that the result depends on their
//! number only.

use crate::simd::Level;

/// Where kernels run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// The instruction set.
    pub level: Level,
    /// The most threads; they are rayon's. The result depends on this number, in its last digits, and on nothing else.
    pub threads: usize,
}

impl Default for Machine {
    /// The best instruction set, and rayon's number of threads.
    fn default() -> Self {
        Machine { level: Level::best(), threads: rayon::current_num_threads() }
    }
}

/// Runs `part` on each item, all but the first on other threads.
pub(crate) fn each<I: Send>(items: Vec<I>, part: impl Fn(I) + Sync) {
    let mut items = items.into_iter();
    let Some(first) = items.next() else { return };
    if items.len() == 0 {
        return part(first);
    }
    rayon::in_place_scope(|scope| {
        for item in items {
            let part = &part;
            scope.spawn(move |_| part(item));
        }
        part(first);
    });
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
