//! Learns a text character by character and writes on.

mod carried;
mod commands;
mod config;
mod data;
mod generate;
mod model;
mod ngram;
mod prime;
mod run;
mod split;
mod streams;
mod surprise;

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
    /// Write a trained model for PyTorch or onnxruntime
    Export(rnn_harness::export::ExportArgs),
    /// Measure a trained model on a text, beside n-grams: chargen eval FILE
    Eval(commands::eval::EvalArgs),
    /// Show what there is in a text, before a training
    Inspect(commands::inspect::InspectArgs),
    #[command(flatten)]
    Runs(rnn_harness::RunsCommand),
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    rnn_harness::run_program(|| match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => commands::train::command(&args),
        Command::Generate(args) => commands::generate::generate(&args),
        Command::Export(args) => commands::export::export(&args),
        Command::Eval(args) => commands::eval::eval(&args),
        Command::Inspect(args) => commands::inspect::inspect(&args),
        Command::Runs(command) => command.run(run::PROGRAM),
    })
}
