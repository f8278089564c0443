//! Files and folders that are whole after a crash: written under another name, synchronised with the disk, renamed.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Writes `bytes` as `path`, whole or not at all.
///
/// # Errors
/// If the file system says so; then `path` is as it was.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = temporary(path);
    let written = write_synced(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary); // it may not be there
    }
    written?;
    sync_folder(path.parent())
}

/// Writes a new folder of files as `path`, whole or not at all.
///
/// # Errors
/// If the file system says so.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> std::io::Result<()> {
    let temporary = temporary(path);
    let _ = std::fs::remove_dir_all(&temporary); // of a process of the same number that was killed
    let written = std::fs::create_dir(&temporary)
        .and_then(|()| files.iter().try_for_each(|(name, bytes)| write_synced(&temporary.join(name), bytes)))
        .and_then(|()| sync_folder(Some(&temporary)))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    written?;
    sync_folder(path.parent())
}

/// A name beside `path` that no other process uses, and that begins with a dot.
fn temporary(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The renames in a folder reach the disk too. Windows has no such thing.
fn sync_folder(folder: Option<&Path>) -> std::io::Result<()> {
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
