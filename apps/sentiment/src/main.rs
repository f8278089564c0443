//! Learns from film reviews whether the writer liked the film.

mod commands;
mod config;
mod data;
mod judge;
mod measures;
mod model;
mod ngrams;
mod noise;
mod run;
mod words;

use clap::{Parser, Subcommand};
use commands::{eval, export, inspect, predict, train};
use config::TrainArgs;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "sentiment", version, about = "Learns from film reviews whether the writer liked the film")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: TrainArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model and test it (the default)
    Train(Box<TrainArgs>),
    /// Test a trained model
    Eval(eval::EvalArgs),
    /// Show what the program sees in the data before it trains
    Inspect(inspect::InspectArgs),
    /// Say of reviews whether they are positive: sentiment predict "What a film!"
    Predict(predict::PredictArgs),
    /// Write a trained model for PyTorch or onnxruntime
    Export(rnn_harness::export::ExportArgs),
    #[command(flatten)]
    Runs(rnn_harness::RunsCommand),
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    rnn_harness::run_program(|| match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => train::command(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Export(args) => export::export(&args),
        Command::Runs(command) => command.run(run::PROGRAM),
    })
}
