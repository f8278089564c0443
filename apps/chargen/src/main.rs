//! Learns a text character by character and writes on.

mod commands;
mod config;
mod data;
mod generate;
mod model;
mod prime;
mod run;

use clap::{Parser, Subcommand};
use config::TrainArgs;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "chargen", version, about = "Learns a text character by character and writes on")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: TrainArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model on a text (the default)
    Train(Box<TrainArgs>),
    /// Continue a text with a trained model: chargen generate --prime "alice was "
    Generate(commands::generate::GenerateArgs),
    #[command(flatten)]
    Runs(rnn_harness::RunsCommand),
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    rnn_harness::run_program(|| match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => commands::train::command(&args),
        Command::Generate(args) => commands::generate::generate(&args),
        Command::Runs(command) => command.run(run::PROGRAM),
    })
}
