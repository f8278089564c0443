//! `forecast train`: a model on a series, tested on its end.

use crate::backtest::{Backtest, Forecasts, SCORES, Score};
use crate::config::{RunConfig, TrainArgs};
use crate::data::Series;
use crate::model::{Batch, Model};
use crate::picture::{past, picture};
use crate::run::PROGRAM;
use crate::table::number;
use crate::view::View;
use burn::tensor::Device;
use rnn_core::CellKind;
use rnn_harness::options::Session;
use rnn_harness::progress::{Waiting, waiting};
use rnn_harness::training::{Examples, summary};
use rnn_harness::{Failure, json_line, print_line};
use rnn_train::{Batches, EpochRecord, Figures, Flow, Keys};
use serde::Serialize;
use serde_json::{Map, Value};

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    cell: CellKind,
    seed: u64,
    device: &'a str,
    window: usize,
    #[serde(flatten)]
    training: Map<String, Value>,
    #[serde(flatten)]
    test: Option<Backtest>,
    run: String,
}

/// Starts a new training, or resumes one.
pub fn command(args: &TrainArgs) -> Result<(), Failure> {
    let (mut session, saved) = args.session.begin::<RunConfig>(PROGRAM)?;
    let reading = waiting("reading the series and making the model");
    let (config, series) = match saved {
        Some(config) => {
            let series = config.data.load_again()?;
            config.check_series(&series)?;
            (config, series)
        }
        None => {
            let (mut config, series) = args.config(&session)?;
            config.training.device = session.decide(&config.training.plan, |device| fresh(&config, &series, device))?;
            (config, series)
        }
    };
    train(&config, &series, &session, reading)
}

/// A new model on `device`, and the mini-batches of its training.
fn fresh(config: &RunConfig, series: &Series, device: &Device) -> Result<(Model, Batches<Batch>), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    let keys = Keys::new(training.seed);
    let view = View::new(series, &config.view, sizes)?;
    let learnt = view.origins(0..config.parts(series.len()).train);
    sizes.check(training.batch.min(learnt.len()))?;
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    Ok((model, view.batches(learnt, training.batch, Some(keys.order), keys.dropout, device)))
}

fn train(config: &RunConfig, series: &Series, session: &Session, reading: Waiting) -> Result<(), Failure> {
    let RunConfig { model: sizes, training, .. } = config;
    let keys = Keys::new(training.seed);
    let device = &session.device.device;
    let view = View::new(series, &config.view, sizes)?;
    let parts = config.parts(series.len());
    let learnt = view.origins(0..parts.train);
    let validated = training.validation.map(|_| view.origins(parts.train..parts.validation));
    sizes.check(training.batch.min(learnt.len()))?;
    let model = sizes.init(keys.weights, &device.clone().autodiff()).map_err(Failure::input)?;
    print_line!(
        "{} on {}: {} from {} to {}, {} in a step of {}; {} windows of {} to train, {} to validate; {} ahead",
        sizes.cell,
        series.source,
        config.data.targets.join(", "),
        series.grid.label(0),
        series.grid.label(series.len() - 1),
        series.len(),
        series.grid.step.times(1),
        learnt.len(),
        sizes.window,
        validated.as_ref().map_or(0, ExactSizeIterator::len),
        series.grid.step.times(sizes.horizon)
    );
    let examples = Examples {
        train: view.batches(learnt, training.batch, Some(keys.order), keys.dropout, device),
        validation: validated.map(|part| view.batches(part, training.batch, None, keys.dropout, device)),
        unit: "windows",
    };
    drop(reading);
    let run = session.run(config, &[])?;
    let after_epoch = |_: &Model, record: &EpochRecord| {
        let EpochRecord { epoch, train, validation, seconds, .. } = record;
        let said = |part: &str, figures: &Figures| {
            format!("{part} loss {}, MAE {}", number(figures.loss), number(mae(figures)))
        };
        let validated =
            validation.as_ref().map_or(String::new(), |figures| ", ".to_string() + &said("validation", figures));
        let line = format!("epoch {epoch}: {}{validated}, {seconds:.1} s", said("training", train));
        Ok((line, Flow::Continue))
    };
    let mut outcome = session.fit(&run, config, model, examples, Box::new(after_epoch))?;

    let model = outcome.model();
    let origins: Vec<usize> = view.origins(parts.validation..parts.all).collect();
    let mut test = None;
    if parts.validation < parts.all {
        let forecasts = Forecasts::new(&model, &view, config, &origins, device)?;
        let backtest = Backtest::new(&view, config, parts, &origins, &forecasts, None)?;
        print_line!("{}", backtest.table(sizes.cell.name()));
        let last = origins.len() - 1;
        let shape = [past(2 * sizes.window, sizes.horizon), sizes.horizon];
        let svg = picture(series, &view, &forecasts, last, origins[last], shape, &sizes.quantiles);
        run.write_bytes("forecast.svg", svg.as_bytes())?;
        test = Some(backtest);
    }
    let said = match &test {
        Some(test) => {
            let Score { mae, mase, .. } = test.model;
            format!("test MAE {}, MASE {} from {} origins", number(mae), number(mase), test.origins)
        }
        None => "no test part (--test 0)".into(),
    };
    let metrics = Metrics {
        corpus: &config.data.corpus,
        cell: sizes.cell,
        seed: training.seed,
        device: &session.device.name,
        window: sizes.window,
        training: summary(&outcome),
        test,
        run: run.path().display().to_string(),
    };
    let sections = metrics.test.as_ref().map_or(Vec::new(), |test| test.sections(sizes.cell.name()));
    run.write_summary_with(&metrics, &sections, &SCORES)?;
    print_line!("{said} on {}; model: {}", series.source, run.path().display());
    if session.json {
        json_line(&metrics)?;
    }
    Ok(())
}

/// The mean absolute error among the figures of a model.
fn mae(figures: &Figures) -> f64 {
    figures.others.first().copied().unwrap_or(f64::NAN)
}
