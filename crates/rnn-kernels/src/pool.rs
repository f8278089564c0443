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

/// Whether all buffers are fresh and of exact size, for tests under a sanitizer.
#[allow(unexpected_cfgs, reason = "given by hand, for tests")]
pub(crate) const EXACT: bool = cfg!(exact_buffers) || cfg!(miri);

static FREE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

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
/// Built with `--cfg exact_buffers` it is a fresh one, of that size to the byte and full of NaN, so that a sanitizer sees
/// what goes beyond it and tests see what is read before it is written.
pub(crate) fn take<T: Float>(len: usize) -> Buffer<T> {
    if EXACT {
        let mut buffer = Buffer { block: Some(Block::new((len * size_of::<T>()).max(1))), len, element: PhantomData };
        buffer.fill(T::of(f64::NAN));
        return buffer;
    }
    let bytes = (len * size_of::<T>()).next_multiple_of(ALIGNMENT).max(ALIGNMENT);
    let mut free = free_blocks();
    // The smallest that is large enough, but not one that a larger need would miss.
    let fitting = free.iter().enumerate().filter(|(_, b)| b.bytes >= bytes && b.bytes <= 2 * bytes);
    let best = fitting.min_by_key(|(_, block)| block.bytes).map(|(i, _)| i);
    let block = best.map(|i| free.swap_remove(i));
    drop(free);
    Buffer { block: Some(block.unwrap_or_else(|| Block::new(bytes))), len, element: PhantomData }
}

/// Gives the memory that is kept for later calls back to the system.
pub fn release_memory() {
    free_blocks().clear();
}

/// Bytes kept for later calls.
pub fn kept_memory() -> usize {
    free_blocks().iter().map(|block| block.bytes).sum()
}

fn free_blocks() -> MutexGuard<'static, Vec<Block>> {
    // A panic elsewhere cannot leave the list half changed.
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        if EXACT {
            return;
        }
        let mut free = free_blocks();
        free.push(block);
        if free.len() > KEPT
            && let Some((smallest, _)) = free.iter().enumerate().min_by_key(|(_, block)| block.bytes)
        {
            free.swap_remove(smallest);
        }
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
}
