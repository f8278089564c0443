//! What the project wants of the rows, and what a run gave. The wants are of a machine with AVX-512.

use super::row::{Row, Series, Unit};
use super::stats::median;
use super::{Job, table};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is wanted of a row.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// Of ours ÷ that column, at most.
    Quotient(&'static str, f64),
    /// Of our figure itself, at most: seconds, seconds of a character, MB.
    Figure(Unit, f64),
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
    ("epoch, input dropout, peak memory", Figure(Unit::Memory, 350.0)),
];
const CHARGEN: [(&str, Want); 1] = [("epoch", Quotient("PyTorch", 0.35))];
const GENERATION: [(&str, Want); 2] = [
    ("GRU 128, 55 symbols, batch 1", Figure(Unit::Characters, 1.0 / 250_000.0)),
    ("GRU 128, 55 symbols, batch 1", Quotient("NumPy", 0.25)),
];
const STARTUP: [(&str, Want); 1] = [("sentiment predict, one review", Figure(Unit::Time, 0.15))];

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

/// The targets of the jobs that were done, beside what their rows gave; what is missed in bold. A single row's is taken on one
/// thread, all else on the most there were. `None` if none of these jobs was done.
pub fn of(rows: &[Row], peaks: &BTreeMap<usize, f64>) -> Option<String> {
    let targets = TARGETS.iter().flat_map(|(job, wants)| wants.iter().map(|(name, want)| (job.title(), *name, *want)));
    let most_threads = peaks.keys().max().copied().unwrap_or(1);
    let mut lines = String::new();
    for (job, name, want) in targets {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.job == job).collect();
        let asked_for = |column| rows.iter().any(|row| row.best(column).is_some());
        if rows.is_empty() || matches!(want, Quotient(column, _) if !asked_for(column)) {
            continue;
        }
        let threads = if name.contains(" 1,100,") || job == Job::Generation.title() { 1 } else { most_threads };
        let is_it = |row: &&&Row| row.name == name && row.threads == threads && row.refused.is_none();
        let row = rows.iter().find(is_it);
        let (beside, wanted, missed, found, peak) = match want {
            Figure(unit, most) => {
                let found = row.and_then(|row| row.ours());
                let sign = if unit == Unit::Characters { "≥" } else { "≤" };
                let wanted = format!("{sign} {}", unit.show(most));
                (
                    String::new(),
                    wanted,
                    found.is_some_and(|found| found > most),
                    found.map(|found| unit.show(found)),
                    None,
                )
            }
            Quotient(column, most) => {
                let found = row.and_then(|row| row.ratio(row.best(column)?)).filter(|found| found.is_finite());
                let wanted = format!("≤ {}", table::quotient(most));
                let peak = row.and_then(|row| at_the_peak(row, row.best(column)?, peaks));
                (
                    format!(" ÷ {column}"),
                    wanted,
                    found.is_some_and(|found| found > most),
                    found.map(table::quotient),
                    peak,
                )
            }
        };
        let bold = if missed { "**" } else { "" };
        let found = found.map_or("not measured".into(), |found| format!("{bold}{found}{bold}"));
        let peak = peak.map(table::quotient).unwrap_or_default();
        let _ = writeln!(lines, "| {job}: {name}{beside} | {wanted} | {found} | {peak} |");
    }
    let head = "| | wanted | here | at the peak |\n|---|---:|---:|---:|\n";
    let said = format!(
        "\nBold: missed. Layers over one row and generation on 1 thread, all else on {most_threads}. At the peak: of their time, what \
         the layer's products take at the machine's FMA peak.\n"
    );
    (!lines.is_empty()).then(|| head.to_string() + &lines + &said)
}

/// The time that a layer's products take at the peak ÷ the time of theirs.
fn at_the_peak(row: &Row, theirs: &Series, peaks: &BTreeMap<usize, f64>) -> Option<f64> {
    Some(row.flop? / (peaks.get(&row.threads)? * 1e9) / median(&theirs.figures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::OURS;

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
        let mut drifting = row(Job::Layers, layer, 2, Unit::Time, &[(OURS, 0.8), ("PyTorch", 1.0)]).flop(80e9);
        // The median of the quotients is not the quotient of the medians.
        drifting.series[0].figures = vec![0.8, 1.6, 0.1];
        drifting.series[1].figures = vec![1.0, 2.0, 0.8];
        let rows = [
            row(Job::Layers, layer, 1, Unit::Time, &[(OURS, 9.0), ("PyTorch", 1.0)]),
            drifting,
            row(
                Job::Sentiment,
                "epoch, input dropout, peak memory",
                2,
                Unit::Memory,
                &[(OURS, 280.0), ("PyTorch", 800.0)],
            ),
            row(Job::Chargen, "epoch", 2, Unit::Time, &[(OURS, 1.0), ("PyTorch", 9.0)]).refuse("not measured: busy"),
            row(Job::Startup, "sentiment predict, one review", 2, Unit::Time, &[(OURS, 0.1)])
                .refuse("not measured: busy"),
            row(Job::Generation, "GRU 128, 55 symbols, batch 1", 1, Unit::Characters, &[(OURS, 1e-5), ("NumPy", 5e-5)]),
        ];
        let text = of(&rows, &BTreeMap::from([(1, 100.0), (2, 200.0)])).expect("rows");
        for line in [
            "| Layers: LSTM 50,80,128,128 forward+backward ÷ PyTorch | ≤ 0.75 | **0.80** | 0.40 |",
            "| Layers: GRU 50,80,128,128 forward+backward ÷ PyTorch | ≤ 0.40 | not measured |  |",
            "| Sentiment: epoch, input dropout, peak memory | ≤ 350 MB | 280 MB |  |",
            "| Chargen: epoch ÷ PyTorch | ≤ 0.35 | not measured |  |",
            "| Generation: GRU 128, 55 symbols, batch 1 | ≥ 250,000/s | **100,000/s** |  |",
            "| Generation: GRU 128, 55 symbols, batch 1 ÷ NumPy | ≤ 0.25 | 0.20 |  |",
            "| Start-up: sentiment predict, one review | ≤ 150 ms | not measured |  |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("burn-nn") && !text.contains("Keras"), "{text}");
    }

    #[test]
    fn without_such_jobs_there_is_no_table() {
        assert_eq!(of(&[row(Job::Latency, "step", 1, Unit::Time, &[(OURS, 1.0)])], &BTreeMap::new()), None);
    }
}
