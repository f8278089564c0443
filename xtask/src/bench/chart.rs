//! The chart: a panel per job, and in it for each row a bar per contestant, as long as its time is relative to ours.
//! The axis is logarithmic; ours is the line at 1, so a bar to the right is slower than ours and one to the left faster.

use super::row::{OURS, Row};
use super::stats::median;
use super::table::columns;
use std::fmt::Write;

const WIDTH: f64 = 920.0;
/// Where the bars' area begins and ends.
const LEFT: f64 = 380.0;
const RIGHT: f64 = 850.0;
const BAR: f64 = 11.0;
const GAP: f64 = 7.0;
const TITLE: f64 = 34.0;
const PANEL: f64 = 30.0;

/// Okabe and Ito's colours, which the colour-blind can tell apart.
fn colour(column: &str) -> &'static str {
    match column {
        "burn-nn" => "#e69f00",
        "PyTorch" => "#d55e00",
        "Keras" => "#0072b2",
        "NumPy" => "#009e73",
        "PyTorch, one mask" => "#cc79a7",
        _ => "#56b4e9",
    }
}

/// One bar.
struct Bar {
    column: &'static str,
    /// Theirs ÷ ours.
    times: f64,
}

/// One row with its bars.
struct Group<'a> {
    row: &'a Row,
    bars: Vec<Bar>,
}

fn group(row: &Row) -> Option<Group<'_>> {
    row.ours().filter(|_| row.refused.is_none())?;
    let bar = |column| {
        let best = row.best(column)?;
        let times = 1.0 / row.ratio(best)?;
        (times.is_finite() && median(&best.figures).is_finite()).then_some(Bar { column, times })
    };
    let bars: Vec<Bar> = columns(std::slice::from_ref(row)).into_iter().filter_map(bar).collect();
    (!bars.is_empty()).then_some(Group { row, bars })
}

/// The SVG; `None` where there is nothing to compare.
pub fn draw(rows: &[Row]) -> Option<String> {
    // Of rows that differ in the number of threads alone the one with the most is enough.
    let most =
        |row: &&Row| row.headline || !rows.iter().any(|other| other.name == row.name && other.threads > row.threads);
    let groups: Vec<Group> = rows.iter().filter(most).filter_map(group).collect();
    if groups.is_empty() {
        return None;
    }
    let mut body = String::new();
    let mut y = 64.0;
    for panel in groups.chunk_by(|a, b| a.row.job == b.row.job) {
        let _ =
            writeln!(body, "<text x=\"20\" y=\"{:.1}\" class=\"panel\">{}</text>", y + 18.0, escape(panel[0].row.job));
        let axis = Axis::of(panel);
        let top = y + PANEL;
        let height: f64 = panel.iter().map(|group| group.bars.len() as f64 * BAR + GAP).sum();
        axis.grid(&mut body, top, top + height);
        y = top + GAP / 2.0;
        for group in panel {
            y = bars(&mut body, group, &axis, y);
        }
        axis.ours(&mut body, top, top + height);
        y += 16.0;
    }
    let shown: Vec<Row> = groups.iter().map(|group| group.row.clone()).collect();
    Some(frame(&body, &columns(&shown), y))
}

/// Draws the bars of a row from `y` on; returns where the next begins.
fn bars(body: &mut String, group: &Group, axis: &Axis, y: f64) -> f64 {
    let height = group.bars.len() as f64 * BAR;
    let row = group.row;
    let ours = row.ours().map(|ours| row.unit.show(ours)).unwrap_or_default();
    let label = format!("{}, {} thr.: {ours}", row.name, row.threads);
    let middle = y + height / 2.0 + 4.0;
    let _ = writeln!(body, "<text x=\"{:.1}\" y=\"{middle:.1}\" class=\"row\">{}</text>", LEFT - 36.0, escape(&label));
    for (i, bar) in group.bars.iter().enumerate() {
        let top = y + i as f64 * BAR;
        let (one, end) = (axis.x(1.0), axis.x(bar.times));
        let _ = writeln!(
            body,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
            one.min(end),
            (end - one).abs().max(0.5),
            BAR - 1.5,
            colour(bar.column)
        );
        let (x, anchor) = if bar.times >= 1.0 { (end + 3.0, "start") } else { (end - 3.0, "end") };
        let _ = writeln!(
            body,
            "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"value\" text-anchor=\"{anchor}\">{}</text>",
            top + BAR - 3.0,
            times(bar.times)
        );
    }
    y + height + GAP
}

