//! `rnn-bench`: what `cargo xtask bench` starts. `rnn-bench worker NAME` is a contestant's process, which the bench
//! starts.

use clap::{Parser, Subcommand};
use rnn_bench::args::Args;
use rnn_bench::contestants::serve::{self, Library};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench",
    bin_name = "cargo xtask bench",
    version,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
#[command(about = "Time layers, lessons, generation and start-up against burn-nn, PyTorch and Keras")]
struct Cli {
    #[command(subcommand)]
    process: Option<Process>,
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, Subcommand)]
enum Process {
    /// Answer requests on stdin
    #[command(hide = true)]
    Worker {
        #[arg(value_enum)]
        library: Library,
    },
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    let result = match cli.process {
        Some(Process::Worker { library }) => serve::serve(library),
        None => cli.args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
