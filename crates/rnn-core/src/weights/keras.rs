//! Keras' weights.

mod archive;
mod cells;
mod config;
mod h5;
mod npz;

pub use cells::KerasCell;

use super::{WeightError, check_folder, file, guarded, listed, replace, shown};
use crate::{Bias, Direction, Recurrent};
use archive::Archive;
use burn::tensor::{Tensor, TensorData};
use config::{Config, Expected};
use std::path::Path;

const KERAS: &str = "Keras";

/// What Keras calls a layer's arrays, in its order.
const ARRAYS: [&str; 3] = ["kernel", "recurrent_kernel", "bias"];

/// The arrays of a file. A shape is looked at before the values are read, so that a file cannot ask for more than the
/// layer has.
trait Source {
    /// Their names.
    fn names(&self) -> Vec<String>;

    /// The shape of the `index`-th.
    fn shape(&mut self, index: usize) -> Result<Vec<usize>, WeightError>;

    /// The values of the `index`-th, row by row; as many as its shape says.
    fn values(&mut self, index: usize) -> Result<Vec<f64>, WeightError>;
}

impl<C: KerasCell> Recurrent<C> {
    /// Loads the weights of Keras' `SimpleRNN`, `LSTM`, `GRU` or a `Bidirectional` of them, one of these a layer.
    ///
    /// From a `.weights.h5` file (`model.save_weights`) or a `.keras` archive (`model.save`), `names` are the layers'
    /// names as `model.summary()` shows them, the first layer's first: `&["lstm", "lstm_1"]` for a stack of two. A
    /// name with a slash in it is a path inside the file, such as `layers/sequential/layers/lstm`. The file's other
    /// layers are left alone.
    ///
    /// From an `.npz` file, which holds `arr_0`, `arr_1`, … in the order of `get_weights()`, `names` is empty. Values
    /// are converted to the layer's dtype.
    ///
    /// Only a `.keras` archive holds the layers' options; they are compared. `.weights.h5` and `.npz` files hold arrays
    /// alone: whether activations, direction and the like are the same is for the caller to know.
    ///
    /// # Errors
    /// A file that cannot be read, has no such layer or two of that name, lacks an array, has one more, has one of
    /// another shape or one that is not of floats; a layer that Keras does not have. From a `.keras` archive also a
    /// layer with another class, `units`, `activation`, `recurrent_activation`, `use_bias`, `reset_after`,
    /// `go_backwards` or `merge_mode`, and one that the archive's `config.json` does not describe.
    pub fn load_keras(mut self, path: impl AsRef<Path>, names: &[&str]) -> Result<Self, WeightError> {
        let path = path.as_ref();
        self.check_keras()?;
        // For a missing file the error is the system's.
        let bytes = std::fs::read(path).map_err(|e| file(path, e))?;
        guarded(path, || self.fill_from_keras(path, bytes, names))?;
        Ok(self)
    }

