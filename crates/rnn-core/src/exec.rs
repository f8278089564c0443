//! How the CPU kernels are executed.

#[cfg(feature = "kernels")]
pub use rnn_kernels::{Exec, Isa};

/// How the CPU kernels are executed. This build has none: add the feature `flex` or `ndarray`, and it says the
/// instruction set and the number of threads.
#[cfg(not(feature = "kernels"))]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exec {}
