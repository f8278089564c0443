//! How the model sees a series: scaled values, the calendar, windows, and the parts to train, validate and test on.

use crate::data::{LARGEST, SMALLEST, Series};
use crate::model::{Batch, ModelConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::Key;
use rnn_data::series::time::{Step, phase};
use rnn_harness::options::{SIZES, TrainConfig};
use rnn_harness::{Failure, check_range};
use rnn_train::Batches;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

/// What a forecast is the difference from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    /// The mean of the training part: for a series that keeps its level
    None,
    /// The last value: for a series whose level moves
    Last,
    /// The value one season before: for a season on a trend; the model then reads each target less that value
    Season,
}

/// A period of the calendar, which the model reads as sine and cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cycle {
    Day,
    Week,
    Year,
}

/// A column is read as `(x − mean) / deviation`, after `ln(1 + x)` if it is a target and `--log` is on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    pub mean: f64,
    pub deviation: f64,
}

/// How the model sees the series; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewConfig {
    pub anchor: Anchor,
    /// Steps after which the series may repeat; the first one scales MASE.
    pub seasons: Vec<usize>,
    pub log: bool,
    pub calendar: Vec<Cycle>,
    /// By column, from the training part.
    pub scaling: Vec<Scaling>,
    /// The share of the series, its end, to test on.
    pub test: f64,
}

/// The parts of a series in time, each up to the start of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The end of the training part.
    pub train: usize,
    /// The end of the validation part.
    pub validation: usize,
    /// The end of the test part.
    pub all: usize,
}

impl Parts {
    /// Of `all` times: the end is tested on, the end of the rest validated on.
    pub fn new(all: usize, training: &TrainConfig, test: f64) -> Self {
        let validation = all - (all as f64 * test).round() as usize;
        Self { train: validation.saturating_sub(training.validation_items(validation)), validation, all }
    }
}

/// The cycles that a series of this step and length can be learnt from.
pub fn cycles(series: &Series, train: usize) -> Vec<Cycle> {
    const DAY: i64 = 86_400;
    let span = |days: i64| {
        let ends = series.grid.seconds(0).zip(series.grid.seconds(train));
        ends.is_some_and(|(first, last)| last - first >= days * DAY)
    };
    let (day, week, year) = match series.grid.step {
        Step::Seconds(step) => (step < DAY, step < 7 * DAY, step < 365 * DAY),
        Step::Months(step) => (false, false, step < 12),
        Step::Rows | Step::Number(_) => (false, false, false),
    };
    let all = [(Cycle::Day, day, 1), (Cycle::Week, week, 14), (Cycle::Year, year, 365)];
    all.into_iter().filter(|&(_, has, least)| has && span(least)).map(|(cycle, ..)| cycle).collect()
}

impl ViewConfig {
    /// The scaling of the training part.
    ///
    /// # Errors
    /// `--log` of a value that has no logarithm; values that are too near to each other.
    pub fn fit(mut self, series: &Series, targets: usize, train: usize) -> Result<Self, Failure> {
        for (number, values) in series.values.iter().enumerate() {
            let log = self.log && number < targets;
            if let Some(at) = values.iter().position(|value| log && *value <= -1.0) {
                return Err(Failure::input(format!(
                    "--log takes ln(1 + x), which {} does not have: {} is {}; use --log false",
                    series.grid.label(at),
                    series.names[number],
                    values[at]
                )));
            }
            let part: Vec<f64> = values[..train].iter().map(|x| if log { x.ln_1p() } else { *x }).collect();
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            let deviation = (part.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / part.len() as f64).sqrt();
            // A column without change carries nothing, though its mean may be rounded.
            let changes = part.iter().any(|x| *x != part[0]);
            if changes && deviation < SMALLEST {
                return Err(Failure::input(format!(
                    "the values of {} lie too near to each other, less than {SMALLEST:e} apart; give the column in a \
                     smaller unit",
                    series.names[number]
                )));
            }
            let deviation = if changes { deviation } else { 1.0 };
            // At a high level nine digits would leave out the changes.
            let mean = if mean.abs() < 1e6 * deviation { digits::<8>(mean) } else { digits::<14>(mean) };
            self.scaling.push(Scaling { mean, deviation: digits::<8>(deviation) });
        }
        Ok(self)
    }

