//! Run folders: `runs/<program>/<name>/` under the current folder, or under `$RNN_RUNS`.
//!
//! Every file is written to a temporary name and renamed, so that a reader never meets half of one, and no run is
//! ever overwritten. A run is complete once it holds a model.

mod name;

use crate::Failure;
use burn::module::{Module, ModuleVisitor, Param};
use burn::store::ModuleRecord;
use burn::tensor::Tensor;
use name::named;
pub use name::timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The file that makes a run complete.
const MODEL: &str = "model.bpk";
/// The figures of a training that came to its end.
const METRICS: &str = "metrics.json";
/// The SHA-256 of every other file, the new one and the one before, so that it is right at any moment of a write.
const CHECKSUMS: &str = "checksums.json";

type Checksums = BTreeMap<String, Vec<String>>;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One run's folder. A new one that never got a model is deleted with the last handle to it: a training that came to
/// nothing leaves nothing behind.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    new: bool,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.new && matches!(self.path.join(MODEL).try_exists(), Ok(false)) {
            let _ = std::fs::remove_dir_all(&self.path); // what cannot be deleted does no harm
        }
    }
}

impl RunDir {
    /// Makes the folder of a new run. Without a name it is named by the time (UTC).
    ///
    /// # Errors
    /// A name that is taken or is not a plain file name; a folder that cannot be made.
    pub fn create(program: &str, name: Option<&str>) -> Result<Self, Failure> {
        Self::create_in(&runs(program), name)
    }

    fn create_in(runs: &Path, name: Option<&str>) -> Result<Self, Failure> {
        make_dirs(runs)?;
        let Some(name) = name else {
            let time = timestamp(SystemTime::now());
            let mut path = runs.join(&time);
            let mut again = 1;
            while !make_new(&path)? {
                again += 1;
                path = runs.join(format!("{time}-{again}"));
            }
            return Ok(Self::of(path, true));
        };
        let path = named(runs, name)?;
        if make_new(&path)? { Ok(Self::of(path, true)) } else { Err(taken(&path)) }
    }

    fn of(path: PathBuf, new: bool) -> Self {
        Self(Arc::new(Folder { path, new }))
    }

