//! Keras' weights.

mod h5;
mod npz;

use super::{WeightError, guarded, replace};
use crate::cell::{Cell, GruCell, LstmCell, RnnCell};
use crate::{Bias, Direction, Recurrent};
use burn::tensor::{Tensor, TensorData};
use std::path::Path;

const KERAS: &str = "Keras";

/// What Keras calls a layer's arrays, in its order.
const ARRAYS: [&str; 3] = ["kernel", "recurrent_kernel", "bias"];

/// A cell that Keras has too.
pub trait KerasCell: Cell {
    /// Where each of this cell's gates lies among Keras' gates.
    const KERAS_GATES: &'static [usize];

    /// What Keras has no layer for, if that is so.
    fn unlike_keras(&self) -> Option<&'static str>;
}

impl KerasCell for RnnCell {
    const KERAS_GATES: &'static [usize] = &[0];

    fn unlike_keras(&self) -> Option<&'static str> {
        self.clip.map(|_| "clipping")
    }
}

impl KerasCell for LstmCell {
    const KERAS_GATES: &'static [usize] = &[0, 1, 2, 3];

    fn unlike_keras(&self) -> Option<&'static str> {
        if self.peepholes {
            Some("peepholes")
        } else if self.coupled {
            Some("coupled gates")
        } else if self.proj_size.is_some() {
            Some("a projection")
        } else if self.clip.is_some() {
            Some("clipping")
        } else if self.cell_activation != self.hidden_activation {
            Some("different activations of candidate and output")
        } else {
            None
        }
    }
}

/// Keras packs `z r h`, which are z, r and n here.
impl KerasCell for GruCell {
    const KERAS_GATES: &'static [usize] = &[1, 0, 2];

    fn unlike_keras(&self) -> Option<&'static str> {
        self.clip.map(|_| "clipping")
    }
}

/// An array of a file, row by row.
struct Array {
    name: String,
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl<C: KerasCell> Recurrent<C> {
    /// Loads the weights of Keras' `SimpleRNN`, `LSTM`, `GRU` or a `Bidirectional` of them, one of these a layer.
    ///
    /// From a `.weights.h5` file (`model.save_weights`) or a `.keras` archive (`model.save`), `names` are the layers'
    /// names as `model.summary()` shows them, the first layer's first: `&["lstm", "lstm_1"]` for a stack of two. A name with
    /// a slash in it is a path inside the file, such as `layers/sequential/layers/lstm`. The file's other layers are left
    /// alone.
    ///
    /// From an `.npz` file, which holds `arr_0`, `arr_1`, … in the order of `get_weights()`, `names` is empty. Values are
    /// converted to the layer's dtype.
    ///
    /// # Errors
    /// A file that cannot be read, has no such layer or two of that name, lacks an array, has one more, or has one of
    /// another shape; a layer that Keras does not have.
    pub fn load_keras(mut self, path: impl AsRef<Path>, names: &[&str]) -> Result<Self, WeightError> {
        let path = path.as_ref();
        self.check_keras()?;
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let (directions, layers) = (self.config.direction.count(), self.config.d_hidden.len());
        // A missing file is told in the system's words.
        let bytes = std::fs::read(path).map_err(|e| file(path, e))?;
        let (places, found) = guarded(path, || match extension.as_str() {
            "npz" => npz::read(path, bytes, names),
            "keras" => h5::read(path, npz::entry(path, bytes, "model.weights.h5")?, names, layers),
            "h5" | "hdf5" => h5::read(path, bytes, names, layers),
            _ => Err(format(path, ".weights.h5, .keras or .npz")),
        })?;
        let known = match found.is_empty() {
            true => "no array of a recurrent layer".to_string(),
            false => found.iter().map(|array| array.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let mut found: Vec<Option<Array>> = found.into_iter().map(Some).collect();
        let per_direction = if self.config.bias == Bias::None { 2 } else { 3 };
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let mut take = |which: usize, expected: Vec<usize>| {
                let name = match &places {
                    None => format!("arr_{}", index * per_direction + which),
                    Some(layers) => {
                        let both = ["forward_layer/", "backward_layer/"][index % directions];
                        let both = if directions == 2 { both } else { "" };
                        format!("{}/{both}cell/vars/{which}", layers[index / directions])
                    }
                };
                let array = found.iter_mut().find(|a| a.as_ref().is_some_and(|a| a.name == name));
                let name = format!("{name} ({})", ARRAYS[which]);
                let Some(array) = array.and_then(Option::take) else {
                    return Err(WeightError::Missing { path: path.into(), name, known: known.clone() });
                };
                if array.shape != expected {
                    let (path, found) = (path.into(), array.shape);
                    return Err(WeightError::Shape { path, name, expected, found, library: KERAS });
                }
                let [rows, columns] = rows_and_columns(&expected);
                Ok(reorder(array.values, rows, columns / C::KERAS_GATES.len(), C::KERAS_GATES))
            };
            for (which, param) in [&mut layer.weight_ih, &mut layer.weight_hh].into_iter().enumerate() {
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
        match found.into_iter().flatten().next() {
            Some(array) => Err(WeightError::Unused { path: path.into(), name: array.name }),
            None => Ok(self),
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
        let mut gates = vec![0; C::KERAS_GATES.len()];
        C::KERAS_GATES.iter().enumerate().for_each(|(ours, &keras)| gates[keras] = ours);
        let values = |data: TensorData| data.iter::<f64>().collect::<Vec<f64>>();
        let mut arrays = Vec::new();
        for layer in &self.layers {
            let mut put = |shape: Vec<usize>, values: Vec<f64>| {
                let [rows, columns] = rows_and_columns(&shape);
                let values = reorder(values, rows, columns / C::KERAS_GATES.len(), &gates);
                arrays.push(Array { name: format!("arr_{}", arrays.len()), shape, values });
            };
            for weight in [&layer.weight_ih, &layer.weight_hh] {
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
        let what = match config.bias {
            Bias::None => None,
            bias if bias == config.cell.keras_bias() => None,
            Bias::One => Some("one bias; make the layer with Preset::Keras"),
            Bias::Two => Some("two biases; make the layer with Preset::Keras"),
        };
        // Keras' second layer would get the outputs of the first in the order in which they were made.
        let backward = config.direction == Direction::Backward && config.d_hidden.len() > 1;
        let what = what.or(backward.then_some("a stack of backward layers"));
        let what = what.or(config.layer_norm.then_some("layer normalisation inside the cell"));
        let what = what.or(config.cell.unlike_keras());
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

fn file(path: &Path, problem: impl ToString) -> WeightError {
    WeightError::File { path: path.into(), problem: problem.to_string() }
}

fn format(path: &Path, formats: &'static str) -> WeightError {
    WeightError::Format { path: path.into(), formats }
}
