//! `.pt` files.
//!
//! Burn's `PytorchStore` closes gaps in numbers unless told not to (`layers.2` would be `layers.1`); the reader that
//! it stands on takes names as they are.

use burn::store::bridge;
use burn::store::burn_pack::Tensor;
use burn::store::pytorch_reader::{PickleValue, PytorchReader};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// The largest pickle of an archive that is read, in bytes. It holds names and shapes, some 200 bytes a tensor, and
/// what else was saved with them, such as a vocabulary; made of nothing but small values it takes 100 times its size
/// in memory.
const LARGEST: u64 = 32 << 20;

/// For files that hold a whole model instead of its weights.
pub const SAVE_STATE_DICT: &str =
    "it is a pickled module; save the state_dict instead: torch.save(model.state_dict(), \"model.pt\")";

/// The file's tensors; their data is not read yet.
pub fn read(path: &Path) -> Result<Vec<Tensor>, String> {
    check_size(path)?;
    let read = || -> Result<Vec<Tensor>, String> {
        let reader = PytorchReader::new(path).map_err(|e| e.to_string())?;
        // The reader keeps one tensor a name.
        let pickle = PytorchReader::read_pickle_data(path, None).map_err(|e| e.to_string())?;
        if let Some(name) = twice(&pickle, String::new(), &mut HashSet::new()) {
            return Err(format!("two tensors are called {name}; rename one of them"));
        }
        Ok(reader.into_tensors().into_values().map(bridge::from_pytorch).collect())
    };
    read().map_err(|problem| if is_module(path) { format!("{SAVE_STATE_DICT}; {problem}") } else { problem })
}

/// A name that two tensors have: `{"a": {"b": …}, "a.b": …}`.
fn twice(value: &PickleValue, name: String, seen: &mut HashSet<String>) -> Option<String> {
    let below = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
    match value {
        PickleValue::Dict(values) => values.iter().find_map(|(key, value)| twice(value, below(key), seen)),
        PickleValue::List(values) => {
            values.iter().enumerate().find_map(|(index, value)| twice(value, below(&index.to_string()), seen))
        }
        PickleValue::Unsupported(class) if class == "torch.Tensor" && !seen.insert(name.clone()) => Some(name),
        _ => None,
    }
}

/// Refuses an archive whose pickle is too large to be a `state_dict`'s.
fn check_size(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    // What is no archive is bounded by the file's own size.
    let Ok(mut archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(()) };
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| e.to_string())?;
        let is_pickle = entry.name().is_ok_and(|name| name.ends_with("data.pkl"));
        if is_pickle && entry.size() > LARGEST {
            let size = entry.size();
            return Err(format!(
                "its data.pkl is of {size} bytes, at most {LARGEST} are read; save the state_dict alone"
            ));
        }
    }
    Ok(())
}

/// Whether the file holds a module (`torch.save(model)`, `torch.jit.save`) instead of a `state_dict`.
pub fn is_module(path: &Path) -> bool {
    let Ok(start) = start_of_pickle(path) else { return false };
    let has = |word: &[u8]| start.windows(word.len()).any(|window| window == word);
    // A module's `__dict__`; the package of TorchScript's classes.
    (has(b"_parameters") && has(b"_modules")) || has(b"__torch__")
}

/// Of the archive's `data.pkl`, or of the file.
fn start_of_pickle(path: &Path) -> std::io::Result<Vec<u8>> {
    const ENOUGH: u64 = 1 << 20;
    let mut start = Vec::new();
    if let Ok(mut archive) = ZipArchive::new(BufReader::new(File::open(path)?)) {
        let is_pickle = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
        let index = (0..archive.len()).find(|&index| {
            archive.by_index_raw(index).is_ok_and(|entry| entry.name().is_ok_and(|name| is_pickle(&name)))
        });
        if let Some(index) = index {
            archive.by_index(index)?.take(ENOUGH).read_to_end(&mut start)?;
            return Ok(start);
        }
    }
    File::open(path)?.take(ENOUGH).read_to_end(&mut start)?;
    Ok(start)
}
