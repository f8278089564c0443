//! `sentiment train`: the lesson's model on IMDb, or whatever is changed of it.

use crate::data::{DataArgs, Encoded};
use crate::model::{Model, ModelConfig, WORDS};
use crate::run::{PROGRAM, RunConfig, begin};
use rnn_core::{CellKind, Direction, Key};
use rnn_data::Source;
use rnn_data::words::Vocabulary;
use rnn_harness::device::DeviceArgs;
use rnn_harness::optim::{OptimizerArgs, OptimizerConfig, OptimizerName};
use rnn_harness::options::{DropoutArgs, DropoutConfig, LAYERS, cell_parser, defaults_to, size};
use rnn_harness::progress::waiting;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::training::{EpochStats, fit};
use rnn_harness::{Failure, json_line, print_line, whole};
use serde::Serialize;

/// Sets of defaults; single options change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The lesson's settings (the default)
    Lesson,
    /// For the few reviews of the built-in sample: small batches, more epochs (the default there)
    Sample,
}

/// Trains a model and tests it.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0.2")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0.2")))]
pub struct TrainArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Set of defaults for what follows
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Recurrent cell [default: lstm]
    #[arg(long, value_parser = cell_parser())]
    cell: Option<CellKind>,
    /// How many of the most frequent words the model tells apart, counting padding, the start and rare words
    /// [default: 20000]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(WORDS))]
    words: Option<u64>,
    /// Words of a review the model sees, the last ones [default: 80]
    #[arg(long, value_name = "N", value_parser = size())]
    tokens: Option<u64>,
    /// Width of a word's vector [default: 128; sample: 32]
    #[arg(long, value_name = "N", value_parser = size())]
    embedding: Option<u64>,
    /// Recurrent layers upon each other [default: 1]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(LAYERS))]
    layers: Option<u64>,
    /// Read each review both ways
    #[arg(long)]
    bidirectional: bool,
    /// Units of each recurrent layer [default: 128; sample: 32]
    #[arg(long, value_name = "N", value_parser = size())]
    hidden: Option<u64>,
    #[command(flatten)]
    dropout: DropoutArgs,
    /// Reviews in a step [default: 50; sample: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Times over all training reviews [default: 1; sample: 10]
    #[arg(long, value_name = "N", value_parser = size())]
    epochs: Option<u64>,
    #[command(flatten)]
    optimizer: OptimizerArgs,
    /// Seed of the weights, the order of the reviews and dropout
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

impl TrainArgs {
    fn config(&self, source: &Source, dropout: DropoutConfig, optimizer: OptimizerConfig) -> RunConfig {
        let default = if source.is_sample() { Preset::Sample } else { Preset::Lesson };
        let pick = |given: Option<u64>, lesson: usize, sample: usize| match (given, self.preset.unwrap_or(default)) {
            (Some(given), _) => given as usize,
            (None, Preset::Lesson) => lesson,
            (None, Preset::Sample) => sample,
        };
        RunConfig {
            model: ModelConfig {
                num_words: pick(self.words, 20_000, 20_000),
                tokens: pick(self.tokens, 80, 80),
                embedding: pick(self.embedding, 128, 32),
                cell: self.cell.unwrap_or(CellKind::Lstm),
                layers: pick(self.layers, 1, 1),
                direction: if self.bidirectional { Direction::Bidirectional } else { Direction::Forward },
                hidden: pick(self.hidden, 128, 32),
                dropout,
            },
            corpus: source.corpus.clone(),
            seed: self.seed,
            epochs: pick(self.epochs, 1, 10),
            batch: pick(self.batch, 50, 10),
            optimizer,
        }
    }
}

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    cell: CellKind,
    seed: u64,
    device: &'a str,
    train_loss: f64,
    train_accuracy: f64,
    train_seconds: f64,
    test_loss: f64,
    test_accuracy: f64,
    test_seconds: f64,
    test_reviews: usize,
    epochs: &'a [EpochStats],
    run: String,
}

/// Trains, saves after each epoch, tests.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    RunDir::check(PROGRAM, args.name.as_deref())?;
    let (dropout, optimizer) = (args.dropout.resolve(0.2)?, args.optimizer.resolve(OptimizerName::Adam)?);
    let reading = waiting("reading the reviews and their words");
    let reviews = args.data.load()?;
    let source = &reviews.source;
    let config = args.config(source, dropout, optimizer);
    let device = &selected.device;

    config.check()?;
    config.model.check(config.batch.max(TEST_BATCH))?;

    let keys = Key::new(args.seed);
    let (weights, order, dropout) = (keys.child(0), keys.child(1), keys.child(2));
    let model = config.model.init(weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let vocabulary = Vocabulary::build(reviews.train.iter().map(|review| review.text.as_str()));
    let ModelConfig { num_words, tokens, cell, .. } = config.model;
    let encode = |reviews: &[_]| Encoded::new(reviews, &vocabulary, num_words, tokens);
    let batches = encode(&reviews.train)?.batches(config.batch, Some(order), dropout, device);
    let test = encode(&reviews.test)?.batches(TEST_BATCH, None, dropout, device);
    drop(reading);

    let run = RunDir::create(PROGRAM, args.name.as_deref())?;
    begin(&run, &config, &vocabulary)?;
    print_line!("{cell} on {source}: {} reviews to train, {} to test", reviews.train.len(), reviews.test.len());
    let saved = run.clone();
    let after_epoch = move |model: &Model, epoch: &EpochStats| {
        saved.save_model(model)?;
        let EpochStats { epoch, loss, accuracy, seconds } = epoch;
        println!("epoch {epoch}: training loss {loss:.4}, accuracy {accuracy:.4}, {seconds:.1} s");
        Ok(())
    };
    let (model, epochs) =
        fit(model, &config.optimizer, config.epochs, batches, Some(Model::LOOKUP), "reviews", after_epoch)?;
    let tested = model.test(&test, tokens)?;

    let last = epochs.last().ok_or_else(|| Failure::failed("training made no epoch"))?;
    let metrics = Metrics {
        corpus: &source.corpus,
        cell,
        seed: args.seed,
        device: &selected.name,
        train_loss: last.loss,
        train_accuracy: last.accuracy,
        train_seconds: epochs.iter().map(|epoch| epoch.seconds).sum(),
        test_loss: tested.loss,
        test_accuracy: tested.accuracy,
        test_seconds: tested.seconds,
        test_reviews: reviews.test.len(),
        epochs: &epochs,
        run: run.path().display().to_string(),
    };
    run.write_metrics(&metrics)?;
    print_line!("model: {}", run.path().display());
    print_line!("{}", verdict(source, &tested, reviews.test.len()));
    if args.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// Reviews in a step of a test; it changes the speed only.
pub const TEST_BATCH: usize = 100;

/// What came out, in one line.
pub fn verdict(source: &Source, tested: &EpochStats, reviews: usize) -> String {
    let EpochStats { loss, accuracy, seconds, .. } = tested;
    let figures = format!("test loss {loss:.4}, accuracy {accuracy:.4} on {reviews} reviews, {seconds:.1} s");
    if source.is_sample() { format!("{figures}; only the built-in sample, where chance gives 0.5") } else { figures }
}
