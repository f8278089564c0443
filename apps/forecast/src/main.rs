//! Forecasts a series of numbers with a recurrent network.

mod backtest;
mod commands;
mod config;
mod data;
mod ets;
mod model;
mod picture;
mod preset;
mod run;
mod table;
mod times;
mod view;

use clap::{Parser, Subcommand};
use commands::{eval, export, inspect, predict, train};
use config::TrainArgs;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "forecast", version, about = "Forecasts a series of numbers with a recurrent network")]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: TrainArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model on a series and test it on its end (the default)
    Train(Box<TrainArgs>),
    /// Test a trained model from every origin of the test part, beside the simple methods
    Eval(eval::EvalArgs),
    /// Forecast what comes after the last row: forecast predict --svg next.svg
    Predict(predict::PredictArgs),
    /// Write a trained model for PyTorch or onnxruntime: forecast export --format onnx --out model.onnx
    Export(rnn_harness::export::ExportArgs),
    /// Say what the program sees in a table: columns, step, gaps, missing values, windows
    Inspect(Box<inspect::InspectArgs>),
    #[command(flatten)]
    Runs(rnn_harness::RunsCommand),
}

fn main() -> ExitCode {
    let cli: Cli = rnn_harness::parse();
    rnn_harness::run_program(|| match cli.command.unwrap_or(Command::Train(Box::new(cli.train))) {
        Command::Train(args) => train::command(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Export(args) => export::export(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Runs(command) => command.run(run::PROGRAM),
    })
}
