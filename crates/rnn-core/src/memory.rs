//! The memory that the CPU kernels keep from call to call.

/// Gives the memory that the kernels of `flex` and `ndarray` keep for later calls back to the system.
///
/// A layer's forward and backward pass need memory of about the size of what is saved for backward: for an LSTM of
/// 256 units, 32 rows and 2,000 steps 400 MB. Fresh pages cost more than the arithmetic that fills them, so that
/// memory is kept for the next call: in all, with what is in use, at most a quarter and 64 MiB more than the most
/// that was in use at one time. After a step that was larger than those to come, as of one long sequence, or before
/// other work that needs the memory, give it back:
///
/// ```standalone_crate
/// use rnn_core::burn::tensor::{Device, Tensor};
/// use rnn_core::{Key, LstmConfig};
///
/// let device = Device::default();
/// let lstm = LstmConfig::new(8, 16).init(Key::new(0), &device);
/// let long = lstm.forward(Tensor::ones([1, 1000, 8], &device)).last_hidden();
/// # #[cfg(feature = "kernels")]
/// assert!(rnn_core::kept_memory() > 0);
/// rnn_core::release_memory();
/// assert_eq!(rnn_core::kept_memory(), 0);
/// # drop(long);
/// ```
///
/// Layers and graphs that are alive keep what is theirs. On GPUs, whose memory is Burn's own, this does nothing.
pub fn release_memory() {
    #[cfg(feature = "kernels")]
    rnn_kernels::release_memory();
}

/// Bytes that [`release_memory`] would give back.
pub fn kept_memory() -> usize {
    #[cfg(feature = "kernels")]
    return rnn_kernels::kept_memory();
    #[cfg(not(feature = "kernels"))]
    0
}
