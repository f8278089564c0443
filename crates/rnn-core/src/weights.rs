//! Weights from and for other libraries.
//!
//! # PyTorch
//! `state_dict`s that hold an `nn.RNN`, `nn.LSTM` or `nn.GRU`, on Burn's `burn-store`.
//!
//! PyTorch names a layer's parameters `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`, the next layer's
//! `…_l1`, the backward direction's `…_l0_reverse`. Its gates lie in the order used here, and its matrices are the
//! transposes of these.
//!
//! | PyTorch | here |
//! |---|---|
//! | `nn.RNN(3, 4)` | `RnnConfig::new(3, 4).with_preset(Preset::Pytorch)` |
//! | `nn.LSTM(3, 4, num_layers=2, bidirectional=True)` | `LstmConfig::new(3, 4).with_num_layers(2).with_direction(Direction::Bidirectional).with_preset(Preset::Pytorch)` |
//! | `nn.GRU(3, 4, bias=False)` | `GruConfig::new(3, 4).with_bias(Bias::None)` |
//!
//! Names stay as the file has them: where `nn.Sequential` or `nn.ModuleList` leave gaps, `layers.4` is `layers.4`. A
//! `state_dict` holds no options: the activation of an `nn.RNN` is for the caller to know.
//!
//! # Keras
//! `SimpleRNN`, `LSTM`, `GRU` and `Bidirectional` of Keras 3, behind the feature `keras`, which is off by default.
//!
//! `load_keras` reads the file of `model.save_weights("w.weights.h5")` or the archive of `model.save("m.keras")`, by
//! the layers' names, one Keras layer a layer:
//!
//! ```no_run
//! # use rnn_core::{LstmConfig, burn::tensor::Device};
//! let lstm = LstmConfig::new(8, 32).with_num_layers(2).init_zeros(&Device::default());
//! let lstm = lstm.load_keras("w.weights.h5", &["lstm", "lstm_1"])?; // model.summary() shows these names
//! # Ok::<(), rnn_core::weights::WeightError>(())
//! ```
//!
//! It also reads an `.npz` of the arrays that `get_weights()` gives, one layer's after another's, and `save_keras`
//! writes such a file:
//!
//! ```python
//! np.savez("w.npz", *lstm.get_weights(), *lstm_1.get_weights())  # then load_keras("w.npz", &[])
//! lstm.set_weights(list(np.load("w.npz").values()))              # after save_keras("w.npz"), for one layer
//! ```
//!
//! | Keras | here |
//! |---|---|
//! | `SimpleRNN(4)` after 3 features | `RnnConfig::new(3, 4)` |
//! | `Bidirectional(LSTM(4))` | `LstmConfig::new(3, 4).with_direction(Direction::Bidirectional)` |
//! | `LSTM(4), LSTM(5)` | `LstmConfig::new(3, 4).with_d_hidden([4, 5])` |
//! | `GRU(4, reset_after=False)` | `GruConfig::new(3, 4).with_reset_after(false)` |
//! | `LSTM(4, use_bias=False)` | `LstmConfig::new(3, 4).with_bias(Bias::None)` |
//!
//! A `.keras` archive also holds the layers' options. A layer whose class, `units`, `activation`,
//! `recurrent_activation`, `use_bias`, `reset_after`, `go_backwards` or `merge_mode` (which must be `concat`) differs
//! gives an error with both values, because its numbers would differ. Options of training (dropout, initialisers,
//! regularisers) are not compared, nor are `return_sequences` and `stateful`, which say what the caller does with a
//! layer. `.weights.h5` and `.npz` files hold arrays and no options: there it is for the caller to make the layer
//! with those of Keras' layer. Keras 2's files have another layout and are not read.
//!
//! Keras packs the GRU's gates as `z r h`, which are reordered, and keeps its two biases in one array `[2, 3·units]`.
//!
//! # burn-nn
//! `from_burn` makes a layer of a `burn::nn::Rnn`, `Lstm` or `Gru`, `to_burn` the opposite; `from_burn_bidirectional`
//! and `to_burn_bidirectional` do it for `BiRnn`, `BiLstm` and `BiGru`. A record is loaded into its module, so this
//! converts records too:
//!
//! ```
//! use rnn_core::burn::module::Module;
//! use rnn_core::burn::nn::LstmConfig;
//! use rnn_core::burn::tensor::Device;
//!
//! # let device = Device::default();
//! # let record = LstmConfig::new(3, 4, true).init(&device).into_record();
//! let lstm = rnn_core::Lstm::from_burn(&LstmConfig::new(3, 4, true).init(&device).load_record(record))?;
//! let record = lstm.to_burn()?.into_record(); // for burn::nn::Lstm
//! # Ok::<(), rnn_core::weights::WeightError>(())
//! ```

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
    /// A parameter is not of floating-point numbers.
    #[error("{}: {name} holds {found} numbers; only floats of 16, 32 and 64 bits are read", path.display())]
    Numbers {
        /// The file.
        path: PathBuf,
        /// The parameter, by the other library's name.
        name: String,
        /// What it holds.
        found: String,
    },
    /// A layer has another option in the file, and would give other numbers.
    #[error("{}: {layer} has {option} {found}, but the layer here has {expected}; make it with the file's {option}", path.display())]
    Option {
        /// The file.
        path: PathBuf,
        /// The layer, by its name in the file.
        layer: String,
        /// The option, by the other library's name.
        option: String,
        /// The file's value.
        found: String,
        /// The layer's value, in the other library's words.
        expected: String,
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
    let new = match old.gradient_checkpointing_strategy() {
        Some(strategy) => Tensor::from_inner(new).with_gradient_checkpointing_strategy(strategy),
        None => new,
    };
    let new = if old.is_require_grad() { new.require_grad() } else { new };
    *param = Param::initialized(param.id, new);
}

/// The most names that an error lists.
const LISTED: usize = 12;

/// `names` for an error: the first of them, and how many more there are. What a terminal would obey is escaped.
fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut names = names.into_iter();
    let mut text: Vec<String> = names.by_ref().take(LISTED).map(|name| shown(name.as_ref())).collect();
    match names.count() {
        0 => {}
        more => text.push(format!("and {more} more")),
    }
    text.join(", ")
}

/// A file's own word for an error.
fn shown(name: &str) -> String {
    bounded(name, 120)
}

/// The first `longest` characters; what a terminal would obey is escaped.
fn bounded(text: &str, longest: usize) -> String {
    let mut line = String::new();
    for character in text.chars().take(longest) {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    if text.chars().nth(longest).is_some() {
        line.push('…');
    }
    line
}

/// What was wrong with a file. Readers quote it, so the problem can be as long as the file.
fn file(path: &Path, problem: impl ToString) -> WeightError {
    WeightError::File { path: path.into(), problem: bounded(&problem.to_string(), 600) }
}

/// Whether there is a folder to write `path` in; the writers themselves would name a temporary file in it.
fn check_folder(path: &Path) -> Result<(), WeightError> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder.metadata().map(drop).map_err(|e| file(path, e)),
        None => Ok(()),
    }
}

/// Reads `path` with `read`; a damaged file, which can make the readers of the formats panic, is an error too.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, WeightError>) -> Result<T, WeightError> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    caught.unwrap_or_else(|_| Err(file(path, "it is damaged")))
}
