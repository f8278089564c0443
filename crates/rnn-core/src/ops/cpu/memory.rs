//! Tensors of the CPU backends as slices.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Element, TensorData};
use rnn_kernels::{Entry, Strides};

/// A backend whose tensors lie in this process' memory.
pub(in crate::ops) trait Cpu: Backend {
    /// The same values, row after row.
    fn contiguous(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// A tensor of three dimensions, the values of the last side by side.
    fn rows(tensor: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Whether two tensors are the same values in the same memory.
    fn is_same(a: &FloatTensor<Self>, b: &FloatTensor<Self>) -> bool;
}

/// An element type of that backend's tensors.
pub(in crate::ops) trait Value<B: Cpu>: Entry + Element {
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

        fn is_same(a: &FlexTensor, b: &FlexTensor) -> bool {
            a.dtype() == b.dtype() && a.layout() == b.layout() && a.bytes().as_ptr() == b.bytes().as_ptr()
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

#[cfg(feature = "ndarray")]
#[expect(deprecated, reason = "supported as long as Burn has it")]
mod ndarray {
    use super::*;
    use burn::backend::NdArray;
    use burn::backend::ndarray::NdArrayTensor;

    /// The same for every dtype that a float tensor has here.
    macro_rules! each {
        ($tensor:expr, $storage:ident => $result:expr) => {
            match $tensor {
                NdArrayTensor::F32($storage) => NdArrayTensor::F32($result),
                NdArrayTensor::F64($storage) => NdArrayTensor::F64($result),
                other => other,
            }
        };
    }

    impl Cpu for NdArray {
        fn contiguous(tensor: NdArrayTensor) -> NdArrayTensor {
            each!(tensor, storage => match storage.view().is_standard_layout() {
                true => storage,
                false => storage.view().as_standard_layout().into_owned().into_shared().into(),
            })
        }

        fn rows(tensor: NdArrayTensor) -> NdArrayTensor {
            each!(tensor, storage => match storage.view().strides() {
                [time, batch, 1] if *time >= 0 && *batch >= 0 && storage.view().to_slice_memory_order().is_some() => storage,
                _ => storage.view().as_standard_layout().into_owned().into_shared().into(),
            })
        }

        fn is_same(a: &NdArrayTensor, b: &NdArrayTensor) -> bool {
            macro_rules! same {
                ($a:expr, $b:expr) => {{
                    let (a, b) = ($a.view(), $b.view());
                    a.as_ptr() == b.as_ptr() && a.shape() == b.shape() && a.strides() == b.strides()
                }};
            }
            match (a, b) {
                (NdArrayTensor::F32(a), NdArrayTensor::F32(b)) => same!(a, b),
                (NdArrayTensor::F64(a), NdArrayTensor::F64(b)) => same!(a, b),
                _ => false,
            }
        }
    }

    macro_rules! view {
        ($tensor:expr, $variant:ident) => {
            match $tensor {
                NdArrayTensor::$variant(storage) => storage.view(),
                _ => unreachable!("the dtype was looked at before"),
            }
        };
    }

    macro_rules! value {
        ($T:ty, $variant:ident) => {
            impl Value<NdArray> for $T {
                fn slice(tensor: &NdArrayTensor) -> &[Self] {
                    view!(tensor, $variant).to_slice().expect("contiguous")
                }

                fn strided(tensor: &NdArrayTensor) -> (&[Self], Strides) {
                    let view = view!(tensor, $variant);
                    let stride = |dim: usize| view.strides()[dim].unsigned_abs();
                    let strides = Strides { time: stride(0), batch: stride(1) };
                    (view.to_slice_memory_order().expect("without gaps"), strides)
                }

                fn is_nothing(tensor: &NdArrayTensor) -> bool {
                    let view = view!(tensor, $variant);
                    view.strides().iter().all(|&s| s == 0) && view.first() == Some(&0.0)
                }
            }
        };
    }
    value!(f32, F32);
    value!(f64, F64);
}
