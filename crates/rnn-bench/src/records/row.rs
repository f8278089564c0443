//! What was measured: one row of a table, with every figure of every contestant.

use crate::cases::Case;
use crate::contestants::OURS;
use crate::stats::{median, ratios, significant};
use serde::{Deserialize, Serialize};

/// What a row's figures are. Less is better for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Of one call.
    Seconds,
    /// Shown as characters per second.
    SecondsPerCharacter,
    /// Peak of resident memory, in units of 1024² bytes.
    Megabytes,
}

impl Unit {
    /// A figure as a person reads it.
    pub fn show(self, value: f64) -> String {
        let digits = |x: f64, unit: &str| match x {
            x if x >= 100.0 => format!("{x:.0} {unit}"),
            x if x >= 10.0 => format!("{x:.1} {unit}"),
            x => format!("{x:.2} {unit}"),
        };
        match self {
            Unit::Seconds if value < 1e-3 => digits(value * 1e6, "µs"),
            Unit::Seconds if value < 1.0 => digits(value * 1e3, "ms"),
            Unit::Seconds => digits(value, "s"),
            Unit::SecondsPerCharacter => format!("{}/s", thousands(1.0 / value)),
            Unit::Megabytes => format!("{value:.0} MB"),
        }
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// All figures of one contestant, in the order of the rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Such as `PyTorch, without oneDNN`.
    pub name: String,
    /// Such as `PyTorch`: of several series with one column the fastest counts.
    pub column: String,
    /// One per round, in the row's unit, with five significant digits.
    pub figures: Vec<f64>,
}

impl Series {
    /// Rounds the figures.
    pub fn new(name: impl Into<String>, column: impl Into<String>, figures: Vec<f64>) -> Self {
        Self { name: name.into(), column: column.into(), figures: figures.into_iter().map(significant).collect() }
    }
}

/// One row.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub case: Case,
    /// Such as `LSTM 50,80,128,128 forward`: batch, time, inputs, units.
    pub name: String,
    pub threads: usize,
    pub unit: Unit,
    /// Floating-point operations of the matrix products, where they can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flop: Option<f64>,
    /// Whether the row stands in the summary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headline: bool,
    /// Why the figures do not count, or why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Ours first; all of one length.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
}

impl Row {
    /// A row without figures.
    pub fn new(case: Case, name: impl Into<String>, threads: usize, unit: Unit) -> Self {
        let (flop, headline, refused, series) = (None, false, None, vec![]);
        Self { case, name: name.into(), threads, unit, flop, headline, refused, series }
    }

    /// Sets whether it stands in the summary.
    pub fn headline(mut self, headline: bool) -> Self {
        self.headline = headline;
        self
    }

    /// Sets the count of operations.
    pub fn flop(mut self, flop: f64) -> Self {
        self.flop = Some(flop);
        self
    }

    /// Says why its figures do not count.
    pub fn refuse(mut self, why: impl Into<String>) -> Self {
        self.refused = Some(why.into());
        self
    }

    /// Our median.
    pub fn ours(&self) -> Option<f64> {
        self.series.first().filter(|first| first.column == OURS).map(|first| median(&first.figures))
    }

    /// The fastest series of a column.
    pub fn best(&self, column: &str) -> Option<&Series> {
        let of_column = self.series.iter().filter(|series| series.column == column);
        of_column.min_by(|a, b| median(&a.figures).total_cmp(&median(&b.figures)))
    }

    /// The median over the rounds of ours ÷ theirs.
    pub fn ratio(&self, theirs: &Series) -> Option<f64> {
        let ours = self.series.first().filter(|first| first.column == OURS)?;
        Some(median(&ratios(&ours.figures, &theirs.figures)))
    }

    /// GFLOP/s of ours.
    pub fn gflops(&self) -> Option<f64> {
        Some(self.flop? / self.ours()? / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_their_units() {
        assert_eq!(Unit::Seconds.show(4.1e-6), "4.10 µs");
        assert_eq!(Unit::Seconds.show(0.0123), "12.3 ms");
        assert_eq!(Unit::Seconds.show(41.1), "41.1 s");
        assert_eq!(Unit::SecondsPerCharacter.show(1.0 / 64_800.0), "64,800/s");
        assert_eq!(Unit::SecondsPerCharacter.show(1.0 / 17.0), "17/s");
        assert_eq!(Unit::Megabytes.show(842.3), "842 MB");
    }

    #[test]
    fn the_fastest_of_a_column_counts_and_ratios_are_those_of_each_round() {
        let series = |name: &str, column: &str, figures: &[f64]| Series::new(name, column, figures.to_vec());
        let mut row = Row::new(Case::Layers, "x", 1, Unit::Seconds);
        row.series = vec![
            series("rnn-core", OURS, &[1.0, 2.0, 3.0]),
            series("a", "PyTorch", &[2.0, 4.0, 6.0]),
            series("b", "PyTorch", &[20.0, 20.0, 20.0]),
        ];
        let best = row.best("PyTorch").expect("two");
        assert_eq!(best.name, "a");
        assert_eq!(row.ratio(best), Some(0.5));
    }
}
