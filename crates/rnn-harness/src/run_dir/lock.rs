//! A run's folder belongs to one process while it trains. The system frees the lock when the process ends, however it
//! ends.

use std::fs::{File, TryLockError};
use std::io::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that is locked.
pub(super) const LOCK: &str = ".lock";

/// Two processes that only look may be in each other's way for a moment.
const ATTEMPTS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// What a process has that trains in a folder.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// The lock of `folder`, or `None` while another process has it.
    ///
    /// # Errors
    /// If the folder is gone or the file system has no locks.
    pub(super) fn take(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LOCK);
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                std::thread::sleep(BETWEEN);
            }
            let file = File::options().create(true).truncate(false).write(true).open(&path)?;
            match file.try_lock() {
                // The one before may have deleted its file between our two calls.
                Ok(()) if is_at(&file, &path) => return Ok(Some(Self { _file: file, path })),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Whether a process trains in `folder` now.
    pub(super) fn is_taken(folder: &Path) -> bool {
        match File::options().write(true).open(folder.join(LOCK)) {
            Ok(file) => (0..ATTEMPTS).all(|_| {
                let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                if taken {
                    std::thread::sleep(BETWEEN);
                }
                taken
            }),
            Err(_) => false,
        }
    }

    /// Deletes the file, while it is locked: whoever waits for it finds another.
    pub(super) fn delete(&self) {
        let _ = std::fs::remove_file(&self.path); // one that stays does no harm
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((&file.metadata(), &path.metadata()), (Ok(open), Ok(there)) if place(open) == place(there))
}

/// A file that is open keeps its name there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
