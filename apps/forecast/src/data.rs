//! A table as a series: which columns are targets, inputs and time, its step, and what is missing.

use crate::times;
use rnn_data::series::time::Step;
use rnn_data::series::{self, Grid, Table};
use rnn_data::{Places, SAMPLE, Source};
use rnn_harness::{Failure, say};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the series comes from and what its columns are.
#[derive(Debug, Clone, clap::Args)]
pub struct DataArgs {
    /// A CSV table with a header line, or "sample" for the built-in series
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Without --data: the series to take from $RNN_DATASETS, the cache or the network, else the sample
    #[arg(long, value_name = "NAME", value_parser = ["temperatures", "pollution", "passengers", SAMPLE],
        default_value = "temperatures", conflicts_with = "data")]
    corpus: String,
    /// Column to forecast, by name or number; repeat it for several [default: the only column of numbers]
    #[arg(long, value_name = "COLUMN")]
    pub target: Vec<String>,
    /// Column that the model reads beside the targets, by name or number; repeat it for several; "all" for all columns
    /// of numbers [default: none; pollution: the weather]
    #[arg(long, value_name = "COLUMN")]
    pub input: Vec<String>,
    /// Column of the time, or the columns of year, month, day, hour and minute, separated by commas; "none" if each row
    /// is a step [default: the only column of dates]
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// What to do about missing values and rows
    #[arg(long, value_enum, default_value = "last")]
    missing: Missing,
}

/// What is done about missing values and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The model reads the last known value; a missing target counts neither in the loss nor in a test
    Last,
    /// Refuse the table
    Refuse,
}

/// The data a model is trained on; saved with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// The name of the corpus in results.
    pub corpus: String,
    data: Option<PathBuf>,
    /// The corpus asked for; not on one's own table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The columns to forecast.
    pub targets: Vec<String>,
    /// The columns read beside them.
    pub inputs: Vec<String>,
    /// The columns of the time.
    pub time: Vec<String>,
    missing: Missing,
    /// SHA-256 of the values.
    fingerprint: String,
    /// The number of times. Runs of earlier versions have neither this nor the step.
    #[serde(default)]
    rows: Option<usize>,
    #[serde(default)]
    step: Option<Step>,
}

/// A series at regular times.
pub struct Series {
    pub source: Source,
    pub grid: Grid,
    /// The columns: the targets, then the inputs.
    pub names: Vec<String>,
    /// By column; where a value is missing, the last one before it.
    pub values: Vec<Vec<f64>>,
    /// By column: whether the value is there.
    pub present: Vec<Vec<bool>>,
}

/// The largest value that the model can read: single precision goes to 3e38, and sums over a mini-batch must fit too.
pub const LARGEST: f64 = 1e30;
/// The smallest standard deviation of a column in single precision.
pub const SMALLEST: f64 = 1e-30;
/// Gaps that a message names.
const NAMED: usize = 3;

impl DataArgs {
    /// Reads the table; reports its source on stderr.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn table(&self) -> Result<Table, Failure> {
        read(self.data.clone(), &self.corpus)
    }
}

fn read(data: Option<PathBuf>, name: &str) -> Result<Table, Failure> {
    let (data, name) = if name == SAMPLE { (Some(SAMPLE.into()), "temperatures") } else { (data, name) };
    let table = series::load(name, &Places::from_env(data)).map_err(Failure::input)?;
    if let Some(note) = &table.source.note {
        say!("no {name}: {note}");
    }
    say!("series: {}", table.source);
    Ok(table)
}

