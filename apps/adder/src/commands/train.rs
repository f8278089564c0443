//! `adder train`: the same task with rnn-core, then a check of every pair of operands.

use crate::data::{check_pairs, inputs, random_pairs, targets};
use crate::model::{BITS, Model, ModelConfig, UNITS, loss};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use rnn_core::{CellKind, Key};
use rnn_harness::device::DeviceArgs;
use rnn_harness::interrupt::{listen, stopped};
use rnn_harness::optim::{OptimizerArgs, OptimizerConfig, OptimizerName};
use rnn_harness::options::{cell_parser, defaults_to};
use rnn_harness::progress::Progress;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::{Failure, check_range, json_line, print_line, whole};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Instant;

/// What the additions in a step may be.
const BATCHES: RangeInclusive<u64> = 1..=65_536;

/// Trains on random additions until every checked pair is right.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
pub struct TrainArgs {
    /// The recurrent cell
    #[arg(long, default_value = "rnn", value_parser = cell_parser())]
    cell: CellKind,
    /// Bits of the sum; the operands have one less
    #[arg(long, default_value_t = 8, value_parser = whole::<u32>(BITS))]
    bits: u32,
    /// Units of the recurrent layer
    #[arg(long, default_value_t = 16, value_parser = whole::<u64>(UNITS))]
    hidden: u64,
    /// Additions in one step
    #[arg(long, default_value_t = 64, value_parser = whole::<u64>(BATCHES))]
    batch: u64,
    /// Steps at most; training ends sooner, at the first check without a wrong answer
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u64>(1..=u64::MAX))]
    steps: u64,
    /// Seed of the weights and of the additions
    #[arg(long, default_value_t = 0, value_parser = whole::<u64>(0..=u64::MAX))]
    seed: u64,
    /// Name of the run folder [default: the time]
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    optimizer: OptimizerArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What a run folder says about itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// Seed of the weights and of the additions.
    pub seed: u64,
    /// Additions in one step.
    pub batch: u64,
    /// The optimizer and its settings.
    pub optimizer: OptimizerConfig,
}

impl Config for RunConfig {
    fn check(&self) -> Result<(), Failure> {
        check_range("--batch", self.batch as usize, &BATCHES)?;
        self.model.check((self.batch as usize).max(CHECK_BLOCK))?;
        self.optimizer.check()
    }

    fn num_weights(&self) -> usize {
        self.model.layer().num_weights()
    }
}

#[derive(Debug, Serialize)]
struct Metrics {
    corpus: &'static str,
    cell: CellKind,
    bits: u32,
    seed: u64,
    device: String,
    steps: u64,
    train_loss: f64,
    train_seconds: f64,
    wrong: usize,
    pairs: usize,
    run: String,
}

/// Additions between two checks.
const CHECK_EVERY: u64 = 250;

/// Trains, checks, saves.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let device = selected.device.clone().autodiff();
    let config = RunConfig {
        model: ModelConfig { cell: args.cell, bits: args.bits, hidden: args.hidden as usize },
        seed: args.seed,
        batch: args.batch,
        optimizer: args.optimizer.resolve(OptimizerName::Adam)?,
    };
    config.check()?;
    listen()?;
    let run = RunDir::create("adder", args.name.as_deref())?;
    run.write_json("config.json", &config)?;

    let mut progress = Progress::new("additions", 1, args.steps).may_end_sooner();
    progress.begin_epoch(1);
    let seed = Key::new(args.seed);
    let (weights, batches) = (seed.child(0), seed.child(1));
    let pairs = check_pairs(args.bits, seed.child(2));
    let mut model = config.model.init(weights, &device).map_err(Failure::input)?;
    let mut optimizer = config.optimizer.init();
    let start = Instant::now();
    let (mut train_loss, mut wrong, mut step) = (f64::NAN, pairs.len(), 0);
    while step < args.steps && wrong > 0 && !stopped() {
        let batch = random_pairs(args.bits, args.batch as usize, batches.child(step));
        let logits = model.logits(inputs(&batch, args.bits, &selected.device));
        let loss = loss(logits, targets(&batch, args.bits, &selected.device));
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        let grads = config.optimizer.clipped(&model, grads);
        model = optimizer.step(config.optimizer.learning_rate, model, grads);
        step += 1;
        if step % CHECK_EVERY == 0 || step == args.steps {
            wrong = count_wrong(&model.valid(), &pairs, args.bits, &selected.device);
        }
        if progress.step(args.batch) || wrong == 0 {
            train_loss = loss.into_scalar::<f32>().into();
            progress.show(train_loss, &format!("wrong {wrong}"))?;
        }
    }
    progress.end();
    let train_seconds = start.elapsed().as_secs_f64();

    if step == 0 {
        return Err(Failure::Interrupted("before the first step; no model was saved".into()));
    }
    run.save_model(&model.valid())?;
    if step < args.steps && wrong > 0 {
        return Err(Failure::Interrupted(format!("the model as it was after step {step} of {} is kept", args.steps)));
    }
    let metrics = Metrics {
        corpus: "additions",
        cell: args.cell,
        bits: args.bits,
        seed: args.seed,
        device: selected.name,
        steps: step,
        train_loss,
        train_seconds,
        wrong,
        pairs: pairs.len(),
        run: run.path().display().to_string(),
    };
    run.write_metrics(&metrics)?;
    println!(
        "{} on {}-bit additions: {wrong} wrong of {} pairs after {step} steps, {train_seconds:.1} s",
        args.cell,
        args.bits,
        pairs.len()
    );
    print_line!("model: {}", run.path().display());
    if args.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// Pairs in one forward pass of a check.
const CHECK_BLOCK: usize = 4096;

/// Checks `pairs` in blocks, so that memory stays small.
fn count_wrong(model: &Model, pairs: &[(u32, u32)], bits: u32, device: &Device) -> usize {
    pairs
        .chunks(CHECK_BLOCK)
        .map(|block| {
            let sums = model.add(block, bits, device);
            let is_wrong = |((a, b), sum): &(&(u32, u32), u32)| a + b != *sum;
            block.iter().zip(sums).filter(is_wrong).count()
        })
        .sum()
}
