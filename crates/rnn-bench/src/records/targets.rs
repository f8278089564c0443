//! What the project wants of the rows (`targets.toml`), compared with a run.

use super::row::{Row, Series, Unit};
use super::run::Run;
use super::table;
use crate::cases::Case;
use crate::stats::median;
use serde::Deserialize;

/// The file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Vec<Target>,
}

/// What is wanted of a row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    case: Case,
    /// The row's name.
    row: String,
    /// The row's number of threads; without it, the run's largest.
    threads: Option<usize>,
    /// The instruction set of the machines for which it is set.
    machine: String,
    /// The column that ours is divided by; without it, the bound is of our own figure.
    contestant: Option<String>,
    /// Of ours ÷ theirs, of seconds or of MB: at most. Of characters per second: at least.
    bound: f64,
}

/// All targets, in the order of the file.
fn all() -> Vec<Target> {
    let file: File = toml::from_str(include_str!("../../targets.toml")).expect("a test reads it");
    file.target
}

/// The targets of the cases that were measured, beside what their rows gave; a missed one is bold. `None` if there are
/// none. Where none are set for the run's kind of machine, all are shown.
pub fn of(run: &Run) -> Option<String> {
    let targets = all();
    let is_set_here = |target: &&Target| target.machine == run.machine.instructions;
    let mut own: Vec<&Target> = targets.iter().filter(is_set_here).collect();
    let mut whose = String::new();
    if own.is_empty() {
        own = targets.iter().collect();
        let mut kinds: Vec<&str> = targets.iter().map(|target| &target.machine[..]).collect();
        kinds.dedup();
        whose = format!(" They are set for {}; none are set for {}.", kinds.join(", "), run.machine.instructions);
    }
    let lines: String = own.into_iter().filter_map(|target| line(target, run)).collect();
    let head = "| | wanted | here | at the peak |\n|---|---:|---:|---:|\n";
    let said = format!(
        "\nBold: missed.{whose} Layers over one sequence and generation on 1 thread, all else on {}. At the peak: the \
         ratio if the layer's products ran at the machine's peak of fused multiply-adds and nothing else took time.\n",
        run.most_threads()
    );
    (!lines.is_empty()).then(|| head.to_string() + &lines + &said)
}

/// A line of the table; `None` if the run did not measure the case, or not with this contestant.
fn line(target: &Target, run: &Run) -> Option<String> {
    let rows: Vec<&Row> = run.rows.iter().filter(|row| row.case == target.case).collect();
    let was_there = |column: &String| rows.iter().any(|row| row.best(column).is_some());
    if rows.is_empty() || target.contestant.as_ref().is_some_and(|column| !was_there(column)) {
        return None;
    }
    let threads = target.threads.unwrap_or(run.most_threads());
    let is_it = |row: &&&Row| row.name == target.row && row.threads == threads && row.refused.is_none();
    let row = rows.iter().find(is_it).copied();
    let (mut beside, mut peak) = (String::new(), None);
    let (wanted, found) = match &target.contestant {
        Some(column) => {
            let theirs = row.and_then(|row| row.best(column));
            let found = row.zip(theirs).and_then(|(row, theirs)| row.ratio(theirs)).filter(|found| found.is_finite());
            beside = format!(" ÷ {column}");
            peak = row.zip(theirs).and_then(|(row, theirs)| at_the_peak(row, theirs, run));
            let is_met = |found: f64| found <= target.bound;
            (format!("≤ {}", table::ratio(target.bound)), found.map(|found| (table::ratio(found), is_met(found))))
        }
        None => {
            let unit = rows.iter().find(|row| row.name == target.row).map_or(Unit::Seconds, |row| row.unit);
            let (sign, bound) = match unit {
                Unit::SecondsPerCharacter => ("≥", 1.0 / target.bound),
                Unit::Seconds | Unit::Megabytes => ("≤", target.bound),
            };
            let found = row.and_then(Row::ours).map(|found| (unit.show(found), found <= bound));
            (format!("{sign} {}", unit.show(bound)), found)
        }
    };
    let found = match found {
        Some((found, true)) => found,
        Some((found, false)) => format!("**{found}**"),
        None => "not measured".into(),
    };
    let (case, name, peak) = (target.case.title(), &target.row, peak.map(table::ratio).unwrap_or_default());
    Some(format!("| {case}: {name}{beside} | {wanted} | {found} | {peak} |\n"))
}

