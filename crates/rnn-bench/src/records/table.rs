//! Tables in Markdown.

use super::row::{Row, Unit};
use crate::contestants::OURS;
use crate::stats::median;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The columns beside ours, in the order in which they first appear.
pub fn columns(rows: &[Row]) -> Vec<&str> {
    let mut columns = Vec::new();
    for series in rows.iter().flat_map(|row| &row.series) {
        if series.column != OURS && !columns.contains(&series.column.as_str()) {
            columns.push(series.column.as_str());
        }
    }
    columns
}

/// Theirs, and in brackets ours ÷ theirs in time or memory; below 1 ours is better.
fn theirs(row: &Row, column: &str) -> String {
    let Some(best) = row.best(column) else { return String::new() };
    let ratio = row.ratio(best).map(|value| format!(" ({})", ratio(value))).unwrap_or_default();
    row.unit.show(median(&best.figures)) + &ratio
}

/// With at least two significant digits: 0.0012 and not 0.00.
pub fn ratio(value: f64) -> String {
    match value {
        r if r < 0.001 => format!("{r:.5}"),
        r if r < 0.01 => format!("{r:.4}"),
        r if r < 0.1 => format!("{r:.3}"),
        r => format!("{r:.2}"),
    }
}

fn ours(row: &Row) -> String {
    row.ours().map(|ours| row.unit.show(ours)).unwrap_or_default()
}

/// All rows of a case. GFLOP/s are ours, of the matrix products alone, beside the machine's FMA peak.
pub fn of_case(rows: &[Row], peaks: &BTreeMap<usize, f64>) -> String {
    let columns = columns(rows);
    let counted = rows.iter().any(|row| row.flop.is_some() && row.refused.is_none());
    let mut table = format!("| | threads | {OURS} |");
    if counted {
        table += " GFLOP/s | of peak |";
    }
    for column in &columns {
        let _ = write!(table, " {column} |");
    }
    let cells = 3 + columns.len() + if counted { 2 } else { 0 };
    let _ = writeln!(table, "\n|---|{}", "---:|".repeat(cells - 1));
    for row in rows {
        let _ = write!(table, "| {} | {} |", row.name, row.threads);
        if let Some(refused) = &row.refused {
            let _ = writeln!(table, " {refused} |{}", " |".repeat(cells - 3));
            continue;
        }
        let _ = write!(table, " {} |", ours(row));
        if counted {
            let share = row.gflops().zip(peaks.get(&row.threads)).map(|(gflops, peak)| gflops / peak);
            let gflops = row.gflops().map(|gflops| format!("{gflops:.1}")).unwrap_or_default();
            let share = share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default();
            let _ = write!(table, " {gflops} | {share} |");
        }
        for column in &columns {
            let _ = write!(table, " {} |", theirs(row, column));
        }
        table.push('\n');
    }
    if columns.is_empty() {
        table
    } else {
        let times = if rows.iter().any(|row| row.unit == Unit::Megabytes) { "time or memory" } else { "time" };
        table + &format!("\nIn brackets: our {times} ÷ theirs; medians.\n")
    }
}

/// The rows of the lessons and of what a program waits for.
pub fn summary(rows: &[Row]) -> String {
    let rows: Vec<Row> = rows.iter().filter(|row| row.headline && row.refused.is_none()).cloned().collect();
    let columns = columns(&rows);
    let mut table = format!("| | {OURS} |");
    for column in &columns {
        let _ = write!(table, " {column} |");
    }
    let _ = writeln!(table, "\n|---|{}", "---:|".repeat(1 + columns.len()));
    for row in &rows {
        let threads = if row.threads == 1 { "1 thread".into() } else { format!("{} threads", row.threads) };
        let _ = write!(table, "| {}: {}, {threads} | {} |", row.case.title(), row.name, ours(row));
        for column in &columns {
            let _ = write!(table, " {} |", theirs(row, column));
        }
        table.push('\n');
    }
    table + "\nIn brackets: our time, or memory, ÷ theirs.\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;
    use crate::records::row::Series;

    #[test]
    fn rows_of_figures_and_of_refusals_have_the_same_cells() {
        let series = |column: &str, figure| Series::new(column, column, vec![figure; 3]);
        let mut row = Row::new(Case::Layers, "LSTM", 2, Unit::Seconds).flop(3e9).headline(true);
        row.series = vec![series(OURS, 0.010), series("PyTorch", 0.020)];
        let refused = Row::new(Case::Layers, "GRU", 2, Unit::Seconds).refuse("not measured: the machine is busy");
        let table = of_case(&[row.clone(), refused.clone()], &BTreeMap::from([(2, 600.0)]));
        assert!(table.contains("| LSTM | 2 | 10.0 ms | 300.0 | 50 % | 20.0 ms (0.50) |"), "{table}");
        let bars: Vec<usize> = table.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
        assert!(bars.iter().all(|&count| count == bars[0]), "{table}");
        let summary = summary(&[row, refused]);
        assert!(summary.contains("| Layers: LSTM, 2 threads | 10.0 ms | 20.0 ms (0.50) |") && !summary.contains("GRU"));
    }
}
