//! `adder train`: the same task with rnn-core, with a check of every pair of operands after each epoch.

use crate::config::{CURRICULUM, EPOCH, Keys, RunConfig, TrainArgs};
use crate::data::{check_pairs, random_pairs};
use crate::model::{Batch, Model};
use burn::tensor::Device;
use rnn_core::CellKind;
use rnn_harness::options::Session;
use rnn_harness::training::{Examples, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{Batches, EpochRecord, Figures, Flow};
use serde::Serialize;
use serde_json::{Map, Value};

/// The program's name under `runs`.
pub const PROGRAM: &str = "adder";

#[derive(Debug, Serialize)]
pub struct Metrics {
    corpus: &'static str,
    cell: CellKind,
    bits: u32,
    seed: u64,
    device: String,
    #[serde(flatten)]
    training: Map<String, Value>,
    wrong: usize,
    pairs: usize,
    pub run: String,
}

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (mut session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let config = match saved {
        Some(config) => config,
        None => {
            let mut config = args.config(&session)?;
            config.training.device = session.decide(&config.training.plan, |device| fresh(&config, device))?;
            config
        }
    };
    let (metrics, _) = train(&config, &session)?;
    if session.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// A new model on `device`, and the mini-batches of its training.
pub fn fresh(config: &RunConfig, device: &Device) -> Result<(Model, Batches<Batch>), Failure> {
    let RunConfig { model: sizes, lengths, training } = config;
    let (keys, bits, lengths) = (Keys::new(training.seed), sizes.bits, *lengths);
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let batches = Batches::new(EPOCH * training.batch, training.batch, None, device, move |items, step, device| {
        let bits = lengths.map_or(bits, |lengths| lengths.bits(step, keys.lengths.child(step)));
        Batch::new(&random_pairs(bits, items.len(), keys.additions.child(step)), bits, device)
    });
    Ok((model, batches))
}

/// Trains until no checked pair is wrong, and says how it ended.
pub fn train(config: &RunConfig, session: &Session) -> Result<(Metrics, Model), Failure> {
    let RunConfig { model: sizes, lengths, training } = config;
    let lengths = *lengths;
    let (keys, bits) = (Keys::new(training.seed), sizes.bits);
    let device = &session.device.device;
    let (model, train) = fresh(config, device)?;
    let pairs = check_pairs(bits, keys.checks);
    let all = pairs.len();
    let examples = Examples {
        train,
        validation: Some(Batches::new(all, sizes.check_batch(), None, device, move |items, _, device| {
            Batch::new(&items.iter().map(|&item| pairs[item]).collect::<Vec<_>>(), bits, device)
        })),
        unit: "additions",
    };
    let run = session.run(config, &[])?;
    let until_all_are_right = move |_: &Model, record: &EpochRecord| {
        // One clean check is luck for a network that has just seen the last of its lengths.
        let has_learned_all = lengths.is_none() || (record.epoch * EPOCH) as u64 >= CURRICULUM;
        let is_right = record.validation.as_ref().is_some_and(|figures| wrong(figures, all) == 0);
        let flow = if has_learned_all && is_right { Flow::Stop } else { Flow::Continue };
        Ok((String::new(), flow))
    };
    let mut outcome = session.fit(&run, config, model, examples, Box::new(until_all_are_right))?;

    let metrics = Metrics {
        corpus: "additions",
        cell: sizes.cell,
        bits,
        seed: training.seed,
        device: session.device.name.clone(),
        training: summary(&outcome),
        wrong: outcome.validation().map_or(all, |figures| wrong(figures, all)),
        pairs: all,
        run: run.path().display().to_string(),
    };
    run.write_summary(&metrics)?;
    let seconds: f64 = outcome.state.history().iter().map(|record| record.seconds).sum();
    println!(
        "{} on {bits}-bit additions: {} wrong of {all} pairs after {} steps, {seconds:.1} s",
        sizes.cell,
        metrics.wrong,
        outcome.state.step(),
    );
    print_line!("model: {}", run.path().display());
    Ok((metrics, outcome.model()))
}

/// The number of wrong answers among the `all` checked pairs.
fn wrong(figures: &Figures, all: usize) -> usize {
    let right = figures.others.first();
    all - right.map_or(0, |share| (share * all as f64).round() as usize)
}
