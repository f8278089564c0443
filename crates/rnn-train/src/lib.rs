//! The training loop of all programs, on burn-train: epochs, figures by name, validation, early stopping, learning
//! rates, checkpoints that resume to the same bits. It knows no terminal; a
//! [`MetricsRenderer`](burn::train::renderer::MetricsRenderer) shows how it goes.
//!
//! A model that implements [`Task`], mini-batches that are a function of seed, epoch and step ([`Batches`]), and a
//! [`Plan`] make a [`Training`]; what it has at any moment is its [`TrainState`].

#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod batches;
mod checkpoint;
mod devices;
pub mod durable;
mod error;
mod evaluate;
mod events;
mod exact;
mod figures;
mod group;
mod keys;
mod metric;
pub mod optim;
mod parameters;
mod schedule;
mod state;
mod strategy;
mod task;
mod training;
mod trial;

pub use batches::Batches;
pub use checkpoint::exists as has_checkpoint;
pub use error::TrainError;
pub use evaluate::{Seen, evaluate};
pub use figures::{Figure, Figures, LOSS, StepOutput, Sums, Totals};
pub use keys::Keys;
pub use schedule::{Schedule, Shape};
pub use state::{Best, EpochRecord, TrainState, Validation};
pub use strategy::Ended;
pub use task::{Batch, Task, trained};
pub use training::{Flow, Hooks, Outcome, Plan, Training};
pub use trial::{Trial, seconds_per_step};

/// The program in docs/training.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/training.md")]
struct TrainingPage;
