//! The partial file of a download, which one process at a time writes.

use crate::show;
use indicatif::ProgressBar;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A partially downloaded file, locked by this process.
pub(super) struct Part {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

impl Part {
    /// Waits for the lock of the partial file at `path`. `None` if the file does not exist (unless `create`), or if
    /// another process finished or deleted it while this one waited.
    pub(super) fn lock(path: &Path, create: bool) -> std::io::Result<Option<Self>> {
        let file = match File::options().read(true).append(true).create(create).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            let bar = ProgressBar::new_spinner()
                .with_message(format!("waiting for another download of {}", show::path(path)));
            bar.enable_steady_tick(Duration::from_millis(200));
            // On a file system without locks every download continues by itself.
            let _ = file.lock();
            bar.finish_and_clear();
        }
        let part = Self { path: path.to_path_buf(), file };
        Ok(part.is_still_there()?.then_some(part))
    }

    /// Whether the open file is still the one at its path.
    fn is_still_there(&self) -> std::io::Result<bool> {
        match same_file::Handle::from_path(&self.path) {
            Ok(there) => Ok(there == same_file::Handle::from_file(self.file.try_clone()?)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn bytes(&self) -> std::io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
