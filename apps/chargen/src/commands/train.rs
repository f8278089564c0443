//! `chargen train`: the lesson's model on Alice, with any of its settings changed.

use crate::config::{Mode, RunConfig, TrainArgs};
use crate::data::Data;
use crate::generate::{Memory, Writer, generate};
use crate::model::{Batch, Model};
use crate::run::{PROGRAM, SYMBOLS};
use crate::streams;
use burn::tensor::Device;
use rnn_core::{CellKind, Sampling};
use rnn_data::chars::Vocabulary;
use rnn_harness::options::Session;
use rnn_harness::progress::{Waiting, waiting};
use rnn_harness::training::{Examples, evaluate, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{Batches, EpochRecord, Figures, Flow, Keys, Task};
use serde::Serialize;
use serde_json::{Map, Value};
use std::cmp::Reverse;
use std::f64::consts::LN_2;
use std::ops::Range;

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    cell: CellKind,
    seed: u64,
    device: &'a str,
    windows: usize,
    symbols: usize,
    #[serde(flatten)]
    training: Map<String, Value>,
    /// Of the validation part, and of the test part; null without one.
    bits_per_character: Option<f64>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    test_bits_per_character: Option<f64>,
    /// The share of the most frequent character, which is the accuracy of always predicting it.
    most_frequent: f64,
    run: String,
}

/// The most frequent character. An accuracy is meaningful only above its share.
#[derive(Debug, Clone, Copy)]
struct MostFrequent {
    character: char,
    share: f64,
}

impl MostFrequent {
    /// The most frequent one of `ids`, which must not be empty.
    fn of(ids: impl Iterator<Item = u32>, vocabulary: &Vocabulary) -> Self {
        let mut counts = vec![0u64; vocabulary.len()];
        for id in ids {
            counts[id as usize] += 1;
        }
        let most = (0..counts.len()).max_by_key(|&id| (counts[id], Reverse(id))).unwrap_or(0);
        Self {
            character: vocabulary.decode(most as u32),
            share: counts[most] as f64 / counts.iter().sum::<u64>().max(1) as f64,
        }
    }
}

/// The length of the sample after an epoch, as in the lesson.
const SHOWN: u64 = 100;
/// The temperature of the sample of a model that reads streams.
const SHOWN_AT: f64 = 0.8;

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (mut session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let reading = waiting("reading the text and making the model");
    let (config, data) = match saved {
        Some(config) => {
            let data = config.data.load_again()?;
            (config, data)
        }
        None => {
            let (mut config, data) = args.config(&session)?;
            config.training.device = session.decide(&config.training.plan, |device| fresh(&config, &data, device))?;
            (config, data)
        }
    };
    train(&config, data, &session, reading)
}

/// What is trained, validated and tested on.
pub(super) struct Cut {
    pub train: Batches<Batch>,
    pub validation: Option<Batches<Batch>>,
    pub test: Option<Batches<Batch>>,
    /// The characters that are predicted in training.
    pub targets: Range<usize>,
    /// What a mini-batch has in memory at most: rows.
    pub rows: usize,
    /// What an item is called.
    pub unit: &'static str,
}

/// Cuts the text as `config` says.
pub(super) fn cut(config: &RunConfig, data: &Data, keys: Keys, device: &Device) -> Result<Cut, Failure> {
    let (training, split) = (&config.training, config.split());
    let test = data.ids.len() - split.test_characters(data.ids.len())..data.ids.len();
    match config.mode {
        Mode::Windows => {
            let windows = data.windows(config.model.window, &split)?;
            Ok(Cut {
                train: windows.train(&data.ids, training.batch, keys, device),
                validation: windows.validation(&data.ids, training.batch, keys, device),
                test: windows.of_targets(test, &data.ids, training.batch, keys, device),
                targets: windows.targets(),
                rows: training.batch.min(windows.train),
                unit: "windows",
            })
        }
        Mode::Streams => {
            let parts = split.parts(data)?;
            Ok(Cut {
                train: streams::train(
                    &data.ids,
                    parts.train.clone(),
                    [training.batch, config.model.window],
                    keys,
                    device,
                )?,
                validation: streams::in_order(&data.ids, parts.validation, keys, device),
                test: streams::in_order(&data.ids, parts.test, keys, device),
                targets: parts.train,
                rows: training.batch,
                unit: "characters",
            })
        }
    }
}

/// A new model on `device`, and the mini-batches of its training.
fn fresh(config: &RunConfig, data: &Data, device: &Device) -> Result<(Model, Batches<Batch>), Failure> {
    let keys = Keys::new(config.training.seed);
    let Cut { train, rows, .. } = cut(config, data, keys, device)?;
    config.model.check(rows)?;
    let model = config.model.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    Ok((model, train))
}

