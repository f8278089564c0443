//! wip
#![allow(clippy::needless_range_loop, reason = "index loops over arrays of vectors are unrolled into registers")]
mod args;
mod backward;
mod cell;
mod float;
mod forward;
pub mod math;
pub mod optim;
mod pack;
mod peak;
mod plan;
mod pool;
mod scatter;
mod simd;
mod step;
mod stepper;
mod threads;
mod tile;

pub use args::{
    Cell, Counted, Gradients, Input, Layer, MaskedOutput, Nonlinearity, Output, OutputGradients, Sequence, Strides,
    Zoneout,
};
pub use backward::backward;
pub use float::Float;
pub use forward::{Saved, forward, forward_saving};
pub use peak::fma_peak;
pub use pool::{kept_memory, release_memory};
pub use scatter::scatter_add;
pub use simd::Level;
pub use stepper::{Dense, Stepper};
pub use threads::Machine;
