//! Tensors of Burn's GPU backend as buffers.
//!
//! With Burn's feature `fusion` a tensor may be the result of operations that are still to run.

use crate::ops::graph::Dispatched;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Shape, Tensor};
#[cfg(any(feature = "fusion", feature = "optim"))]
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use rnn_gpu::Buffer;

/// Whether [`direct`] can reach the memory of a tensor.
///
/// # Errors
/// The reason why it cannot.
pub(crate) fn reachable() -> Result<(), &'static str> {
    let same = std::any::TypeId::of::<FloatTensor<Cube>>() == std::any::TypeId::of::<CubeTensor>();
    if same || cfg!(feature = "fusion") {
        return Ok(());
    }
    Err("Burn's feature `fusion` is on, and that of rnn-core is not")
}

/// The memory of a tensor, after the operations before it.
#[cfg(feature = "fusion")]
pub(crate) fn direct(tensor: FloatTensor<Cube>) -> CubeTensor {
    tensor.client.clone().resolve_tensor_float::<CubeBackend>(tensor)
}

/// The same of integers.
#[cfg(feature = "fusion")]
pub(super) fn direct_int(tensor: IntTensor<Cube>) -> CubeTensor {
    tensor.client.clone().resolve_tensor_int::<CubeBackend>(tensor)
}

/// A tensor in memory for Burn.
#[cfg(feature = "fusion")]
pub(crate) fn dispatched(tensor: CubeTensor) -> FloatTensor<Cube> {
    use burn::backend::fusion::custom::{CustomOpIr, OperationIr, StreamId, TensorIr};
    use burn::backend::fusion::{NoOp, get_client};
    let (client, shape, dtype) = (get_client::<CubeBackend>(&tensor.device), tensor.shape(), tensor.dtype);
    let made = TensorIr::uninit(client.register_tensor_handle(tensor.into()), shape, dtype);
    let operation = OperationIr::Custom(CustomOpIr::new("tensor", &[], &[made]));
    let mut tensors = client.register(StreamId::current(), operation, NoOp::<CubeBackend>::new());
    tensors.pop().unwrap_or_else(|| unreachable!("the operation has an output"))
}

#[cfg(not(feature = "fusion"))]
pub(crate) fn direct(tensor: FloatTensor<Cube>) -> CubeTensor {
    same(tensor)
}

#[cfg(not(feature = "fusion"))]
pub(super) fn direct_int(tensor: IntTensor<Cube>) -> CubeTensor {
    same(tensor)
}

#[cfg(not(feature = "fusion"))]
pub(crate) fn dispatched(tensor: CubeTensor) -> FloatTensor<Cube> {
    same(tensor)
}

/// `value` of a type that is the same by another name, unless another package of the build turns Burn's `fusion` on.
#[cfg(not(feature = "fusion"))]
fn same<A: 'static, B: 'static>(value: A) -> B {
    let mut value = Some(value);
    let same = (&mut value as &mut dyn std::any::Any).downcast_mut::<Option<B>>();
    same.and_then(Option::take).unwrap_or_else(|| unreachable!("`reachable` is asked first"))
}

/// Whether two tensors outside any graph are the same values in the same memory; `None` if they do not both lie on a GPU
/// where that can be seen.
pub(crate) fn is_same(a: &Tensor<2>, b: &Tensor<2>) -> Option<bool> {
    reachable().ok()?;
    let [a, b] = [direct(Cube::constant(a)?), direct(Cube::constant(b)?)];
    let view = |tensor: &CubeTensor| (tensor.handle.offset_start, tensor.handle.offset_end, tensor.meta.clone());
    let memory = |tensor: &CubeTensor| (tensor.handle.service, tensor.handle.memory.descriptor().id);
    Some(memory(&a) == memory(&b) && view(&a) == view(&b))
}

/// The values of `tensor`, row after row; those of a tensor in another order are copied.
pub(crate) fn buffer(tensor: &CubeTensor) -> Buffer {
    let tensor = into_contiguous(tensor.clone());
    Buffer::new(tensor.handle.clone(), tensor.shape().num_elements())
}

/// A tensor of f32 of `values`, on the device of `like`.
pub(in crate::ops) fn tensor<const D: usize>(
    like: &CubeTensor,
    values: &Buffer,
    shape: [usize; D],
) -> FloatTensor<Cube> {
    let (client, device) = (like.client.clone(), like.device.clone());
    dispatched(CubeTensor::new_contiguous(client, device, Shape::new(shape), values.handle().clone(), DType::F32))
}

/// The same values row after row in memory of their own, that may be changed in place.
#[cfg(feature = "optim")]
pub(crate) fn own(tensor: CubeTensor) -> CubeTensor {
    use burn::backend::ops::FloatTensorOps;
    let tensor = into_contiguous(tensor);
    if tensor.handle.can_mut() { tensor } else { CubeBackend::float_mul_scalar(tensor, 1.0.into()) }
}
