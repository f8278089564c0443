//! `forecast eval`: a trained model from every origin of the test part, beside the simple methods.

use crate::backtest::{Backtest, Forecasts};
use crate::config::RunConfig;
use crate::data::Series;
use crate::picture::{past, picture};
use crate::run::Trained;
use crate::view::{Parts, View};
use rnn_harness::device::DeviceArgs;
use rnn_harness::html::Page;
use rnn_harness::options::{RunArgs, size};
use rnn_harness::progress::waiting;
use rnn_harness::{Failure, json_line, print_line, say, write_file};
use serde::Serialize;
use std::ops::Range;
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
    /// Write the scores and a picture of the last forecast as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the results as a JSON object in the last line
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

/// The parts of `series`, and which times are tested on: those behind what the model has learnt from, as far as that
/// is known. Says what is to be known about it.
fn to_test(config: &RunConfig, series: &Series, is_the_runs: bool) -> (Parts, Range<usize>) {
    let (data, all) = (&config.data, series.len());
    let parts = config.parts(all);
    if data.is(series) {
        return (parts, parts.validation..all);
    }
    match data.begins(series) {
        Some(rows) if is_the_runs => {
            let more = series.grid.step.times(all - rows);
            say!("the series goes on for {more} after the training's; the test part goes to its new end");
            let parts = Parts { all, ..config.parts(rows) };
            (parts, parts.validation..all)
        }
        Some(rows) => {
            say!(
                "the model was trained on the first {rows} rows of this table: there the figures show what it has \
                 memorised too, not only how well it forecasts"
            );
            (parts, 0..all)
        }
        None if is_the_runs => {
            say!(
                "the series {} has changed since the training; all of the new one is tested on, with the rows that the \
                 model was trained on, if it still has them",
                data.corpus
            );
            (parts, 0..all)
        }
        None => (parts, 0..all),
    }
}

/// Loads the model, tests it, prints the scores.
pub fn eval(args: &EvalArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let reading = waiting("reading the series");
    let config = &trained.config;
    let table = config.data.table(args.data.clone())?;
    let series = config.data.series(&table)?;
    config.data.check_step(&series)?;
    let view = View::new(&series, &config.view, &config.model)?;
    let (parts, part) = to_test(config, &series, args.data.is_none());
    let horizon = config.model.horizon;
    let season = config.view.seasons.iter().copied().max().unwrap_or(1);
    let origins: Vec<usize> =
        view.origins(part.clone()).step_by(args.stride as usize).filter(|origin| *origin + 1 >= season).collect();
    if origins.is_empty() {
        return Err(Failure::input(if part.is_empty() {
            "the run has no test part (it was trained with --test 0); give another table with --data".into()
        } else {
            let (rows, before) = (part.len(), view.first_origin().max(season - 1) + 1);
            format!(
                "{rows} rows to test on, of {} in all, are too few: a forecast needs {before} rows before it, and \
                 --horizon {horizon} after it",
                series.len()
            )
        }));
    }
    drop(reading);
    let forecasts = Forecasts::new(&trained.model, &view, config, &origins, &selected.device)?;
    let test = Backtest::new(&view, config, parts, &origins, &forecasts, args.ets.as_deref())?;
    let ahead = series.grid.step.times(horizon);
    let (first, last) = (series.grid.label(origins[0]), series.grid.label(origins[origins.len() - 1]));
    print_line!(
        "{} on {}: {ahead} ahead from {} origins, {first} to {last}",
        config.model.cell,
        series.source,
        test.origins
    );
    print_line!("{}", test.table(config.model.cell.name()));
    if let Some(path) = &args.html {
        let sizes = &config.model;
        let shape = [past(2 * sizes.window, horizon), horizon];
        let number = origins.len() - 1;
        let svg = picture(&series, &view, &forecasts, number, origins[number], shape, &sizes.quantiles);
        let page = Page::new(&format!("{}: test on {}", trained.path.display(), series.source))
            .text(&format!("{ahead} ahead from {} origins, {first} to {last}", test.origins));
        let page = test.sections(sizes.cell.name()).iter().fold(page, Page::section).picture(&svg);
        write_file(path, page.finish())?;
        print_line!("page: {}", path.display());
    }
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
