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

mod burn_nn;
#[cfg(feature = "keras")]
mod keras;
mod pytorch;

pub use burn_nn::BurnCell;
#[cfg(feature = "keras")]
pub use keras::KerasCell;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use std::path::{Path, PathBuf};

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
    #[error("{}: the name says no format; give a {formats} file", path.display())]
    Format {
        /// Which one.
        path: PathBuf,
        /// The endings that are known.
        formats: &'static str,
    },
    /// Not one layer name a layer.
    #[error("{}: {found} layer names were given, expected {expected}; the file has {known}", path.display())]
    NameCount {
        /// The file.
        path: PathBuf,
        /// The number of layers; 0 for a file that knows no layers.
        expected: usize,
        /// The number of names.
        found: usize,
        /// The layers in the file.
        known: String,
    },
    /// A layer name that the file has more than once.
    #[error("{}: {name} is the name of {paths}; give one of these paths", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// Where in the file it stands.
        paths: String,
    },
    /// The file lacks a parameter that the layer has.
    #[error("{}: there is no {name}; the file has {known}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The parameter, by the other library's name.
        name: String,
        /// What the file has there.
        known: String,
    },
    /// The file has a parameter of a recurrent layer that this layer lacks.
    #[error("{}: {name} has no place in this layer; make it with the same layers, directions and biases", path.display())]
    Unused {
        /// The file.
        path: PathBuf,
        /// The parameter, by the other library's name.
        name: String,
    },
    /// A parameter has another shape in the file.
    #[error("{}: {name} is {found:?}, but the layer's is {expected:?} ({library}'s way round)", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The parameter, by the other library's name.
        name: String,
        /// The layer's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
        /// Whose file it is.
        library: &'static str,
    },
    /// The other library has no such layer.
    #[error("{library} has no layer with {what}")]
    Unlike {
        /// The library.
        library: &'static str,
        /// What it lacks.
        what: &'static str,
    },
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

/// Reads `path` with `read`; a damaged file, which can make the readers of the formats panic, is an error too.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, WeightError>) -> Result<T, WeightError> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    caught.unwrap_or_else(|_| Err(WeightError::File { path: path.into(), problem: "it is damaged".into() }))
}
