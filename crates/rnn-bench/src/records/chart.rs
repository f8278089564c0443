//! The chart: a panel per case, and in it for each row a bar per contestant, as long as its time is relative to ours.
//! The axis is logarithmic; ours is the line at 1, so a bar to the right is slower than ours and one to the left
//! faster.

use super::row::Row;
use super::table::columns;
use crate::contestants::OURS;
use rnn_plot::{Bar, BarChart, BarPanel, Group, Scale, Series};

/// Okabe and Ito's colours, which the colour-blind can tell apart.
fn colour(column: &str) -> &'static str {
    match column {
        "burn-nn" => "#e69f00",
        "PyTorch" => "#d55e00",
        "Keras" => "#0072b2",
        "NumPy" => "#009e73",
        "PyTorch, one mask" => "#cc79a7",
        // Beside another of our own.
        "ours, step by step" | "ours, padded × share" => "#999999",
        _ => "#56b4e9",
    }
}

/// The SVG; `None` where there is nothing to compare.
pub fn draw(rows: &[Row]) -> Option<String> {
    // Of rows that differ in the number of threads alone the one with the most is enough.
    let is_shown =
        |row: &&Row| row.headline || !rows.iter().any(|other| other.name == row.name && other.threads > row.threads);
    let names = columns(rows);
    let mut panels: Vec<BarPanel> = Vec::new();
    for rows in rows.chunk_by(|a, b| a.case == b.case) {
        let groups: Vec<Group> = rows.iter().filter(is_shown).filter_map(|row| group(row, &names)).collect();
        if !groups.is_empty() {
            panels.push(BarPanel { title: rows[0].case.title().into(), groups });
        }
    }
    let series = names.iter().map(|name| Series { name: name.to_string(), colour: colour(name) }).collect();
    let chart = BarChart {
        title: format!("Time, or memory, relative to {OURS} (right of the line: more than ours)"),
        scale: Scale::Log,
        base: 1.0,
        base_name: OURS.into(),
        unit: "×".into(),
        series,
        panels,
    };
    (!chart.panels.is_empty()).then(|| chart.svg())
}

/// A row's bars; `None` if it has none.
fn group(row: &Row, names: &[&str]) -> Option<Group> {
    let ours = row.ours().filter(|_| row.refused.is_none())?;
    let bar = |name: &&str| {
        let value = 1.0 / row.ratio(row.best(name)?)?;
        let series = names.iter().position(|other| other == name)?;
        value.is_finite().then(|| Bar { series, value, label: times(value) })
    };
    let bars: Vec<Bar> = columns(std::slice::from_ref(row)).iter().filter_map(bar).collect();
    let threads = if row.threads == 1 { "1 thread".to_string() } else { format!("{} threads", row.threads) };
    let label = format!("{}, {threads}: {}", row.name, row.unit.show(ours));
    (!bars.is_empty()).then_some(Group { label, bars })
}

fn times(times: f64) -> String {
    match times {
        t if t >= 100.0 => format!("{t:.0}×"),
        t if t >= 10.0 => format!("{t:.1}×"),
        t => format!("{t:.2}×"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;
    use crate::records::row::{self, Unit};

    #[test]
    fn each_contestant_has_a_bar_and_refused_rows_have_none() {
        let series = |column: &str, figure| row::Series::new(column, column, vec![figure; 3]);
        let mut row = Row::new(Case::Layers, "LSTM <x>", 2, Unit::Seconds);
        row.series = vec![series(OURS, 1.0), series("PyTorch", 2.0), series("burn-nn", 0.5)];
        let refused = row.clone().refuse("not measured");
        let svg = draw(&[row, refused.clone()]).expect("a chart");
        assert_eq!(svg.matches("class=\"small\"").count(), 2);
        assert!(svg.contains("2.00×") && svg.contains("0.50×") && svg.contains("LSTM &lt;x&gt;"), "{svg}");
        assert!(draw(&[]).is_none() && draw(&[refused]).is_none());
    }
}
