//! Run folders: `runs/<program>/<name>/` under the current folder, or under `$RNN_RUNS`.
//!
//! Every file is written to a temporary name, synced and renamed, so that a reader never meets half of one, after a
//! power cut neither. A run is complete once it holds a model, and is never overwritten. A folder without one, which
//! a training left that was killed, may be taken by the next of that name; the one that trains there has its lock.

mod config;
mod files;
mod folder;
mod lock;
mod model;
mod name;
#[cfg(test)]
mod power_cuts;

use crate::{Failure, say};
pub use config::Config;
use folder::{Folder, Folders, Place};
use lock::Lock;
pub(crate) use name::named;
pub use name::timestamp;
use serde::Serialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The file that makes a run complete.
const MODEL: &str = "model.bpk";
/// How the run was asked for.
pub(crate) const CONFIG: &str = "config.json";
/// What a training is resumed from.
const CHECKPOINTS: &str = "checkpoints";
/// The figures of a training that came to its end.
const SUMMARY: &str = "summary.json";
/// The settings that the run was asked for, as `--config` reads them.
pub(crate) const SETTINGS: &str = "settings.toml";
/// One run's folder. A new one that never got a model is deleted with the last handle to it: a training that came to
/// nothing leaves nothing behind.
#[derive(Debug, Clone)]
pub struct RunDir(Arc<Folder>);

impl RunDir {
    /// Makes the folder of a new run, or takes one that a training left before it had a model. Without a name it is
    /// named by the time (UTC).
    ///
    /// # Errors
    /// A name that is taken or is not a plain file name; a folder that cannot be made.
    pub fn create(program: &str, name: Option<&str>) -> Result<Self, Failure> {
        Self::create_in(&runs(program), name)
    }

    fn create_in(runs: &Path, name: Option<&str>) -> Result<Self, Failure> {
        make_dirs(runs)?;
        if let Some(name) = name {
            let path = named(runs, name)?;
            return match folder::take(&path, Folders::Left)? {
                Place::Ours(folder) => Ok(Self(Arc::new(folder))),
                Place::InUse => Err(in_use(&path)),
                Place::Taken => Err(taken(&path)),
            };
        }
        let time = timestamp(SystemTime::now());
        let names = (2..).map(|again| format!("{time}-{again}"));
        for name in std::iter::once(time.clone()).chain(names) {
            if let Place::Ours(folder) = folder::take(&runs.join(name), Folders::New)? {
                return Ok(Self(Arc::new(folder)));
            }
        }
        Err(Failure::failed("there is no name left for the run"))
    }

    /// Opens the run at `path` to resume its training.
    ///
    /// # Errors
    /// No such run, or another process trains in it.
    pub fn resume(program: &str, path: &Path) -> Result<Self, Failure> {
        let (given, path) = (path, found(program, path, CONFIG));
        if !path.join(CONFIG).is_file() {
            return Err(Failure::input(format!(
                "--resume {} holds no {CONFIG}; give the run folder of a training of {program} that was stopped",
                given.display()
            )));
        }
        let finished = path.join(SUMMARY).exists();
        if finished && !rnn_train::has_checkpoint(&path.join(CHECKPOINTS))? {
            return Err(Failure::input(format!(
                "--resume {}: this training is finished and its checkpoints are gone, so that it cannot go on; start a new \
                 one: --config {}",
                given.display(),
                path.join(SETTINGS).display()
            )));
        }
        match folder::take_again(&path)? {
            Some(folder) => {
                if finished {
                    say!("the training in {} was finished already; only its figures are made again", path.display());
                }
                Ok(Self(Arc::new(folder)))
            }
            None => Err(in_use(&path)),
        }
    }

    pub(crate) fn of(path: PathBuf) -> Self {
        Self(Arc::new(Folder::opened(path)))
    }