impl DataConfig {
    /// Chooses the columns of `table`: those asked for, else those of the preset, else the only ones possible.
    ///
    /// # Errors
    /// A column that is not there; a choice that only the person can make.
    pub fn new(
        args: &DataArgs,
        table: &Table,
        target: Option<&str>,
        inputs: &[&str],
        time: Option<&str>,
    ) -> Result<Self, Failure> {
        let column = |which: &str| table.column(which).map_err(Failure::input);
        let asked = args.time.as_deref().or(time);
        let time = times::columns(asked, table)?;
        let numeric = numeric(table, &time);
        let name = |i: &usize| table.names[*i].clone();
        let targets: Vec<usize> = match (&args.target[..], target) {
            ([], Some(preset)) => vec![column(preset)?],
            ([], None) => match numeric[..] {
                [only] => vec![only],
                [] => return Err(Failure::input(table.wrong("no column has only numbers; name one with --target"))),
                _ => {
                    let names = numeric.iter().map(name).collect::<Vec<_>>().join(", ");
                    let problem = format!("which column is to be forecast? Say --target NAME; there are {names}");
                    return Err(Failure::input(table.wrong(problem)));
                }
            },
            (asked, _) => asked.iter().map(|which| column(which)).collect::<Result<_, _>>()?,
        };
        let inputs: Vec<usize> = match &args.input[..] {
            [all] if all == "all" => numeric,
            [] => inputs.iter().map(|which| column(which)).collect::<Result<_, _>>()?,
            asked => asked.iter().map(|which| column(which)).collect::<Result<_, _>>()?,
        };
        for (at, target) in targets.iter().enumerate() {
            let shown = name(target);
            if targets[..at].contains(target) {
                return Err(Failure::input(format!("--target {shown} is given twice; give it once")));
            }
            if time.contains(target) {
                return Err(Failure::input(format!("--target {shown} is the column of the time; give another")));
            }
        }
        let mut others: Vec<usize> = inputs.into_iter().filter(|i| !targets.contains(i)).collect();
        others.dedup();
        if time.is_empty() && asked.is_none() {
            times::tell_unread(table, &[&targets[..], &others].concat());
        }
        Ok(Self {
            corpus: table.source.corpus.clone(),
            data: args.data.clone(),
            name: args.data.is_none().then(|| args.corpus.clone()),
            targets: targets.iter().map(name).collect(),
            inputs: others.iter().map(name).collect(),
            time: time.iter().map(name).collect(),
            missing: args.missing,
            fingerprint: String::new(),
            rows: None,
            step: None,
        })
    }

    /// The series in `table`; reports on stderr what is missing.
    ///
    /// # Errors
    /// A column that is not there or not of numbers, an irregular step; missing values where they are refused.
    pub fn series(&self, table: &Table) -> Result<Series, Failure> {
        let column = |which: &String| table.column(which).map_err(Failure::input);
        let time = self.time.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let grid = Grid::of(table, &time).map_err(Failure::input)?;
        if let Some([cell, utc]) = &grid.converted {
            say!("times are read in UTC, as are their hours and days: {cell} is {utc}");
        }
        let names: Vec<String> = self.targets.iter().chain(&self.inputs).cloned().collect();
        let mut values = Vec::new();
        for name in &names {
            let column = column(name)?;
            let numbers = table.numbers(column).map_err(Failure::input)?;
            if let Some(row) = numbers.iter().position(|value| value.abs() > LARGEST) {
                let (line, cell) = (table.line(row), &table.cells(column)[row]);
                return Err(Failure::input(table.wrong(format!(
                    "line {line}: {cell} in column {name:?} is too large; values up to {LARGEST:e} are possible, so \
                     give the column in a larger unit"
                ))));
            }
            let spread: Vec<f64> = grid.rows.iter().map(|row| row.map_or(f64::NAN, |row| numbers[row])).collect();
            if spread.iter().all(|value| value.is_nan()) {
                return Err(Failure::input(table.wrong(format!("the column {name:?} has no values"))));
            }
            values.push(spread);
        }
        let count = |column: &Vec<f64>| column.iter().filter(|value| value.is_nan()).count();
        let absent: usize = grid.gaps.iter().map(|gap| gap.rows).sum();
        let mut told: Vec<String> = Vec::new();
        if absent > 0 {
            let place = |gap: &series::Gap| format!("{} after {} (line {})", gap.rows, gap.after, gap.after_line);
            let more = if grid.gaps.len() > NAMED { ", …" } else { "" };
            let places: Vec<String> = grid.gaps.iter().take(NAMED).map(place).collect();
            let s = if absent == 1 { "row is" } else { "rows are" };
            told.push(format!("{absent} {s} missing at a step of {}: {}{more}", grid.step.times(1), places.join(", ")));
        }
        for (name, column) in names.iter().zip(&values).filter(|(_, column)| count(column) > absent) {
            let first = column.iter().zip(&grid.rows).position(|(value, row)| value.is_nan() && row.is_some());
            let at = first.map_or(String::new(), |first| format!(", the first at {}", grid.label(first)));
            told.push(format!("{name} has {} missing values{at}", count(column) - absent));
        }
        if !told.is_empty() && self.missing == Missing::Refuse {
            return Err(Failure::input(table.wrong(format!("{}; mend them, or say --missing last", told.join("; ")))));
        }
        // Before the first value there is none to take.
        let first = |column: &Vec<f64>| column.iter().position(|value| !value.is_nan()).unwrap_or(0);
        let start = values.iter().map(first).max().unwrap_or(0);
        if start > 0 {
            told.push(format!("the first {} are left out, because a column begins later", grid.step.times(start)));
        }
        if !told.is_empty() {
            say!(
                "{}; there the model reads the last value before, and no forecast of it counts (--missing)",
                told.join("; ")
            );
        }
        let grid = grid.skip(start);
        let mut present = Vec::new();
        for column in &mut values {
            column.drain(..start);
            present.push(column.iter().map(|value| !value.is_nan()).collect());
            for at in 1..column.len() {
                if column[at].is_nan() {
                    column[at] = column[at - 1];
                }
            }
        }
        Ok(Series { source: table.source.clone(), grid, names, values, present })
    }