    /// Whether [`create`](Self::create) would make this run; to be asked before anything that takes long.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn check(program: &str, name: Option<&str>) -> Result<(), Failure> {
        let runs = runs(program);
        if let Some(name) = name {
            let path = named(&runs, name)?;
            if path.exists() {
                return Err(taken(&path));
            }
        }
        // A folder as far up as there is one, which goes at once: who gives something wrong besides is left nothing.
        let above = runs.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let trial = above.join(format!(".{}", std::process::id()));
        match std::fs::create_dir(&trial).and_then(|()| std::fs::remove_dir(&trial)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(cannot_make(&runs, &e)),
            _ => Ok(()), // what is there already was made there
        }
    }

    /// Opens the run at `path`, or without one the newest complete run of `program`.
    ///
    /// # Errors
    /// No such folder, a folder without a model, or no run yet.
    pub fn open(program: &str, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Self::newest(&runs(program), program);
        };
        if !path.join(MODEL).is_file() {
            return Err(Failure::input(format!(
                "--run {} holds no {MODEL}; give the folder of a finished run of {program}",
                path.display()
            )));
        }
        Ok(Self::of(path.to_path_buf(), false))
    }

    fn newest(runs: &Path, program: &str) -> Result<Self, Failure> {
        let newest = std::fs::read_dir(runs)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let written = path.join(MODEL).metadata().ok()?.modified().ok()?;
                Some((written, path))
            })
            .max();
        match newest {
            Some((_, path)) => Ok(Self::of(path, false)),
            None => Err(Failure::input(format!(
                "no trained model under {}; train one first: cargo run -p {program} -- train",
                runs.display()
            ))),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What to say of a run that lacks what [`write_metrics`](Self::write_metrics) writes; else nothing.
    pub fn unfinished(&self) -> &'static str {
        if self.path().join(METRICS).exists() { "" } else { "; its training did not come to its end, or is going on" }
    }

    /// Writes the figures of a training that came to its end.
    ///
    /// # Errors
    /// As [`write_bytes`](Self::write_bytes).
    pub fn write_metrics(&self, metrics: &impl Serialize) -> Result<(), Failure> {
        self.write_json(METRICS, metrics)
    }

    /// Writes `bytes` as the file `name`, whole or not at all.
    ///
    /// # Errors
    /// If the file system says so.
    pub fn write_bytes(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let mut checksums = self.checksums()?;
        let of_file = checksums.entry(name.to_string()).or_default();
        of_file.insert(0, sha256(bytes));
        of_file.truncate(2);
        let json = serde_json::to_vec_pretty(&checksums)
            .map_err(|e| Failure::failed(format!("cannot write {CHECKSUMS} as JSON: {e}")))?;
        self.replace(CHECKSUMS, &json)?;
        self.replace(name, bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path().join(name);
        let temporary = self.path().join(format!(".{name}.tmp"));
        std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, &path)).map_err(|e| {
            let _ = std::fs::remove_file(&temporary); // it may not be there
            Failure::failed(format!("cannot write {}: {e}", path.display()))
        })
    }

    fn checksums(&self) -> Result<Checksums, Failure> {
        let path = self.path().join(CHECKSUMS);
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|e| {
                Failure::input(format!(
                    "{} is not what this program writes ({e}); is it a run of another program or version?",
                    path.display()
                ))
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Checksums::new()),
            Err(e) => Err(Failure::input(format!("cannot read {}: {e}", path.display()))),
        }
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
        let bytes = std::fs::read(&path).map_err(|e| {
            let hint = if e.kind() == ErrorKind::NotFound { "; is this a run of this program?" } else { "" };
            Failure::input(format!("cannot read {}: {e}{hint}", path.display()))
        })?;
        match self.checksums()?.get(name) {
            Some(written) if written.contains(&sha256(&bytes)) => Ok(bytes),
            _ => Err(Failure::input(format!(
                "{} is damaged or was edited: its SHA-256 is not in {CHECKSUMS}; train anew",
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
        serde_json::from_slice(&self.read_bytes(name)?).map_err(|e| {
            let path = self.path().join(name);
            Failure::input(format!(
                "{} is not what this program writes ({e}); is it a run of another program or version?",
                path.display()
            ))
        })
    }

    /// Writes the model's parameters.
    ///
    /// # Errors
    /// Parameters that are not finite: training has diverged at its last step. Else as [`write_bytes`](Self::write_bytes).
    pub fn save_model<M: Module>(&self, model: &M) -> Result<(), Failure> {
        let mut finite = Finite(true);
        model.visit(&mut finite);
        if !finite.0 {
            return Err(Failure::failed(
                "the model's weights became NaN or infinite: training has diverged; try a smaller --learning-rate",
            ));
        }
        let bytes = model
            .clone()
            .into_record()
            .into_bytes()
            .map_err(|e| Failure::failed(format!("cannot write the model: {e}")))?;
        self.write_bytes(MODEL, &bytes)
    }

    /// Reads the model's parameters into `model`, which must be of the same shape. They come back bit for bit.
    ///
    /// # Errors
    /// A file that is damaged, or of a model of another shape.
    pub fn load_model<M: Module>(&self, model: M) -> Result<M, Failure> {
        let bytes = self.read_bytes(MODEL)?;
        let wrong = |e: &dyn std::fmt::Display| {
            let path = self.path().join(MODEL);
            Failure::input(format!("{} is damaged or of another model: {e}", path.display()))
        };
        // A damaged header can make the reader of the format panic.
        let load = || {
            let record = ModuleRecord::from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes))?;
            model.try_load_record(record)
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)) {
            Ok(Ok(model)) => Ok(model),
            Ok(Err(error)) => Err(wrong(&error)),
            Err(_) => Err(wrong(&"it cannot be read")),
        }
    }
}

/// Whether all parameters seen so far are finite.
struct Finite(bool);

impl ModuleVisitor for Finite {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 &= param.val().is_finite().all().into_scalar::<bool>();
    }
}

fn taken(path: &Path) -> Failure {
    Failure::input(format!(
        "the run {} is there already and runs are never overwritten; choose another --name",
        path.display()
    ))
}

/// `runs/<program>`.
fn runs(program: &str) -> PathBuf {
    std::env::var_os("RNN_RUNS")
        .filter(|v| !v.is_empty())
        .map_or_else(|| PathBuf::from("runs"), PathBuf::from)
        .join(program)
}

