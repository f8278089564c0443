//! Developer commands: `cargo xtask bench|data|fuzz|parity|profile|reproduce|ci`.

mod data;
mod fuzz;
mod parity;
mod profile;
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
    /// Time layers, lessons, generation and start-up against burn-nn, PyTorch and Keras.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// List, fetch or verify the corpora.
    Data(data::DataArgs),
    /// Fuzz everything that reads files of other people; `cargo xtask fuzz h5 --seconds 3600`.
    Fuzz(fuzz::FuzzArgs),
    /// Hold the layers against PyTorch and Keras, and print the worst error of every configuration.
    Parity(parity::ParityArgs),
    /// Train once under perf and print which parts of a step take how much of its time.
    Profile(profile::ProfileArgs),
    /// Run the lesson's experiments and print the README's tables.
    Reproduce(reproduce::ReproduceArgs),
    /// Run everything a change must pass: what .ci/run runs.
    Ci,
}

fn main() -> ExitCode {
    let result = match parse().task {
        // A package of its own: the other commands need no Burn, so they are built in seconds.
        Task::Bench { args } => return exit_code(cargo().args(bench(&args)).arg("--").args(args)),
        Task::Data(args) => data::run(args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Parity(args) => match parity::run(&args) {
            Ok(code) => return code,
            Err(message) => Err(message),
        },
        Task::Profile(args) => profile::run(&args),
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

/// What Cargo runs for the bench: with `--gpu` it has wgpu, and with `RNN_BENCH_FEATURES` in the environment those
/// features, such as `vulkan,cuda`.
fn bench(args: &[String]) -> Vec<String> {
    let mut cargo: Vec<String> = ["run", "--package", "rnn-bench"].map(String::from).to_vec();
    if args.iter().any(|arg| arg == "--gpu") {
        let features = std::env::var("RNN_BENCH_FEATURES").unwrap_or_else(|_| "wgpu".into());
        cargo.extend(["--features".into(), features]);
    }
    cargo
}

/// Parses the command line. What is wrong with it becomes one line and exit code 2.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() || error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            error.exit()
        }
        let text = error.render().to_string();
        let problem = text.split("\n\nUsage:").next().unwrap_or_default();
        let problem = problem.replace("For more information, try '--help'.", "");
        let problem: Vec<&str> = problem.split_whitespace().collect();
        eprintln!("{} (--help shows what there is)", problem.join(" "));
        std::process::exit(2)
    })
}

/// Cargo, as if from the shell: build scripts that watch what `cargo run` sets for its program would else run again
/// each time, and what depends on them be built anew.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if of_package.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
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
