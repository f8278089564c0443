//! NumPy's `.npz`: a zip archive of `.npy` files, each a short header and the values.

use super::super::WeightError;
use super::{Array, file};
use burn::tensor::f16;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const MAGIC: &[u8] = b"\x93NUMPY";

/// All arrays of the archive, in its order. It has no layers, so there must be no `names`.
pub fn read(path: &Path, bytes: Vec<u8>, names: &[&str]) -> Result<(Option<Vec<String>>, Vec<Array>), WeightError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| file(path, e))?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| file(path, e))?;
        let name = entry.name().map_err(|e| file(path, e))?.into_owned();
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|e| file(path, format!("{name}: {e}")))?;
        let (shape, values) = parse(&bytes).map_err(|problem| file(path, format!("{name}: {problem}")))?;
        arrays.push(Array { name, shape, values });
    }
    if !names.is_empty() {
        let known: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        let (path, known) = (path.into(), format!("arrays only: {}", known.join(", ")));
        return Err(WeightError::NameCount { path, expected: 0, found: names.len(), known });
    }
    Ok((None, arrays))
}

/// One file of a zip archive.
pub fn entry(path: &Path, bytes: Vec<u8>, name: &str) -> Result<Vec<u8>, WeightError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| file(path, e))?;
    let mut entry = archive.by_name(name).map_err(|e| file(path, format!("{name}: {e}")))?;
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|e| file(path, format!("{name}: {e}")))?;
    Ok(bytes)
}

/// Shape and values, row by row, of an `.npy` file.
fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f64>), String> {
    let damaged = || "it is no .npy file".to_string();
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
    // Two bytes of version; the length of the header has two bytes in version 1, four in the later ones.
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err(damaged()),
    };
    let (header, values) = rest.split_at_checked(length).ok_or_else(damaged)?;
    let header = std::str::from_utf8(header).map_err(|_| damaged())?;
    // A Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 12), }
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start()).ok_or_else(damaged);
    let shape = after("'shape':")?;
    let shape = shape.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(damaged)?.0;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes.map(str::parse).collect::<Result<_, _>>().map_err(|_| damaged())?;
    let descr = after("'descr':")?;
    let (size, convert): (usize, fn(&[u8]) -> f64) = match descr.split(',').next().unwrap_or_default().trim() {
        "'<f2'" => (2, |b| f16::from_le_bytes([b[0], b[1]]).into()),
        "'<f4'" => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()),
        "'<f8'" => (8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
        other => return Err(format!("its numbers are {other}; only '<f2', '<f4' and '<f8' are read")),
    };
    let count = shape.iter().try_fold(size, |count, &size| count.checked_mul(size));
    if count != Some(values.len()) {
        return Err(format!("it has {} bytes of values for the shape {shape:?}", values.len()));
    }
    let values: Vec<f64> = values.chunks_exact(size).map(convert).collect();
    match (after("'fortran_order':")?.starts_with("True"), &shape[..]) {
        (true, &[rows, columns]) => {
            let turned = (0..rows).flat_map(|r| (0..columns).map(move |c| c * rows + r)).map(|i| values[i]).collect();
            Ok((shape, turned))
        }
        _ => Ok((shape, values)),
    }
}

/// Writes `arrays` as 32-bit floats, as `np.savez` does: under a temporary name, then renamed.
pub fn write(path: &Path, arrays: &[Array]) -> Result<(), WeightError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for array in arrays {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(4 * array.values.len() > u32::MAX as usize);
        archive.start_file(format!("{}.npy", array.name), options).map_err(|e| file(path, e))?;
        archive.write_all(&header(&array.shape)).map_err(|e| file(path, e))?;
        let values: Vec<u8> = array.values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
        archive.write_all(&values).map_err(|e| file(path, e))?;
    }
    let bytes = archive.finish().map_err(|e| file(path, e))?.into_inner();
    let temporary = path.with_extension(format!("npz.{}", std::process::id()));
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        // What is left of it is of no use; that it cannot be removed either adds nothing to the error.
        let _ = std::fs::remove_file(&temporary);
        file(path, e)
    })
}

/// Version 1, filled up with spaces to a multiple of 64 bytes.
fn header(shape: &[usize]) -> Vec<u8> {
    let shape = match shape {
        // Python's tuple of one.
        [size] => format!("({size},)"),
        sizes => format!("({})", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let before = MAGIC.len() + 4;
    let length = (before + text.len() + 1).next_multiple_of(64) - before;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((length as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
