//! PyTorch's `state_dict`s.

use super::{WeightError, guarded, replace};
use crate::cell::Cell;
use crate::{Bias, Direction, Recurrent};
use burn::store::{
    ModuleAdapter, ModuleContext, ModuleSnapshot, ModuleStore, PytorchStore, SafetensorsStore, bridge,
    burn_pack::Tensor as PackTensor,
};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeMap;
use std::path::Path;

const PYTORCH: &str = "PyTorch";

/// PyTorch's names of the parameters of one layer and direction, in the order of [`Layer`](crate::Layer)'s fields.
const NAMES: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

impl<C: Cell> Recurrent<C> {
    /// Loads the weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU` from a `.safetensors`, `.pt` or `.pth` file that holds a
    /// `state_dict`. `prefix` is the layer's name in the model, such as `encoder.lstm`; empty where the file is the layer's
    /// own. Everything else in the file is left alone. Values are converted to the layer's dtype.
    ///
    /// # Errors
    /// A file that cannot be read, lacks a parameter, has one more, or has one of another shape; a layer that PyTorch
    /// does not have.
    pub fn load_pytorch(mut self, path: impl AsRef<Path>, prefix: &str) -> Result<Self, WeightError> {
        let (path, prefix) = (path.as_ref(), dotted(prefix));
        self.check_pytorch()?;
        let mut found = read(path, &prefix)?;
        let known = match found.is_empty() {
            true => format!("nothing of a recurrent layer under {prefix:?}"),
            false => found.keys().cloned().collect::<Vec<_>>().join(", "),
        };
        let directions = self.config.direction.count();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let mut take = |which: usize, expected: Vec<usize>| {
                let name = format!("{prefix}{}", name(which, index, directions));
                let Some(data) = found.remove(&name) else {
                    return Err(WeightError::Missing { path: path.into(), name, known: known.clone() });
                };
                let shape: Vec<usize> = data.shape().iter().copied().collect();
                if shape == expected {
                    return Ok(data);
                }
                Err(WeightError::Shape { path: path.into(), name, expected, found: shape, library: PYTORCH })
            };
            let mut matrices = vec![(0, &mut layer.weight_ih), (1, &mut layer.weight_hh)];
            matrices.extend(layer.weight_hr.as_mut().map(|weight_hr| (4, weight_hr)));
            for (which, param) in matrices {
                let [rows, columns] = param.val().dims();
                let data = take(which, vec![columns, rows])?;
                replace(param, data, Tensor::transpose);
            }
            for (which, param) in [&mut layer.bias_ih, &mut layer.bias_hh].into_iter().enumerate() {
                if let Some(param) = param {
                    let data = take(2 + which, param.val().dims().to_vec())?;
                    replace(param, data, |bias| bias);
                }
            }
        }
        match found.into_keys().next() {
            Some(name) => Err(WeightError::Unused { path: path.into(), name }),
            None => Ok(self),
        }
    }

    /// Writes the weights as a `.safetensors` file that PyTorch's `load_state_dict(strict=True)` accepts, with `prefix`
    /// before the names if it is not empty. It is written under a temporary name and renamed.
    ///
    /// # Errors
    /// A file that cannot be written; a layer that PyTorch does not have.
    pub fn save_pytorch(&self, path: impl AsRef<Path>, prefix: &str) -> Result<(), WeightError> {
        let path = path.as_ref();
        self.check_pytorch()?;
        if path.extension().is_none_or(|extension| extension != "safetensors") {
            return Err(WeightError::Format { path: path.into(), formats: ".safetensors" });
        }
        let file = |problem: String| WeightError::File { path: path.into(), problem };
        let adapter = ToPytorch { prefix: dotted(prefix), directions: self.config.direction.count() };
        let mut store = SafetensorsStore::from_file(path).overwrite(true).skip_enum_variants(true);
        store = store.with_to_adapter(adapter);
        self.save_into(&mut store).map_err(|e| file(e.to_string()))
    }

    fn check_pytorch(&self) -> Result<(), WeightError> {
        let config = &self.config;
        if config.direction == Direction::Backward {
            Err(unlike("the backward direction alone"))
        } else if config.bias == Bias::One {
            Err(unlike("one bias; make the layer with Bias::Two or Preset::Pytorch"))
        } else if config.d_hidden.windows(2).any(|pair| pair[0] != pair[1]) {
            Err(unlike("layers of different sizes"))
        } else if config.layer_norm {
            Err(unlike("layer normalisation inside the cell"))
        } else {
            config.cell.unlike_pytorch().map_or(Ok(()), |what| Err(unlike(what)))
        }
    }
}

