//! `adder ask 57 66`: a trained model adds two numbers.

use crate::commands::train::PROGRAM;
use crate::config::RunConfig;
use crate::data::{Pair, largest_operand, sum, written};
use crate::model::Model;
use burn::tensor::Device;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::run_dir::RunDir;
use rnn_harness::{Failure, json_line, say, whole};
use serde::Serialize;

/// Adds two numbers with a trained model and shows the bits.
#[derive(Debug, clap::Args)]
pub struct AskArgs {
    /// The first number.
    #[arg(value_parser = whole::<u64>(0..=u64::MAX))]
    a: u64,
    /// The second number.
    #[arg(value_parser = whole::<u64>(0..=u64::MAX))]
    b: u64,
    #[command(flatten)]
    run: RunArgs,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Answer {
    a: u64,
    b: u64,
    answer: u128,
    right: bool,
}

/// A trained model.
pub struct Trained {
    pub config: RunConfig,
    pub model: Model,
}

impl Trained {
    /// Loads the run onto `device` and reports its name on stderr.
    pub fn load(run: RunDir, device: &Device) -> Result<Self, Failure> {
        let config: RunConfig = run.read_config()?;
        let model = run.load_model(config.model.zeros(device).map_err(Failure::input)?)?;
        say!("model: {}{}", run.path().display(), run.unfinished());
        Ok(Self { config, model })
    }

    /// Refuses operands that are too large for the model.
    pub fn check(&self, (a, b): Pair) -> Result<(), Failure> {
        let largest = largest_operand(self.config.model.bits);
        match [a, b].into_iter().find(|&number| number > largest) {
            None => Ok(()),
            Some(number) => Err(Failure::input(format!(
                "{number} is too large: this model adds numbers from 0 to {largest}; train one with more --bits"
            ))),
        }
    }
}

/// Loads the model and prints its answer.
pub fn ask(args: &AskArgs) -> Result<(), Failure> {
    let run = args.run.open(PROGRAM)?;
    let selected = args.device.select()?;
    let trained = Trained::load(run, &selected.device)?;
    let (pair, bits) = ((args.a, args.b), trained.config.model.bits);
    trained.check(pair)?;
    let answer = trained.model.add(&[pair], bits, &selected.device)[0];
    let right = answer == sum(pair);
    println!("  {}   {}", written(args.a, bits), args.a);
    println!("+ {}   {}", written(args.b, bits), args.b);
    println!("= {}   {answer}{}", written(answer, bits), if right { "" } else { "   (wrong)" });
    if args.json {
        json_line(&Answer { a: args.a, b: args.b, answer, right })?;
    }
    Ok(())
}
