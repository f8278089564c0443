//! Backtests: forecasts from every origin of a part, scored beside the simple methods.

use crate::config::RunConfig;
use crate::ets;
use crate::model::Model;
use crate::table::{lines, number};
use crate::view::{Parts, View};
use burn::tensor::Device;
use rnn_core::Key;
use rnn_harness::Failure;
use rnn_harness::html::Section;
use rnn_harness::interrupt::{listen, stopped};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of a mini-batch of forecasts.
const ROWS: usize = 256;

/// The model's forecasts, in the targets' own units.
pub struct Forecasts {
    /// By origin; ordered by step ahead, then target, then quantile.
    values: Vec<Vec<f64>>,
    targets: usize,
    quantiles: usize,
    median: usize,
}

impl Forecasts {
    /// Forecasts from `origins`.
    ///
    /// # Errors
    /// An interruption.
    pub fn new(
        model: &Model,
        view: &View,
        config: &RunConfig,
        origins: &[usize],
        device: &Device,
    ) -> Result<Self, Failure> {
        listen()?;
        let sizes = &config.model;
        let (targets, quantiles) = (sizes.targets, sizes.quantiles.len());
        let mut values = Vec::with_capacity(origins.len());
        let rows = ROWS.min(rnn_harness::options::most_rows(&sizes.layer(), sizes.window));
        for origins in origins.chunks(rows) {
            if stopped() {
                return Err(Failure::Interrupted("before the end of the test; the model is kept".into()));
            }
            let batch = view.batch(origins, Key::new(0), device);
            let scaled: Vec<f32> = model.quantiles(&batch, None).into_data().iter().collect();
            for row in scaled.chunks(sizes.horizon * targets * quantiles) {
                let unscaled = |(number, z): (usize, &[f32])| {
                    let mut all: Vec<f64> = z.iter().map(|z| view.unscaled(number % targets, f64::from(*z))).collect();
                    all.sort_by(f64::total_cmp); // each quantile is learnt by itself: they may cross
                    all
                };
                values.push(row.chunks(quantiles).enumerate().flat_map(unscaled).collect());
            }
        }
        Ok(Self { values, targets, quantiles, median: sizes.median() })
    }

    /// The quantiles of forecast `number` for `target`, `ahead` steps (from 1) after its origin.
    pub fn quantiles(&self, number: usize, ahead: usize, target: usize) -> &[f64] {
        let start = ((ahead - 1) * self.targets + target) * self.quantiles;
        &self.values[number][start..start + self.quantiles]
    }

    /// The number of targets.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// The median among them.
    pub fn point(&self, number: usize, ahead: usize, target: usize) -> f64 {
        self.quantiles(number, ahead, target)[self.median]
    }
}

/// The errors of one method on one target, over all origins and steps whose value is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The mean absolute error.
    pub mae: f64,
    /// The root of the mean squared error.
    pub rmse: f64,
    /// The mean absolute error divided by that of the seasonal naive method, one season ahead, on the training part
    /// (Hyndman and Koehler, 2006); NaN, in JSON null, where that part does not change over a season.
    pub mase: f64,
    /// The mean of `200 |y − f| / (|y| + |f|)`, in percent.
    pub smape: f64,
    /// The share of values within the band; null without one.
    pub coverage: Option<f64>,
}

/// The names in JSON of what [`Backtest::sections`] shows.
pub const SCORES: [&str; 7] = ["mae", "rmse", "mase", "smape", "coverage", "baselines", "targets"];

/// The scores of all methods on one target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetScores {
    pub name: String,
    #[serde(flatten)]
    pub model: Score,
    pub baselines: BTreeMap<String, Score>,
}

/// A backtest.
#[derive(Debug, Clone, Serialize)]
pub struct Backtest {
    pub origins: usize,
    pub horizon: usize,
    /// The means over the targets.
    #[serde(flatten)]
    pub model: Score,
    /// By method, the means over the targets.
    pub baselines: BTreeMap<String, Score>,
    pub targets: Vec<TargetScores>,
}