    /// Checks what a run folder may say.
    pub fn check(&self, columns: usize) -> Result<(), Failure> {
        let wrong = |what: &str| Err(Failure::input(what));
        if self.scaling.len() != columns {
            return wrong("the scaling has not one entry for each column");
        }
        let is_usable = |s: &Scaling| s.mean.abs() <= LARGEST && (SMALLEST..=LARGEST).contains(&s.deviation);
        if let Some(Scaling { mean, deviation }) = self.scaling.iter().find(|scaling| !is_usable(scaling)) {
            return wrong(&format!(
                "a scaling is not finite and positive: a mean of {mean:e} and a deviation of {deviation:e}, which may \
                 be up to {LARGEST:e}"
            ));
        }
        if self.seasons.is_empty() {
            return wrong("there is no season; give one, such as 1");
        }
        self.seasons.iter().try_for_each(|season| check_range("--season", *season, &SIZES))?;
        if !(0.0..1.0).contains(&self.test) {
            let test = self.test;
            return Err(Failure::input(format!(
                "--test {test} is not possible; give a share of at least 0 and below 1, such as 0.2"
            )));
        }
        Ok(())
    }

    /// Values read before the window.
    pub fn before(&self) -> usize {
        if self.anchor == Anchor::Season { self.seasons[0] } else { 0 }
    }
}

/// `x` rounded to N + 1 significant digits, N at most 14. Such a number comes back from config.json with the same bits, which
/// a resumed training needs.
fn digits<const N: usize>(x: f64) -> f64 {
    format!("{x:.N$e}").parse().unwrap_or(x)
}

/// Deviations from the mean beyond which single precision does not hold one of them.
const FARTHEST: f32 = 16_777_216.0;

/// A series as the model sees it.
pub struct View {
    config: ViewConfig,
    sizes: ModelConfig,
    /// Scaled columns.
    z: Vec<Vec<f32>>,
    /// By time: sines and cosines.
    calendar: Vec<Vec<f32>>,
    values: Vec<Vec<f64>>,
    present: Vec<Vec<bool>>,
}

impl View {
    /// `series` with the scaling of `config`.
    ///
    /// # Errors
    /// A value that is too far from those of the training; a series without dates for a model that reads the calendar.
    pub fn new(series: &Series, config: &ViewConfig, sizes: &ModelConfig) -> Result<Arc<Self>, Failure> {
        if !config.calendar.is_empty() && series.grid.seconds(0).is_none() {
            return Err(Failure::input(format!(
                "{} has no dates, but the model reads the calendar {:?}; give a table with a column of dates (--time)",
                series.source, config.calendar
            )));
        }
        let scaled = |(number, values): (usize, &Vec<f64>)| {
            let Scaling { mean, deviation } = config.scaling[number];
            let log = config.log && number < sizes.targets;
            let value = |x: &f64| if log { x.max(-0.999).ln_1p() } else { *x };
            values.iter().map(|x| ((value(x) - mean) / deviation) as f32).collect()
        };
        let at = |time: usize| {
            let Some(phase) = series.grid.seconds(time).map(phase) else { return Vec::new() };
            let share = |cycle: &Cycle| match cycle {
                Cycle::Day => phase.day,
                Cycle::Week => phase.week,
                Cycle::Year => phase.year,
            };
            let angles = config.calendar.iter().map(|cycle| TAU * share(cycle));
            angles.flat_map(|angle| [angle.sin() as f32, angle.cos() as f32]).collect()
        };
        let z: Vec<Vec<f32>> = series.values.iter().enumerate().map(scaled).collect();
        let far = |z: &f32| z.abs() > FARTHEST || z.is_nan();
        for (column, name) in series.names.iter().enumerate() {
            if let Some(at) = z[column].iter().position(far) {
                let (value, time, s) = (series.values[column][at], series.grid.label(at), config.scaling[column]);
                return Err(Failure::input(format!(
                    "{}: {name} is {value} at {time}, which is too far from the values that the model was trained on, \
                     {:e} ± {:e}",
                    series.source, s.mean, s.deviation
                )));
            }
        }
        Ok(Arc::new(Self {
            config: config.clone(),
            sizes: sizes.clone(),
            z,
            calendar: (0..series.len()).map(at).collect(),
            values: series.values.clone(),
            present: series.present.clone(),
        }))
    }

    /// The first time after which there is a whole window.
    pub fn first_origin(&self) -> usize {
        self.sizes.window - 1 + self.config.before()
    }

    /// The origins whose forecasts lie in `part`: an origin is the last time that the model has read.
    pub fn origins(&self, part: Range<usize>) -> Range<usize> {
        let first = self.first_origin().max(part.start.saturating_sub(1));
        first..(part.end.saturating_sub(self.sizes.horizon)).max(first)
    }