    fn fill_from_keras(&mut self, path: &Path, bytes: Vec<u8>, names: &[&str]) -> Result<(), WeightError> {
        let layers = self.config.d_hidden.len();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "npz" => self.fill(path, None, &mut npz::Arrays::open(path, bytes, names)?),
            "keras" => {
                let mut archive = Archive::open(path, bytes)?;
                let weights = archive.weights("model.weights.h5")?;
                let config = Config::parse(path, &archive.json("config.json")?)?;
                drop(archive);
                let mut all = h5::Layers::open(path, weights)?;
                all.take_names(&config);
                let found = all.find(names, layers)?;
                for (place, units) in found.iter().zip(&self.config.d_hidden) {
                    let cell = &self.config.cell;
                    config.check(path, place, &Expected::new(cell, self.config.direction, self.config.bias, *units))?;
                }
                let places: Vec<String> = found.into_iter().map(|layer| layer.path.clone()).collect();
                self.fill(path, Some(&places), &mut all.arrays(&places)?)
            }
            "h5" | "hdf5" => {
                let all = h5::Layers::open(path, bytes)?;
                let places: Vec<String> =
                    all.find(names, layers)?.into_iter().map(|layer| layer.path.clone()).collect();
                self.fill(path, Some(&places), &mut all.arrays(&places)?)
            }
            _ => Err(format(path, ".weights.h5, .keras or .npz")),
        }
    }

    /// Takes every parameter from `source`, where the layers lie at `places`, if it has such.
    fn fill(&mut self, path: &Path, places: Option<&[String]>, source: &mut dyn Source) -> Result<(), WeightError> {
        let found = source.names();
        let mut used = vec![false; found.len()];
        let directions = self.config.direction.count();
        let per_direction = if self.config.bias == Bias::None { 2 } else { 3 };
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let mut take = |which: usize, expected: Vec<usize>| {
                let name = match places {
                    None => format!("arr_{}", number * per_direction + which),
                    Some(places) => {
                        let both = ["forward_layer/", "backward_layer/"][number % directions];
                        let both = if directions == 2 { both } else { "" };
                        format!("{}/{both}cell/vars/{which}", places[number / directions])
                    }
                };
                let index =
                    found.iter().enumerate().position(|(index, n)| *n == name && !(used[index] && places.is_none()));
                let name = format!("{name} ({})", ARRAYS[which]);
                let Some(index) = index else {
                    let known = if found.is_empty() { "no array of a recurrent layer".into() } else { listed(&found) };
                    return Err(WeightError::Missing { path: path.into(), name, known });
                };
                used[index] = true;
                let shape = source.shape(index)?;
                if shape != expected {
                    return Err(WeightError::Shape { path: path.into(), name, expected, found: shape, library: KERAS });
                }
                let values = source.values(index)?;
                if values.len() != expected.iter().product::<usize>() {
                    return Err(file(path, format!("{name}: it has {} values for the shape {shape:?}", values.len())));
                }
                let [rows, columns] = rows_and_columns(&expected);
                Ok(reorder(values, rows, columns / C::KERAS_GATES.len(), C::KERAS_GATES))
            };
            for (which, param) in
                [Some(&mut layer.weight_ih), layer.weight_hh.as_mut()].into_iter().flatten().enumerate()
            {
                let shape = param.val().dims();
                let values = take(which, shape.to_vec())?;
                replace(param, TensorData::new(values, shape), |weight| weight);
            }
            if let Some(input) = &mut layer.bias_ih {
                let [width] = input.val().dims();
                let shape = if layer.bias_hh.is_some() { vec![2, width] } else { vec![width] };
                let mut values = take(2, shape)?;
                if let Some(recurrent) = &mut layer.bias_hh {
                    let values = values.split_off(width);
                    replace(recurrent, TensorData::new(values, [width]), |bias| bias);
                }
                replace(input, TensorData::new(values, [width]), |bias| bias);
            }
        }
        match found.into_iter().zip(used).find(|(_, used)| !used) {
            Some((name, _)) => Err(WeightError::Unused { path: path.into(), name: shown(&name) }),
            None => Ok(()),
        }
    }

    /// Writes the weights as an `.npz` file of `arr_0`, `arr_1`, … in the order of Keras' `get_weights()`, layer after
    /// layer. One layer goes into Keras by `layer.set_weights(list(np.load("w.npz").values()))`. It is written under a
    /// temporary name and renamed.
    ///
    /// # Errors
    /// A file that cannot be written; a layer that Keras does not have.
    pub fn save_keras(&self, path: impl AsRef<Path>) -> Result<(), WeightError> {
        let path = path.as_ref();
        self.check_keras()?;
        if path.extension().is_none_or(|extension| extension != "npz") {
            return Err(format(path, ".npz"));
        }
        check_folder(path)?;
        let mut gates = vec![0; C::KERAS_GATES.len()];
        C::KERAS_GATES.iter().enumerate().for_each(|(ours, &keras)| gates[keras] = ours);
        let values = |data: TensorData| data.iter::<f64>().collect::<Vec<f64>>();
        let mut arrays = Vec::new();
        for layer in &self.layers {
            let mut put = |shape: Vec<usize>, values: Vec<f64>| {
                let [rows, columns] = rows_and_columns(&shape);
                let values = reorder(values, rows, columns / C::KERAS_GATES.len(), &gates);
                arrays.push((shape, values));
            };
            for weight in [Some(&layer.weight_ih), layer.weight_hh.as_ref()].into_iter().flatten() {
                put(weight.val().dims().to_vec(), values(weight.val().into_data()));
            }
            let biases = [&layer.bias_ih, &layer.bias_hh].into_iter().flatten();
            let biases: Vec<Tensor<1>> = biases.map(|bias| bias.val()).collect();
            match &biases[..] {
                [] => {}
                [one] => put(one.dims().to_vec(), values(one.to_data())),
                [first, ..] => {
                    let shape = vec![biases.len(), first.dims()[0]];
                    put(shape, biases.iter().flat_map(|bias| values(bias.to_data())).collect());
                }
            }
        }
        npz::write(path, &arrays)
    }

    fn check_keras(&self) -> Result<(), WeightError> {
        let config = &self.config;
        // The cell first: no other option makes a layer that Keras has of one that it has not.
        let what = config.cell.unlike_keras().or(match config.bias {
            Bias::None => None,
            bias if bias == config.cell.keras_bias() => None,
            Bias::One => Some("one bias; make the layer with Preset::Keras"),
            Bias::Two => Some("two biases; make the layer with Preset::Keras"),
        });
        // Keras' second layer would get the outputs of the first in the order in which they were made.
        let backward = config.direction == Direction::Backward && config.d_hidden.len() > 1;
        let what = what.or(backward.then_some("a stack of backward layers"));
        let what = what.or(config.layer_norm.then_some("layer normalisation inside the cell"));
        what.map_or(Ok(()), |what| Err(WeightError::Unlike { library: KERAS, what }))
    }
}

fn rows_and_columns(shape: &[usize]) -> [usize; 2] {
    match *shape {
        [rows, columns] => [rows, columns],
        _ => [1, shape.iter().product()],
    }
}

/// Puts the blocks of `width` columns of each row in another order: the first is `gates[0]` of the old ones, and so on.
fn reorder(values: Vec<f64>, rows: usize, width: usize, gates: &[usize]) -> Vec<f64> {
    let row = gates.len() * width;
    let blocks = (0..rows).flat_map(|r| gates.iter().map(move |gate| r * row + gate * width));
    blocks.flat_map(|start| values[start..start + width].iter().copied()).collect()
}

fn format(path: &Path, formats: &'static str) -> WeightError {
    WeightError::Format { path: path.into(), formats }
}
