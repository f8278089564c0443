//! Finds recurrent layers in a `.weights.h5` file.
//!
//! Keras 3 writes a group per layer, called after its class (`layers/lstm_1`), in it `cell/vars/0`, `1` and `2`; a
//! `Bidirectional` has these in `forward_layer` and `backward_layer`. The name that the user knows is an attribute of
//! the group's `vars`; the first releases of Keras 3 did not write it.

use super::super::{WeightError, file, listed, shown};
use super::Source;
use super::config::Config;
use burn::tensor::{bf16, f16};
use hdf5_pure::{AttrValue, Dataset, Datatype, DatatypeByteOrder, Error, File, Group};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How deep models may lie in models.
const DEPTH: usize = 32;

/// How many groups and arrays are looked at. Groups can hold each other in a circle; large models have some thousands.
const VISITS: usize = 30_000;

/// Where a recurrent layer's arrays can lie in its group.
const PARTS: [&str; 3] = ["cell", "forward_layer/cell", "backward_layer/cell"];

/// The largest part of an array that is stored by itself, in bytes; Keras does not cut arrays.
const LARGEST_CHUNK: u64 = 256 << 20;

pub struct Layer {
    pub path: String,
    /// The name that the user knows, if the file tells it.
    pub name: Option<String>,
}

impl Layer {
    /// The name, or the path where there is none.
    pub fn called(&self) -> String {
        shown(self.name.as_ref().unwrap_or(&self.path))
    }

    /// Both.
    pub fn described(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({})", shown(name), shown(&self.path)),
            None => format!("{} (its name is not in the file)", shown(&self.path)),
        }
    }
}

/// The recurrent layers of a file.
pub struct Layers {
    path: PathBuf,
    file: File,
    layers: Vec<Layer>,
}

impl Layers {
    pub fn open(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightError> {
        let all = File::from_bytes(bytes).map_err(|e| file(path, e))?;
        let mut layers = Vec::new();
        let mut visits = VISITS;
        let whole = collect(&all.root(), "", 0, &mut visits, &mut layers).map_err(|e| file(path, e))?;
        if !whole {
            return Err(file(
                path,
                format!("it has more than {VISITS} groups and arrays, or groups that hold themselves"),
            ));
        }
        Ok(Self { path: path.into(), file: all, layers })
    }

    /// Takes the names that the file does not have from `config`.
    pub fn take_names(&mut self, config: &Config) {
        for layer in self.layers.iter_mut().filter(|layer| layer.name.is_none()) {
            layer.name = config.name_at(&layer.path).map(str::to_string);
        }
    }

    /// The layers called `names`, which must be `expected`.
    pub fn find(&self, names: &[&str], expected: usize) -> Result<Vec<&Layer>, WeightError> {
        let known = || match self.layers.is_empty() {
            true => "no recurrent layer".to_string(),
            false => listed(self.layers.iter().map(Layer::described)),
        };
        if names.len() != expected {
            return Err(WeightError::NameCount {
                path: self.path.clone(),
                expected,
                found: names.len(),
                known: known(),
            });
        }
        let find = |name: &&str| {
            let by_path = name.contains('/');
            let is = |layer: &&Layer| match by_path {
                true => layer.path == name.trim_matches('/'),
                false => layer.name.as_deref() == Some(*name),
            };
            let found: Vec<&Layer> = self.layers.iter().filter(is).collect();
            match found[..] {
                [] => {
                    let mut known = known();
                    if !by_path && self.layers.iter().any(|layer| layer.name.is_none()) {
                        known.push_str("; give such a path");
                    }
                    Err(WeightError::Missing { path: self.path.clone(), name: format!("layer {name}"), known })
                }
                [layer] => Ok(layer),
                _ => {
                    let paths = listed(found.iter().map(|layer| &layer.path));
                    Err(WeightError::Ambiguous { path: self.path.clone(), name: name.to_string(), paths })
                }
            }
        };
        names.iter().map(find).collect()
    }

    /// All arrays of the layers at `places`.
    pub fn arrays(&self, places: &[String]) -> Result<Arrays, WeightError> {
        let mut arrays = Vec::new();
        let mut seen = HashSet::new();
        for place in places.iter().filter(|place| seen.insert(*place)) {
            for part in PARTS {
                let path = format!("{place}/{part}/vars");
                // The parts that the layer does not have.
                let Ok(group) = self.file.group(&path) else { continue };
                let datasets = group.iter_datasets().map_err(|e| file(&self.path, e))?;
                arrays.extend(datasets.map(|(name, dataset)| (format!("{path}/{name}"), dataset)));
            }
        }
        Ok(Arrays { path: self.path.clone(), arrays })
    }
}

/// The recurrent layers in `group`, which lies at `path`, and in the groups in it; false if there is too much to look
/// at.
fn collect(
    group: &Group,
    path: &str,
    depth: usize,
    visits: &mut usize,
    layers: &mut Vec<Layer>,
) -> Result<bool, Error> {
    let groups: Vec<(String, Group)> = group.iter_groups()?.collect();
    let Some(left) = visits.checked_sub(1 + groups.len() + group.datasets()?.len()) else { return Ok(false) };
    *visits = left;
    let child = |name: &str| groups.iter().find(|(own, _)| own == name).map(|(_, group)| group);
    let has_arrays = |name: &str, array: &str| child(name).is_some_and(|group| group.dataset(array).is_ok());
    if has_arrays("cell", "vars/0") || has_arrays("forward_layer", "cell/vars/0") {
        let attributes = child("vars").map(Group::attrs).transpose()?.unwrap_or_default();
        let name = attributes.get("name").and_then(AttrValue::as_str).map(str::to_string);
        layers.push(Layer { path: path.to_string(), name });
        return Ok(true);
    }
    for (name, group) in groups.iter().filter(|_| depth < DEPTH) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        if !collect(group, &path, depth + 1, visits, layers)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The arrays of some layers.
pub struct Arrays {
    path: PathBuf,
    arrays: Vec<(String, Dataset)>,
}

impl Source for Arrays {
    fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|(name, _)| name.clone()).collect()
    }