/// Trains, and shows a generated sample after each epoch.
fn train(config: &RunConfig, data: Data, session: &Session, reading: Waiting) -> Result<(), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    let keys = Keys::new(training.seed);
    let device = &session.device.device;
    if config.mode == Mode::Streams && !session.device.others.is_empty() {
        return Err(Failure::input(format!(
            "--device {}: with --mode streams each mini-batch begins where the one before ended, so that several devices \
             cannot share them; give one --device, or --mode windows",
            session.device.name
        )));
    }
    let Cut { train, validation, test, targets, rows, unit } = cut(config, &data, keys, device)?;
    sizes.check(rows)?;
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let (items, held_out) = (train.items(), validation.as_ref().map_or(0, Batches::items));
    let examples = Examples { train, validation, unit };
    drop(reading);

    let symbols = serde_json::to_vec_pretty(&data.vocabulary).map_err(Failure::failed)?;
    let run = session.run(config, &[(SYMBOLS, &symbols)])?;
    let (source, cell, window) = (data.source.clone(), sizes.cell, sizes.window);
    let mut to_hold_out = match held_out {
        0 => String::new(),
        held_out => format!(", {held_out} to validate"),
    };
    if let Some(test) = &test {
        to_hold_out += &format!(", {} to test", test.items());
    }
    match config.mode {
        Mode::Windows => {
            print_line!("{cell} on {source}: {items} windows of {window}{to_hold_out}, {} symbols", sizes.symbols)
        }
        Mode::Streams => print_line!(
            "{cell} on {source}: {items} characters in {rows} streams, {window} at a time{to_hold_out}, {} symbols",
            sizes.symbols
        ),
    }
    let most_frequent = MostFrequent::of(data.ids.range(targets), &data.vocabulary);
    let after_epoch = {
        let config = config.clone();
        move |model: &Model, record: &EpochRecord| {
            let EpochRecord { epoch, train, validation, seconds, .. } = record;
            let MostFrequent { character, share } = most_frequent;
            let validated = validation.as_ref().map_or(String::new(), |figures| {
                let Figures { loss, .. } = figures;
                format!(", validation loss {loss:.4}{}, accuracy {:.4}", bits(&config, *loss), accuracy(figures))
            });
            let (loss, right) = (train.loss, accuracy(train));
            let (prime, written) = sample(&config, model, &data, keys, *epoch)?;
            let lines = format!(
                "epoch {epoch}: training loss {loss:.4}{}, accuracy {right:.4} ({share:.4} by {character:?} alone)\
                 {validated}, {seconds:.1} s\nGenerating from seed: {prime}\n{prime}{written}",
                bits(&config, loss)
            );
            Ok((lines, Flow::Continue))
        }
    };
    let mut outcome = session.fit(&run, config, model, examples, Box::new(after_epoch))?;
    let tested = match &test {
        Some(test) => Some(evaluate(&outcome.model(), test, Model::FIGURES, unit)?.figures),
        None => None,
    };

    let best = outcome.state.best().map(|best| (best.epoch, best.figures.loss));
    let metrics = Metrics {
        corpus: &config.data.corpus,
        cell,
        seed: training.seed,
        device: &session.device.name,
        windows: items,
        symbols: sizes.symbols,
        training: summary(&outcome),
        bits_per_character: best.map(|(_, loss)| loss / LN_2),
        test_loss: tested.as_ref().map(|figures| figures.loss),
        test_accuracy: tested.as_ref().map(accuracy),
        test_bits_per_character: tested.as_ref().map(|figures| figures.loss / LN_2),
        most_frequent: most_frequent.share,
        run: run.path().display().to_string(),
    };
    run.write_summary(&metrics)?;
    if let (Some((epoch, loss)), Some(step)) = (best, outcome.state.best().map(|best| best.step)) {
        let place = match outcome.state.validations() {
            [] => format!("after epoch {epoch}"),
            _ => format!("after step {step}"),
        };
        print_line!("validation loss {loss:.4} ({:.4} bits a character) {place}", loss / LN_2);
    }
    if let Some(Figures { loss, .. }) = &tested {
        print_line!("test loss {loss:.4} ({:.4} bits a character)", loss / LN_2);
    }
    let loss = outcome.state.history().last().map_or(f64::NAN, |record| record.train.loss);
    print_line!("training loss {loss:.4} on {source}; model: {}", run.path().display());
    if session.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// A loss in bits a character, for the streams; the lesson's lines stay as they are.
fn bits(config: &RunConfig, loss: f64) -> String {
    match config.mode {
        Mode::Windows => String::new(),
        Mode::Streams => format!(" ({:.4} bits)", loss / LN_2),
    }
}

/// A random window of the text, and what the model writes after it.
fn sample(
    config: &RunConfig,
    model: &Model,
    data: &Data,
    keys: Keys,
    epoch: usize,
) -> Result<(String, String), Failure> {
    let prime = config.random(data, keys, epoch as u64)?;
    let mut written = String::new();
    let write = |id| {
        written.push(data.vocabulary.decode(id));
        Ok::<(), Failure>(())
    };
    let ids: Vec<u32> = data.ids.range(prime.clone()).collect();
    let (memory, choice) = match config.mode {
        Mode::Windows => (Memory::Window, Sampling::Argmax),
        Mode::Streams => (Memory::State, Sampling::Temperature(SHOWN_AT)),
    };
    let reader = model.reader().map_err(Failure::failed)?;
    let writer = Writer::new(reader, config.model.window, memory, choice, keys.samples.child(epoch as u64));
    generate(writer, &ids, SHOWN, write)?;
    Ok((data.decode(prime), written))
}

/// The accuracy among the figures of a model.
fn accuracy(figures: &Figures) -> f64 {
    figures.others.first().copied().unwrap_or(f64::NAN)
}
