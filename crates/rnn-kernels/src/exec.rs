//! How a kernel is executed.

use crate::simd::Isa;

/// The instruction set and the number of threads that a call may use; every kernel takes one. Kernels read no setting
/// from anywhere else: the same value gives the same bits on every machine that has the instruction set.
///
/// ```
/// use rnn_kernels::{Exec, Isa};
///
/// let all = Exec::default();
/// let two_threads = Exec { threads: 2, ..all };
/// let plain = Exec { isa: Isa::Portable, threads: 1 };
/// # assert!(two_threads.threads == 2 && plain != two_threads);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exec {
    /// The instruction set; a kernel panics on one that the machine does not have. Results of two instruction sets
    /// agree to rounding.
    pub isa: Isa,
    /// The most threads, from 1 on; 0 counts as 1. Small calls use fewer. Results of two numbers of threads agree to
    /// rounding, and where a function says so to the bit.
    pub threads: usize,
}

impl Default for Exec {
    /// The best instruction set that the machine has, and as many threads as rayon has, which are all cores unless a
    /// program built its global pool with another number. It is looked up here and nowhere else.
    fn default() -> Self {
        Exec { isa: Isa::best(), threads: rayon::current_num_threads() }
    }
}