/// What a method says: the forecast, and a band if it has one.
type Said = (f64, Option<(f64, f64)>);

/// Scores a method, which is a function of the number of the origin and the steps ahead.
fn score(
    view: &View,
    target: usize,
    origins: &[usize],
    horizon: usize,
    scale: f64,
    says: impl Fn(usize, usize) -> Said,
) -> Score {
    let (mut count, mut absolute, mut squared, mut relative, mut inside) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut has_band = false;
    let truth = view.values(target);
    for (number, &origin) in origins.iter().enumerate() {
        for ahead in (1..=horizon).filter(|ahead| view.is_present(target, origin + ahead)) {
            let (y, (forecast, band)) = (truth[origin + ahead], says(number, ahead));
            let error = (y - forecast).abs();
            count += 1.0;
            absolute += error;
            squared += error * error;
            let size = y.abs() + forecast.abs();
            relative += if size > 0.0 { 200.0 * error / size } else { 0.0 };
            if let Some((low, high)) = band {
                has_band = true;
                inside += f64::from(u8::from((low..=high).contains(&y)));
            }
        }
    }
    let mae = absolute / count;
    let coverage = has_band.then_some(inside / count);
    Score { mae, rmse: (squared / count).sqrt(), mase: mae / scale, smape: relative / count, coverage }
}

/// The mean absolute difference from a season before, on the training part; NaN if nothing there differs from it.
fn season_scale(view: &View, target: usize, season: usize, train: usize) -> f64 {
    let values = view.values(target);
    let known = (season..train).filter(|&t| view.is_present(target, t) && view.is_present(target, t - season));
    let (sum, count) = known.fold((0.0, 0.0), |(sum, n), t| (sum + (values[t] - values[t - season]).abs(), n + 1.0));
    if sum > 0.0 { sum / count } else { f64::NAN }
}

fn mean<'a>(scores: impl Iterator<Item = &'a Score> + Clone) -> Score {
    let over = |of: &dyn Fn(&Score) -> f64| scores.clone().map(of).sum::<f64>() / scores.clone().count() as f64;
    Score {
        mae: over(&|s| s.mae),
        rmse: over(&|s| s.rmse),
        mase: over(&|s| s.mase),
        smape: over(&|s| s.smape),
        coverage: scores.clone().all(|s| s.coverage.is_some()).then(|| over(&|s| s.coverage.unwrap_or(f64::NAN))),
    }
}

