//! The real programs, `sentiment` and `chargen`, run as a person runs them.

use super::worker::peak_of;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The built programs.
#[derive(Debug)]
pub struct Programs {
    pub sentiment: PathBuf,
    pub chargen: PathBuf,
    /// Their `$RNN_RUNS`.
    runs: PathBuf,
    log: PathBuf,
    datasets: Option<PathBuf>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// The last line of stdout.
    pub json: Value,
    /// From start to end.
    pub seconds: f64,
    /// Peak of resident memory in MB, where the system reports it.
    pub peak_mb: Option<f64>,
}

impl Programs {
    /// Builds them, as `cargo run` would.
    pub fn build(folder: &Path, datasets: Option<PathBuf>) -> Result<Self, String> {
        let output = crate::cargo()
            .args([
                "build",
                "--package",
                "sentiment",
                "--package",
                "chargen",
                "--message-format=json-render-diagnostics",
            ])
            .current_dir(crate::root())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("cannot start cargo: {e}"))?;
        if !output.status.success() {
            return Err("cargo build of sentiment and chargen failed".into());
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let built = |name: &str| {
            let artifacts = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut executables = artifacts.filter(|a| a["target"]["name"] == name);
            let path = executables.find_map(|a| a["executable"].as_str().map(PathBuf::from));
            path.ok_or_else(|| format!("cargo built no program {name}"))
        };
        let runs = folder.join("runs");
        if runs.exists() {
            let cannot = |e| format!("cannot empty {}: {e}", runs.display());
            std::fs::remove_dir_all(&runs).map_err(cannot)?;
        }
        let log = folder.join("programs.log");
        Ok(Self { sentiment: built("sentiment")?, chargen: built("chargen")?, runs, log, datasets })
    }

    /// Runs `program` with `--json`; its stderr goes to the log.
    pub fn run<I, S>(&self, program: &Path, threads: usize, args: I) -> Result<Finished, String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let cannot = |e: std::io::Error| format!("cannot run {name}: {e}");
        let mut command = Command::new(program);
        command.args(args).args(["--json", "--device", "flex", "--threads", &threads.to_string()]);
        if let Some(datasets) = &self.datasets {
            command.env("RNN_DATASETS", datasets);
        }
        let stderr = std::fs::File::create(&self.log).map_err(cannot)?;
        command.env("RNN_RUNS", &self.runs).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let start = Instant::now();
        let child = command.spawn().map_err(cannot)?;
        let (pid, ended) = (child.id().to_string(), AtomicBool::new(false));
        // The kernel reports the peak only while the process lives, so it is polled.
        let (output, peak_mb) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut peak = None;
                while !ended.load(Ordering::Relaxed) {
                    peak = peak_of(&pid).or(peak);
                    std::thread::sleep(Duration::from_millis(5));
                }
                peak
            });
            let output = child.wait_with_output().map(|output| (output, start.elapsed().as_secs_f64()));
            ended.store(true, Ordering::Relaxed);
            (output, watcher.join().ok().flatten())
        });
        let (output, seconds) = output.map_err(cannot)?;
        if !output.status.success() {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            return Err(format!("{name} ended with {}: {last}", output.status));
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let json = serde_json::from_str(stdout.lines().last().unwrap_or_default())
            .map_err(|e| format!("{name}: the last line is not JSON: {e}"))?;
        Ok(Finished { json, seconds, peak_mb })
    }
}

impl Finished {
    /// The number `key` of the JSON line.
    pub fn number(&self, key: &str) -> Result<f64, String> {
        self.json[key].as_f64().ok_or_else(|| format!("there is no number {key} in {}", self.json))
    }

    /// The run folder.
    pub fn run(&self) -> Result<PathBuf, String> {
        let run = self.json["run"].as_str().ok_or_else(|| format!("there is no run in {}", self.json))?;
        Ok(PathBuf::from(run))
    }
}
