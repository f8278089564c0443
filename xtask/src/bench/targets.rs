//! What the project wants of the rows, and what a run gave. The wants are of a machine with AVX-512.

use super::row::{Row, Unit};
use super::{Job, table};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is wanted of a row.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// Of ours ÷ that column, at most.
    Quotient(&'static str, f64),
    /// Of our figure itself, at most: seconds, seconds of a character, MB.
    Figure(f64),
}
use Want::{Figure, Quotient};

const LSTM: [(&str, Want); 6] = [
    ("LSTM 50,80,128,128 forward+backward", Quotient("PyTorch", 0.75)),
    ("LSTM 128,10,55,128 forward+backward", Quotient("PyTorch", 0.75)),
    ("LSTM 64,100,512,512 forward+backward", Quotient("PyTorch", 0.85)),
    ("LSTM 32,256,256,256 forward+backward", Quotient("PyTorch", 0.85)),
    ("LSTM 1,100,128,128 forward", Quotient("PyTorch", 0.5)),
    ("LSTM 50,80,128,128 forward+backward", Quotient("burn-nn", 1.0 / 12.0)),
];
const GRU: [(&str, Want); 6] = [
    ("GRU 50,80,128,128 forward+backward", Quotient("PyTorch", 0.4)),
    ("GRU 128,10,55,128 forward+backward", Quotient("PyTorch", 0.4)),
    ("GRU 64,100,512,512 forward+backward", Quotient("PyTorch", 0.6)),
    ("GRU 32,256,256,256 forward+backward", Quotient("PyTorch", 0.6)),
    ("GRU 1,100,128,128 forward", Quotient("PyTorch", 0.25)),
    ("GRU 50,80,128,128 forward+backward", Quotient("burn-nn", 1.0 / 12.0)),
];
const RNN: [(&str, Want); 5] = [
    ("RNN 50,80,128,128 forward+backward", Quotient("PyTorch", 0.4)),
    ("RNN 128,10,55,128 forward+backward", Quotient("PyTorch", 0.4)),
    ("RNN 64,100,512,512 forward+backward", Quotient("PyTorch", 0.6)),
    ("RNN 32,256,256,256 forward+backward", Quotient("PyTorch", 0.6)),
    ("RNN 1,100,128,128 forward", Quotient("PyTorch", 0.3)),
];
const SENTIMENT: [(&str, Want); 5] = [
    ("epoch, input dropout", Quotient("PyTorch", 0.6)),
    ("evaluation of 25000 reviews", Quotient("PyTorch", 0.65)),
    ("epoch, both dropouts", Quotient("Keras", 0.22)),
    ("epoch, both dropouts", Quotient("rnn-core, input dropout", 1.05)),
    ("epoch, input dropout, peak memory", Figure(350.0)),
];
const CHARGEN: [(&str, Want); 1] = [("epoch", Quotient("PyTorch", 0.35))];
const GENERATION: [(&str, Want); 2] = [
    ("GRU 128, 55 symbols, batch 1", Figure(1.0 / 250_000.0)),
    ("GRU 128, 55 symbols, batch 1", Quotient("NumPy", 0.25)),
];
const STARTUP: [(&str, Want); 1] = [("sentiment predict, one review", Figure(0.15))];

/// All, job by job.
const TARGETS: [(Job, &[(&str, Want)]); 7] = [
    (Job::Layers, &LSTM),
    (Job::Layers, &GRU),
    (Job::Layers, &RNN),
    (Job::Sentiment, &SENTIMENT),
    (Job::Chargen, &CHARGEN),
    (Job::Generation, &GENERATION),
    (Job::Startup, &STARTUP),
];

/// The targets of the rows that were to be measured, what is missed in bold. A single row is measured on one thread, all else on
/// the most there were. `None` if there are no such rows.
pub fn of(rows: &[Row], peaks: &BTreeMap<usize, f64>) -> Option<String> {
    let targets = TARGETS.iter().flat_map(|(job, wants)| wants.iter().map(|(name, want)| (job.title(), *name, *want)));
    let most = peaks.keys().max().copied().unwrap_or(1);
    let mut lines = String::new();
    for (job, name, want) in targets {
        let threads = if name.contains(" 1,100,") || job == Job::Generation.title() { 1 } else { most };
        let Some(row) = rows.iter().find(|row| row.job == job && row.name == name && row.threads == threads) else {
            continue;
        };
        let (beside, most, found, show): (_, _, _, &dyn Fn(f64) -> String) = match want {
            Figure(most) => {
                (String::new(), most, row.ours().filter(|_| row.refused.is_none()), &|figure| row.unit.show(figure))
            }
            Quotient(column, most) => {
                let Some(found) = ours_to(row, column) else { continue };
                (format!(" ÷ {column}"), most, found, &table::quotient)
            }
        };
        let missed = found.is_some_and(|found| found > most);
        let bold = if missed { "**" } else { "" };
        let found = found.map_or("not measured".into(), |found| format!("{bold}{}{bold}", show(found)));
        let _ = writeln!(
            lines,
            "| {job}: {name}{beside} | {} {} | {found} | {} |",
            sign(row, want),
            show(most),
            peak(row, want, peaks)
        );
    }
    let head = "| | wanted | here | at the peak |\n|---|---:|---:|---:|\n";
    (!lines.is_empty()).then(|| {
        head.to_string()
            + &lines
            + "\nBold: missed. At the peak: what is left where all products run at the machine's FMA peak and the rest takes no time.\n"
    })
}

