//! What was measured: one row of a table, with every figure of every contestant.

use super::stats::{median, ratios};

/// What a row's figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Time,
    /// Seconds of one character, shown as characters a second.
    Characters,
    /// MB.
    Memory,
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
            Unit::Time if value < 1e-3 => digits(value * 1e6, "µs"),
            Unit::Time if value < 1.0 => digits(value * 1e3, "ms"),
            Unit::Time => digits(value, "s"),
            Unit::Characters => format!("{}/s", thousands(1.0 / value)),
            Unit::Memory => format!("{value:.0} MB"),
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
#[derive(Debug, Clone)]
pub struct Series {
    /// Such as `PyTorch, without oneDNN`.
    pub name: String,
    /// Of contestants with one column only the fastest counts.
    pub column: &'static str,
    pub figures: Vec<f64>,
}

/// The name of ours.
pub const OURS: &str = "rnn-core";

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The job's name, which is the table's.
    pub job: &'static str,
    pub name: String,
    pub threads: usize,
    pub unit: Unit,
    /// Floating-point operations of the matrix products, where they can be counted.
    pub flop: Option<f64>,
    /// Goes into the README's table.
    pub headline: bool,
    /// Ours first; of one length.
    pub series: Vec<Series>,
    /// Why there are no figures.
    pub refused: Option<String>,
}

impl Row {
    pub fn new(job: &'static str, name: impl Into<String>, threads: usize, unit: Unit) -> Self {
        let (flop, headline, series, refused) = (None, false, vec![], None);
        Self { job, name: name.into(), threads, unit, flop, headline, series, refused }
    }

    pub fn headline(mut self, headline: bool) -> Self {
        self.headline = headline;
        self
    }

    pub fn flop(mut self, flop: f64) -> Self {
        self.flop = Some(flop);
        self
    }

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
        assert_eq!(Unit::Time.show(4.1e-6), "4.10 µs");
        assert_eq!(Unit::Time.show(0.0123), "12.3 ms");
        assert_eq!(Unit::Time.show(41.1), "41.1 s");
        assert_eq!(Unit::Characters.show(1.0 / 64_800.0), "64,800/s");
        assert_eq!(Unit::Characters.show(1.0 / 17.0), "17/s");
        assert_eq!(Unit::Memory.show(842.3), "842 MB");
    }

    #[test]
    fn of_one_column_the_fastest_counts_and_ratios_are_of_pairs() {
        let series =
            |name: &str, column, figures: &[f64]| Series { name: name.into(), column, figures: figures.into() };
        let mut row = Row::new("layers", "x", 1, Unit::Time);
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
