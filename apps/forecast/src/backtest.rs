//! Backtests: forecasts from every origin of a part, scored beside the simple methods.

use crate::config::RunConfig;
use crate::ets;
use crate::model::Model;
use crate::view::View;
use burn::tensor::Device;
use rnn_core::Key;
use rnn_harness::Failure;
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
    /// (Hyndman and Koehler, 2006).
    pub mase: f64,
    /// The mean of `200 |y − f| / (|y| + |f|)`, in percent.
    pub smape: f64,
    /// The share of values within the band; null without one.
    pub coverage: Option<f64>,
}

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

/// The mean absolute difference from a season before, on the training part.
fn season_scale(view: &View, target: usize, season: usize, train: usize) -> f64 {
    let values = view.values(target);
    let known = (season..train).filter(|&t| view.is_present(target, t) && view.is_present(target, t - season));
    let (sum, count) = known.fold((0.0, 0.0), |(sum, n), t| (sum + (values[t] - values[t - season]).abs(), n + 1.0));
    sum / count
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
    /// is named.
    ///
    /// # Errors
    /// A Python that does not give ETS.
    pub fn new(
        view: &View,
        config: &RunConfig,
        length: usize,
        origins: &[usize],
        forecasts: &Forecasts,
        python: Option<&Path>,
    ) -> Result<Self, Failure> {
        let (horizon, seasons) = (config.model.horizon, &config.view.seasons);
        let train = config.parts(length).validation; // what a simple method needs no validation of
        let mut targets = Vec::new();
        for (target, name) in config.data.targets.iter().enumerate() {
            let values = view.values(target);
            let scale = season_scale(view, target, seasons[0], config.parts(length).train);
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
                let asked = ets::Asked { values: &values[..length], train, origins, horizon, season: seasons[0] };
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

    /// The table for the terminal: a part for each target, a line for each method, the best MAE first.
    pub fn table(&self, cell: &str) -> String {
        let mut text = String::new();
        for target in &self.targets {
            let mut rows: Vec<(String, Score)> = vec![(cell.to_string(), target.model)];
            rows.extend(target.baselines.iter().map(|(name, score)| (name.replace('_', " "), *score)));
            rows.sort_by(|a, b| a.1.mae.total_cmp(&b.1.mae));
            let name = &target.name;
            text += &format!("{name:<20} {:>9} {:>9} {:>7} {:>8} {:>8}\n", "MAE", "RMSE", "MASE", "sMAPE", "in band");
            for (name, Score { mae, rmse, mase, smape, coverage }) in rows {
                let coverage = coverage.map_or(String::new(), |share| format!("{:.1} %", 100.0 * share));
                text += &format!("  {name:<18} {mae:>9.4} {rmse:>9.4} {mase:>7.4} {smape:>6.2} % {coverage:>8}\n");
            }
        }
        text.trim_end().to_string()
    }
}