fn unlike(what: &'static str) -> WeightError {
    WeightError::Unlike { library: PYTORCH, what }
}

fn format(path: &Path) -> WeightError {
    WeightError::Format { path: path.into(), formats: ".safetensors, .pt or .pth" }
}

/// `weight_ih_l0`, `bias_hh_l2_reverse`.
fn name(which: usize, index: usize, directions: usize) -> String {
    let reverse = if index % directions == 1 { "_reverse" } else { "" };
    format!("{}_l{}{reverse}", NAMES[which], index / directions)
}

fn dotted(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('.') { prefix.to_string() } else { format!("{prefix}.") }
}

/// The file's parameters of a recurrent layer directly under `prefix`.
fn read(path: &Path, prefix: &str) -> Result<BTreeMap<String, TensorData>, WeightError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = |problem: String| WeightError::File { path: path.into(), problem };
    // A missing file is told in the system's words.
    std::fs::File::open(path).map_err(|e| file(e.to_string()))?;
    guarded(path, || match extension.as_str() {
        "safetensors" => collect(SafetensorsStore::from_file(path), prefix).map_err(file),
        "pt" | "pth" => collect(PytorchStore::from_file(path), prefix).map_err(file),
        _ => Err(format(path)),
    })
}

fn collect<S: ModuleStore>(mut store: S, prefix: &str) -> Result<BTreeMap<String, TensorData>, String> {
    let all = store.get_all_tensors().map_err(|e| e.to_string())?;
    let ours = all.iter().filter(|(name, _)| {
        let name = name.strip_prefix(prefix).unwrap_or_default();
        name.starts_with("weight_ih_l")
            || name.starts_with("weight_hh_l")
            || name.starts_with("weight_hr_l")
            || name.starts_with("bias_ih_l")
            || name.starts_with("bias_hh_l")
    });
    ours.map(|(name, tensor)| Ok((name.clone(), bridge::to_data(tensor).map_err(|e| e.to_string())?))).collect()
}

/// Renames and transposes parameters on their way out.
#[derive(Clone)]
struct ToPytorch {
    prefix: String,
    directions: usize,
}

impl ModuleAdapter for ToPytorch {
    /// `layers.3.weight_ih` becomes `weight_ih_l1_reverse`, for two directions.
    fn adapt(&self, tensor: PackTensor, _: ModuleContext<'_>) -> PackTensor {
        let path: Vec<&str> = tensor.name.split('.').collect();
        let ["layers", index, field] = path[..] else { return tensor };
        let which = NAMES.iter().position(|name| *name == field);
        let (Ok(index), Some(which)) = (index.parse::<usize>(), which) else { return tensor };
        let name = format!("{}{}", self.prefix, name(which, index, self.directions));
        match *tensor.shape.clone() {
            [rows, columns] => {
                let transpose = move |data: TensorData| {
                    let values: Vec<f64> = data.iter::<f64>().collect();
                    let turned = (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c)));
                    let turned: Vec<f64> = turned.map(|(r, c)| values[r * columns + c]).collect();
                    TensorData::new(turned, [columns, rows]).convert_dtype(data.dtype())
                };
                let dtype = tensor.dtype;
                bridge::map_data(tensor, name, dtype, [columns, rows].into(), transpose)
            }
            _ => {
                let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
                bridge::map_data(tensor, name, dtype, shape, |data| data)
            }
        }
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}
