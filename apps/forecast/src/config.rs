//! The arguments of the command line, and the checked configuration made from them.

use crate::data::{DataArgs, DataConfig, Series, numeric};
use crate::model::ModelConfig;
use crate::preset::{Defaults, Preset};
use crate::times;
use crate::view::{Anchor, Parts, ViewConfig, cycles};
use rnn_core::AnyConfig;
use rnn_data::series::{Table, time::Step};
use rnn_harness::Failure;
use rnn_harness::options::{LayerArgs, Session, SessionArgs, TrainConfig, TrainingArgs, defaults_to, size};
use rnn_harness::run_dir::Config;
use rnn_train::optim::OptimizerName;
use serde::{Deserialize, Serialize};

/// The options about what is forecast from what.
#[derive(Debug, Clone, clap::Args)]
pub struct SeriesArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Set of defaults for the options below [default: that of the corpus]
    #[arg(long, value_enum)]
    preset: Option<Preset>,
    /// Steps that the model reads [default: three seasons, at least 24; temperatures: 28; pollution: 48]
    #[arg(long, value_name = "N", value_parser = size())]
    window: Option<u64>,
    /// Steps that the model forecasts [default: a season, or 10; pollution: 24]
    #[arg(long, value_name = "N", value_parser = size())]
    horizon: Option<u64>,
    /// Share of the series to test on: its end; 0 for none
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    test: f64,
    /// Share of the rest to validate on after each epoch: its end; 0 for none [default: 0.1; passengers: 0.2]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Length of a season in steps, or several lengths separated by commas; the first one scales MASE [default: what is
    /// usual for the step, such as 7 days or 12 months]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = size())]
    season: Vec<u64>,
    /// What forecasts are differences from [default: last; temperatures, pollution: none; passengers: season]
    #[arg(long, value_enum)]
    anchor: Option<Anchor>,
    /// Read the targets as ln(1 + x) [default: false; pollution, passengers: true]
    #[arg(long, value_name = "BOOL")]
    log: Option<bool>,
    /// Whether the model also reads hour, weekday and time of the year, if the rows have dates
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    calendar: bool,
    /// Quantiles to forecast: 0.5 is the forecast itself, the outer ones are its band
    #[arg(long, value_name = "Q,…", value_delimiter = ',', default_value = "0.1,0.5,0.9")]
    quantiles: Vec<f64>,
}

/// Trains a model on a series and tests it on its end.
#[derive(Debug, clap::Args)]
#[command(mut_arg("optimizer", |arg| defaults_to(arg, "adam")))]
#[command(mut_arg("cell", |arg| defaults_to(arg, "gru")))]
#[command(mut_arg("hidden", |arg| defaults_to(arg, "32; pollution: 64; passengers: 16")))]
#[command(mut_arg("dropout", |arg| defaults_to(arg, "0")))]
#[command(mut_arg("recurrent_dropout", |arg| defaults_to(arg, "0")))]
pub struct TrainArgs {
    #[command(flatten)]
    series: SeriesArgs,
    #[command(flatten)]
    layer: LayerArgs,
    /// Number of last values that a linear layer beside the recurrent one reads; 0 for no such layer [default: 0]
    #[arg(long, value_name = "N")]
    linear: Option<usize>,
    /// Windows in a mini-batch [default: 32; pollution: 128; passengers: 8]
    #[arg(long, value_name = "N", value_parser = size())]
    batch: Option<u64>,
    /// Most passes over the training part; --patience ends the training earlier [default: 60; pollution: 8; passengers:
    /// 200]
    #[arg(long, value_name = "N", value_parser = size())]
    epochs: Option<u64>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    pub session: SessionArgs,
}

/// The configuration of a model, its data and its training; saved with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunConfig {
    /// The model's sizes.
    pub model: ModelConfig,
    /// The series it is trained on.
    pub data: DataConfig,
    /// How the model sees it.
    pub view: ViewConfig,
    /// The settings of its training.
    pub training: TrainConfig,
}

/// A table of which only the person can say what is to be forecast.
pub struct Undecided {
    /// The columns of the time.
    pub time: Vec<usize>,
    /// The names of the numeric columns, any of which could be the target.
    pub names: Vec<String>,
}

impl SeriesArgs {
    /// The window and the horizon.
    fn lengths(&self, series: &Series, defaults: &Defaults) -> (usize, usize) {
        let season = series.grid.step.season();
        let horizon = self.horizon.map(|n| n as usize).or(defaults.horizon);
        let window = self.window.map(|n| n as usize).or(defaults.window).unwrap_or((3 * season).max(24));
        (window, horizon.unwrap_or(if season > 1 { season } else { 10 }))
    }

