//! Files and folders that are complete or absent after any failure, even a power cut: each is written under another
//! name, synced to the disk and renamed, and then its parent folder is synced.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// The file operations that writing needs. Tests replace it to simulate power cuts.
pub trait Disk {
    /// Creates or truncates the file and writes it.
    ///
    /// # Errors
    /// If the file system says so.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()>;
    /// Waits until the file, or the names in the folder, are on the disk.
    ///
    /// # Errors
    /// If the file system says so.
    fn sync(&self, path: &Path) -> Result<()>;
    /// Renames a file or folder, over a file that has the name.
    ///
    /// # Errors
    /// If the file system says so.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
}

/// The file system.
#[derive(Debug)]
pub struct System;

impl Disk for System {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        File::create(path)?.write_all(bytes)
    }

    fn sync(&self, path: &Path) -> Result<()> {
        let is_folder = path.is_dir();
        let opened = if is_folder { File::open(path) } else { File::options().write(true).open(path) };
        match opened.and_then(|file| file.sync_all()) {
            // Some systems cannot sync a folder, and on Windows it cannot even be opened.
            Err(e)
                if is_folder
                    && matches!(
                        e.kind(),
                        ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::PermissionDenied
                    ) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to)
    }
}

/// The name of `name` until it is complete.
fn temporary(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.tmp"))
}

/// Whether this is the name of an incomplete file.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Writes the files in this order: a file exists only if the files before it exist.
///
/// # Errors
/// If the file system reports one; files that were not renamed keep their old content.
pub fn replace(disk: &impl Disk, folder: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    let write = || {
        for (name, bytes) in files {
            let path = temporary(folder, name);
            disk.write(&path, bytes)?;
            disk.sync(&path)?;
        }
        for (name, _) in files {
            disk.rename(&temporary(folder, name), &folder.join(name))?;
            disk.sync(folder)?;
        }
        Ok(())
    };
    write().inspect_err(|_| {
        for (name, _) in files {
            let _ = std::fs::remove_file(temporary(folder, name)); // it may not be there
        }
    })
}

/// Writes a new folder of files at `path`, completely or not at all.
///
/// # Errors
/// If the file system says so.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<()> {
    let disk = System;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = temporary(above, &path.file_name().unwrap_or_default().to_string_lossy());
    let _ = std::fs::remove_dir_all(&temporary); // left by a killed process
    let write = || {
        std::fs::create_dir(&temporary)?;
        for (name, bytes) in files {
            disk.write(&temporary.join(name), bytes)?;
            disk.sync(&temporary.join(name))?;
        }
        disk.sync(&temporary)?;
        disk.rename(&temporary, path)?;
        disk.sync(above)
    };
    write().inspect_err(|_| {
        let _ = std::fs::remove_dir_all(&temporary); // it may not be there
    })
}
