//! A run's folder: who has it, and what is left of it.

use super::files::CHECKSUMS;
use super::lock::Lock;
use super::{CHECKPOINTS, MODEL, SUMMARY, cannot_make};
use crate::{Failure, say};
use rnn_train::durable::{Disk, System, is_temporary};
use rnn_train::has_checkpoint;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// None of a run that was only opened.
    training: Option<Training>,
}

/// What a process has that trains in the folder.
#[derive(Debug)]
struct Training {
    /// None where the file system has no locks.
    lock: Option<Lock>,
    /// Whether the folder is deleted when the training comes to nothing.
    is_new: bool,
    /// The files it wrote: only those does it delete.
    written: Mutex<BTreeSet<String>>,
}

impl Training {
    fn again(lock: Lock) -> Self {
        Self { lock: Some(lock), is_new: false, written: Mutex::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let Some(Training { lock, is_new, written }) = &mut self.training else { return };
        let came_to_nothing = *is_new
            && matches!(self.path.join(MODEL).try_exists(), Ok(false))
            && has_checkpoint(&self.path.join(CHECKPOINTS)).is_ok_and(|has| !has);
        // What cannot be deleted does no harm.
        if came_to_nothing {
            let _ = std::fs::remove_dir(self.path.join(CHECKPOINTS));
            for name in written.get_mut().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = std::fs::remove_file(self.path.join(name));
            }
        }
        if let Some(lock) = lock {
            lock.delete();
        }
        if came_to_nothing {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

impl Folder {
    /// The folder of a run that is only read, or written on.
    pub(super) fn opened(path: PathBuf) -> Self {
        Self { path, training: None }
    }

    /// Remembers what is about to be written, so that it can be deleted.
    pub(super) fn will_write(&self, names: [&str; 2]) {
        if let Some(training) = &self.training {
            let mut written = training.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.extend(names.map(str::to_string));
        }
    }
}

/// Which folders a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folders {
    /// Those that are not there.
    New,
    /// Those too that a training left without a model.
    Left,
}

/// What became of a folder that a run was to have.
pub(super) enum Place {
    Ours(Folder),
    /// Another process trains in it.
    InUse,
    /// A run is in it.
    Taken,
}

/// Takes the folder, which is made where there is none.
pub(super) fn take(path: &Path, folders: Folders) -> Result<Place, Failure> {
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        let new = make_new(path)?;
        if !new && (folders == Folders::New || holds_a_run(path)) {
            return Ok(Place::Taken);
        }
        let lock = match Lock::take(path) {
            Ok(Some(lock)) => Some(lock),
            Ok(None) => return Ok(Place::InUse),
            Err(e) if e.kind() == ErrorKind::NotFound => continue, // who had it came to nothing and deleted it
            Err(_) if new => None,
            Err(_) => return Ok(Place::Taken), // whether by a process that runs cannot be said
        };
        if holds_a_run(path) {
            return Ok(Place::Taken); // it came while we waited
        }
        if !new {
            say!(
                "{} is there without a model, as a training leaves it that is killed; it is used again",
                path.display()
            );
            clear(path).map_err(|e| cannot_make(path, &e))?;
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        System.sync(above).map_err(|e| cannot_make(path, &e))?;
        let training = Training { lock, is_new: true, written: Mutex::default() };
        return Ok(Place::Ours(Folder { path: path.to_path_buf(), training: Some(training) }));
    }
    Ok(Place::Taken)
}

/// Takes the folder of a training that is resumed; `None` while another process trains in it.
pub(super) fn take_again(path: &Path) -> Result<Option<Folder>, Failure> {
    match Lock::take(path) {
        // Nothing is deleted when the process ends: what is there was there before.
        Ok(Some(lock)) => Ok(Some(Folder { path: path.to_path_buf(), training: Some(Training::again(lock)) })),
        Ok(None) => Ok(None),
        Err(e) => Err(Failure::failed(format!("cannot lock {}: {e}", path.display()))),
    }
}

/// Whether a training came to something here, or something else has the name.
pub(super) fn holds_a_run(path: &Path) -> bool {
    let is_there = path.symlink_metadata().is_ok();
    let came_to_something = || {
        [MODEL, SUMMARY].iter().any(|name| path.join(name).exists())
            || has_checkpoint(&path.join(CHECKPOINTS)).unwrap_or(true)
    };
    is_there && (!path.is_dir() || came_to_something())
}

/// Deletes what a training leaves that is killed, as far as the next would not overwrite it.
fn clear(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name == CHECKSUMS || is_temporary(name)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a folder; `false` if it is there already.
fn make_new(path: &Path) -> Result<bool, Failure> {
    match std::fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(cannot_make(path, &e)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::RunDir;
    use super::super::tests::told;
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    #[test]
    fn a_folder_that_a_kill_left_is_taken_by_one_training() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a");
        std::fs::create_dir(&path).expect("made");
        for (name, content) in [("config.json", "{}"), (CHECKSUMS, ""), (".model.bpk.tmp", "ha"), ("notes", "mine")] {
            std::fs::write(path.join(name), content).expect("written");
        }
        let run = RunDir::create_in(folder.path(), Some("a")).expect("taken");
        run.write_bytes("config.json", b"{}\n").expect("written");
        assert!(!path.join(".model.bpk.tmp").exists());
        let other = told(RunDir::create_in(folder.path(), Some("a")));
        assert!(other.contains("another process is training in"), "{other}");
        drop(run);
        // It came to nothing: what it wrote is gone, what it did not is there.
        let left: Vec<_> = std::fs::read_dir(&path).expect("there").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(left, ["notes"]);

        let run = RunDir::create_in(folder.path(), Some("a")).expect("taken");
        run.save_model(&LinearConfig::new(1, 1).init(&Device::default())).expect("saved");
        drop(run);
        assert!(!path.join(".lock").exists() && path.join(MODEL).exists());
        let taken = told(RunDir::create_in(folder.path(), Some("a")));
        assert!(taken.contains("is there already"), "{taken}");
        // Figures without a model are no leavings.
        std::fs::create_dir(folder.path().join("b")).expect("made");
        std::fs::write(folder.path().join("b").join(SUMMARY), "{}").expect("written");
        assert!(told(RunDir::create_in(folder.path(), Some("b"))).contains("is there already"));
        std::fs::write(folder.path().join("c"), "a file").expect("written");
        assert!(told(RunDir::create_in(folder.path(), Some("c"))).contains("is there already"));
    }

    #[test]
    fn of_many_that_want_a_folder_one_gets_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for round in 0..5 {
            let name = format!("run{round}");
            let runs: Vec<_> = std::thread::scope(|scope| {
                let take = || RunDir::create_in(folder.path(), Some(&name));
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(runs.iter().filter(|run| run.is_ok()).count(), 1, "{runs:?}");
        }
    }
}
