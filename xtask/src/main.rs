//! Developer commands: `cargo xtask bench|data|parity|reproduce|ci`.

#[cfg(feature = "bench")]
mod bench;
mod data;
mod parity;
mod reproduce;

use clap::{Parser, Subcommand};
use std::process::{Command, ExitCode};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Developer commands", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Time one training step of both lesson models, with our layers and with burn-nn's.
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    /// Time one training step of both lesson models, with our layers and with burn-nn's.
    #[cfg(not(feature = "bench"))]
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// List, fetch or verify the corpora.
    Data(data::DataArgs),
    /// Hold the layers against PyTorch and Keras, and print the worst error of every configuration.
    Parity(parity::ParityArgs),
    /// Run the lesson's experiments and print the README's tables.
    Reproduce(reproduce::ReproduceArgs),
    /// Run everything a change must pass: what .ci/run runs.
    Ci,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        #[cfg(feature = "bench")]
        Task::Bench(args) => bench::run(&args),
        #[cfg(not(feature = "bench"))]
        Task::Bench { args } => return bench_with_burn(&args),
        Task::Data(args) => data::run(args),
        Task::Parity(args) => match parity::run(&args) {
            Ok(code) => return code,
            Err(message) => Err(message),
        },
        Task::Reproduce(args) => reproduce::run(&args),
        Task::Ci => return exit_code(Command::new("bash").arg(root().join(".ci/run"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// The other commands need no Burn, so that they are there in seconds; `bench` starts a build that has it.
#[cfg(not(feature = "bench"))]
fn bench_with_burn(args: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    exit_code(Command::new(cargo).args(["run", "--package", "xtask", "--features", "bench", "--", "bench"]).args(args))
}

fn exit_code(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) => ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: cannot start {:?}: {error}", command.get_program());
            ExitCode::FAILURE
        }
    }
}

/// The repository's root: the parent of this package's folder.
fn root() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
