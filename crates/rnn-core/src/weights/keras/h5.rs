//! Finds recurrent layers in a `.weights.h5` file.
//!
//! Keras 3 writes a group per layer, called after its class (`layers/lstm_1`), in it `cell/vars/0`, `1` and `2`; a
//! `Bidirectional` has these in `forward_layer` and `backward_layer`. The name that the user knows is an attribute of the
//! group's `vars`.

use super::super::WeightError;
use super::{Array, file};
use hdf5_pure::{AttrValue, Error, File, Group};
use std::path::Path;

/// How deep models may lie in models.
const DEPTH: usize = 32;

/// Where a recurrent layer's arrays can lie in its group.
const PARTS: [&str; 3] = ["cell", "forward_layer/cell", "backward_layer/cell"];

struct Layer {
    path: String,
    /// The name that the user knows.
    name: String,
}

/// The paths of the layers called `names`, and all their arrays.
pub fn read(
    path: &Path,
    bytes: Vec<u8>,
    names: &[&str],
    expected: usize,
) -> Result<(Option<Vec<String>>, Vec<Array>), WeightError> {
    let all = File::from_bytes(bytes).map_err(|e| file(path, e))?;
    let mut layers = Vec::new();
    collect(&all.root(), "", 0, &mut layers).map_err(|e| file(path, e))?;
    let known = || match layers.is_empty() {
        true => "no recurrent layer".to_string(),
        false => {
            let described = layers.iter().map(|layer| format!("{} ({})", layer.name, layer.path));
            described.collect::<Vec<_>>().join(", ")
        }
    };
    if names.len() != expected {
        return Err(WeightError::NameCount { path: path.into(), expected, found: names.len(), known: known() });
    }
    let mut places = Vec::new();
    let mut arrays = Vec::new();
    for name in names {
        let by_path = name.contains('/');
        let is = |layer: &&Layer| if by_path { layer.path == name.trim_matches('/') } else { layer.name == *name };
        let places_of: Vec<&Layer> = layers.iter().filter(is).collect();
        let layer = match places_of[..] {
            [] => {
                let name = format!("layer {name}");
                return Err(WeightError::Missing { path: path.into(), name, known: known() });
            }
            [layer] => layer,
            _ => {
                let paths: Vec<&str> = places_of.iter().map(|layer| layer.path.as_str()).collect();
                let (name, paths) = (name.to_string(), paths.join(", "));
                return Err(WeightError::Ambiguous { path: path.into(), name, paths });
            }
        };
        // A layer named twice gives its arrays twice.
        arrays.extend(arrays_of(&all, &layer.path).map_err(|e| file(path, e))?);
        places.push(layer.path.clone());
    }
    Ok((Some(places), arrays))
}

/// The recurrent layers in `group`, which lies at `path`, and in the groups in it.
fn collect(group: &Group, path: &str, depth: usize, layers: &mut Vec<Layer>) -> Result<(), Error> {
    let groups = group.groups()?;
    let has = |name: &str| groups.iter().any(|group| group == name);
    let is_layer =
        (has("cell") && has_arrays(group, PARTS[0])) || (has("forward_layer") && has_arrays(group, PARTS[1]));
    if is_layer {
        let attributes = if has("vars") { group.group("vars")?.attrs()? } else { Default::default() };
        let name = match attributes.get("name") {
            Some(AttrValue::VarLenString(name) | AttrValue::String(name)) => name.clone(),
            _ => path.rsplit('/').next().unwrap_or_default().to_string(),
        };
        layers.push(Layer { path: path.to_string(), name });
        return Ok(());
    }
    for name in groups.iter().filter(|_| depth < DEPTH) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        collect(&group.group(name)?, &path, depth + 1, layers)?;
    }
    Ok(())
}

fn has_arrays(group: &Group, part: &str) -> bool {
    group.dataset(&format!("{part}/vars/0")).is_ok()
}

fn arrays_of(all: &File, layer: &str) -> Result<Vec<Array>, Error> {
    let mut arrays = Vec::new();
    for part in PARTS {
        let path = format!("{layer}/{part}/vars");
        // The parts that the layer does not have.
        let Ok(group) = all.group(&path) else { continue };
        for name in group.datasets()? {
            let dataset = group.dataset(&name)?;
            let shape = dataset.shape()?.into_iter().map(|size| size as usize).collect();
            arrays.push(Array { name: format!("{path}/{name}"), shape, values: dataset.read_f64()? });
        }
    }
    Ok(arrays)
}
