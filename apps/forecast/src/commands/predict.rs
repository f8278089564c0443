//! `forecast predict`: what comes after the last row.

use crate::backtest::Forecasts;
use crate::data::Series;
use crate::picture::{past, picture};
use crate::run::Trained;
use crate::table::{lines, number};
use crate::view::View;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::{RunArgs, size};
use rnn_harness::{Failure, json_line, print_line, say, write_file};
use serde::Serialize;
use std::path::PathBuf;

/// Forecasts the steps after the last row of the table.
#[derive(Debug, clap::Args)]
pub struct PredictArgs {
    #[command(flatten)]
    run: RunArgs,
    /// A table with the same columns that goes on where the old one ended [default: the run's]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Steps to forecast, at most the run's --horizon [default: all of them]
    #[arg(long, value_name = "N", value_parser = size())]
    steps: Option<u64>,
    /// What is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write a picture of the past and the forecast with its band
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table to read
    Text,
    /// time,target,forecast and a column for each quantile
    Csv,
    /// One JSON object
    Json,
}

#[derive(Debug, Serialize)]
struct Next {
    time: String,
    target: String,
    forecast: f64,
    /// As the run's `quantiles`.
    quantiles: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Predicted<'a> {
    corpus: &'a str,
    /// The time of the last row.
    after: String,
    quantiles: &'a [f64],
    run: String,
    forecasts: Vec<Next>,
}

/// Loads the model and the series, forecasts, prints.
pub fn predict(args: &PredictArgs) -> Result<(), Failure> {
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let config = &trained.config;
    let horizon = config.model.horizon;
    let steps = args.steps.map_or(horizon, |n| n as usize);
    if steps > horizon {
        return Err(Failure::input(format!(
            "--steps {steps}: the model forecasts {horizon} steps; train one with --horizon {steps}"
        )));
    }
    let series = config.data.series(&config.data.table(args.data.clone())?)?;
    config.data.check_step(&series)?;
    let view = View::new(&series, &config.view, &config.model)?;
    if series.len() <= view.first_origin() {
        return Err(Failure::input(format!(
            "{} rows are too few: the model reads {}",
            series.len(),
            view.first_origin() + 1
        )));
    }
    let origin = series.len() - 1;
    let forecasts = Forecasts::new(&trained.model, &view, config, &[origin], &selected.device)?;
    if let Some(file) = &args.svg {
        let shape = [past(3 * config.model.window.max(steps), steps), steps];
        let svg = picture(&series, &view, &forecasts, 0, origin, shape, &config.model.quantiles);
        write_file(file, svg)?;
        say!("picture: {}", file.display());
    }
    let next = next(&series, &forecasts, config.data.targets.len(), origin, steps);
    match args.format {
        Format::Json => {
            let (after, run) = (series.grid.label(origin), trained.path.display().to_string());
            let corpus = &series.source.corpus;
            json_line(&Predicted { corpus, after, quantiles: &config.model.quantiles, run, forecasts: next })?;
        }
        Format::Csv => {
            let quantiles: Vec<String> = config.model.quantiles.iter().map(|q| format!("q{q}")).collect();
            print_line!("time,target,forecast,{}", quantiles.join(","));
            for Next { time, target, forecast, quantiles } in next {
                let quantiles: Vec<String> = quantiles.iter().map(f64::to_string).collect();
                print_line!("{time},{},{forecast},{}", quoted(&target), quantiles.join(","));
            }
        }
        Format::Text => {
            let names = config.model.quantiles.iter().map(|q| format!("q {q}"));
            let header: Vec<String> = ["time".into(), "target".into()].into_iter().chain(names).collect();
            let mut rows = vec![header];
            for Next { time, target, quantiles, .. } in next {
                rows.push([time, target].into_iter().chain(quantiles.iter().map(|value| number(*value))).collect());
            }
            let mut least = vec![18, 16, 12];
            least.resize(rows[0].len(), 11);
            print_line!("{}", lines(&rows, &least, 2).join("\n"));
        }
    }
    Ok(())
}

fn next(series: &Series, forecasts: &Forecasts, targets: usize, origin: usize, steps: usize) -> Vec<Next> {
    let one = |ahead: usize, target: usize| Next {
        time: series.grid.label(origin + ahead),
        target: series.names[target].clone(),
        forecast: forecasts.point(0, ahead, target),
        quantiles: forecasts.quantiles(0, ahead, target).to_vec(),
    };
    (0..targets).flat_map(|target| (1..=steps).map(move |ahead| one(ahead, target))).collect()
}

/// A name as a field of CSV.
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_string() }
}
