//! A record read again: its rows from their raw figures.

use super::Job;
use super::row::{OURS, Row, Series, Unit};
use super::spec::{Cell, Layer};
use clap::ValueEnum;
use std::collections::BTreeMap;
use std::path::Path;

/// The columns, a more exact name before a shorter one that begins alike.
const COLUMNS: [&str; 7] =
    ["rnn-core, input dropout", OURS, "burn-nn", "PyTorch, one mask", "PyTorch", "Keras", "NumPy"];

/// The rows that a record has figures of, and the machine's peak in GFLOP/s by threads.
pub fn read(path: &Path) -> Result<(Vec<Row>, BTreeMap<usize, f64>), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("- FMA peak, f32, GFLOP/s by threads: "));
    let peaks = line.and_then(|line| line.split(", ").map(peak).collect::<Option<BTreeMap<_, _>>>());
    let rows = text.split_once("```text\n").and_then(|(_, raw)| raw.split_once("```")).and_then(|(raw, _)| rows(raw));
    match (rows, peaks) {
        (Some(rows), Some(peaks)) => Ok((rows, peaks)),
        _ => Err(format!(
            "{} is no record: it lacks an FMA peak or raw figures as `bench --record` writes them",
            path.display()
        )),
    }
}

/// `104 on 1`.
fn peak(text: &str) -> Option<(usize, f64)> {
    let (gflops, threads) = text.split_once(" on ")?;
    Some((threads.parse().ok()?, gflops.parse().ok()?))
}

fn rows(raw: &str) -> Option<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for line in raw.lines() {
        if let Some(series) = line.strip_prefix("  ") {
            let (name, figures) = series.split_once(": ")?;
            let column = COLUMNS.into_iter().find(|column| name.starts_with(column))?;
            let figures = figures.split(' ').map(|figure| figure.parse().ok()).collect::<Option<_>>()?;
            rows.last_mut()?.series.push(Series { name: name.into(), column, figures });
            continue;
        }
        let (title, rest) = line.split_once(": ")?;
        let (name, threads) = rest.rsplit_once(", threads ")?;
        let job = Job::value_variants().iter().find(|job| job.title() == title)?;
        let unit = match job {
            Job::Generation => Unit::Characters,
            _ if name.ends_with("peak memory") => Unit::Memory,
            _ => Unit::Time,
        };
        let mut row = Row::new(job.title(), name, threads.parse().ok()?, unit);
        row.flop = layer(name).map(|layer| layer.flop());
        rows.push(row);
    }
    Some(rows)
}

/// `LSTM 50,80,128,128 forward+backward`.
fn layer(name: &str) -> Option<Layer> {
    let (cell, rest) = name.split_once(' ')?;
    let (sizes, pass) = rest.split_once(' ')?;
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().ok()).collect::<Option<_>>()?;
    let &[batch, time, input, hidden] = &sizes[..] else { return None };
    let backward = match pass {
        "forward" => false,
        "forward+backward" => true,
        _ => return None,
    };
    let cell = Cell::ALL.into_iter().find(|known| known.name() == cell)?;
    Some(Layer { cell, batch, time, input, hidden, backward, onednn: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_are_read() {
        let folder = crate::root().join("docs/bench");
        let (rows, peaks) = read(&folder.join("2026-11-25-7.md")).expect("a record");
        assert_eq!(peaks, BTreeMap::from([(1, 288.0), (2, 577.0)]));
        let row = rows.iter().find(|row| row.name == "epoch, both dropouts").expect("measured");
        let columns: Vec<&str> = row.series.iter().map(|series| series.column).collect();
        assert_eq!(columns, [OURS, "rnn-core, input dropout", "Keras"]);
        let layer = rows.iter().find(|row| row.name == "LSTM 50,80,128,128 forward").expect("measured");
        assert_eq!(layer.flop, Some(2.0 * 4000.0 * 512.0 * 256.0));
        assert!(rows.iter().all(|row| row.ours().is_some_and(|ours| ours > 0.0)));
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        let readme = crate::root().join("README.md");
        assert!(read(&readme).is_err_and(|error| error.contains("README.md is no record")));
        assert!(read(Path::new("no-such.md")).is_err_and(|error| error.contains("cannot read no-such.md")));
    }
}
