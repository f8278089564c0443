//! Weights from and for other libraries.
//!
//! # PyTorch
//! `state_dict`s that hold an `nn.RNN`, `nn.LSTM` or `nn.GRU`, on Burn's `burn-store`.
//!
//! PyTorch names a layer's parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, the next layer's `…_l1`, the
//! backward direction's `…_l0_reverse`. Its gates lie in the order used here, and its matrices are the transposes of these.
//!
//! | PyTorch | here |
//! |---|---|
//! | `nn.RNN(3, 4)` | `RnnConfig::new(3, 4).with_preset(Preset::Pytorch)` |
//! | `nn.LSTM(3, 4, num_layers=2, bidirectional=True)` | `LstmConfig::new(3, 4).with_num_layers(2).with_direction(Direction::Bidirectional).with_preset(Preset::Pytorch)` |
//! | `nn.GRU(3, 4, bias=False)` | `GruConfig::new(3, 4).with_bias(Bias::None)` |

mod pytorch;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use std::path::PathBuf;

/// Why weights cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightError {
    /// A file that cannot be read or written, or is not in its format.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
    /// A file whose name says no known format.
    #[error("{}: the name says no format; give a .safetensors, .pt or .pth file", .0.display())]
    Format(PathBuf),
    /// The file lacks a parameter that the layer has.
    #[error("{}: there is no {name}; the file has {known}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The parameter, by PyTorch's name.
        name: String,
        /// What the file has under the prefix.
        known: String,
    },
    /// The file has a parameter of a recurrent layer that this layer lacks.
    #[error("{}: {name} has no place in this layer; make it with the same layers, directions and biases", path.display())]
    Unused {
        /// The file.
        path: PathBuf,
        /// The parameter, by PyTorch's name.
        name: String,
    },
    /// A parameter has another shape in the file.
    #[error("{}: {name} is {found:?}, but the layer's is {expected:?} (PyTorch's way round)", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The parameter, by PyTorch's name.
        name: String,
        /// The layer's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// PyTorch has no such layer.
    #[error("PyTorch has no layer with {0}")]
    Unlike(&'static str),
}

/// Puts `data`, after `f`, in the place of a parameter, which keeps its id.
pub(crate) fn replace<const D: usize>(
    param: &mut Param<Tensor<D>>,
    data: TensorData,
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) {
    let old = param.val();
    let new = f(Tensor::from_data(data.convert_dtype(old.dtype()), (&old.device().inner(), old.dtype())));
    let new = if old.is_autodiff() { new.autodiff() } else { new };
    let new = if old.is_require_grad() { new.require_grad() } else { new };
    *param = Param::initialized(param.id, new);
}
