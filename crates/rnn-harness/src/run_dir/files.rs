//! The files of a run, with their checksums.

use super::RunDir;
use crate::Failure;
use rnn_train::durable::{self, Disk, System};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// The SHA-256 of every other file, the new one and the one before, so that it is right at any moment of a write.
pub(super) const CHECKSUMS: &str = "checksums.json";

type Checksums = BTreeMap<String, Vec<String>>;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl RunDir {
    /// Writes `bytes` as the file `name`, whole or not at all.
    ///
    /// # Errors
    /// If the file system says so.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write_on(&System, name, bytes)
    }

    pub(super) fn write_on(&self, disk: &impl Disk, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut checksums = self.checksums()?;
        let of_file = checksums.entry(name.to_string()).or_default();
        of_file.insert(0, sha256(bytes));
        of_file.truncate(2);
        let json = serde_json::to_vec_pretty(&checksums)
            .map_err(|e| Failure::failed(format!("cannot write {CHECKSUMS} as JSON: {e}")))?;
        self.0.will_write([CHECKSUMS, name]);
        durable::replace(disk, self.path(), &[(CHECKSUMS, &json), (name, bytes)])
            .map_err(|e| Failure::failed(format!("cannot write {}: {e}", self.path().join(name).display())))
    }

    fn checksums(&self) -> Result<Checksums, Failure> {
        let path = self.path().join(CHECKSUMS);
        if !path.exists() {
            return Ok(Checksums::new());
        }
        parse(&path, &read(&path)?)
    }

    /// Writes `value` as JSON in the file `name`.
    ///
    /// # Errors
    /// As [`write_bytes`](Self::write_bytes).
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut json = serde_json::to_vec_pretty(value)
            .map_err(|e| Failure::failed(format!("cannot write {name} as JSON: {e}")))?;
        json.push(b'\n');
        self.write_bytes(name, &json)
    }

    /// Reads the file `name`.
    ///
    /// # Errors
    /// If it is not there, cannot be read, or is not what was written.
    pub fn read_bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.path().join(name);
        let bytes = read(&path)?;
        let folder = self.path().display();
        match self.checksums()?.get(name) {
            Some(written) if written.contains(&sha256(&bytes)) => Ok(bytes),
            _ if !self.path().join(CHECKSUMS).exists() => Err(Failure::input(format!(
                "{folder} has no {CHECKSUMS}, which says whether its files are whole; copy all of the run's folder, or train \
                 again"
            ))),
            _ if bytes.is_empty() => Err(Failure::input(format!(
                "{} is empty, as after a power cut or on a full disk; copy it again, or train again",
                path.display()
            ))),
            _ => Err(Failure::input(format!(
                "{} is damaged or was edited: its SHA-256 is not in {CHECKSUMS}; train again",
                path.display()
            ))),
        }
    }

    /// Reads the UTF-8 file `name`.
    ///
    /// # Errors
    /// If it is not there, cannot be read or is not UTF-8.
    pub fn read_text(&self, name: &str) -> Result<String, Failure> {
        String::from_utf8(self.read_bytes(name)?)
            .map_err(|_| Failure::input(format!("{} is not UTF-8", self.path().join(name).display())))
    }

    /// Reads the JSON file `name`.
    ///
    /// # Errors
    /// If it is not there, or does not hold what is asked for.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        parse(&self.path().join(name), &self.read_bytes(name)?)
    }
}

/// Reads a file of a run, if it is one: a pipe would never end.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let hint = |e: &std::io::Error| {
        if e.kind() == ErrorKind::NotFound { "; is this a run of this program?" } else { "" }
    };
    let told = |e: std::io::Error| Failure::input(format!("cannot read {}: {e}{}", path.display(), hint(&e)));
    if !path.metadata().map_err(told)?.is_file() {
        return Err(Failure::input(format!("{} is not a file; is this a run of this program?", path.display())));
    }
    std::fs::read(path).map_err(told)
}

pub(super) fn parse<T: DeserializeOwned>(path: &Path, json: &[u8]) -> Result<T, Failure> {
    let path = path.display();
    serde_json::from_slice(json).map_err(|e| {
        Failure::input(match json.is_empty() {
            true => format!("{path} is empty, as after a power cut or on a full disk; copy it again, or train again"),
            false => {
                format!("{path} is not what this program writes ({e}); is it a run of another program or version?")
            }
        })
    })
}
