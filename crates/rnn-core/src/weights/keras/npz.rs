//! NumPy's `.npz`: a zip archive of `.npy` files, each a short header and the values.

use super::super::{WeightError, file, listed, shown};
use super::Source;
use super::archive::Archive;
use burn::store::burn_pack::AtomicFile;
use burn::tensor::f16;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read, in bytes; NumPy's own are of 118.
const LONGEST_HEADER: usize = 1 << 16;

/// The arrays of an archive, in its order.
pub struct Arrays {
    path: PathBuf,
    archive: Archive,
    names: Vec<String>,
}

impl Arrays {
    /// It has no layers, so there must be no `layers`.
    pub fn open(path: &Path, bytes: Vec<u8>, layers: &[&str]) -> Result<Self, WeightError> {
        let archive = Archive::open(path, bytes)?;
        let names = archive.names()?;
        let names: Vec<String> = names.iter().map(|n| n.strip_suffix(".npy").unwrap_or(n).to_string()).collect();
        if !layers.is_empty() {
            let (path, known) = (path.into(), format!("arrays only: {}", listed(&names)));
            return Err(WeightError::NameCount { path, expected: 0, found: layers.len(), known });
        }
        Ok(Self { path: path.into(), archive, names })
    }

    /// What `read` makes of the `index`-th file.
    fn with<T>(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut dyn Read) -> Result<T, String>,
    ) -> Result<T, WeightError> {
        let (path, name) = (&self.path, &self.names[index]);
        let mut entry = self.archive.by_index(index)?;
        read(&mut entry).map_err(|problem| file(path, format!("{name}: {problem}")))
    }
}

impl Source for Arrays {
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn shape(&mut self, index: usize) -> Result<Vec<usize>, WeightError> {
        self.with(index, |entry| Ok(Header::read(entry)?.shape))
    }

    fn values(&mut self, index: usize) -> Result<Vec<f64>, WeightError> {
        self.with(index, |entry| Header::read(entry)?.values(entry))
    }
}

/// What an `.npy` file says of its values.
struct Header {
    shape: Vec<usize>,
    /// Bytes of a value.
    size: usize,
    convert: fn(&[u8]) -> f64,
    /// Whether the values lie column by column.
    fortran: bool,
}

impl Header {
    fn read(entry: &mut dyn Read) -> Result<Self, String> {
        let damaged = || "it is no .npy file".to_string();
        let mut bytes = |count: usize| {
            let mut bytes = vec![0; count];
            entry.read_exact(&mut bytes).map(|()| bytes).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged(),
                _ => e.to_string(),
            })
        };
        if bytes(MAGIC.len())? != MAGIC {
            return Err(damaged());
        }
        // Two bytes of version; the length of the header has two bytes in version 1, four in the later ones.
        let length = match bytes(2)?[0] {
            1 => bytes(2)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)),
            2 | 3 => bytes(4)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)),
            _ => return Err(damaged()),
        };
        if length > LONGEST_HEADER {
            return Err(format!("its header is of {length} bytes; at most {LONGEST_HEADER} are read"));
        }
        let header = String::from_utf8(bytes(length)?).map_err(|_| damaged())?;
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
            other => {
                let other = shown(other);
                return Err(format!("its numbers are {other}; only '<f2', '<f4' and '<f8' are read"));
            }
        };
        Ok(Self { shape, size, convert, fortran: after("'fortran_order':")?.starts_with("True") })
    }

    /// The values behind the header, row by row. Called for a shape that a layer has.
    fn values(&self, entry: &mut dyn Read) -> Result<Vec<f64>, String> {
        let shape = &self.shape;
        let wrong = |found: &str| format!("it has {found} bytes of values for the shape {shape:?}");
        let count = shape.iter().try_fold(self.size, |count, &size| count.checked_mul(size));
        let count = count.ok_or_else(|| wrong("too few"))?;
        let mut bytes = Vec::new();
        entry.take(count as u64 + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        match bytes.len() {
            found if found == count => {}
            found if found < count => return Err(wrong(&found.to_string())),
            _ => return Err(wrong(&format!("more than {count}"))),
        }
        let values: Vec<f64> = bytes.chunks_exact(self.size).map(self.convert).collect();
        Ok(match (self.fortran, &shape[..]) {
            (true, &[rows, columns]) => {
                (0..rows).flat_map(|r| (0..columns).map(move |c| c * rows + r)).map(|i| values[i]).collect()
            }
            _ => values,
        })
    }
}

/// Writes shapes and values as 32-bit floats, named `arr_0`, `arr_1`, … as `np.savez` does it: under a temporary name
/// of this call's own, then renamed.
pub fn write(path: &Path, arrays: &[(Vec<usize>, Vec<f64>)]) -> Result<(), WeightError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (number, (shape, values)) in arrays.iter().enumerate() {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(4 * values.len() > u32::MAX as usize);
        archive.start_file(format!("arr_{number}.npy"), options).map_err(|e| file(path, e))?;
        archive.write_all(&header(shape)).map_err(|e| file(path, e))?;
        let values: Vec<u8> = values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect();
        archive.write_all(&values).map_err(|e| file(path, e))?;
    }
    let bytes = archive.finish().map_err(|e| file(path, e))?.into_inner();
    let (temporary, mut handle) = AtomicFile::create(path).map_err(|e| file(path, e))?;
    handle.write_all(&bytes).map_err(|e| file(path, e))?;
    drop(handle);
    temporary.commit().map_err(|e| file(path, e))
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
