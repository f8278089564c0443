//! `forecast eval`: a trained model from every origin of the test part, beside the simple methods.

use crate::backtest::{Backtest, Forecasts};
use crate::run::Trained;
use crate::view::View;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::{RunArgs, size};
use rnn_harness::progress::waiting;
use rnn_harness::{Failure, json_line, print_line, say};
use serde::Serialize;
use std::path::PathBuf;

/// Tests a trained model from every origin of the test part (a rolling origin), beside naive, seasonal naive and drift.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Another table with the same columns, all of which is tested on [default: the run's, its test part]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Take every Nth origin
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = size())]
    stride: u64,
    /// Compare with exponential smoothing by statsmodels too, run by this Python
    #[arg(long, value_name = "PYTHON")]
    ets: Option<PathBuf>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    corpus: &'a str,
    trained_on: &'a str,
    device: &'a str,
    #[serde(flatten)]
    test: &'a Backtest,
    run: String,
}

/// Loads the model, tests it, prints the scores.
pub fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let reading = waiting("reading the series");
    let config = &trained.config;
    let table = config.data.table(args.data.clone())?;
    let series = config.data.series(&table)?;
    let is_own = config.data.is(&series);
    if !is_own && args.data.is_none() {
        say!("the series {} has changed since the training; all of the new one is tested on", config.data.corpus);
    }
    let view = View::new(&series, &config.view, &config.model);
    let parts = config.parts(series.len());
    let part = if is_own { parts.validation..parts.all } else { 0..series.len() };
    let horizon = config.model.horizon;
    let season = config.view.seasons.iter().copied().max().unwrap_or(1);
    let origins: Vec<usize> =
        view.origins(part).step_by(args.stride as usize).filter(|origin| *origin + 1 >= season).collect();
    if origins.is_empty() {
        return Err(Failure::input(if is_own && parts.validation == parts.all {
            "the run has no test part (it was trained with --test 0); give another table with --data".into()
        } else {
            let (rows, window) = (series.len(), config.model.window);
            format!(
                "{rows} rows are too few to test on: --window {window} and --horizon {horizon} lie within them once"
            )
        }));
    }
    drop(reading);
    let forecasts = Forecasts::new(&trained.model, &view, config, &origins, &selected.device)?;
    let test = Backtest::new(&view, config, series.len(), &origins, &forecasts, args.ets.as_deref())?;
    let ahead = series.grid.step.times(horizon);
    let (first, last) = (series.grid.label(origins[0]), series.grid.label(origins[origins.len() - 1]));
    print_line!(
        "{} on {}: {ahead} ahead from {} origins, {first} to {last}",
        config.model.cell,
        series.source,
        test.origins
    );
    print_line!("{}", test.table(config.model.cell.name()));
    if args.json {
        json_line(&Metrics {
            corpus: &series.source.corpus,
            trained_on: &config.data.corpus,
            device: &selected.name,
            test: &test,
            run: trained.path.display().to_string(),
        })?;
    }
    Ok(())
}
