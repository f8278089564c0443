//! Recurrent layers on [Burn](burn): RNN, LSTM, GRU, minGRU and minLSTM over any device.
//!
//! ```
//! use rnn_core::burn::tensor::{Device, Tensor};
//! use rnn_core::{Key, LstmConfig};
//!
//! let device = Device::default();
//! let lstm = LstmConfig::new(8, 16).init(Key::new(0), &device);
//! let input = Tensor::<3>::ones([2, 5, 8], &device); // [batch, time, d_input]
//! let output = lstm.forward(input);
//! assert_eq!(output.sequence.dims(), [2, 5, 16]); // [batch, time, d_hidden]
//! assert_eq!(output.state.last_layer()[0].cell.dims(), [2, 16]);
//! ```
//!
//! One driver, [`Recurrent`], runs every cell: [`Rnn`], [`Lstm`], [`Gru`], [`MinGru`] and [`MinLstm`] are names for it. Random numbers
//! (initial weights, dropout masks) are functions of a [`Key`], the same on every backend.
//!
//! # Dev builds
//! A crate of your own needs these lines in its `Cargo.toml`; without them the kernels are 80 times slower in `cargo
//! run`:
//!
//! ```toml
//! [profile.dev.package.rnn-kernels]
//! opt-level = 3
//! debug-assertions = false
//! overflow-checks = false
//! ```
//!
//! # Training
//! Make the layer on `device.autodiff()`, and evaluate it as `layer.valid()`. Dropout acts only in a pass that has a
//! key ([`ForwardArgs::with_dropout_key`]): a training loop that calls `forward` alone trains without dropout. The
//! crate's README has a training step, saving and loading, f64, devices and features.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod any;
mod args;
mod bptt;
mod build;
pub mod cell;
mod checks;
mod config;
mod dropout;
mod embedding;
mod error;
mod exec;
mod head;
mod init;
mod layer;
mod memory;
mod ops;
#[cfg(feature = "optim")]
pub mod optim;
pub mod probe;
mod rng;
mod sampling;
mod state;
#[cfg(feature = "kernels")]
pub mod stepper;
mod table;
#[cfg(feature = "weights")]
pub mod weights;

pub use any::{AnyCell, AnyConfig, AnyRecurrent, AnyState, CellKind};
pub use args::{ForwardArgs, Input, MaskedOutput, Output};
pub use bptt::Windows;
pub use burn;
pub use cell::{Activation, Bias, GruCell, LstmCell, MinGruCell, MinLstmCell, RnnCell};
pub use config::{Direction, DropoutMasks, RecurrentConfig, ZoneoutConfig};
pub use embedding::{embedding, embedding_with};
pub use error::RnnError;
pub use exec::Exec;
#[cfg(feature = "kernels")]
pub use exec::Isa;
/// What there is only with a GPU: the features `wgpu`, `vulkan` and `cuda`.
#[cfg(feature = "gpu")]
pub mod gpu {
    pub use crate::ops::gpu::stores_half;
    pub use rnn_gpu::launches;
}

pub use head::{binary_cross_entropy, cross_entropy, cross_entropy_with, linear, linear_with};
pub use init::{Initializer, Initializers, Preset};
pub use layer::{Layer, Recurrent};
pub use memory::{kept_memory, release_memory};
pub use rng::Key;
pub use sampling::{Sampling, penalise};
pub use state::{CellState, HiddenState, LstmState, States};
pub use table::{Table, evaluation};

/// A plain RNN layer.
pub type Rnn = Recurrent<RnnCell>;
/// An LSTM layer.
pub type Lstm = Recurrent<LstmCell>;
/// A GRU layer.
pub type Gru = Recurrent<GruCell>;
/// A minGRU layer.
pub type MinGru = Recurrent<MinGruCell>;
/// A minLSTM layer.
pub type MinLstm = Recurrent<MinLstmCell>;
/// Options of an [`Rnn`].
pub type RnnConfig = RecurrentConfig<RnnCell>;
/// Options of an [`Lstm`].
pub type LstmConfig = RecurrentConfig<LstmCell>;
/// Options of a [`Gru`].
pub type GruConfig = RecurrentConfig<GruCell>;
/// Options of a [`MinGru`].
pub type MinGruConfig = RecurrentConfig<MinGruCell>;
/// Options of a [`MinLstm`].
pub type MinLstmConfig = RecurrentConfig<MinLstmCell>;

/// The example of the README is a test too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// So is that of the crate's own README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct CrateReadme;
