//! `adder scratch`: the lesson's network, no framework.

use crate::model::BITS;
use crate::scratch::{Settings, run};
use rnn_harness::{Failure, json_line, whole};
use serde::Serialize;
use std::time::Instant;

/// The lesson's from-scratch network: plain loops, f64, NumPy's random numbers.
#[derive(Debug, clap::Args)]
pub struct ScratchArgs {
    /// Seed of NumPy's legacy generator; 0 gives the lesson's printout
    #[arg(long, default_value_t = 0, value_parser = whole::<u32>(0..=u32::MAX.into()))]
    seed: u32,
    /// Bits of the sum
    #[arg(long, default_value_t = 8, value_parser = whole::<u8>(BITS))]
    bits: u8,
    /// Units of the hidden layer
    #[arg(long, default_value_t = 16, value_parser = whole::<u16>(1..=1024))]
    hidden: u16,
    /// Additions to learn from
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u64>(1..=u64::MAX))]
    iterations: u64,
    /// Additions from one report to the next
    #[arg(long, default_value_t = 1_000, value_parser = whole::<u64>(1..=u64::MAX))]
    report_every: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Metrics {
    seed: u32,
    bits: u8,
    hidden: u16,
    iterations: u64,
    /// Of the last report.
    error: Option<f64>,
    train_seconds: f64,
}

/// Trains it and prints a block every so many additions, as the lesson does.
pub fn scratch(args: &ScratchArgs) -> Result<(), Failure> {
    let settings = Settings {
        seed: args.seed,
        bits: args.bits.into(),
        hidden: args.hidden.into(),
        iterations: args.iterations as usize,
        report_every: args.report_every as usize,
        ..Settings::default()
    };
    let start = Instant::now();
    let mut error = None;
    run(&settings, |report| {
        println!("{report}");
        error = Some(report.error);
    });
    if args.json {
        let (seed, bits, hidden, iterations) = (args.seed, args.bits, args.hidden, args.iterations);
        let train_seconds = start.elapsed().as_secs_f64();
        json_line(&Metrics { seed, bits, hidden, iterations, error, train_seconds })?;
    }
    Ok(())
}
