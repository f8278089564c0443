//! CPU kernels for recurrent networks, on plain slices.
//!
//! - [`forward`], [`forward_saving`] and [`backward`]: one layer in one direction over a whole sequence, with its input
//!   product, for the plain RNN, the LSTM and both forms of the GRU; lengths or masks, dropout masks, zoneout, index
//!   input. See [`Layer`] for the weights, [`Sequence`] for what is run over.
//! - [`Stepper`] and [`Dense`]: one step at a time for one sequence, for generation and online prediction.
//! - [`optim`]: the optimizers' updates in one pass over memory, and without one for a table of which few rows have a
//!   gradient.
//! - [`embed`] and [`embed_backward`]: rows of a table, and the table's gradient.
//! - [`linear`], [`linear_backward`] and [`cross_entropy`]: what stands behind the layer.
//! - [`choose`]: dropout masks.
//! - [`project_out`]: Gram-Schmidt by blocks, for orthogonal weights.
//! - [`math`]: exponential, sigmoid and tanh on vectors, with stated errors.
//!
//! All of it is generic over `f32` and `f64` and runs at the best instruction set that the machine has, chosen at run
//! time ([`Level`]); results at different levels agree to rounding. [`Machine`] says which level and how many threads:
//! for the same machine value the result has the same bits every time.
//!
//! # How it works
//! A layer's units are cut into panels, in which a unit's gates stand side by side in vectors, and the weights are packed
//! in that order once a call. One micro-kernel, a tile of a product in registers, does everything: the input products,
//! the recurrence, and in backward the gradients. The batch's rows are divided among threads once for the whole
//! sequence; each thread goes over its own rows without waiting for another, in chunks of steps whose sums stay in the L2
//! cache. A single row's input product is done beside its recurrence, which waits for weights meanwhile. What dropout
//! drops of a row it drops at all steps, so products with the input leave it out where there are 32 registers (and
//! for f64). What backward needs is written once, chunk by chunk. Memory comes from a pool and goes back to it ([`release_memory`]); nothing is allocated per step.
//!
//! # What is not here
//! Layer normalisation, projection, peepholes, clipping of the state, and other activations.
//!
//! ```
//! use rnn_kernels::{Cell, Gradients, Input, Layer, Machine, Output, OutputGradients, Sequence, Strides};
//!
//! let (batch, time, d_input, d_hidden) = (2, 3, 4, 5);
//! let (w_ih, w_hh) = (vec![0.1f32; d_input * 4 * d_hidden], vec![0.1; d_hidden * 4 * d_hidden]);
//! let layer = Layer { cell: Cell::Lstm, d_input, d_hidden, w_ih: &w_ih, w_hh: &w_hh, b_ih: None, b_hh: None };
//! let x = vec![1.0; batch * time * d_input];
//! let input = Input::Dense { values: &x, strides: Strides::batch_major(time, d_input) };
//! let sequence = Sequence::new(batch, time, input);
//!
//! let mut y = vec![0.0; batch * time * d_hidden];
//! let strides = Strides::batch_major(time, d_hidden);
//! let output = Output { sequence: &mut y, strides, h: None, c: None };
//! let saved = rnn_kernels::forward_saving(Machine::default(), &layer, &sequence, output);
//!
//! // The gradient of the sum of all outputs.
//! let ones = vec![1.0; y.len()];
//! let mut d_w_hh = vec![0.0; w_hh.len()];
//! let given = OutputGradients { sequence: Some((&ones, strides)), h: None, c: None };
//! let wanted = Gradients { w_hh: Some(&mut d_w_hh), ..Gradients::default() };
//! rnn_kernels::backward(&layer, &sequence, &saved, given, wanted);
//! assert!(d_w_hh.iter().all(|&d| d > 0.0));
//! ```

#![allow(clippy::needless_range_loop, reason = "index loops over arrays of vectors are unrolled into registers")]
mod args;
mod backward;
mod cell;
mod cross_entropy;
mod embedding;
mod float;
mod forward;
mod linear;
pub mod math;
pub mod optim;
mod pack;
mod peak;
mod plan;
mod pool;
mod project;
mod random;
mod repeats;
mod simd;
mod step;
mod stepper;
mod team;
mod threads;
mod tile;

pub use args::{
    Cell, Counted, Gradients, Input, Layer, MaskedOutput, Nonlinearity, Output, OutputGradients, Sequence, Strides,
    Zoneout,
};
pub use backward::backward;
pub use cross_entropy::cross_entropy;
pub use embedding::{embed, embed_backward};
pub use float::Float;
pub use forward::{Saved, forward, forward_saving};
pub use linear::{linear, linear_backward};
pub use peak::fma_peak;
pub use pool::{kept_memory, release_memory};
pub use project::project_out;
pub use random::choose;
pub use simd::Level;
pub use stepper::{Dense, Stepper};
pub use threads::Machine;
