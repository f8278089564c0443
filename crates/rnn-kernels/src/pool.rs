//! Memory that is used again from call to call: fresh pages cost more than the arithmetic that fills them.

use crate::float::Float;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

const ALIGNMENT: usize = 64;
/// Buffers kept for later; the smallest goes when there are more.
const KEPT: usize = 256;
/// Bytes that may be kept whatever was in use.
const ALWAYS: usize = 64 << 20;

/// Whether all buffers are fresh and of exact size, for tests under a sanitizer.
#[allow(unexpected_cfgs, reason = "given by hand, for tests")]
pub(crate) const EXACT: bool = cfg!(exact_buffers) || cfg!(miri);

static POOL: Mutex<Pool> = Mutex::new(Pool { free: Vec::new(), kept: 0, in_use: 0, asked: 0, most: 0 });

/// The memory of all buffers, in bytes: what is in use, and what is kept for later, which both together stay near the
/// most that was ever asked for at once.
struct Pool {
    /// Those that came back, the oldest first, and their bytes.
    free: Vec<Block>,
    kept: usize,
    /// Bytes of the blocks in use, which may be larger than what was asked for.
    in_use: usize,
    /// Bytes that were asked for: by those who have them now, and at most.
    asked: usize,
    most: usize,
}

impl Pool {
    /// Bytes that blocks in use and kept ones may have together.
    fn bound(&self) -> usize {
        self.most + self.most / 4 + ALWAYS
    }

    /// A kept block for a need of `bytes`, or none, then there is to be a new one; and those that make room for it.
    fn take(&mut self, bytes: usize) -> (Option<Block>, Vec<Block>) {
        self.asked += bytes;
        self.most = self.most.max(self.asked);
        let full = self.in_use + self.kept + bytes > self.bound();
        // The smallest that is large enough, but not one that a larger need would miss; unless others had to go.
        let most = bytes.saturating_mul(if full { 8 } else { 2 });
        let fitting = self.free.iter().enumerate().filter(|(_, b)| b.bytes >= bytes && b.bytes <= most);
        let best = fitting.min_by_key(|(_, block)| block.bytes).map(|(i, _)| i);
        if let Some(best) = best {
            let block = self.free.remove(best);
            self.kept -= block.bytes;
            self.in_use += block.bytes;
            return (Some(block), Vec::new());
        }
        self.in_use += bytes;
        (None, self.too_many())
    }

    /// Takes back a block that was asked for as `bytes`; gives those that are not kept.
    fn give_back(&mut self, block: Block, bytes: usize) -> Vec<Block> {
        self.asked -= bytes;
        self.in_use -= block.bytes;
        self.kept += block.bytes;
        self.free.push(block);
        let mut gone = self.too_many();
        if self.free.len() > KEPT
            && let Some((smallest, _)) = self.free.iter().enumerate().min_by_key(|(_, block)| block.bytes)
        {
            let block = self.free.remove(smallest);
            self.kept -= block.bytes;
            gone.push(block);
        }
        gone
    }

    /// The blocks that came back first, as many as are above the bound.
    fn too_many(&mut self) -> Vec<Block> {
        let (bound, mut count) = (self.bound(), 0);
        while count < self.free.len() && self.in_use + self.kept > bound {
            self.kept -= self.free[count].bytes;
            count += 1;
        }
        self.free.drain(..count).collect()
    }

    /// Keeps nothing, and forgets how much there was at most.
    fn clear(&mut self) -> Vec<Block> {
        self.kept = 0;
        self.most = self.asked;
        std::mem::take(&mut self.free)
    }
}

/// Bytes on a cache line's boundary. Never uninitialised: they start as zeros.
struct Block {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a block owns its memory, as a `Vec<u8>` does.
unsafe impl Send for Block {}
// SAFETY: a shared block gives no access to its memory but through its buffer's shared reference.
unsafe impl Sync for Block {}

impl Block {
    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGNMENT).expect("no buffer is larger than half the address space")
    }

    fn new(bytes: usize) -> Self {
        let layout = Self::layout(bytes);
        // SAFETY: the layout's size is not zero (see `take`).
        let start = unsafe { alloc_zeroed(layout) };
        Block { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), bytes }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.bytes)) }
    }
}

/// Elements from the pool; what they hold is left over from their last use. Goes back when dropped.
pub(crate) struct Buffer<T> {
    block: Option<Block>,
    len: usize,
    element: PhantomData<T>,
}

/// A buffer of `len` elements.
///
/// Built with `--cfg exact_buffers` it is a fresh one, of that size to the byte and full of NaN, so that a sanitizer
/// sees what goes beyond it and tests see what is read before it is written.
pub(crate) fn take<T: Float>(len: usize) -> Buffer<T> {
    if EXACT {
        let mut buffer = Buffer { block: Some(Block::new((len * size_of::<T>()).max(1))), len, element: PhantomData };
        buffer.fill(T::from_f64(f64::NAN));
        return buffer;
    }
    let bytes = block_bytes::<T>(len);
    // What goes is given back to the system after others may have the pool again.
    let (block, _gone) = pool().take(bytes);
    Buffer { block: Some(block.unwrap_or_else(|| Block::new(bytes))), len, element: PhantomData }
}

