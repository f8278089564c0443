//! The kernels of `rnn-gpu`, for the backend whose tensors lie in a GPU's memory.

mod embedding;
mod loss;
mod tensors;

pub(crate) use embedding::embedding;
pub(crate) use loss::{binary_cross_entropy, cross_entropy};
#[cfg(feature = "optim")]
pub(crate) use tensors::{buffer, own};
