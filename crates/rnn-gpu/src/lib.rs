//! Kernels for GPUs, written in CubeCL: one source for wgpu (WGSL), Vulkan (SPIR-V) and CUDA.
//!
//! They take buffers of a device and plain options, as `rnn-kernels` takes slices; which tensors the buffers belong to
//! is the caller's business. A launch is asynchronous, and nothing here waits for one but `Buffer::read_f32`.
//!
//! Without one of the features `wgpu`, `vulkan` and `cuda` the crate is empty.
#![cfg(any(feature = "wgpu", feature = "cuda"))]
#![allow(clippy::collapsible_if, reason = "a condition known when a kernel is compiled stands alone")]

mod activation;
mod args;
mod backward;
mod buffer;
mod cell;
mod count;
pub mod embedding;
mod forward;
mod input;
mod launch;
mod layer;
pub mod loss;
mod matmul;
mod norm;
mod normalized;
pub mod optim;
mod plan;
mod product;
mod rows;
mod scan;
mod shape;
mod storage;
mod weights;

pub use args::{
    Activation, Cell, Constant, Counted, Gradients, Input, Layer, Norm, Options, Output, OutputGradients, Sequence,
};
pub use args::{Strided, Wanted, Zoneout};
pub use buffer::Buffer;
pub use count::launches;
pub use cubecl;
pub use layer::{Needs, Saved, backward, fits, forward};
pub use storage::Storage;