/// The time that a layer's products take at the machine's peak ÷ the time of theirs.
fn at_the_peak(row: &Row, theirs: &Series, run: &Run) -> Option<f64> {
    Some(row.flop? / (run.machine.fma_gflops.get(&row.threads)? * 1e9) / median(&theirs.figures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::OURS;
    use crate::records;

    fn row(case: Case, name: &str, threads: usize, unit: Unit, figures: &[(&str, f64)]) -> Row {
        let series = |&(column, figure): &(&str, f64)| Series::new(column, column, vec![figure; 3]);
        Row { series: figures.iter().map(series).collect(), ..Row::new(case, name, threads, unit) }
    }

    /// A record with other rows, of a machine of 100 GFLOP/s a thread.
    fn run(rows: Vec<Row>) -> Run {
        let mut run = records::read(&crate::root().join("docs/bench/2026-11-28-avx512")).expect("a record");
        run.machine.fma_gflops = [(1, 100.0), (2, 200.0)].into();
        Run { rows, ..run }
    }

    #[test]
    fn every_target_is_about_a_row_that_is_measured() {
        let record = records::read(&crate::root().join("docs/bench/2026-11-28-avx512")).expect("a record");
        // Cases that came after the record have no row in it yet.
        let is_recorded = |target: &Target| record.rows.iter().any(|row| row.case == target.case);
        for target in all().into_iter().filter(is_recorded) {
            let threads = target.threads.unwrap_or(record.most_threads());
            let is_it = |row: &&Row| row.case == target.case && row.name == target.row && row.threads == threads;
            let row = record.rows.iter().find(is_it).unwrap_or_else(|| panic!("no such row: {target:?}"));
            let has = |column: &String| row.best(column).is_some();
            assert!(target.contestant.as_ref().is_none_or(has), "no such contestant: {target:?}");
        }
    }

    #[test]
    fn what_is_missed_is_bold_and_what_was_not_asked_for_is_left_out() {
        let layer = "LSTM 50,80,128,128 forward+backward";
        let mut drifting = row(Case::Layers, layer, 2, Unit::Seconds, &[(OURS, 0.8), ("PyTorch", 1.0)]).flop(80e9);
        // The median of the ratios is not the ratio of the medians.
        drifting.series[0].figures = vec![0.8, 1.6, 0.1];
        drifting.series[1].figures = vec![1.0, 2.0, 0.8];
        let rows = vec![
            row(Case::Layers, layer, 1, Unit::Seconds, &[(OURS, 9.0), ("PyTorch", 1.0)]),
            drifting,
            row(
                Case::Sentiment,
                "epoch, input dropout, peak memory",
                2,
                Unit::Megabytes,
                &[(OURS, 280.0), ("PyTorch", 800.0)],
            ),
            row(Case::Chargen, "epoch", 2, Unit::Seconds, &[(OURS, 1.0), ("PyTorch", 9.0)])
                .refuse("not measured: busy"),
            row(Case::Startup, "sentiment predict, one review", 2, Unit::Seconds, &[(OURS, 0.1)])
                .refuse("not measured: busy"),
            row(
                Case::Generation,
                "GRU 128, 55 symbols, batch 1",
                1,
                Unit::SecondsPerCharacter,
                &[(OURS, 1e-5), ("NumPy", 5e-5)],
            ),
        ];
        let text = of(&run(rows)).expect("rows");
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
    fn without_such_cases_there_is_no_table() {
        assert_eq!(of(&run(vec![row(Case::Latency, "step", 1, Unit::Seconds, &[(OURS, 1.0)])])), None);
    }

    #[test]
    fn other_machines_are_held_against_all_targets() {
        let epoch = row(Case::Chargen, "epoch", 2, Unit::Seconds, &[(OURS, 4.0), ("PyTorch", 10.0)]);
        let mut run = run(vec![epoch]);
        assert!(!of(&run).expect("a target").contains("They are set for"));
        run.machine.instructions = "neon".into();
        let text = of(&run).expect("a target");
        assert!(
            text.contains("| **0.40** |") && text.contains("They are set for avx512; none are set for neon."),
            "{text}"
        );
    }
}
