//! `adder scratch`: the lesson's network, no framework.

use crate::scratch::{Settings, check_gradients, run};
use rnn_harness::{Failure, json_line, whole};
use serde::Serialize;
use std::ops::RangeInclusive;
use std::time::Instant;

/// The range of bits in a sum.
const BITS: RangeInclusive<u64> = 2..=24;

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
    /// Learning rate of gradient descent
    #[arg(long, default_value_t = 0.1, value_name = "RATE")]
    learning_rate: f64,
    /// Show the steps of each reported addition: the bits, the carry, the hidden units as shades, the answer
    #[arg(long)]
    trace: bool,
    /// Compare the gradients with differences of the loss instead of training
    #[arg(long)]
    check: bool,
    /// Print the results as a JSON object in the last line
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

/// Trains the network and prints a report after every `--report-every` additions, as the lesson does.
pub fn scratch(args: &ScratchArgs) -> Result<(), Failure> {
    let settings = Settings {
        seed: args.seed,
        bits: args.bits.into(),
        hidden: args.hidden.into(),
        iterations: args.iterations as usize,
        report_every: args.report_every as usize,
        learning_rate: args.learning_rate,
    };
    if !(args.learning_rate > 0.0 && args.learning_rate.is_finite()) {
        return Err(Failure::input(format!(
            "--learning-rate {:?} is not possible; give a number above 0, such as 0.1",
            args.learning_rate
        )));
    }
    if args.check {
        let worst = check_gradients(&settings);
        println!("the gradients of BPTT differ from differences of the loss by at most {worst:.1e} of the largest");
        return match worst < 1e-6 {
            true => Ok(()),
            false => Err(Failure::failed("the gradients are wrong")),
        };
    }
    let start = Instant::now();
    let mut error = None;
    run(&settings, |report| {
        if args.trace {
            report.steps.iter().for_each(|step| println!("{step}"));
        }
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