    fn shape(&mut self, index: usize) -> Result<Vec<usize>, WeightError> {
        let shape = self.arrays[index].1.shape().map_err(|e| file(&self.path, e))?;
        Ok(shape.into_iter().map(|size| usize::try_from(size).unwrap_or(usize::MAX)).collect())
    }

    fn values(&mut self, index: usize) -> Result<Vec<f64>, WeightError> {
        let (name, dataset) = &self.arrays[index];
        let wrong = |e: Error| file(&self.path, format!("{name}: {e}"));
        let datatype = dataset.datatype().map_err(wrong)?;
        // Of a cut array whole parts are read.
        if let Some(chunk) = dataset.chunk_shape().map_err(wrong)? {
            let bytes = chunk.iter().try_fold(u64::from(datatype.type_size()), |bytes, &size| bytes.checked_mul(size));
            if bytes.is_none_or(|bytes| bytes > LARGEST_CHUNK) {
                return Err(file(&self.path, format!("{name}: it is stored in parts of {chunk:?}, which is too much")));
            }
        }
        let half = |convert: fn([u8; 2]) -> f64, order: DatatypeByteOrder| {
            let bytes = dataset.read_raw().map_err(wrong)?;
            let value = |pair: &[u8]| match order {
                DatatypeByteOrder::BigEndian => convert([pair[1], pair[0]]),
                _ => convert([pair[0], pair[1]]),
            };
            Ok(bytes.chunks_exact(2).map(value).collect())
        };
        let brain = |bytes| bf16::from_le_bytes(bytes).into();
        match datatype {
            Datatype::FloatingPoint { size: 4 | 8, .. } => dataset.read_f64().map_err(wrong),
            Datatype::FloatingPoint { size: 2, byte_order, layout } if layout.exponent_size == 5 => {
                half(|bytes| f16::from_le_bytes(bytes).into(), byte_order)
            }
            Datatype::FloatingPoint { size: 2, byte_order, layout } if layout.exponent_size == 8 => {
                half(brain, byte_order)
            }
            // HDF5 has no bfloat16: Keras writes the bytes and an attribute.
            Datatype::Opaque { size: 2, .. } if is_brain_float(dataset) => half(brain, DatatypeByteOrder::LittleEndian),
            other => {
                let (path, name) = (self.path.clone(), name.clone());
                Err(WeightError::Numbers { path, name, found: shown(&other.to_string()) })
            }
        }
    }
}

fn is_brain_float(dataset: &Dataset) -> bool {
    let attributes = dataset.attrs().unwrap_or_default();
    attributes.get("dtype").and_then(AttrValue::as_str) == Some("bfloat16")
}