    /// Whether [`create`](Self::create) would make this run; to be asked before anything that takes long.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn check(program: &str, name: Option<&str>) -> Result<(), Failure> {
        let runs = runs(program);
        if let Some(name) = name {
            let path = named(&runs, name)?;
            if folder::holds_a_run(&path) {
                return Err(taken(&path));
            }
            if Lock::is_taken(&path) {
                return Err(in_use(&path));
            }
        }
        // Probes the nearest ancestor that exists with a temporary folder, so that a wrong option leaves nothing
        // behind.
        let above = runs.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
        let trial = above.join(format!(".{}", std::process::id()));
        match std::fs::create_dir(&trial).and_then(|()| std::fs::remove_dir(&trial)) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(cannot_make(&runs, &e)),
            _ => Ok(()), // a folder of that name shows that one can be made
        }
    }

    /// Opens the run at `path`, or without one the newest complete run of `program`.
    ///
    /// # Errors
    /// No such folder, a folder without a model, or no run yet.
    pub fn open(program: &str, path: Option<&Path>) -> Result<Self, Failure> {
        let Some(given) = path else {
            return Self::newest(&runs(program), program);
        };
        let path = found(program, given, MODEL);
        if !path.join(MODEL).is_file() {
            return Err(Failure::input(format!(
                "--run {} holds no {MODEL}; give the folder or the name of a finished run of {program}",
                given.display()
            )));
        }
        Ok(Self::of(path))
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
            Some((_, path)) => Ok(Self::of(path)),
            None => Err(Failure::input(format!(
                "no trained model under {}; train one first: cargo run -p {program} -- train",
                runs.display()
            ))),
        }
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path().join(CHECKPOINTS)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What to say of a run that lacks what [`write_summary`](Self::write_summary) writes; else nothing.
    pub fn unfinished(&self) -> &'static str {
        if !self.path().join(SUMMARY).exists() {
            return "; its training did not come to its end, or is going on";
        }
        match self.read_json::<serde_json::Map<String, serde_json::Value>>(SUMMARY) {
            Ok(_) => "",
            Err(_) => "; its summary.json is empty or damaged, so that its training may not have come to its end",
        }
    }

    /// Writes the figures of a training that came to its end, and the report with the pictures that the folder has by
    /// then.
    ///
    /// # Errors
    /// As [`write_bytes`](Self::write_bytes).
    pub fn write_summary(&self, summary: &impl Serialize) -> Result<(), Failure> {
        let value =
            serde_json::to_value(summary).map_err(|e| Failure::failed(format!("cannot write {SUMMARY}: {e}")))?;
        self.write_report(&value)?;
        self.write_json(SUMMARY, summary)
    }

    /// The figures of a training that came to its end.
    pub(crate) fn summary(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.read_json(SUMMARY).ok()
    }
}

fn taken(path: &Path) -> Failure {
    let run = path.display();
    let stopped = !path.join(SUMMARY).exists() && rnn_train::has_checkpoint(&path.join(CHECKPOINTS)).unwrap_or(true);
    let or = if stopped { format!(", or resume it: --resume {run}") } else { String::new() };
    Failure::input(format!("the run {run} is there already and runs are never overwritten; choose another --name{or}"))
}

fn in_use(path: &Path) -> Failure {
    Failure::input(format!(
        "another process is training in {} now; choose another --name, or wait for its end",
        path.display()
    ))
}

/// The run folder `given`, which has `file`, or else the run of that name.
pub(crate) fn found(program: &str, given: &Path, file: &str) -> PathBuf {
    let named = runs(program).join(given);
    let is_name = !given.join(file).is_file() && named.join(file).is_file();
    if is_name { named } else { given.to_path_buf() }
}

/// `runs/<program>`.
pub(crate) fn runs(program: &str) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::files::CHECKSUMS;
    use super::*;
    use burn::module::Param;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tensor};
    use std::collections::BTreeMap;

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
        // A file that something else changed is refused, wherever it changed.
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

    pub(super) fn told<T>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Input(said)) => said,
            Err(other) => panic!("not a wrong input: {other}"),
            Ok(_) => panic!("nothing was told"),
        }
    }

    #[test]
    fn what_lacks_or_is_empty_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let run = RunDir::create_in(folder.path(), Some("a")).expect("new");
        run.write_bytes("config.json", b"{}").expect("written");
        run.save_model(&linear(1)).expect("saved");
        assert!(run.unfinished().contains("did not come to its end"));
        run.write_summary(&[("loss", 1.0)].into_iter().collect::<BTreeMap<_, _>>()).expect("written");
        assert_eq!(run.unfinished(), "");
        for content in ["", "{", "{\"loss\": NaN}", "[]"] {
            std::fs::write(run.path().join(SUMMARY), content).expect("written");
            assert!(run.unfinished().contains("summary.json is empty or damaged"), "{content:?}");
            run.write_bytes(SUMMARY, content.as_bytes()).expect("written");
            assert!(run.unfinished().contains("summary.json is empty or damaged"), "{content:?}");
        }
        std::fs::write(run.path().join("config.json"), "").expect("written");
        let empty = told(run.read_bytes("config.json"));
        assert!(empty.contains("config.json is empty, as after a power cut"), "{empty}");
        std::fs::write(run.path().join(CHECKSUMS), "").expect("written");
        let empty = told(run.read_bytes("config.json"));
        assert!(empty.contains("checksums.json is empty, as after a power cut"), "{empty}");
        std::fs::remove_file(run.path().join(CHECKSUMS)).expect("deleted");
        let lacks = told(run.read_bytes("config.json"));
        assert!(lacks.contains("has no checksums.json"), "{lacks}");
        std::fs::remove_file(run.path().join("config.json")).expect("deleted");
        std::fs::create_dir(run.path().join("config.json")).expect("made");
        assert!(told(run.read_bytes("config.json")).contains("config.json is not a file"));
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
