//! Tensors of the CPU backends as slices.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Element, TensorData};
use rnn_kernels::{Float, Strides};

/// A backend whose tensors lie in this process' memory.
pub(super) trait Cpu: Backend {
    /// The same values, row after row.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A tensor of three dimensions, the values of the last side by side.
    fn rows(tensor: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// An element type of that backend's tensors.
pub(super) trait Value<B: Cpu>: Float + Element {
    /// The values of a contiguous tensor.
    fn slice(tensor: &FloatTensor<B>) -> &[Self];

    /// The values of a tensor `[time, batch, width]` made by [`Cpu::rows`].
    fn strided(tensor: &FloatTensor<B>) -> (&[Self], Strides);

    /// Whether it is a single zero, expanded.
    fn is_nothing(tensor: &FloatTensor<B>) -> bool;

    /// A tensor of these values.
    fn tensor<const D: usize>(values: Vec<Self>, shape: [usize; D]) -> FloatTensor<B> {
        B::float_from_data(TensorData::new(values, shape), &B::Device::default())
    }
}

/// An element type of every backend there is.
#[cfg(all(feature = "flex", not(feature = "ndarray")))]
pub(super) trait AnyValue: Value<burn::backend::Flex> {}
#[cfg(all(feature = "flex", not(feature = "ndarray")))]
impl<T: Value<burn::backend::Flex>> AnyValue for T {}

#[cfg(feature = "flex")]
mod flex {
    use super::*;
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;

    impl Cpu for Flex {
        fn contiguous(tensor: FlexTensor) -> FlexTensor {
            tensor.to_contiguous()
        }

        fn rows(tensor: FlexTensor) -> FlexTensor {
            match tensor.layout().strides() {
                [time, batch, 1] if *time >= 0 && *batch >= 0 => tensor,
                _ => tensor.to_contiguous(),
            }
        }
    }

    macro_rules! value {
        ($T:ty) => {
            impl Value<Flex> for $T {
                fn slice(tensor: &FlexTensor) -> &[Self] {
                    tensor.as_slice().expect("contiguous and of this dtype")
                }

                fn strided(tensor: &FlexTensor) -> (&[Self], Strides) {
                    let layout = tensor.layout();
                    let stride = |dim: usize| layout.strides()[dim].unsigned_abs();
                    let strides = Strides { time: stride(0), batch: stride(1) };
                    (&tensor.storage::<$T>()[layout.start_offset()..], strides)
                }

                fn is_nothing(tensor: &FlexTensor) -> bool {
                    let layout = tensor.layout();
                    layout.strides().iter().all(|&s| s == 0) && tensor.storage::<$T>()[layout.start_offset()] == 0.0
                }
            }
        };
    }
    value!(f32);
    value!(f64);
}
