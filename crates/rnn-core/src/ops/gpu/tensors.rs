//! Tensors of the CubeCL backend as buffers.

#[cfg(feature = "optim")]
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use rnn_gpu::Buffer;

/// The values of `tensor`, row after row; those of a tensor in another order are copied.
pub(crate) fn buffer(tensor: &CubeTensor) -> Buffer {
    let tensor = into_contiguous(tensor.clone());
    Buffer::new(tensor.handle.clone(), tensor.shape().num_elements())
}

/// A tensor of f32 of `values`, on the device of `like`.
pub(in crate::ops) fn tensor<const D: usize>(like: &CubeTensor, values: &Buffer, shape: [usize; D]) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    CubeTensor::new_contiguous(client, device, Shape::new(shape), values.handle().clone(), DType::F32)
}

/// The same values row after row in memory of their own, that may be changed in place.
#[cfg(feature = "optim")]
pub(crate) fn own(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.handle.can_mut() { tensor } else { Cube::float_mul_scalar(tensor, 1.0.into()) }
}
