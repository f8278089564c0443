//! PyTorch's `state_dict`s.

mod pickle;

use super::{WeightError, check_folder, file, guarded, listed, replace, shown};
use crate::cell::Cell;
use crate::{Bias, Direction, Recurrent};
use burn::store::{
    ModuleAdapter, ModuleContext, ModuleSnapshot, ModuleStore, SafetensorsStore, bridge,
    burn_pack::Tensor as PackTensor,
};
use burn::tensor::{Tensor, TensorData};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const PYTORCH: &str = "PyTorch";

/// PyTorch's names of the parameters of one layer and direction, in the order of [`Layer`](crate::Layer)'s fields.
const NAMES: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

impl<C: Cell> Recurrent<C> {
    /// Loads the weights of an `nn.RNN`, `nn.LSTM` or `nn.GRU` from a `.safetensors`, `.pt` or `.pth` file that holds
    /// a `state_dict`. `prefix` is the layer's name in the model, such as `encoder.lstm`; empty where the file is the
    /// layer's own. Everything else in the file is left alone. Names are taken as the file has them, numbers with
    /// gaps among them. Values are converted to the layer's dtype.
    ///
    /// A `state_dict` holds no options: give an `nn.RNN(nonlinearity="relu")` the same activation here.
    ///
    /// # Errors
    /// A file that cannot be read, lacks a parameter, has one more, has one of another shape or one that is not of
    /// floats; a layer that PyTorch does not have. Where nothing lies under `prefix`, the error names the prefixes
    /// that the file has.
    pub fn load_pytorch(mut self, path: impl AsRef<Path>, prefix: &str) -> Result<Self, WeightError> {
        let path = path.as_ref();
        self.check_pytorch()?;
        // For a missing file the error is the system's.
        std::fs::File::open(path).map_err(|e| file(path, e))?;
        guarded(path, || self.fill_from_pytorch(path, &dotted(prefix)))?;
        Ok(self)
    }

    fn fill_from_pytorch(&mut self, path: &Path, prefix: &str) -> Result<(), WeightError> {
        let Found { mut tensors, prefixes } = read(path, prefix)?;
        let known = match tensors.is_empty() {
            true => nothing(path, prefix, &prefixes),
            false => listed(tensors.keys()),
        };
        let directions = self.config.direction.count();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            // Data is read only where the shape is right, so that a file cannot ask for more than the layer has.
            let mut take = |which: usize, expected: Vec<usize>| {
                let name = format!("{prefix}{}", name(which, index, directions));
                let Some(tensor) = tensors.remove(&name) else {
                    return Err(WeightError::Missing { path: path.into(), name, known: known.clone() });
                };
                let shape: Vec<usize> = tensor.shape.iter().copied().collect();
                if shape != expected {
                    return Err(WeightError::Shape {
                        path: path.into(),
                        name,
                        expected,
                        found: shape,
                        library: PYTORCH,
                    });
                }
                if !tensor.dtype.is_float() {
                    let found = format!("{:?}", tensor.dtype);
                    return Err(WeightError::Numbers { path: path.into(), name, found });
                }
                bridge::into_data(tensor).map_err(|e| file(path, e))
            };
            let mut matrices = vec![(0, &mut layer.weight_ih)];
            matrices.extend(layer.weight_hh.as_mut().map(|weight_hh| (1, weight_hh)));
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
        match tensors.into_keys().next() {
            Some(name) => Err(WeightError::Unused { path: path.into(), name: shown(&name) }),
            None => Ok(()),
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
        check_folder(path)?;
        let adapter = ToPytorch { prefix: dotted(prefix), directions: self.config.direction.count() };
        let mut store = SafetensorsStore::from_file(path).overwrite(true).skip_enum_variants(true);
        store = store.with_to_adapter(adapter);
        self.save_into(&mut store).map_err(|e| file(path, e))
    }

    fn check_pytorch(&self) -> Result<(), WeightError> {
        let config = &self.config;
        // The cell first: no other option makes a layer that PyTorch has of one that it has not.
        if let Some(what) = config.cell.unlike_pytorch() {
            Err(unlike(what))
        } else if config.direction == Direction::Backward {
            Err(unlike("the backward direction alone"))
        } else if config.bias == Bias::One {
            Err(unlike("one bias; make the layer with Bias::Two or Preset::Pytorch"))
        } else if config.d_hidden.windows(2).any(|pair| pair[0] != pair[1]) {
            Err(unlike("layers of different sizes"))
        } else if config.layer_norm {
            Err(unlike("layer normalisation inside the cell"))
        } else {
            Ok(())
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

/// The recurrent layers of a file.
struct Found {
    /// The parameters of the layer under the prefix, by their names; their data is not read yet.
    tensors: BTreeMap<String, PackTensor>,
    /// Every prefix under which there are such parameters.
    prefixes: BTreeSet<String>,
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

fn read(path: &Path, prefix: &str) -> Result<Found, WeightError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let tensors = match extension.as_str() {
        "safetensors" => {
            let mut store = SafetensorsStore::from_file(path).map_indices_contiguous(false);
            store.get_all_tensors().map_err(|e| file(path, e))?.values().cloned().collect()
        }
        "pt" | "pth" => pickle::read(path).map_err(|problem| file(path, problem))?,
        _ => return Err(format(path)),
    };
    let mut found = Found { tensors: BTreeMap::new(), prefixes: BTreeSet::new() };
    for tensor in tensors {
        let name = tensor.name.clone();
        let (before, own) = name.rsplit_once('.').unwrap_or(("", &name));
        if NAMES.iter().any(|start| own.strip_prefix(start).is_some_and(|rest| rest.starts_with("_l"))) {
            found.prefixes.insert(before.to_string());
            if dotted(before) == prefix {
                found.tensors.insert(name, tensor);
            }
        }
    }
    Ok(found)
}

/// What to say of a file that has nothing under `prefix`.
fn nothing(path: &Path, prefix: &str, prefixes: &BTreeSet<String>) -> String {
    let asked = prefix.strip_suffix('.').unwrap_or(prefix);
    let nothing = format!("nothing of a recurrent layer under {asked:?}");
    let others = match prefixes.is_empty() {
        true => ", nor under another prefix".to_string(),
        false => format!(", but under {}", listed(prefixes.iter().map(|prefix| format!("{prefix:?}")))),
    };
    match !is_safetensors(path) && pickle::is_module(path) {
        true => format!("{nothing}{others}; {}", pickle::SAVE_STATE_DICT),
        false => format!("{nothing}{others}"),
    }
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
