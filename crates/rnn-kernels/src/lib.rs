//! CPU kernels for recurrent networks, on plain slices.
//!
//! - [`forward`], [`forward_saving`] and [`backward`]: one layer in one direction over a whole sequence, with its input
//!   product, for the plain RNN, the LSTM, both forms of the GRU, the minGRU and the minLSTM; lengths or masks, resets,
//!   dropout masks, zoneout, index input. See [`LayerWeights`] for the weights, [`Sequence`] for what is run over.
//! - [`Stepper`] and [`Dense`]: one step at a time for one sequence, for generation and online prediction.
//! - [`optim`]: the optimizers' updates in one pass over memory, and without one for a table of which few rows have a
//!   gradient.
//! - [`embed`] and [`embed_backward`]: rows of a table, and the table's gradient.
//! - [`linear`], [`linear_backward`] and [`cross_entropy`]: what stands behind the layer.
//! - [`choose`]: dropout masks.
//! - [`project_out`]: Gram-Schmidt by blocks, for orthogonal weights.
//! - [`math`]: exponential, sigmoid and tanh on vectors, with stated errors.
//!
//! Everything is generic over `f32` and `f64` ([`Entry`]) and takes an [`Exec`]: the instruction set, by default the
//! best one that the machine has, and the number of threads. The same `Exec` gives the same bits every time; two
//! instruction sets or numbers of threads agree to rounding.
//!
//! # How it works
//! The units of a layer are cut into panels, in which the gates of a unit stand side by side in vectors; each call
//! packs the weights in that order. One micro-kernel, a tile of a product in registers, computes everything: the input
//! products, the recurrence, and in backward the gradients. The rows of the batch are divided among the threads once
//! for the whole sequence. Each thread goes over its own rows without waiting for another, in chunks of steps whose
//! sums stay in the L2 cache. The input product of a single row is computed beside its recurrence, which waits for
//! weights. With lengths or a mask only rows that count stand in the panels of a step. One dropout mask serves a whole
//! sequence, so dropped features are skipped where there are 32 registers, and for `f64`. What backward needs is written
//! once, chunk by chunk. Memory comes from a pool and goes back to it ([`release_memory`]); no step allocates.
//!
//! # Gradients that vanish
//! A gradient of h or c of at most 2⁻¹¹⁰ (`f64`: 2⁻⁹⁶⁰) counts as zero. The products of smaller ones are subnormal
//! numbers, with which a processor computes many times more slowly.
//!
//! # What is not here
//! Projections.
//!
//! ```
//! use rnn_kernels::{
//!     Cell, Exec, Gradients, Input, LayerWeights, Options, Output, OutputGradients, Sequence, Strides,
//! };
//!
//! let (batch, time, d_input, d_hidden) = (2, 3, 4, 5);
//! let (w_ih, w_hh) = (vec![0.1f32; d_input * 4 * d_hidden], vec![0.1; d_hidden * 4 * d_hidden]);
//! let (cell, options) = (Cell::Lstm, Options::default());
//! let layer = LayerWeights { cell, d_input, d_hidden, w_ih: &w_ih, w_hh: &w_hh, b_ih: None, b_hh: None, options };
//! let x = vec![1.0; batch * time * d_input];
//! let input = Input::Dense { values: &x, strides: Strides::batch_major(time, d_input) };
//! let sequence = Sequence::new(batch, time, input);
//!
//! let mut y = vec![0.0; batch * time * d_hidden];
//! let strides = Strides::batch_major(time, d_hidden);
//! let output = Output { sequence: &mut y, strides, h: None, c: None };
//! let saved = rnn_kernels::forward_saving(Exec::default(), &layer, &sequence, output);
//!
//! // The gradient of the sum of all outputs.
//! let ones = vec![1.0; y.len()];
//! let mut d_w_hh = vec![0.0; w_hh.len()];
//! let d_output = OutputGradients { sequence: Some((&ones, strides)), h: None, c: None };
//! let wanted = Gradients { w_hh: Some(&mut d_w_hh), ..Gradients::default() };
//! rnn_kernels::backward(&layer, &sequence, &saved, d_output, wanted);
//! assert!(d_w_hh.iter().all(|&d| d > 0.0));
//! ```

#![warn(missing_docs)]
#![allow(clippy::needless_range_loop, reason = "index loops over arrays of vectors are unrolled into registers")]

// From the ground up; a module knows those above it in this list, and `float` and `simd` each other.
mod float;
mod simd;

pub mod math;

