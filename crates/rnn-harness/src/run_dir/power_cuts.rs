//! What a power cut leaves of a run folder.

use super::files::CHECKSUMS;
use super::*;
use rnn_train::durable::{Disk, System};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Result;

enum Call {
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// Writes, and remembers what it was asked to do.
#[derive(Default)]
struct Recorder(RefCell<Vec<Call>>);

impl Disk for Recorder {
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.0.borrow_mut().push(Call::Write(path.into(), bytes.into()));
        System.write(path, bytes)
    }

    fn sync(&self, path: &Path) -> Result<()> {
        self.0.borrow_mut().push(Call::Sync(path.into()));
        System.sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.borrow_mut().push(Call::Rename(from.into(), to.into()));
        System.rename(from, to)
    }
}

/// What the disk has when the power goes after `calls`. What was not synced may be lost: a file's bytes are; of its
/// name either is possible.
fn after_a_power_cut(calls: &[Call], names_are_kept: bool, syncs_count: bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents: Vec<(&[u8], bool)> = Vec::new(); // and whether they are on the disk
    let (mut names, mut kept) = (BTreeMap::new(), BTreeMap::new());
    for call in calls {
        match call {
            Call::Write(path, bytes) => {
                names.insert(path.clone(), contents.len());
                contents.push((bytes, false));
            }
            Call::Sync(_) if !syncs_count => {}
            Call::Sync(path) => match names.get(path) {
                Some(&file) => contents[file].1 = true,
                None => kept = names.clone(),
            },
            Call::Rename(from, to) => {
                let file = names.remove(from).expect("there");
                names.insert(to.clone(), file);
            }
        }
    }
    let names = if names_are_kept { names } else { kept };
    names
        .into_iter()
        .map(|(path, file)| (path, if contents[file].1 { contents[file].0.into() } else { vec![] }))
        .collect()
}

#[test]
fn after_a_power_cut_a_file_is_the_old_one_or_the_new_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let run = RunDir::of(folder.path().into());
    let disk = Recorder::default();
    for content in ["old", "new", "newer"] {
        run.write_on(&disk, "config.json", content.as_bytes()).expect("written");
    }
    let calls = disk.0.into_inner();
    let found = |length: usize, names_are_kept, syncs_count| {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (path, bytes) in after_a_power_cut(&calls[..length], names_are_kept, syncs_count) {
            std::fs::write(folder.path().join(path.file_name().expect("a file")), bytes).expect("written");
        }
        let is_there = folder.path().join("config.json").exists();
        is_there.then(|| RunDir::of(folder.path().into()).read_bytes("config.json"))
    };
    for length in 0..=calls.len() {
        for names_are_kept in [false, true] {
            match found(length, names_are_kept, true) {
                None => assert!(length < calls.len() / 3, "{length}"),
                Some(read) => {
                    let read = read.unwrap_or_else(|e| panic!("after {length} calls: {e}"));
                    assert!([&b"old"[..], b"new", b"newer"].contains(&read.as_slice()), "{length}");
                }
            }
        }
    }
    assert!(matches!(found(calls.len(), false, true), Some(Ok(read)) if read == b"newer"));
    // Without the syncs it is not so.
    assert!((0..=calls.len()).any(|length| matches!(found(length, true, false), Some(Err(_)))));
    assert!(folder.path().join(CHECKSUMS).exists());
}