    /// What could be forecast, where only the person can say which column is.
    ///
    /// # Errors
    /// A column of the time that is not there.
    pub fn undecided(&self, table: &Table) -> Result<Option<Undecided>, Failure> {
        let defaults = self.preset.unwrap_or(Preset::of(&table.source.corpus)).defaults();
        if !self.data.target.is_empty() || defaults.target.is_some() {
            return Ok(None);
        }
        let time = times::columns(self.data.time.as_deref().or(defaults.time), table)?;
        let names: Vec<String> = numeric(table, &time).into_iter().map(|column| table.names[column].clone()).collect();
        Ok((names.len() > 1).then_some(Undecided { time, names }))
    }

    /// What the options make of `table` before a training: the model's sizes as far as they matter to windows, the
    /// scaling of the whole series, and the series.
    ///
    /// # Errors
    /// As [`TrainArgs::config`].
    pub fn seen(&self, table: &Table) -> Result<(ModelConfig, ViewConfig, Series), Failure> {
        let defaults = self.preset.unwrap_or(Preset::of(&table.source.corpus)).defaults();
        let data = DataConfig::new(&self.data, table, defaults.target, defaults.inputs, defaults.time)?;
        let series = data.series(table)?;
        let (window, horizon) = self.lengths(&series, &defaults);
        let calendar = if self.calendar { cycles(&series, series.len()) } else { Vec::new() };
        let view = ViewConfig {
            anchor: self.anchor.unwrap_or(defaults.anchor),
            seasons: seasons(&self.season, &series),
            log: self.log.unwrap_or(defaults.log),
            calendar,
            scaling: Vec::new(),
            test: self.test,
        };
        let view = view.fit(&series, data.targets.len(), series.len())?;
        let model = ModelConfig {
            window,
            horizon,
            features: series.names.len() + 2 * view.calendar.len(),
            targets: data.targets.len(),
            quantiles: self.quantiles.clone(),
            cell: defaults.cell,
            layers: 1,
            hidden: defaults.hidden,
            dropout: LayerArgs::default().dropout.resolve(0.0)?,
            linear: 0,
            half_storage: false,
        };
        Ok((model, view, series))
    }
}

/// Days of a year, a second season of daily series.
const YEAR: usize = 365;

impl TrainArgs {
    /// The checked configuration, and the series, on which some defaults depend.
    ///
    /// # Errors
    /// A series that cannot be read; a setting outside its range.
    pub fn config(&self, session: &Session) -> Result<(RunConfig, Series), Failure> {
        let of = &self.series;
        let table = of.data.table()?;
        let defaults = of.preset.unwrap_or(Preset::of(&table.source.corpus)).defaults();
        let share = Some(of.validation.unwrap_or(defaults.validation)).filter(|share| *share != 0.0);
        self.training.check(share, OptimizerName::Adam)?;
        let data = DataConfig::new(&of.data, &table, defaults.target, defaults.inputs, defaults.time)?;
        let series = data.series(&table)?;
        let epochs = self.epochs.map_or(defaults.epochs, |n| n as usize);
        let mut plan = self.training.plan(epochs, OptimizerName::Adam);
        plan.patience = plan.patience.or(share.map(|_| defaults.patience));
        let batch = self.batch.map_or(defaults.batch, |n| n as usize);
        let training = TrainConfig::new(session, batch, share, plan);
        training.check()?;
        let model = self.model(&series, &data, &defaults)?;
        let mut view = ViewConfig {
            anchor: of.anchor.unwrap_or(defaults.anchor),
            seasons: seasons(&of.season, &series),
            log: of.log.unwrap_or(defaults.log),
            calendar: Vec::new(),
            scaling: Vec::new(),
            test: of.test,
        };
        if !(0.0..1.0).contains(&of.test) {
            view.scaling = vec![crate::view::Scaling { mean: 0.0, deviation: 1.0 }; series.names.len()];
            view.check(series.names.len())?;
        }
        let parts = Parts::new(series.len(), &training, of.test);
        enough(&series, &model, &view, parts)?;
        known(&series, &model, &view, parts)?;
        view.calendar = if of.calendar { cycles(&series, parts.train) } else { Vec::new() };
        let view = view.fit(&series, data.targets.len(), parts.train)?;
        let model = ModelConfig { features: series.names.len() + 2 * view.calendar.len(), ..model };
        let config = RunConfig { model, data: data.of(&series), view, training };
        config.check()?;
        Ok((config, series))
    }