    /// The features of the window that ends at `origin`, `[window, features]`.
    pub fn window(&self, origin: usize) -> Vec<f32> {
        let season = self.config.before();
        let mut window = Vec::with_capacity(self.sizes.window * self.sizes.features);
        for t in origin + 1 - self.sizes.window..=origin {
            for (column, z) in self.z.iter().enumerate() {
                window.push(if season > 0 && column < self.sizes.targets { z[t] - z[t - season] } else { z[t] });
            }
            window.extend(&self.calendar[t]);
        }
        window
    }

    /// What the forecast for step `ahead`, from 1, is the difference from, scaled.
    fn anchor(&self, target: usize, origin: usize, ahead: usize) -> f32 {
        match self.config.anchor {
            Anchor::None => 0.0,
            Anchor::Last => self.z[target][origin],
            Anchor::Season => {
                let season = self.config.seasons[0];
                self.z[target][origin + ahead - season * ahead.div_ceil(season)]
            }
        }
    }

    /// Outputs are ordered by step, then by target.
    fn outputs(&self) -> impl Iterator<Item = (usize, usize)> {
        let targets = self.sizes.targets;
        (1..=self.sizes.horizon).flat_map(move |ahead| (0..targets).map(move |target| (ahead, target)))
    }

    /// The mini-batch of these origins. Times behind the series count for nothing.
    pub fn batch(&self, origins: &[usize], dropout: Key, device: &Device) -> Batch {
        let (rows, outputs) = (origins.len(), self.sizes.horizon * self.sizes.targets);
        let each = |value: &dyn Fn(usize, usize, usize) -> f32| {
            let values =
                origins.iter().flat_map(|&o| self.outputs().map(move |(ahead, target)| value(o, ahead, target)));
            Tensor::<2>::from_data(TensorData::new(values.collect::<Vec<f32>>(), [rows, outputs]), device)
        };
        let scaling = |value: &dyn Fn(Scaling) -> f64| {
            let values: Vec<f32> = self.outputs().map(|(_, t)| value(self.config.scaling[t]) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, [1, outputs]), device)
        };
        let input: Vec<f32> = origins.iter().flat_map(|&origin| self.window(origin)).collect();
        let levels: Vec<f32> = self.sizes.quantiles.iter().map(|q| *q as f32).collect();
        let quantiles = levels.len();
        Batch {
            input: Tensor::from_data(TensorData::new(input, [rows, self.sizes.window, self.sizes.features]), device),
            anchor: each(&|o, ahead, target| self.anchor(target, o, ahead)),
            truth: each(&|o, ahead, target| self.z[target].get(o + ahead).copied().unwrap_or(0.0)),
            counts: each(&|o, ahead, t| self.present[t].get(o + ahead).map_or(0.0, |present| f32::from(*present))),
            mean: scaling(&|scaling| scaling.mean),
            deviation: scaling(&|scaling| scaling.deviation),
            log: self.config.log,
            levels: Tensor::from_data(TensorData::new(levels, [1, 1, quantiles]), device),
            median: self.sizes.median(),
            targets: self.sizes.targets,
            known: outputs as f64,
            dropout,
        }
    }

    /// Mini-batches of `origins`; shuffled if a key is given.
    pub fn batches(
        self: &Arc<Self>,
        origins: Range<usize>,
        batch: usize,
        order: Option<Key>,
        dropout: Key,
        device: &Device,
    ) -> Batches<Batch> {
        let view = self.clone();
        let known = self.known(origins.clone());
        Batches::new(origins.len(), batch, order, device, move |items, step, device| {
            let origins: Vec<usize> = items.iter().map(|item| origins.start + item).collect();
            Batch { known, ..view.batch(&origins, dropout.child(step), device) }
        })
    }

    /// How many of the values that come after an origin are known, the mean over `origins`.
    fn known(&self, origins: Range<usize>) -> f64 {
        let outputs = origins.clone().flat_map(|origin| self.outputs().map(move |(ahead, t)| (t, origin + ahead)));
        let known = outputs.filter(|&(target, time)| self.present[target].get(time) == Some(&true)).count();
        known as f64 / origins.len().max(1) as f64
    }

    /// A scaled value of a target in its own unit.
    pub fn unscaled(&self, target: usize, z: f64) -> f64 {
        let Scaling { mean, deviation } = self.config.scaling[target];
        let value = z * deviation + mean;
        if self.config.log { value.exp_m1() } else { value }
    }

    /// The values of a target; where one is missing, the last before it.
    pub fn values(&self, target: usize) -> &[f64] {
        &self.values[target]
    }

    /// Whether the value of a target is there.
    pub fn is_present(&self, target: usize, time: usize) -> bool {
        self.present[target][time]
    }
}
