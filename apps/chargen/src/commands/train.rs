//! `chargen train`: the lesson's model on Alice, with any of its settings changed.

use crate::config::{RunConfig, TrainArgs};
use crate::data::Data;
use crate::generate::{Memory, Writer, generate};
use crate::model::Model;
use crate::run::{PROGRAM, SYMBOLS};
use rnn_core::{CellKind, Sampling};
use rnn_data::chars::Vocabulary;
use rnn_harness::options::Session;
use rnn_harness::progress::{Waiting, waiting};
use rnn_harness::training::{Examples, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{EpochRecord, Figures, Flow, Keys};
use serde::Serialize;
use serde_json::{Map, Value};
use std::cmp::Reverse;

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
    fn of(ids: &[u32], vocabulary: &Vocabulary) -> Self {
        let mut counts = vec![0u64; vocabulary.len()];
        for &id in ids {
            counts[id as usize] += 1;
        }
        let most = (0..counts.len()).max_by_key(|&id| (counts[id], Reverse(id))).unwrap_or(0);
        Self { character: vocabulary.decode(most as u32), share: counts[most] as f64 / ids.len() as f64 }
    }
}

/// The length of the sample after an epoch, as in the lesson.
const SHOWN: u64 = 100;

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let reading = waiting("reading the text and making the model");
    let (config, data) = match saved {
        Some(config) => {
            let data = config.data.load_again()?;
            (config, data)
        }
        None => args.config(&session)?,
    };
    train(&config, data, &session, reading)
}

/// Trains, and shows a generated sample after each epoch.
fn train(config: &RunConfig, data: Data, session: &Session, reading: Waiting) -> Result<(), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    let keys = Keys::new(training.seed);
    let windows = data.windows(sizes, training)?;
    sizes.check(training.batch.min(windows.train))?;
    let device = &session.device.device;
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let examples = Examples {
        train: windows.train(&data.ids, training.batch, keys, device),
        validation: windows.validation(&data.ids, training.batch, keys, device),
        unit: "windows",
    };
    drop(reading);

    let symbols = serde_json::to_vec_pretty(&data.vocabulary).map_err(Failure::failed)?;
    let run = session.run(config, &[(SYMBOLS, &symbols)])?;
    let (source, cell, window) = (data.source.clone(), sizes.cell, sizes.window);
    let to_validate = match windows.validation {
        0 => String::new(),
        held_out => format!(", {held_out} to validate"),
    };
    print_line!("{cell} on {source}: {} windows of {window}{to_validate}, {} symbols", windows.train, sizes.symbols);
    let most_frequent = MostFrequent::of(&data.ids[windows.targets()], &data.vocabulary);
    let after_epoch = move |model: &Model, record: &EpochRecord| {
        let EpochRecord { epoch, train, validation, seconds, .. } = record;
        let MostFrequent { character, share } = most_frequent;
        let validated = validation.as_ref().map_or(String::new(), |figures| {
            format!(", validation loss {:.4}, accuracy {:.4}", figures.loss, accuracy(figures))
        });
        let (loss, right) = (train.loss, accuracy(train));
        let prime = &data.ids[windows.random(keys, *epoch as u64)];
        let mut written = String::new();
        let write = |id| {
            written.push(data.vocabulary.decode(id));
            Ok::<(), Failure>(())
        };
        let reader = model.reader().map_err(Failure::failed)?;
        let writer = Writer { reader, window, memory: Memory::Window, choice: Sampling::Argmax, key: keys.samples };
        generate(writer, prime, SHOWN, write)?;
        let prime = data.decode(prime);
        let lines = format!(
            "epoch {epoch}: training loss {loss:.4}, accuracy {right:.4} ({share:.4} by {character:?} alone){validated}, \
             {seconds:.1} s\nGenerating from seed: {prime}\n{prime}{written}"
        );
        Ok((lines, Flow::Continue))
    };
    let outcome = session.fit(&run, config, model, examples, Box::new(after_epoch))?;

    let metrics = Metrics {
        corpus: &config.data.corpus,
        cell,
        seed: training.seed,
        device: &session.device.name,
        windows: windows.train,
        symbols: sizes.symbols,
        training: summary(&outcome),
        most_frequent: most_frequent.share,
        run: run.path().display().to_string(),
    };
    run.write_summary(&metrics)?;
    let loss = outcome.state.history().last().map_or(f64::NAN, |record| record.train.loss);
    print_line!("training loss {loss:.4} on {source}; model: {}", run.path().display());
    if session.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// The accuracy among the figures of a model.
fn accuracy(figures: &Figures) -> f64 {
    figures.others.first().copied().unwrap_or(f64::NAN)
}