fn make_dirs(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|e| cannot_make(path, &e))
}

fn cannot_make(path: &Path, error: &std::io::Error) -> Failure {
    Failure::input(format!(
        "cannot make the folder {}: {error}; set RNN_RUNS to a folder that can be written",
        path.display()
    ))
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
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn linear(d_output: usize) -> Linear {
        LinearConfig::new(3, d_output).init(&Device::default())
    }

    #[test]
    fn a_model_comes_back_bit_for_bit_and_a_wrong_one_is_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let run = RunDir::create_in(folder.path(), Some("a")).expect("new");
        let model = linear(4);
        run.save_model(&model).expect("saved");
        let back = run.load_model(linear(4)).expect("loaded");
        assert_eq!(model.weight.val().into_data(), back.weight.val().into_data());

        let other = run.load_model(linear(5)).expect_err("another shape");
        assert!(other.to_string().contains("of another model"), "{other}");
        let bytes = run.read_bytes(MODEL).expect("there");
        for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
            run.write_bytes(MODEL, &bytes[..length]).expect("written");
            assert!(matches!(run.load_model(linear(4)), Err(Failure::Input(_))));
        }
        // What changed behind our back is told, wherever it changed.
        run.write_bytes(MODEL, &bytes).expect("written");
        let mut changed = bytes.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        std::fs::write(run.path().join(MODEL), &changed).expect("written");
        let damaged = run.load_model(linear(4)).expect_err("one bit").to_string();
        assert!(damaged.contains("model.bpk is damaged or was edited"), "{damaged}");
        // A writer that stops between the checksums and the file leaves a run that can be read.
        std::fs::write(run.path().join(MODEL), &bytes).expect("written");
        let json = std::fs::read(run.path().join(CHECKSUMS)).expect("there");
        run.write_bytes(MODEL, b"new").expect("written");
        assert_ne!(std::fs::read(run.path().join(CHECKSUMS)).expect("there"), json);
        std::fs::write(run.path().join(MODEL), &bytes).expect("written");
        assert!(run.load_model(linear(4)).is_ok());

        let mut foreign = bytes.clone();
        foreign[..64].fill(0xff);
        run.write_bytes(MODEL, &foreign).expect("written");
        assert!(matches!(run.load_model(linear(4)), Err(Failure::Input(_))));
    }

    #[test]
    fn a_model_that_is_not_finite_is_not_saved() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let run = RunDir::create_in(folder.path(), Some("a")).expect("new");
        let model = linear(4);
        run.save_model(&model).expect("saved");
        for x in [f32::NAN, f32::NEG_INFINITY] {
            let bias = Tensor::from_floats([0.0, x, 0.0, 0.0], &Device::default());
            let diverged = Linear { bias: Some(Param::from_tensor(bias)), ..model.clone() };
            let error = run.save_model(&diverged).expect_err("not finite").to_string();
            assert!(error.contains("training has diverged; try a smaller --learning-rate"), "{error}");
        }
        assert!(run.load_model(linear(4)).is_ok(), "the one before is there");
    }

    #[test]
    fn runs_are_never_overwritten_and_the_newest_complete_one_is_found() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let none = RunDir::newest(folder.path(), "p").expect_err("none yet");
        assert!(none.to_string().contains("cargo run -p p"), "{none}");
        let first = RunDir::create_in(folder.path(), Some("first")).expect("new");
        first.save_model(&linear(1)).expect("saved");
        let unfinished = RunDir::create_in(folder.path(), Some("unfinished")).expect("new");
        let newest = RunDir::newest(folder.path(), "p").expect("first");
        assert_eq!(newest.path(), first.path());
        let path = unfinished.path().to_path_buf();
        let again = unfinished.clone();
        drop(unfinished);
        assert!(path.exists());
        drop(again);
        assert!(!path.exists(), "it came to nothing");
        drop((first, newest));
        assert!(folder.path().join("first").exists());
        for name in ["first", "../x", "", ".hidden"] {
            let wrong = RunDir::create_in(folder.path(), Some(name));
            assert!(matches!(wrong, Err(Failure::Input(_))), "{name}");
        }
        let a = RunDir::create_in(folder.path(), None).expect("new");
        let b = RunDir::create_in(folder.path(), None).expect("new");
        assert_ne!(a.path(), b.path());
    }
}