    /// With the length, the step and the fingerprint of `series` and an absolute path, because a run may be resumed in
    /// another working folder.
    pub fn of(mut self, series: &Series) -> Self {
        self.fingerprint = fingerprint(series, series.len());
        (self.rows, self.step) = (Some(series.len()), Some(series.grid.step));
        self.data = self.data.map(rnn_data::absolute);
        self
    }

    /// The table of the training, or `other`.
    ///
    /// # Errors
    /// A table that cannot be read.
    pub fn table(&self, other: Option<PathBuf>) -> Result<Table, Failure> {
        if self.corpus == SAMPLE && other.is_none() { read(None, SAMPLE) } else { self.asked(other) }
    }

    fn asked(&self, other: Option<PathBuf>) -> Result<Table, Failure> {
        let is_own = other.is_some() || self.data.is_some();
        read(
            other.or_else(|| self.data.clone()),
            match &self.name {
                Some(name) if !is_own => name,
                _ => "temperatures",
            },
        )
    }

    /// Whether `series` is what the model was trained on.
    pub fn is(&self, series: &Series) -> bool {
        fingerprint(series, series.len()) == self.fingerprint
    }

    /// How many times of the training `series` begins with: all of them, if it is longer than the one of the training
    /// and the same up to there.
    pub fn begins(&self, series: &Series) -> Option<usize> {
        self.rows.filter(|&rows| rows <= series.len() && fingerprint(series, rows) == self.fingerprint)
    }

    /// Refuses a series in another step than that of the training: a window of it is as many steps, but another time.
    ///
    /// # Errors
    /// Such a series, with both steps.
    pub fn check_step(&self, series: &Series) -> Result<(), Failure> {
        let found = series.grid.step;
        let is_same = |step: Step| match (step, found) {
            (Step::Number(a), Step::Number(b)) => (a - b).abs() <= 1e-6 * a.abs(),
            (a, b) => a == b,
        };
        match self.step {
            Some(step) if !is_same(step) => Err(Failure::input(format!(
                "{} has a step of {}, but the model was trained at a step of {}; bring the rows to that step, or train \
                 a model on them",
                series.source,
                found.times(1),
                step.times(1)
            ))),
            _ => Ok(()),
        }
    }

    /// Loads the series again for a run that is resumed.
    ///
    /// # Errors
    /// As [`series`](Self::series); a series that has changed.
    pub fn load_again(&self) -> Result<Series, Failure> {
        let series = self.series(&self.table(None)?)?;
        self.check_step(&series)?;
        if !self.is(&series) {
            return Err(Failure::input(format!(
                "the series {} has changed since the training began; restore it, or start a new run",
                self.corpus
            )));
        }
        Ok(series)
    }
}

/// The columns that hold numbers, without those of the time.
pub fn numeric(table: &Table, time: &[usize]) -> Vec<usize> {
    (0..table.names.len()).filter(|i| !time.contains(i) && table.looks_numeric(*i)).collect()
}

/// SHA-256 of the first `rows` values of each column.
fn fingerprint(series: &Series, rows: usize) -> String {
    let bytes = |(values, present): (&Vec<f64>, &Vec<bool>)| {
        let of = |(value, present): (&f64, &bool)| if *present { value.to_le_bytes() } else { [0xff; 8] };
        values.iter().zip(present).take(rows).flat_map(of).collect::<Vec<u8>>()
    };
    let columns: Vec<Vec<u8>> = series.values.iter().zip(&series.present).map(bytes).collect();
    rnn_data::fingerprint(columns.iter().map(Vec::as_slice))
}

impl Series {
    /// The number of times.
    pub fn len(&self) -> usize {
        self.grid.len()
    }
}
