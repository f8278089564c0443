//! Truncated backpropagation through time.

use burn::tensor::Tensor;

/// Cuts a long sequence, `[batch, time, features]`, into windows of at most `bptt` steps, the last one shorter where it
/// does not come out even. Carry the state from each to the next, without its history
/// ([`States::detach`](crate::States::detach)), so that gradients reach back one window at most:
///
/// ```
/// use rnn_core::burn::tensor::{Device, Tensor};
/// use rnn_core::{ForwardArgs, GruConfig, Key, windows};
///
/// let device = Device::default();
/// let gru = GruConfig::new(3, 4).init(Key::new(0), &device);
/// let mut args = ForwardArgs::default();
/// for window in windows(Tensor::ones([2, 100, 3], &device), 35) {
///     let output = gru.forward_with(window, args);
///     // … loss, backward, optimizer step …
///     args = ForwardArgs::default().with_state(output.state.detach());
/// }
/// ```
///
/// # Panics
/// If `bptt` is 0.
pub fn windows(sequence: Tensor<3>, bptt: usize) -> impl Iterator<Item = Tensor<3>> {
    assert!(bptt > 0, "a window needs at least one step");
    let [_, time, _] = sequence.dims();
    (0..time).step_by(bptt).map(move |start| sequence.clone().slice_dim(1, start..time.min(start + bptt)))
}
