//! Exponential smoothing by statsmodels, from the same origins: `ets.py`, run by a Python that has it.

use rnn_harness::{Failure, say};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is smoothed.
#[derive(Serialize)]
pub struct Asked<'a> {
    pub values: &'a [f64],
    /// Where the part ends on which the smoothing is fitted.
    pub train: usize,
    pub origins: &'a [usize],
    pub horizon: usize,
    pub season: usize,
}

/// The forecasts of each origin.
///
/// # Errors
/// A Python that does not start, has no statsmodels, or ends with an error.
pub fn forecasts(python: &Path, asked: &Asked) -> Result<Vec<Vec<f64>>, Failure> {
    let wrong = |problem: String| Failure::input(format!("--ets {}: {problem}", python.display()));
    let advice =
        "give a Python that has statsmodels, as python3 -m venv ets && ets/bin/pip install statsmodels makes it";
    let mut child = Command::new(python)
        .args(["-c", include_str!("../ets.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| wrong(format!("{e}; {advice}")))?;
    let question = serde_json::to_vec(asked).map_err(Failure::failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(&question); // if it ended early, its exit code says so
    }
    let output = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // The last line of a traceback says what went wrong.
        let last = told.lines().rev().find(|line| !line.trim().is_empty()).map_or(String::new(), |l| format!(" ({l})"));
        return Err(wrong(format!("it ended with {}{last}; {advice}", output.status)));
    }
    told.lines().for_each(|line| say!("{line}"));
    let said: Vec<Vec<f64>> = serde_json::from_slice(&output.stdout).map_err(|e| wrong(format!("its answer: {e}")))?;
    let whole = said.len() == asked.origins.len() && said.iter().all(|forecast| forecast.len() == asked.horizon);
    if whole { Ok(said) } else { Err(wrong("its answer has another number of forecasts".into())) }
}