mod exec;
mod peak;
mod pool;
mod random;
mod team;
mod threads;
mod tile;

mod args;
mod project;
mod sequence;

mod cell;

mod backward;
mod cross_entropy;
mod embedding;
mod forward;
mod linear;
pub mod optim;
mod stepper;

mod entry;

pub use args::{
    Activation, Candidate, Cell, Counted, Gradients, Input, LayerWeights, MaskedOutput, Nonlinearity, OptionGradients,
    Options, Output, OutputGradients, Sequence, Strides, Zoneout,
};
pub use entry::Entry;
pub use exec::Exec;
pub use float::Float;
pub use peak::fma_peak;
pub use pool::{kept_memory, release_memory};
pub use project::project_out;
pub use random::choose;
pub use sequence::Saved;
pub use simd::Isa;
pub use stepper::{Dense, Stepper};

/// Runs `layer` over `sequence` and saves nothing for [`backward`].
///
/// # Panics
/// On slices whose sizes do not fit, symbols and lengths that are too large, and an instruction set that the machine
/// does not have.
pub fn forward<T: Entry>(exec: Exec, layer: &LayerWeights<T>, sequence: &Sequence<T>, output: Output<T>) {
    T::forward(exec, layer, sequence, output, false);
}

/// Runs `layer` over `sequence` and saves what [`backward`] needs.
///
/// # Panics
/// Where [`forward`] does.
pub fn forward_saving<T: Entry>(
    exec: Exec,
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    output: Output<T>,
) -> Saved<T> {
    T::forward(exec, layer, sequence, output, true)
}

/// The gradients that are `wanted` of a layer over a sequence, from those of its output, executed as forward was.
/// `layer` and `sequence` are those that `saved` was made from.
///
/// # Panics
/// On slices whose sizes do not fit together, or a `saved` of another size.
pub fn backward<T: Entry>(
    layer: &LayerWeights<T>,
    sequence: &Sequence<T>,
    saved: &Saved<T>,
    d_output: OutputGradients<T>,
    wanted: Gradients<T>,
) {
    T::backward(layer, sequence, saved, d_output, wanted);
}

/// The rows `ids` of `table`, `[n, d]`: `[ids, d]`.
///
/// # Panics
/// On an id that is not below n, which cannot be told where d is 0, and more elements than memory can have.
pub fn embed<T: Entry>(exec: Exec, table: &[T], d: usize, ids: &[usize]) -> Vec<T> {
    T::embed(exec, table, d, ids)
}

/// The gradient of a table `[n, d]` from that of its rows `ids`, `grads`, `[ids, d]`: the sum of those of each row, in
/// their order, whatever the number of threads.
///
/// # Panics
/// On an id that is not below n, more elements than memory can have, and if `grads` does not have d for each id.
pub fn embed_backward<T: Entry>(exec: Exec, grads: &[T], shape: [usize; 2], ids: &[usize]) -> Vec<T> {
    T::embed_backward(exec, grads, shape, ids)
}

/// `y = x·W + b`, `[rows, d_output]`; x is `[rows, d_input]`, W `[d_input, d_output]`, b `[d_output]`.
///
/// # Panics
/// On slices of other sizes.
pub fn linear<T: Entry>(exec: Exec, shape: [usize; 3], x: &[T], w: &[T], b: &[T]) -> Vec<T> {
    T::linear(exec, shape, x, w, b)
}

/// The gradients of x, of W and of b from `d_y`, `[rows, d_output]`, that of what [`linear`] gives: that of x if W is
/// given, that of W if x is, and that of b if it is `wanted`.
///
/// # Panics
/// On slices of other sizes.
pub fn linear_backward<T: Entry>(
    exec: Exec,
    shape: [usize; 3],
    x: Option<&[T]>,
    w: Option<&[T]>,
    d_y: &[T],
    wanted: bool,
) -> [Option<Vec<T>>; 3] {
    T::linear_backward(exec, shape, x, w, d_y, wanted)
}

/// The mean over the rows of `logits`, `[rows, classes]`, of `−ln softmax(row)[target]`, and, if it is `wanted`, its
/// gradient, `(softmax(row) − 1[target])/rows`, of the same shape. Both are the same for every number of threads.
///
/// # Panics
/// On no rows, a target that is not below the number of classes, and logits that are not as many for each target.
pub fn cross_entropy<T: Entry>(exec: Exec, logits: &[T], targets: &[usize], wanted: bool) -> (T, Option<Vec<T>>) {
    T::cross_entropy(exec, logits, targets, wanted)
}
