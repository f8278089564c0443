//! Forecasts of the registry's series, and exponential smoothing by statsmodels from the same origins.

use super::{Temporary, environment};
use crate::reproduce::{Programs, number};
use crate::root;
use std::path::{Path, PathBuf};

/// The series of the registry, the shortest training first.
const SERIES: [&str; 3] = ["passengers", "temperatures", "pollution"];

/// Trains a model on each series, tests it beside ETS, and prints a table of mean absolute errors.
///
/// # Errors
/// A Python without statsmodels, a program that fails, a series that is not there.
pub fn run(python: Option<&Path>) -> Result<(), String> {
    let mut folder = None;
    let python: PathBuf = match python {
        Some(python) => python.to_path_buf(),
        None => {
            let home = folder.insert(Temporary(std::env::temp_dir().join(format!("rnn-ets-{}", std::process::id()))));
            environment(&home.0, &root().join("apps/forecast/requirements.txt"))?
        }
    };
    let python = python.to_str().ok_or("the path of the Python is not UTF-8")?;
    let programs = Programs { device: "flex" };
    println!("| MAE from the same origins | forecast | ETS | seasonal naive |\n|---|---:|---:|---:|");
    for series in SERIES {
        let trained = programs.run("forecast", &["train", "--corpus", series, "--device", programs.device])?;
        let run = trained["run"].as_str().ok_or("forecast did not say where its run is")?;
        let tested = programs.run("forecast", &["eval", "--run", run, "--ets", python, "--device", programs.device])?;
        let of = |method: &str| number(&tested["baselines"][method], "mae");
        println!(
            "| {series}, {} steps ahead, {} origins | {:.4} | {:.4} | {:.4} |",
            tested["horizon"],
            tested["origins"],
            number(&tested, "mae")?,
            of("ets")?,
            of("seasonal_naive")?
        );
    }
    Ok(())
}
