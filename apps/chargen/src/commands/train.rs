//! `chargen train`: the lesson's model on Alice, or whatever is changed of it.

use crate::data::{DataArgs, batches};
use crate::generate::{Choice, Memory, Writer, generate};
use crate::model::{Model, ModelConfig};
use crate::run::{PROGRAM, RunConfig, begin};
use rnn_core::{CellKind, Key};
use rnn_data::chars::Vocabulary;
use rnn_harness::device::DeviceArgs;
use rnn_harness::optim::{OptimizerArgs, OptimizerName};
use rnn_harness::options::{DropoutArgs, LAYERS, cell_parser, defaults_to, size};
use rnn_harness::progress::waiting;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::training::{EpochStats, fit};
use rnn_harness::{Failure, json_line, print_line, whole};
use serde::Serialize;
use std::cmp::Reverse;
use std::sync::Arc;

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The lesson's settings (the default)
    Lesson,
    /// For the short story of the built-in sample: more epochs (the default there)
    Sample,
}

/// Trains a model and shows after each epoch what it writes.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "rmsprop")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0")))]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Set of defaults for what follows
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Recurrent cell [default: gru]
    #[arg(long, value_parser = cell_parser())]
    cell: Option<CellKind>,
    /// Characters the model sees before it guesses the next [default: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    window: Option<u64>,
    /// Recurrent layers upon each other [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(LAYERS))]
    layers: Option<u64>,
    /// Units of each recurrent layer [default: 128]
    #[arg(long, value_name = "N", value_parser = size())]
    hidden: Option<u64>,
    #[command(flatten)]
    dropout: DropoutArgs,
    /// Windows in a step [default: 128]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Times over the whole text; the lesson advises 25 [default: 1; sample: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    epochs: Option<u64>,
    #[command(flatten)]
    optimizer: OptimizerArgs,
    /// Seed of the weights, the order of the windows and dropout
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Name of the run folder [default: the time]
    #[arg(long)]
    name: Option<String>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    cell: CellKind,
    seed: u64,
    device: &'a str,
    windows: usize,
    symbols: usize,
    train_loss: f64,
    train_accuracy: f64,
    /// What the accuracy would be if the most frequent character were always given.
    most_frequent: f64,
    train_seconds: f64,
    epochs: &'a [EpochStats],
    run: String,
}

/// What always comes right most often: an accuracy means little that is not above its share.
#[derive(Debug, Clone, Copy)]
struct MostFrequent {
    character: char,
    share: f64,
}

impl MostFrequent {
    /// Of `ids`, of which there must be one.
    fn of(ids: &[u32], vocabulary: &Vocabulary) -> Self {
        let mut counts = vec![0u64; vocabulary.len()];
        for &id in ids {
            counts[id as usize] += 1;
        }
        let most = (0..counts.len()).max_by_key(|&id| (counts[id], Reverse(id))).unwrap_or(0);
        Self { character: vocabulary.decode(most as u32), share: counts[most] as f64 / ids.len() as f64 }
    }
}

/// What the sample after an epoch has, as in the lesson.
const SHOWN: u64 = 100;

/// Trains; after each epoch saves the model and shows what it writes.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    RunDir::check(PROGRAM, args.name.as_deref())?;
    let (masks, optimizer) = (args.dropout.resolve(0.0)?, args.optimizer.resolve(OptimizerName::Rmsprop)?);
    let reading = waiting("reading the text and making the model");
    let (source, text) = args.data.load()?;
    let window = args.window.unwrap_or(10) as usize;
    let vocabulary = Vocabulary::build(&text);
    let ids = Arc::new(vocabulary.encode(&text).map_err(Failure::failed)?);
    drop(text);
    if ids.len() <= window {
        let length = ids.len();
        return Err(Failure::input(format!(
            "the text has {length} characters, too few for --window {window} and the character after it; give a smaller \
             window or a longer text"
        )));
    }
    let default = if source.is_sample() { Preset::Sample } else { Preset::Lesson };
    let epochs = match args.preset.unwrap_or(default) {
        Preset::Lesson => 1,
        Preset::Sample => 10,
    };
    let (windows, symbols) = (ids.len() - window, vocabulary.len());
    let keys = Key::new(args.seed);
    let (weights, order, dropout, shown) = (keys.child(0), keys.child(1), keys.child(2), keys.child(3));
    let random_window = move |epoch: u64| {
        let start = shown.child(epoch).uniforms(1).sum::<f64>() * windows as f64;
        start as usize..start as usize + window
    };
    let prime = ids[random_window(0)].iter().map(|&id| vocabulary.decode(id)).collect();
    let most_frequent = MostFrequent::of(&ids[window..], &vocabulary);
    let config = RunConfig {
        model: ModelConfig {
            symbols,
            window,
            cell: args.cell.unwrap_or(CellKind::Gru),
            layers: args.layers.unwrap_or(1) as usize,
            hidden: args.hidden.unwrap_or(128) as usize,
            dropout: masks,
        },
        corpus: source.corpus.clone(),
        prepare: args.data.prepare(),
        prime,
        seed: args.seed,
        epochs: args.epochs.map_or(epochs, |n| n as usize),
        batch: args.batch.unwrap_or(128) as usize,
        optimizer,
    };
    config.check()?;
    config.model.check(config.batch.min(windows))?;
    let device = selected.device.clone();
    let model = config.model.init(weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let batches = batches(ids.clone(), &config.model, config.batch, order, dropout, &device);
    drop(reading);

    let run = RunDir::create(PROGRAM, args.name.as_deref())?;
    begin(&run, &config, &vocabulary)?;
    let cell = config.model.cell;
    print_line!("{cell} on {source}: {windows} windows of {window}, {symbols} symbols");
    let saved = run.clone();
    let after_epoch = move |model: &Model, epoch: &EpochStats| {
        saved.save_model(model)?;
        let EpochStats { epoch, loss, accuracy, seconds } = epoch;
        let MostFrequent { character, share } = most_frequent;
        println!(
            "epoch {epoch}: training loss {loss:.4}, accuracy {accuracy:.4} ({share:.4} by {character:?} alone), \
             {seconds:.1} s"
        );
        let prime = &ids[random_window(*epoch as u64)];
        let mut written = String::new();
        let write = |id| {
            written.push(vocabulary.decode(id));
            Ok::<(), Failure>(())
        };
        let reader = model.reader().map_err(Failure::failed)?;
        let writer = Writer { reader, window, memory: Memory::Window, choice: Choice::Argmax };
        generate(writer, prime, SHOWN, write)?;
        let prime: String = prime.iter().map(|&id| vocabulary.decode(id)).collect();
        print_line!("Generating from seed: {prime}\n{prime}{written}");
        Ok(())
    };
    let (_, epochs) = fit(model, &config.optimizer, config.epochs, batches, None, "windows", after_epoch)?;

    let last = epochs.last().ok_or_else(|| Failure::failed("training made no epoch"))?;
    let metrics = Metrics {
        corpus: &source.corpus,
        cell,
        seed: args.seed,
        device: &selected.name,
        windows,
        symbols,
        train_loss: last.loss,
        train_accuracy: last.accuracy,
        most_frequent: most_frequent.share,
        train_seconds: epochs.iter().map(|epoch| epoch.seconds).sum(),
        epochs: &epochs,
        run: run.path().display().to_string(),
    };
    run.write_metrics(&metrics)?;
    let (loss, path) = (last.loss, run.path().display());
    print_line!("training loss {loss:.4} on {source}; model: {path}");
    if args.json {
        json_line(&metrics)?;
    }
    Ok(())
}
