//! A plain RNN learns to add binary numbers.

mod commands;
mod config;
mod data;
mod model;
mod numpy_random;
mod scratch;

use clap::{Parser, Subcommand};
use commands::{ask, scratch as scratch_command, train};
use config::TrainArgs;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "adder", version, about = "A recurrent network learns to add binary numbers")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: TrainArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train with rnn-core, then check every pair of operands (the default)
    Train(Box<TrainArgs>),
    /// Train the lesson's from-scratch network and print its reports
    Scratch(scratch_command::ScratchArgs),
    /// Add two numbers with a trained model: adder ask 57 66
    Ask(ask::AskArgs),
    #[command(flatten)]
    Runs(rnn_harness::RunsCommand),
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    rnn_harness::run_program(|| match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => train::command(&args),
        Command::Scratch(args) => scratch_command::scratch(&args),
        Command::Ask(args) => ask::ask(&args),
        Command::Runs(command) => command.run(train::PROGRAM),
    })
}