    fn model(&self, series: &Series, data: &DataConfig, defaults: &Defaults) -> Result<ModelConfig, Failure> {
        let of = &self.series;
        let (window, horizon) = of.lengths(series, defaults);
        let cell = self.layer.cell.unwrap_or(defaults.cell);
        Ok(ModelConfig {
            window,
            horizon,
            features: series.names.len(),
            targets: data.targets.len(),
            quantiles: of.quantiles.clone(),
            cell,
            layers: self.layer.layers.unwrap_or(1) as usize,
            hidden: self.layer.hidden.map_or(defaults.hidden, |n| n as usize),
            dropout: self.layer.dropout.resolve_for(cell, defaults.dropout, defaults.dropout)?,
            linear: self.linear.unwrap_or(defaults.linear.min(window)),
            half_storage: self.layer.half_storage,
        })
    }
}

/// The seasons asked for; else the usual one of the step, and of days the year too, if the series has three.
fn seasons(asked: &[u64], series: &Series) -> Vec<usize> {
    if !asked.is_empty() {
        return asked.iter().map(|n| *n as usize).collect();
    }
    let usual = series.grid.step.season();
    let daily = series.grid.step == Step::Seconds(86_400) && series.len() >= 3 * YEAR;
    if daily { vec![usual, YEAR] } else { vec![usual] }
}

/// Refuses a series that is too short for its windows.
fn enough(series: &Series, model: &ModelConfig, view: &ViewConfig, parts: Parts) -> Result<(), Failure> {
    let before = view.before();
    let (window, horizon) = (model.window, model.horizon);
    let least = before.saturating_add(window).saturating_add(horizon);
    let too_few = |part: &str, rows: usize, least: usize| {
        Err(Failure::input(format!(
            "the series has {} rows, of which {rows} are {part}: too few for --window {window} and --horizon \
             {horizon}, which need {least} there; give smaller ones, another share (--validation, --test), or a longer series",
            series.len()
        )))
    };
    if parts.train < least {
        return too_few("to train", parts.train, least);
    }
    if (1..horizon).contains(&(parts.validation - parts.train)) {
        return too_few("to validate", parts.validation - parts.train, horizon);
    }
    if (1..horizon).contains(&(parts.all - parts.validation)) {
        return too_few("to test", parts.all - parts.validation, horizon);
    }
    if let Some(season) = view.seasons.iter().find(|season| **season >= parts.train) {
        let rows = parts.train;
        return Err(Failure::input(format!(
            "--season {season} is too long: a season must be shorter than the training part, which has {rows} rows"
        )));
    }
    Ok(())
}

/// Refuses a series of which a part has no value to compare a forecast with.
fn known(series: &Series, model: &ModelConfig, view: &ViewConfig, parts: Parts) -> Result<(), Failure> {
    let first = model.window + view.before();
    let each = [
        ("training", first..parts.train),
        ("validation", parts.train..parts.validation),
        ("test", parts.validation..parts.all),
    ];
    for (part, times) in each.into_iter().filter(|(_, times)| !times.is_empty()) {
        for (name, present) in series.names.iter().zip(&series.present).take(model.targets) {
            if !present[times.clone()].contains(&true) {
                return Err(Failure::input(format!(
                    "the {part} part has no value of {name}, from {} to {}; give another share (--validation, --test) \
                     or a table that has some there",
                    series.grid.label(times.start),
                    series.grid.label(times.end - 1)
                )));
            }
        }
    }
    Ok(())
}

impl Config for RunConfig {
    fn training(&self) -> &TrainConfig {
        &self.training
    }

    fn check(&self) -> Result<(), Failure> {
        self.training.check()?;
        self.model.check(1)?; // a training checks its own mini-batches
        let columns = self.data.targets.len() + self.data.inputs.len();
        self.view.check(columns)?;
        let features = columns + 2 * self.view.calendar.len();
        if (self.model.targets, self.model.features) != (self.data.targets.len(), features) {
            return Err(Failure::input("the model's sizes are not those of its columns"));
        }
        Ok(())
    }

    fn layer(&self) -> AnyConfig {
        self.model.layer()
    }

    fn num_weights(&self) -> usize {
        self.layer().num_weights().saturating_add(self.model.head())
    }
}

impl RunConfig {
    /// Checks that windows and parts fit a series, for a run folder that may say anything.
    ///
    /// # Errors
    /// As a new training.
    pub fn check_series(&self, series: &Series) -> Result<(), Failure> {
        let parts = self.parts(series.len());
        enough(series, &self.model, &self.view, parts)?;
        known(series, &self.model, &self.view, parts)
    }

    /// The parts of a series of `length` times.
    pub fn parts(&self, length: usize) -> Parts {
        Parts::new(length, &self.training, self.view.test)
    }
}