fn times(times: f64) -> String {
    match times {
        t if t >= 100.0 => format!("{t:.0}×"),
        t if t >= 10.0 => format!("{t:.1}×"),
        t => format!("{t:.2}×"),
    }
}

/// The logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// A panel has its own: what is a thousand times slower in one must not squeeze the others.
    fn of(panel: &[Group]) -> Self {
        let times = || panel.iter().flat_map(|group| &group.bars).map(|bar| bar.times);
        let (low, high) = (times().fold(1.0, f64::min), times().fold(1.0, f64::max));
        Self { low: (low * 0.9).min(0.7), high: (high * 1.1).max(2.0) }
    }

    fn x(&self, times: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (times / self.low).ln() / (self.high / self.low).ln()
    }

    /// Lines at 1, 2, 5, 10 … as far as there is room.
    fn grid(&self, body: &mut String, top: f64, bottom: f64) {
        let steps = (-3..6).flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e)));
        let mut last = f64::NEG_INFINITY;
        for step in steps.filter(|step| (self.low..=self.high).contains(step)) {
            let x = self.x(step);
            if x - last < 34.0 {
                continue;
            }
            last = x;
            let _ = writeln!(
                body,
                "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" class=\"grid\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" class=\"tick\">{step}×</text>",
                top - 3.0
            );
        }
    }

    fn ours(&self, body: &mut String, top: f64, bottom: f64) {
        let x = self.x(1.0);
        let _ = writeln!(body, "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" class=\"ours\"/>");
    }
}

fn frame(body: &str, columns: &[&str], height: f64) -> String {
    let mut legend = String::new();
    let mut x = 20.0;
    for (name, fill) in std::iter::once((OURS, "#000")).chain(columns.iter().map(|column| (*column, colour(column)))) {
        let width = if name == OURS { 2 } else { 12 };
        let _ = writeln!(
            legend,
            "<rect x=\"{x:.1}\" y=\"44\" width=\"{width}\" height=\"12\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"54\" class=\"legend\">{}</text>",
            x + 17.0,
            escape(name)
        );
        x += 40.0 + 7.0 * name.len() as f64;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" font-family=\"sans-serif\">\n<style>\n\
         text {{ fill: #222; font-size: 11px }} .title {{ font-size: 16px; font-weight: bold }}\n\
         .panel {{ font-size: 13px; font-weight: bold }} .row {{ text-anchor: end }} .value {{ font-size: 9px }}\n\
         .tick {{ font-size: 9px; text-anchor: middle; fill: #777 }} .grid {{ stroke: #ddd }}\n\
         .ours {{ stroke: #000; stroke-width: 2 }}\n</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"20\" y=\"{:.0}\" class=\"title\">Time, or memory, relative to {OURS} (right of the line: more than ours)\
         </text>\n{legend}{body}</svg>\n",
        TITLE - 6.0
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{Series, Unit};

    #[test]
    fn each_contestant_has_a_bar_and_refused_rows_have_none() {
        let series = |column: &'static str, figure| Series { name: column.into(), column, figures: vec![figure; 3] };
        let mut row = Row::new("Layers", "LSTM <x>", 2, Unit::Time);
        row.series = vec![series(OURS, 1.0), series("PyTorch", 2.0), series("burn-nn", 0.5)];
        let refused = row.clone().refuse("not measured");
        let svg = draw(&[row, refused]).expect("a chart");
        assert_eq!(svg.matches("class=\"value\"").count(), 2);
        assert!(svg.contains("2.00×") && svg.contains("0.50×") && svg.contains("LSTM &lt;x&gt;"), "{svg}");
        assert!(draw(&[]).is_none());
    }
}
