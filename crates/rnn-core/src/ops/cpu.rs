//! The kernels of `rnn-kernels`, for the backends whose tensors lie in this process' memory.

mod embedding;
mod linear;
mod loss;
mod memory;
mod sequence;

use super::graph::Dispatched;
pub(crate) use embedding::embedding;
pub(crate) use linear::linear;
pub(crate) use loss::cross_entropy;
use memory::Cpu;
pub(crate) use sequence::cell_options;

/// A backend with the kernels for both element types.
trait CpuBackend: Cpu + Dispatched {}
impl<B: Cpu + Dispatched> CpuBackend for B {}

/// Whether a tensor of f32 without autodiff lies in this process' memory.
#[cfg(feature = "optim")]
pub(crate) fn is_here(tensor: &burn::tensor::Tensor<2>) -> bool {
    use burn::tensor::{DType, Tensor};
    struct Here<'a>(&'a Tensor<2>);
    impl Here<'_> {
        fn on<B: CpuBackend>(&self) -> Option<()> {
            B::operand(self.0).map(drop)
        }
    }
    !tensor.is_autodiff() && tensor.dtype() == DType::F32 && on_any!(Here(tensor)).is_some()
}