/// Bytes of a block for `len` elements.
fn block_bytes<T>(len: usize) -> usize {
    (len * size_of::<T>()).next_multiple_of(ALIGNMENT).max(ALIGNMENT)
}

/// Gives the memory that is kept for later calls back to the system. What calls that are going on, and
/// [`Saved`](crate::Saved), have stays with them.
///
/// Without it kernels keep what they had, so that the next call of this size needs none: all in all, with what is in
/// use, at most a quarter and 64 MiB more than the most that was in use at one time.
pub fn release_memory() {
    let _gone = pool().clear();
}

/// Bytes kept for later calls.
pub fn kept_memory() -> usize {
    pool().kept
}

fn pool() -> MutexGuard<'static, Pool> {
    // A panic elsewhere cannot leave it half changed.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        if EXACT {
            return;
        }
        let _gone = pool().give_back(block, block_bytes::<T>(self.len));
    }
}

// Not through a slice, as with `Vec`: the pointers stay valid whatever slices are made of the buffer meanwhile.
impl<T: Float> Buffer<T> {
    pub(crate) fn as_ptr(&self) -> *const T {
        self.start()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.start()
    }

    fn start(&self) -> *mut T {
        self.block.as_ref().map_or(NonNull::dangling().as_ptr(), |block| block.start.as_ptr().cast())
    }
}

impl<T: Float> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the block has room for `len` elements, aligned and initialised; any bits are a float.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }
}

impl<T: Float> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the buffer is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        if EXACT {
            return;
        }
        // A size that no other test asks for.
        let first = take::<f32>(1_234_567);
        let (start, len) = (first.as_ptr(), first.len());
        assert_eq!(len, 1_234_567);
        assert_eq!(start as usize % ALIGNMENT, 0);
        drop(first);
        assert_eq!(take::<f64>(610_000).as_ptr() as usize, start as usize);
        assert!(kept_memory() >= 4 * 1_234_567);
    }

    const MB: usize = 1 << 20;

    /// A pool, its blocks in use, and the most bytes that there were in all.
    struct Trial {
        pool: Pool,
        used: Vec<(Block, usize)>,
        most: usize,
        new: usize,
    }

    impl Trial {
        fn new() -> Self {
            let pool = Pool { free: Vec::new(), kept: 0, in_use: 0, asked: 0, most: 0 };
            Trial { pool, used: Vec::new(), most: 0, new: 0 }
        }

        fn take(&mut self, bytes: usize) {
            let (block, _) = self.pool.take(bytes);
            self.new += usize::from(block.is_none());
            self.used.push((block.unwrap_or_else(|| Block::new(bytes)), bytes));
            let in_use: usize = self.used.iter().map(|(block, _)| block.bytes).sum();
            let kept: usize = self.pool.free.iter().map(|block| block.bytes).sum();
            assert_eq!([self.pool.in_use, self.pool.kept], [in_use, kept]);
            self.most = self.most.max(in_use + kept);
        }

        fn give_all_back(&mut self) {
            for (block, bytes) in self.used.drain(..) {
                self.pool.give_back(block, bytes);
            }
        }
    }

    /// Sequences of 20 to 2,000 steps, of which one needs 400 MB.
    #[test]
    fn what_is_kept_stays_near_the_largest_step() {
        if cfg!(miri) {
            return; // it would fill all of that memory
        }
        let (mut trial, mut random) = (Trial::new(), fastrand::Rng::with_seed(1));
        let largest = [265, 67, 67, 1].map(|mb| mb * MB);
        for round in 0..500 {
            let time = if round == 30 { 2000 } else { random.usize(20..2000) };
            largest.into_iter().for_each(|bytes| trial.take(bytes / 2000 * time));
            trial.give_all_back();
        }
        let largest = largest.iter().sum::<usize>();
        assert!(trial.most <= largest + largest / 4 + ALWAYS, "{} MB", trial.most / MB);
        // And small ones thereafter.
        for _ in 0..500 {
            trial.take(MB);
            trial.give_all_back();
        }
        assert!(trial.pool.kept <= largest + largest / 4 + ALWAYS);
        let gone: usize = trial.pool.clear().iter().map(|block| block.bytes).sum();
        assert!(gone > 0 && trial.pool.kept == 0 && trial.pool.most == 0);
    }

    #[test]
    fn steps_of_one_size_get_the_memory_of_the_last() {
        if cfg!(miri) {
            return; // it would fill all of that memory
        }
        let mut trial = Trial::new();
        for _ in 0..50 {
            // Of two layers, the second of which is done after the first.
            for layer in [[100 * MB, 30 * MB, 7], [220 * MB, 3 * MB, 900]] {
                layer.into_iter().for_each(|bytes| trial.take(bytes));
                trial.give_all_back();
            }
        }
        assert!(trial.new <= 12, "{} new blocks", trial.new);
    }

    #[test]
    fn blocks_in_use_may_be_more_than_the_bound() {
        if cfg!(miri) {
            return; // it would fill all of that memory
        }
        let mut trial = Trial::new();
        for _ in 0..5 {
            (0..4).for_each(|_| trial.take(100 * MB));
            trial.give_all_back();
            trial.pool.clear();
            (0..9).for_each(|_| trial.take(100 * MB));
            trial.pool.clear();
            trial.give_all_back();
        }
        assert_eq!([trial.pool.in_use, trial.pool.asked], [0, 0]);
    }
}
