//! The sweep's curves, and their tables.

use super::row::Unit;
use crate::contestants::protocol::Cell;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What grows along a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    Time,
    Batch,
}

/// One cell's cost over time or batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    pub cell: Cell,
    pub over: Over,
    /// In rising order of what grows.
    pub points: Vec<Point>,
}

/// One shape, in a process of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub batch: usize,
    pub time: usize,
    /// Of a call, forward and backward; the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Peak of the process' resident memory, in units of 1024² bytes, where the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub megabytes: Option<f64>,
    /// Why there are no figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Point {
    /// Steps of all sequences of the batch.
    fn steps(&self) -> f64 {
        (self.batch * self.time) as f64
    }
}

/// All curves as tables.
pub fn text(curves: &[Curve]) -> String {
    let mut text =
        String::from("Forward and backward; each point is the median of its calls, in a process of its own.\n\n");
    for curve in curves {
        let over = match curve.over {
            Over::Time => "time",
            Over::Batch => "batch",
        };
        let _ = writeln!(text, "### {} over {over}\n\n{}", curve.cell.name(), table(&curve.points));
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Bytes are the growth of the peak since the first point, divided by the growth of the steps.
fn table(points: &[Point]) -> String {
    let mut table = String::from(
        "| batch, time | a call | a step of a sequence | peak MB | bytes for each further step of a sequence |\n\
         |---|---:|---:|---:|---:|\n",
    );
    let mut first: Option<(f64, f64)> = None;
    for point in points {
        let _ = write!(table, "| {}, {} |", point.batch, point.time);
        let (None, Some(seconds)) = (&point.refused, point.seconds) else {
            let _ = writeln!(table, " {} | | | |", point.refused.as_deref().unwrap_or("not measured"));
            continue;
        };
        let steps = point.steps();
        let bytes = match (point.megabytes, first) {
            (Some(mb), Some((steps_then, mb_then))) => {
                format!("{:.0}", (mb - mb_then) * 1024.0 * 1024.0 / (steps - steps_then))
            }
            _ => String::new(),
        };
        first = first.or(point.megabytes.map(|mb| (steps, mb)));
        let mb = point.megabytes.map_or("not measured".into(), |mb| format!("{mb:.1}"));
        let (call, step) = (Unit::Seconds.show(seconds), Unit::Seconds.show(seconds / steps));
        let _ = writeln!(table, " {call} | {step} | {mb} | {bytes} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_growth_since_the_first_point() {
        let point = |time, seconds, megabytes| Point { batch: 2, time, seconds, megabytes, refused: None };
        let refused = Point { refused: Some("not measured: busy".into()), ..point(30, None, None) };
        let points = vec![point(10, Some(0.001), Some(20.0)), point(20, Some(0.002), Some(21.0)), refused];
        let text = text(&[Curve { cell: Cell::Gru, over: Over::Time, points }]);
        for line in [
            "### GRU over time",
            "| 2, 10 | 1.00 ms | 50.0 µs | 20.0 |  |",
            "| 2, 20 | 2.00 ms | 50.0 µs | 21.0 | 52429 |",
            "| 2, 30 | not measured: busy | | | |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
