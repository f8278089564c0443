//! Files that a person asked for.

use rnn_harness::Failure;
use rnn_train::durable::{self, System};
use std::path::Path;

/// Writes `path` whole or not at all.
///
/// # Errors
/// A path that cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Failure::input(format!("{}: give the name of a file", path.display())))?;
    durable::replace(&System, folder, &[(name, bytes)])
        .map_err(|e| Failure::input(format!("{}: it cannot be written: {e}", path.display())))
}
