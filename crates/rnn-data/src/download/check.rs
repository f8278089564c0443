//! Whether a file is the one of the registry: its size and its SHA-256.

use crate::DataError;
use crate::registry::CorpusFile;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

/// The SHA-256 of the whole `file`.
fn sha256(mut file: &File) -> std::io::Result<String> {
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hash.update(&buffer[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How `found` differs from `file`: compares the size, then the hash. `None` if they are equal.
pub(super) fn fault(found: &File, file: &CorpusFile) -> std::io::Result<Option<String>> {
    let bytes = found.metadata()?.len();
    if bytes != file.bytes {
        return Ok(Some(format!("it has {bytes} bytes instead of {}", file.bytes)));
    }
    let hash = sha256(found)?;
    Ok((hash != file.sha256).then(|| format!("its SHA-256 is {hash} instead of {}", file.sha256)))
}

/// Whether `path` is `file`.
pub(crate) fn check(path: &Path, file: &CorpusFile) -> Result<(), DataError> {
    match File::open(path).and_then(|found| fault(&found, file)) {
        Ok(None) => Ok(()),
        Ok(Some(fault)) => Err(DataError::content(path, format!("{fault}; delete it to have it downloaded again"))),
        Err(error) => Err(DataError::io(path, error)),
    }
}
