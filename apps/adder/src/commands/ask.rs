//! `adder ask 57 66`: a trained model adds two numbers.

use crate::commands::train::PROGRAM;
use crate::config::RunConfig;
use crate::data::{operand_limit, written};
use crate::model::BITS;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, say, whole};
use serde::Serialize;

/// The largest operand of the largest model.
const LARGEST: u64 = (1 << (*BITS.end() - 1)) - 1;

/// Adds two numbers with a trained model and shows the bits.
#[derive(Debug, clap::Args)]
pub struct AskArgs {
    /// The first number.
    #[arg(value_parser = whole::<u32>(0..=LARGEST))]
    a: u32,
    /// The second number.
    #[arg(value_parser = whole::<u32>(0..=LARGEST))]
    b: u32,
    #[command(flatten)]
    run: RunArgs,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Answer {
    a: u32,
    b: u32,
    answer: u32,
    right: bool,
}

/// Loads the model and prints its answer.
pub fn ask(args: &AskArgs) -> Result<(), Failure> {
    let run = args.run.open(PROGRAM)?;
    let config: RunConfig = run.read_config()?;
    let bits = config.model.bits;
    let limit = operand_limit(bits);
    for number in [args.a, args.b] {
        if number >= limit {
            return Err(Failure::input(format!(
                "{number} is too large: this model adds numbers from 0 to {}; train one with more --bits",
                limit - 1
            )));
        }
    }
    let selected = args.device.select()?;
    let model = config.model.zeros(&selected.device).map_err(Failure::input)?;
    let model = run.load_model(model)?;
    say!("model: {}{}", run.path().display(), run.unfinished());
    let answer = model.add(&[(args.a, args.b)], bits, &selected.device)[0];
    let right = answer == args.a + args.b;
    println!("  {}   {}", written(args.a, bits), args.a);
    println!("+ {}   {}", written(args.b, bits), args.b);
    println!("= {}   {answer}{}", written(answer, bits), if right { "" } else { "   (wrong)" });
    if args.json {
        json_line(&Answer { a: args.a, b: args.b, answer, right })?;
    }
    Ok(())
}
