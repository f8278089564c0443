//! The subcommands about runs that are there: `runs`, `compare`, `sweep`.

mod compare;
mod list;
mod sweep;

use crate::Failure;
use crate::report::settings;
use crate::run_dir::{CONFIG, RunDir, SETTINGS, runs};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::SystemTime;

/// The subcommands about runs, the same in every program.
#[derive(Debug, clap::Subcommand)]
pub enum RunsCommand {
    /// List the runs with their figures
    Runs(list::ListArgs),
    /// Compare runs: settings that differ, figures, curves
    Compare(compare::CompareArgs),
    /// Train with every combination of some settings, then compare: sweep cell=lstm,gru optimizer=adam,rmsprop
    Sweep(sweep::SweepArgs),
}

impl RunsCommand {
    /// Runs the subcommand of `program`.
    ///
    /// # Errors
    /// Runs that are not there; settings that its training refuses.
    pub fn run(&self, program: &str) -> Result<(), Failure> {
        match self {
            Self::Runs(args) => list::list(program, args),
            Self::Compare(args) => compare::command(program, args),
            Self::Sweep(args) => sweep::sweep(program, args),
        }
    }
}

/// What a run folder says.
#[derive(Debug)]
struct Run {
    name: String,
    folder: RunDir,
    /// When its configuration was written.
    begun: SystemTime,
    /// Of which program it is; older runs do not say it.
    program: Option<String>,
    /// By path, such as `model.hidden`.
    settings: Vec<(String, String)>,
    /// Those that it was asked for, by the names of options.
    asked: Vec<(String, String)>,
    /// `None` of a training that did not come to its end.
    summary: Option<Map<String, Value>>,
}

impl Run {
    fn read(path: &Path) -> Result<Self, Failure> {
        let folder = RunDir::of(path.to_path_buf());
        let config: Value = folder.read_json(CONFIG)?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let begun = path.join(CONFIG).metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let summary = folder.summary();
        let program = config.get("program").and_then(Value::as_str).map(String::from);
        let asked = folder.read_text(SETTINGS).ok().and_then(|text| text.parse::<toml::Table>().ok());
        let asked = asked.and_then(|table| serde_json::to_value(table).ok()).map(|table| settings(&table));
        let asked = asked.unwrap_or_default();
        Ok(Self { name, folder, begun, program, settings: settings(&config), asked, summary })
    }

    /// The figure `name` of a finished run, else of the last epoch.
    fn figure(&self, name: &str) -> Option<f64> {
        self.summary.as_ref().and_then(|summary| summary.get(name)).and_then(Value::as_f64)
    }

    /// The figure that orders runs: the loss of the validation, that of all parts of the model where there are several,
    /// else of the training. `None` of an unfinished run.
    fn rank(&self) -> Option<(&'static str, f64)> {
        let figures = ["blended_validation_loss", "validation_loss", "train_loss"];
        figures.into_iter().find_map(|name| Some((name, self.figure(name)?)))
    }

    /// Unfinished runs come last.
    fn order(&self) -> f64 {
        self.rank().map_or(f64::INFINITY, |(_, value)| value)
    }

    fn state(&self) -> String {
        if self.summary.is_some() { "finished".into() } else { "unfinished".into() }
    }
}

/// The names of the figures that any of `all` has: those of training, validation and test, and the task's own.
fn figure_names(all: &[Run]) -> Vec<String> {
    let is_figure = |name: &str, value: &Value| {
        let part = ["train_", "validation_", "test_", "blended_"].iter().any(|part| name.starts_with(part));
        let own = ["bits_per_character", "mae", "mase", "wrong", "best_epoch", "best_step"].contains(&name);
        let other = name.ends_with("_share") || name.ends_with("_reviews") || name == "test_seconds";
        (part && !other || own) && value.is_number()
    };
    let mut names: Vec<String> = Vec::new();
    for run in all {
        for (name, value) in run.summary.iter().flatten() {
            if is_figure(name, value) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let part = |name: &String| {
        ["test_", "blended_", "validation_"].iter().position(|part| name.starts_with(part)).unwrap_or(9)
    };
    names.sort_by_key(|name| (part(name), !name.ends_with("loss")));
    names
}

/// Figures that are counts.
const COUNTS: [&str; 3] = ["best_epoch", "best_step", "wrong"];

/// The figure `name` for a table: counts as they are, others to four digits.
fn shown(name: &str, value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(x) if COUNTS.contains(&name) && x.fract() == 0.0 => format!("{x}"),
        Some(x) => format!("{x:.4}"),
    }
}

/// All runs of `program`, the oldest first; what cannot be read is said on stderr.
fn all(program: &str) -> Vec<Run> {
    let entries = std::fs::read_dir(runs(program)).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.join(CONFIG).is_file());
    let read = |path: std::path::PathBuf| Run::read(&path).map_err(|error| crate::say!("left out: {error}")).ok();
    let mut all: Vec<Run> = folders.filter_map(read).collect();
    all.sort_by(|a, b| (a.begun, &a.name).cmp(&(b.begun, &b.name)));
    all
}
