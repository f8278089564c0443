//! `cargo xtask profile`: where the time of a training step goes, sampled with Linux' perf.

use crate::{cargo, root};
use clap::ValueEnum;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `cargo xtask profile` may be told.
#[derive(Debug, clap::Args)]
pub struct ProfileArgs {
    /// The program that trains
    #[arg(value_enum)]
    program: Program,
    /// What its `train` is to be told, for example `--recurrent-dropout 0`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    /// The lesson's LSTM on IMDb
    Sentiment,
    /// The lesson's GRU on Alice
    Chargen,
}

/// Samples a second.
const FREQUENCY: &str = "199";
/// How much of the stack each sample keeps, to find its callers by: with 16 kB those of forward are out of reach.
const STACK: &str = "dwarf,65528";

/// A stack belongs to the part of the first of its functions, from the innermost outwards, that is in one of these.
const PARTS: [(&str, &[&str]); 8] = [
    ("recurrent layer: kernels forward", &["rnn_kernels::forward"]),
    ("recurrent layer: kernels backward", &["rnn_kernels::backward"]),
    ("embedding", &["rnn_kernels::embedding", "rnn_core::embedding"]),
    ("dense layer and loss", &["rnn_kernels::linear", "rnn_kernels::cross_entropy", "rnn_core::head"]),
    ("optimizer", &["rnn_kernels::optim", "rnn_core::optim"]),
    ("dropout masks and other random numbers", &["rnn_kernels::random", "rnn_core::dropout", "rnn_core::rng"]),
    ("recurrent layer: around the kernels", &["rnn_core::"]),
    ("Burn", &["burn_", "burn::"]),
];
const REST: &str = "the rest";

/// Only stacks with this function are of the training.
const TRAINING: &str = "rnn_train::strategy";
/// But none with this one.
const TEST: &str = "rnn_train::evaluate::evaluate";

/// Trains once under perf and prints what share of its samples each part has.
pub fn run(args: &ProfileArgs) -> Result<(), String> {
    perf_is_there()?;
    let program = args.program.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
    let manifest = root().join("Cargo.toml");
    let built = cargo().args(["build", "--package", &program, "--manifest-path"]).arg(&manifest).status();
    if !built.map_err(|e| format!("cannot start cargo: {e}"))?.success() {
        return Err(format!("cargo build of {program} failed"));
    }
    let folder = tempfile::tempdir().map_err(|e| format!("cannot make a temporary folder: {e}"))?;
    let samples = folder.path().join("samples");
    // Cargo becomes the program, whose first thread is the one that trains; `--no-inherit` leaves out all others.
    let run = cargo();
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--no-inherit", "--freq", FREQUENCY, "--call-graph", STACK, "--output"])
        .arg(&samples)
        .arg("--")
        .arg(run.get_program())
        .args(["run", "--quiet", "--package", &program, "--manifest-path"])
        .arg(&manifest)
        .args(["--", "train"])
        .args(&args.args)
        .env("RNN_RUNS", folder.path().join("runs"))
        .stdout(Stdio::null());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => perf.env(name, value),
            None => perf.env_remove(name),
        };
    }
    // Ctrl-C goes to all: the program ends its training, perf its record, and this then takes the folder away.
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, stopped.clone()).map_err(|e| format!("cannot listen for Ctrl-C: {e}"))?;
    }
    let status = perf.status().map_err(|e| format!("cannot start perf: {e}"))?;
    if stopped.load(Ordering::Relaxed) {
        return Err("stopped before the end of the training".into());
    }
    if !status.success() {
        return Err(format!("`{program} train` under perf did not come to its end, as was said above"));
    }
    let script = script(&samples)?;
    let counts = count(&script, &program);
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    if all == 0 {
        return Err(format!("no sample of {program} was taken in its training"));
    }
    let command = [&["train".to_string()], &args.args[..]].concat().join(" ");
    println!(
        "`{program} {command}`: {all} samples of the thread that trains, in its training\n\n| | share |\n|---|---:|"
    );
    for (part, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        println!("| {part} | {:.1} % |", 100.0 * count as f64 / all as f64);
    }
    Ok(())
}

/// Perf is asked for before anything is built.
fn perf_is_there() -> Result<(), String> {
    let version = Command::new("perf").arg("--version").stdout(Stdio::null()).status();
    version.map(drop).map_err(|e| format!("cannot start perf (Linux; Debian's package is linux-perf): {e}"))
}

/// The samples as text: a line with the command's name, then one for each function, the innermost first, then an
/// empty one.
fn script(samples: &Path) -> Result<String, String> {
    let output = Command::new("perf")
        .args(["script", "--no-inline", "--fields", "comm,ip,sym", "--input"])
        .arg(samples)
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start perf: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("perf script ended with {}", output.status)),
    }
}

/// The samples of each part.
fn count(script: &str, program: &str) -> Vec<(&'static str, usize)> {
    let names = PARTS.iter().map(|(name, _)| *name).chain([REST]);
    let mut counts: Vec<(&str, usize)> = names.map(|name| (name, 0)).collect();
    for sample in script.split("\n\n") {
        let mut lines = sample.trim_start_matches('\n').lines();
        let of_program = lines.next().is_some_and(|name| name.trim() == program);
        let functions: Vec<&str> = lines.collect();
        let has = |name: &str| functions.iter().any(|function| function.contains(name));
        if !of_program || !has(TRAINING) || has(TEST) {
            continue;
        }
        let part_of = |function: &&str| PARTS.iter().position(|(_, of)| of.iter().any(|of| function.contains(of)));
        let part = functions.iter().find_map(part_of).unwrap_or(PARTS.len());
        counts[part].1 += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{PARTS, REST, count};

    #[test]
    fn a_sample_counts_for_its_innermost_known_function() {
        let step = "1 rnn_train::strategy::Loop<M>::steps\n 1 main";
        let script = format!(
            "sentiment \n 1 rnn_kernels::simd::x86::run_avx2\n 1 rnn_kernels::forward::start\n 1 rnn_core::layer\n {step}\n\n\
             sentiment \n 1 memset\n 1 rnn_core::layer::Recurrent::forward\n {step}\n\n\
             sentiment \n 1 memset\n {step}\n\n\
             sentiment \n 1 rnn_kernels::forward::start\n 1 rnn_train::evaluate::evaluate\n 1 main\n\n\
             sentiment \n 1 read\n 1 main\n\n\
             cargo \n 1 rnn_kernels::forward::start\n {step}\n"
        );
        let counts = count(&script, "sentiment");
        let of = |name: &str| counts.iter().find(|(part, _)| *part == name).map(|(_, count)| *count);
        assert_eq!(of(PARTS[0].0), Some(1));
        assert_eq!(of("recurrent layer: around the kernels"), Some(1));
        assert_eq!(of(REST), Some(1));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), 3);
    }
}
