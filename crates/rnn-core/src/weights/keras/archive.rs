//! Zip archives of other people, read with bounds.

use super::super::{WeightError, file, shown};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::read::ZipFile;

/// What weights may always inflate to, in bytes.
const ALWAYS: u64 = 64 << 20;

/// By how much an archive may inflate beyond that. Weights hardly get smaller; what shrinks to a hundredth is empty.
const TIMES: u64 = 100;

/// The longest JSON that is read, in bytes. Parsed it takes some ten times as much.
const LARGEST_JSON: u64 = 16 << 20;

pub struct Archive {
    path: PathBuf,
    archive: ZipArchive<Cursor<Vec<u8>>>,
    /// The most that weights in it may inflate to.
    limit: u64,
}

impl Archive {
    pub fn open(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightError> {
        let limit = ALWAYS.max(TIMES.saturating_mul(bytes.len() as u64));
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| file(path, e))?;
        Ok(Self { path: path.into(), archive, limit })
    }

    /// The names of its files, in its order.
    pub fn names(&self) -> Result<Vec<String>, WeightError> {
        let names = self.archive.file_names().map(|name| Ok(name?.into_owned()));
        names.collect::<Result<_, zip::result::ZipError>>().map_err(|e| file(&self.path, e))
    }

    /// A file to be read as far as is wanted.
    pub fn by_index(&mut self, index: usize) -> Result<ZipFile<'_, Cursor<Vec<u8>>>, WeightError> {
        self.archive.by_index(index).map_err(|e| file(&self.path, e))
    }

    /// A whole file of weights.
    pub fn weights(&mut self, name: &str) -> Result<Vec<u8>, WeightError> {
        self.entry(name, self.limit)
    }

    /// A whole file of JSON.
    pub fn json(&mut self, name: &str) -> Result<Vec<u8>, WeightError> {
        self.entry(name, LARGEST_JSON)
    }

    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, WeightError> {
        let wrong = |problem: String| file(&self.path, format!("{}: {problem}", shown(name)));
        let entry = self.archive.by_name(name).map_err(|e| wrong(e.to_string()))?;
        let mut bytes = Vec::new();
        entry.take(limit + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
        if bytes.len() as u64 > limit {
            return Err(wrong(format!(
                "it inflates to more than {limit} bytes; unpack the archive and load this file"
            )));
        }
        Ok(bytes)
    }
}