/// Characters a second are to be more, all else less.
fn sign(row: &Row, want: Want) -> &'static str {
    if let (Unit::Characters, Figure(_)) = (row.unit, want) { "≥" } else { "≤" }
}

/// Ours ÷ the column: `None` if the row has figures but not that column's, which was not asked for; without a number where
/// there are no figures.
fn ours_to(row: &Row, column: &str) -> Option<Option<f64>> {
    match (&row.refused, row.best(column)) {
        (Some(_), _) => Some(None),
        (None, Some(best)) => Some(row.ratio(best).filter(|ratio| ratio.is_finite())),
        (None, None) => None,
    }
}

/// The quotient of a layer that does nothing but its products, at the peak.
fn peak(row: &Row, want: Want, peaks: &BTreeMap<usize, f64>) -> String {
    let Quotient(column, _) = want else { return String::new() };
    let quotient = ours_to(row, column).flatten();
    let share = row.gflops().zip(peaks.get(&row.threads)).map(|(gflops, peak)| gflops / peak);
    quotient.zip(share).map(|(quotient, share)| table::quotient(quotient * share)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{OURS, Series};

    fn row(job: Job, name: &str, threads: usize, unit: Unit, figures: &[(&'static str, f64)]) -> Row {
        let mut row = Row::new(job.title(), name, threads, unit);
        let of =
            |&(column, figure): &(&'static str, f64)| Series { name: column.into(), column, figures: vec![figure; 3] };
        row.series = figures.iter().map(of).collect();
        row
    }

    #[test]
    fn what_is_missed_is_bold_and_what_was_not_asked_for_is_left_out() {
        let layer = "LSTM 50,80,128,128 forward+backward";
        let rows = [
            row(Job::Layers, layer, 1, Unit::Time, &[(OURS, 9.0), ("PyTorch", 1.0)]),
            row(Job::Layers, layer, 2, Unit::Time, &[(OURS, 0.8), ("PyTorch", 1.0)]).flop(80e9),
            row(Job::Sentiment, "epoch, input dropout, peak memory", 2, Unit::Memory, &[(OURS, 280.0)]),
            row(Job::Chargen, "epoch", 2, Unit::Time, &[]).refuse("not measured: the machine is busy"),
            row(Job::Startup, "sentiment predict, one review", 2, Unit::Time, &[(OURS, 0.1)]).refuse("not measured: …"),
            row(Job::Generation, "GRU 128, 55 symbols, batch 1", 1, Unit::Characters, &[(OURS, 1e-5), ("NumPy", 5e-5)]),
        ];
        let text = of(&rows, &BTreeMap::from([(1, 100.0), (2, 200.0)])).expect("rows");
        let lines: Vec<&str> = text.lines().skip(2).take_while(|line| !line.is_empty()).collect();
        assert_eq!(
            lines,
            [
                "| Layers: LSTM 50,80,128,128 forward+backward ÷ PyTorch | ≤ 0.75 | **0.80** | 0.40 |",
                "| Sentiment: epoch, input dropout, peak memory | ≤ 350 MB | 280 MB |  |",
                "| Chargen: epoch ÷ PyTorch | ≤ 0.35 | not measured |  |",
                "| Generation: GRU 128, 55 symbols, batch 1 | ≥ 250,000/s | **100,000/s** |  |",
                "| Generation: GRU 128, 55 symbols, batch 1 ÷ NumPy | ≤ 0.25 | 0.20 |  |",
                "| Start-up: sentiment predict, one review | ≤ 150 ms | not measured |  |",
            ]
        );
    }

    #[test]
    fn without_such_rows_there_is_no_table() {
        assert_eq!(of(&[], &BTreeMap::new()), None);
    }
}
