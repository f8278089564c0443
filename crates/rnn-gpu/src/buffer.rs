//! Values in a device's memory.

use crate::product::WIDE;
use crate::storage::Storage;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// Tensors that share a buffer begin at multiples of this many numbers: devices bind memory from multiples of 256 bytes on.
pub(crate) const ALIGNMENT: usize = 64;

/// Numbers of four bytes in a device's memory, side by side. A clone shares them.
#[derive(Debug, Clone)]
pub struct Buffer {
    handle: Handle,
    len: usize,
}

impl Buffer {
    /// What `handle` refers to: `len` numbers from its start on.
    ///
    /// # Panics
    /// If it is smaller than that.
    pub fn new(handle: Handle, len: usize) -> Self {
        assert!(
            handle.size_in_used() as usize >= 4 * len,
            "a buffer of {} bytes for {len} numbers",
            handle.size_in_used()
        );
        Buffer { handle, len }
    }

    /// `len` numbers, whatever they are; at least one, since devices have no empty buffers.
    pub fn empty(client: &Client, len: usize) -> Self {
        Buffer { handle: client.empty(4 * len.max(1)), len }
    }

    /// The same, stored in another way, for kernels of this crate alone; at least a vector, since a kernel that reads
    /// or writes vectors binds no less.
    pub(crate) fn stored(client: &Client, storage: Storage, len: usize) -> Self {
        Buffer { handle: client.empty(storage.bytes() * len.max(WIDE)), len }
    }

    /// A copy of `values`.
    pub fn from_f32(client: &Client, values: &[f32]) -> Self {
        Buffer { handle: client.create_from_slice(f32::as_bytes(values)), len: values.len() }
    }

    /// A copy of `values`.
    pub fn from_u32(client: &Client, values: &[u32]) -> Self {
        Buffer { handle: client.create_from_slice(u32::as_bytes(values)), len: values.len() }
    }

    /// The values on the host; waits for all that was launched before.
    ///
    /// # Panics
    /// If the device fails.
    pub fn read_f32(&self, client: &Client) -> Vec<f32> {
        let bytes = client.read_one(self.handle.clone()).unwrap_or_else(|error| panic!("reading a buffer: {error}"));
        f32::from_bytes(&bytes)[..self.len].to_vec()
    }

    /// The `len` numbers from `at` on, in the same memory.
    pub(crate) fn part(&self, at: usize, len: usize) -> Self {
        let behind = self.len - at - len;
        Buffer { handle: self.handle.clone().offset_start(4 * at as u64).offset_end(4 * behind as u64), len }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory, for a tensor that is made of it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// As an argument of a kernel.
    pub(crate) fn arg(&self) -> BufferArg {
        // SAFETY: every constructor makes sure that the memory is at least so long.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len) }
    }

    /// As an argument that is read, or written, in vectors of `wide` numbers.
    pub(crate) fn arg_of(&self, wide: usize) -> BufferArg {
        // SAFETY: as above.
        unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.len / wide) }
    }
}
