//! The kernels of `rnn-gpu`, for the backend of all GPUs.

#[cfg(feature = "gpu")]
mod embedding;
#[cfg(feature = "gpu")]
mod loss;
#[cfg(feature = "gpu")]
mod sequence;
#[cfg(feature = "gpu")]
mod tensors;

#[cfg(feature = "gpu")]
pub(crate) use embedding::embedding;
#[cfg(feature = "gpu")]
pub(crate) use loss::{binary_cross_entropy, cross_entropy};
#[cfg(feature = "gpu")]
pub use sequence::stores_half;
#[cfg(feature = "gpu")]
pub(crate) use tensors::is_same;
#[cfg(all(feature = "gpu", feature = "optim"))]
pub(crate) use tensors::{buffer, direct, dispatched, own, reachable};

use super::SequenceOptions;
use burn::tensor::DType;

/// Whether there is a kernel for such a call, where the device has room for it.
///
/// # Errors
/// The reason why there is none.
pub(crate) fn supports(options: &SequenceOptions) -> Result<(), &'static str> {
    options.refused()?;
    if options.projection && !options.folds {
        return Err(
            "a projected h with dropout or zoneout, or a given one beside symbols or norms, has kernels for CPUs",
        );
    }
    if options.dtype != DType::F32 {
        return Err("only f32 has kernels");
    }
    // What is saved of a unit at a step, at most.
    let each = if options.layer_norm { 10 } else { 6 };
    let widest = each * options.d_hidden.max(options.d_input);
    if options.time.saturating_mul(options.batch).saturating_mul(widest) > u32::MAX as usize {
        return Err("the kernels count with 32 bits");
    }
    // Cubes along a dimension are below 65,536, each for 64 steps, a symbol, or a row at least.
    let most = u16::MAX as usize;
    if options.time * options.batch > 64 * most || options.symbols && options.d_input > most || options.batch > most {
        return Err("a launch has too few cubes for it");
    }
    Ok(())
}