impl Backtest {
    /// Scores `forecasts` from `origins`, and beside them the simple methods; ETS too where a Python with statsmodels
    /// is named. `parts` are those of the series: its training part scales MASE, and ETS is fitted on what comes before
    /// its test part.
    ///
    /// # Errors
    /// A target without any value to compare with; a Python that does not give ETS.
    pub fn new(
        view: &View,
        config: &RunConfig,
        parts: Parts,
        origins: &[usize],
        forecasts: &Forecasts,
        python: Option<&Path>,
    ) -> Result<Self, Failure> {
        let (horizon, seasons) = (config.model.horizon, &config.view.seasons);
        let train = parts.validation; // what a simple method needs no validation of
        let mut targets = Vec::new();
        for (target, name) in config.data.targets.iter().enumerate() {
            let values = view.values(target);
            let mut came = origins.iter().flat_map(|origin| (1..=horizon).map(move |ahead| origin + ahead));
            if !came.any(|time| view.is_present(target, time)) {
                return Err(Failure::input(format!("the test part has no value of {name}")));
            }
            let scale = season_scale(view, target, seasons[0], parts.train);
            let scored = |says: &dyn Fn(usize, usize) -> Said| score(view, target, origins, horizon, scale, says);
            let simple =
                |says: &dyn Fn(usize, usize) -> f64| scored(&|number, ahead| (says(origins[number], ahead), None));
            let model = scored(&|number, ahead| {
                let quantiles = forecasts.quantiles(number, ahead, target);
                let band = (quantiles.len() > 1).then(|| (quantiles[0], quantiles[quantiles.len() - 1]));
                (forecasts.point(number, ahead, target), band)
            });
            let mut baselines = BTreeMap::new();
            baselines.insert("naive".to_string(), simple(&|origin, _| values[origin]));
            for (place, &season) in seasons.iter().enumerate().filter(|(_, season)| **season > 1) {
                let before = |origin: usize, ahead: usize| values[origin + ahead - season * ahead.div_ceil(season)];
                let name = if place == 0 { "seasonal_naive".into() } else { format!("seasonal_naive_{season}") };
                baselines.insert(name, simple(&before));
            }
            let drift = |origin: usize, ahead: usize| {
                values[origin] + ahead as f64 * (values[origin] - values[0]) / origin.max(1) as f64
            };
            baselines.insert("drift".into(), simple(&drift));
            if let Some(python) = python {
                let asked = ets::Asked { values: &values[..parts.all], train, origins, horizon, season: seasons[0] };
                let said = ets::forecasts(python, &asked)?;
                baselines.insert("ets".into(), scored(&|number, ahead| (said[number][ahead - 1], None)));
            }
            targets.push(TargetScores { name: name.clone(), model, baselines });
        }
        let methods: Vec<String> = targets.first().map(|t| t.baselines.keys().cloned().collect()).unwrap_or_default();
        let of = |method: String| (method.clone(), mean(targets.iter().map(move |t| &t.baselines[&method])));
        let baselines = methods.into_iter().map(of).collect();
        Ok(Self { origins: origins.len(), horizon, model: mean(targets.iter().map(|t| &t.model)), baselines, targets })
    }

    /// The table of each target, a row for each method, the best MAE first, below the name of the target and what the
    /// columns are.
    fn rows(&self, cell: &str) -> Vec<Vec<Vec<String>>> {
        let of = |target: &TargetScores| {
            let mut scores: Vec<(String, Score)> = vec![(cell.to_string(), target.model)];
            scores.extend(target.baselines.iter().map(|(name, score)| (name.replace('_', " "), *score)));
            scores.sort_by(|a, b| a.1.mae.total_cmp(&b.1.mae));
            let columns = ["MAE", "RMSE", "MASE", "sMAPE", "in band"].map(String::from);
            let mut rows = vec![[vec![target.name.clone()], columns.to_vec()].concat()];
            rows.extend(scores.into_iter().map(|(name, Score { mae, rmse, mase, smape, coverage })| {
                let coverage = coverage.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share));
                vec![name, number(mae), number(rmse), number(mase), format!("{smape:.2} %"), coverage]
            }));
            rows
        };
        self.targets.iter().map(of).collect()
    }

    /// What is to be known about the figures of MASE, if there are none.
    fn note(&self) -> Option<String> {
        let without: Vec<&str> = self
            .targets
            .iter()
            .filter(|target| target.model.mase.is_nan())
            .map(|target| target.name.as_str())
            .collect();
        let of = if self.targets.len() > 1 { format!(" of {}", without.join(", ")) } else { String::new() };
        (!without.is_empty()).then(|| format!("MASE has no scale: the training part{of} does not change over a season"))
    }

    /// The tables for the terminal, a part for each target.
    pub fn table(&self, cell: &str) -> String {
        let mut text = Vec::new();
        for mut rows in self.rows(cell) {
            rows[1..].iter_mut().for_each(|row| row[0].insert_str(0, "  "));
            text.extend(lines(&rows, &[20, 9, 9, 7, 8, 8], 1));
        }
        text.extend(self.note());
        text.join("\n")
    }

    /// The tables for a page: each target's, below its name.
    pub fn sections(&self, cell: &str) -> Vec<Section> {
        let section = |mut rows: Vec<Vec<String>>| {
            let mut header = rows.remove(0);
            let heading = format!("Test of {}", std::mem::take(&mut header[0]));
            Section { heading, header, rows, note: self.note() }
        };
        self.rows(cell).into_iter().map(section).collect()
    }
}
