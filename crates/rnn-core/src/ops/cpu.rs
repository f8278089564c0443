//! The kernels of `rnn-kernels`, for the backends whose tensors lie in this process' memory.

mod embedding;
mod linear;
mod loss;
mod memory;
mod sequence;

use super::graph::Dispatched;
use burn::tensor::Tensor;
pub(crate) use embedding::embedding;
pub(crate) use linear::linear;
pub(crate) use loss::cross_entropy;
use memory::Cpu;
pub(crate) use sequence::cell_options;

/// A backend with the kernels for both element types.
trait CpuBackend: Cpu + Dispatched {}
impl<B: Cpu + Dispatched> CpuBackend for B {}

/// Whether two tensors outside any graph are the same values in the same memory; `None` if they do not both lie in this
/// process' memory.
pub(crate) fn is_same(a: &Tensor<2>, b: &Tensor<2>) -> Option<bool> {
    struct Same<'a>(&'a Tensor<2>, &'a Tensor<2>);
    impl Same<'_> {
        fn on<B: CpuBackend>(&self) -> Option<bool> {
            Some(B::is_same(&B::constant(self.0)?, &B::constant(self.1)?))
        }
    }
    on_any!(Same(a, b))
}

/// Whether a tensor of f32 without autodiff lies in this process' memory.
#[cfg(feature = "optim")]
pub(crate) fn is_here(tensor: &Tensor<2>) -> bool {
    use burn::tensor::DType;
    struct Here<'a>(&'a Tensor<2>);
    impl Here<'_> {
        fn on<B: CpuBackend>(&self) -> Option<()> {
            B::operand(self.0).map(drop)
        }
    }
    !tensor.is_autodiff() && tensor.dtype() == DType::F32 && on_any!(Here(tensor)).is_some()
}
