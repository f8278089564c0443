//! `sentiment train`: the lesson's model on IMDb, or whatever is changed of it.

use crate::data::{DataArgs, Encoded, majority_share, vocabulary};
use crate::model::{Model, ModelConfig, WORDS};
use crate::run::{PROGRAM, RunConfig, begin};
use rnn_core::{CellKind, Direction, Key};
use rnn_data::Source;
use rnn_data::reviews::{Review, Reviews};
use rnn_data::words::Tokenizer;
use rnn_harness::device::DeviceArgs;
use rnn_harness::optim::{OptimizerArgs, OptimizerConfig, OptimizerName};
use rnn_harness::options::{DropoutArgs, DropoutConfig, LAYERS, cell_parser, defaults_to, size};
use rnn_harness::progress::waiting;
use rnn_harness::run_dir::{Config, RunDir};
use rnn_harness::training::{EpochStats, fit};
use rnn_harness::{Failure, json_line, print_line, whole};
use serde::Serialize;
use std::path::PathBuf;

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
    /// Reviews to test on instead of a part of --data, in any form that --data takes
    #[arg(long, value_name = "PATH")]
    test: Option<PathBuf>,
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
    fn config(&self, reviews: &Reviews, dropout: DropoutConfig, optimizer: OptimizerConfig) -> RunConfig {
        let source = &reviews.source;
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
            table: reviews.table.clone(),
            tokenizer: Tokenizer::default(), // until the reviews are split
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
    /// The accuracy of who always answers with the larger class of the training reviews.
    train_majority_share: f64,
    /// What was tested on. The figures of a test are null where there was none.
    test_corpus: Option<&'a str>,
    test_loss: Option<f64>,
    test_accuracy: Option<f64>,
    test_seconds: Option<f64>,
    test_reviews: usize,
    /// As of the training reviews.
    majority_share: Option<f64>,
    epochs: &'a [EpochStats],
    run: String,
}

/// Trains, saves after each epoch, tests.
pub fn train(args: &TrainArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    RunDir::check(PROGRAM, args.name.as_deref())?;
    let (dropout, optimizer) = (args.dropout.resolve(0.2)?, args.optimizer.resolve(OptimizerName::Adam)?);
    let reading = waiting("reading the reviews and making the model");
    let (reviews, tested_source) = args.data.to_train(args.test.as_ref())?;
    let source = &reviews.source;
    let mut config = args.config(&reviews, dropout, optimizer);
    let device = &selected.device;

    config.check()?;
    config.model.check(config.batch.min(reviews.train.len()))?;

    let keys = Key::new(args.seed);
    let (weights, order, dropout) = (keys.child(0), keys.child(1), keys.child(2));
    let model = config.model.init(weights, &device.clone().autodiff()).map_err(Failure::input)?;
    let vocabulary = vocabulary(&reviews.train);
    config.tokenizer = vocabulary.tokenizer();
    let ModelConfig { num_words, tokens, cell, .. } = config.model;
    let encode = |reviews: &[_]| Encoded::new(reviews, &vocabulary, num_words, tokens);
    let batches = encode(&reviews.train)?.batches(config.batch, Some(order), dropout, device);
    let test = encode(&reviews.test)?;
    test.words().warn();
    let test = test.batches(config.model.test_batch(), None, dropout, device);
    drop(reading);

    let run = RunDir::create(PROGRAM, args.name.as_deref())?;
    begin(&run, &config, &vocabulary)?;
    let of = if args.test.is_some() { format!(" of {tested_source}") } else { String::new() };
    print_line!("{cell} on {source}: {} reviews to train, {}{of} to test", reviews.train.len(), reviews.test.len());
    let (saved, share) = (run.clone(), majority_share(&reviews.train));
    let after_epoch = move |model: &Model, epoch: &EpochStats| {
        saved.save_model(model)?;
        let EpochStats { epoch, loss, accuracy, seconds } = epoch;
        println!("epoch {epoch}: training loss {loss:.4}, {}, {seconds:.1} s", beside(*accuracy, share));
        Ok(())
    };
    let (model, epochs) =
        fit(model, &config.optimizer, config.epochs, batches, Some(Model::LOOKUP), "reviews", after_epoch)?;
    let tested = if reviews.test.is_empty() { None } else { Some(model.test(&test, tokens)?) };

    let last = epochs.last().ok_or_else(|| Failure::failed("training made no epoch"))?;
    let metrics = Metrics {
        corpus: &source.corpus,
        cell,
        seed: args.seed,
        device: &selected.name,
        train_loss: last.loss,
        train_accuracy: last.accuracy,
        train_seconds: epochs.iter().map(|epoch| epoch.seconds).sum(),
        train_majority_share: share,
        test_corpus: tested.map(|_| tested_source.corpus.as_str()),
        test_loss: tested.map(|test| test.loss),
        test_accuracy: tested.map(|test| test.accuracy),
        test_seconds: tested.map(|test| test.seconds),
        test_reviews: reviews.test.len(),
        majority_share: tested.map(|_| majority_share(&reviews.test)),
        epochs: &epochs,
        run: run.path().display().to_string(),
    };
    run.write_metrics(&metrics)?;
    print_line!("model: {}", run.path().display());
    match &tested {
        Some(tested) => print_line!("{}", verdict(&tested_source, tested, &reviews.test)),
        None => {
            print_line!(
                "nothing was tested: {source} has no test part; --test FILE or sentiment eval --data FILE tests"
            )
        }
    }
    if args.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// An accuracy, and that of who always answers with the larger class.
fn beside(accuracy: f64, majority_share: f64) -> String {
    format!("accuracy {accuracy:.4} (the larger class alone: {majority_share:.4})")
}

/// What came out of a test on `reviews`, in one line.
pub fn verdict(source: &Source, tested: &EpochStats, reviews: &[Review]) -> String {
    let EpochStats { loss, accuracy, seconds, .. } = tested;
    let (accuracy, all) = (beside(*accuracy, majority_share(reviews)), reviews.len());
    let figures = format!("test loss {loss:.4}, {accuracy} on {all} reviews, {seconds:.1} s");
    if source.is_sample() { format!("{figures}; only the built-in sample, where chance gives 0.5") } else { figures }
}
