//! The past, the forecast with its band, and what came, as SVG: a picture for each target, one above the other.

use crate::backtest::Forecasts;
use crate::data::Series;
use crate::view::View;
use rnn_plot::{Axis, Band, Line, LineChart, PALETTE, Panel, Stroke, stack};

/// The most forecasts that the past is as long as: before a longer one the forecast could hardly be seen.
const MOST_PAST: usize = 5;
/// Values of the past that short forecasts have before them.
const LEAST_PAST: usize = 20;
/// The width of the plot in letters of its ticks.
const LETTERS: usize = 75;

/// How many of `asked` values of the past are drawn before a forecast of `steps`.
pub fn past(asked: usize, steps: usize) -> usize {
    asked.min(steps.saturating_mul(MOST_PAST).max(LEAST_PAST))
}

/// Times as ticks between `first` and `last`, `origin` one of them: as many as have room; none where no calendar says
/// when a step is.
fn dates(series: &Series, first: usize, origin: usize, last: usize) -> Vec<(f64, String)> {
    if series.grid.seconds(origin).is_none() {
        return Vec::new();
    }
    let room = LETTERS / (series.grid.label(origin).len() + 2);
    let every = (last - first).div_ceil(room.max(1)).max(1);
    // A label in the middle of the right edge would be cut off.
    let margin = (last - first) * (series.grid.label(origin).len() / 2).saturating_sub(3) / LETTERS;
    let times = (first..=last - margin).filter(|time| time.abs_diff(origin).is_multiple_of(every));
    times.map(|time| (time as f64 - origin as f64, series.grid.label(time))).collect()
}

/// The forecast `number` of `forecasts`, made at `origin`, after `past` values.
pub fn picture(
    series: &Series,
    view: &View,
    forecasts: &Forecasts,
    number: usize,
    origin: usize,
    shape: [usize; 2],
    quantiles: &[f64],
) -> String {
    let [past, horizon] = shape;
    let targets = series.names.len().min(forecasts.targets());
    let chart = |target: usize| {
        let values = view.values(target);
        let known = |t: usize| if view.is_present(target, t) { values[t] } else { f64::NAN };
        let place = |t: usize| t as f64 - origin as f64;
        let first = (origin + 1).saturating_sub(past);
        let last = (origin + horizon).min(values.len() - 1);
        let point = |ahead: usize| (ahead as f64, forecasts.point(number, ahead, target));
        let forecast = std::iter::once((0.0, values[origin])).chain((1..=horizon).map(point));
        let mut lines = vec![Line {
            colour: Some("#222222"),
            ..Line::new("the past", (first..=origin).map(|t| (place(t), known(t))))
        }];
        lines.push(Line { colour: Some(PALETTE[0]), ..Line::new("forecast (median)", forecast) });
        if last > origin {
            let came = (origin..=last).map(|t| (place(t), known(t)));
            lines.push(Line { colour: Some("#222222"), stroke: Stroke::Dotted, ..Line::new("what came", came) });
        }
        let bands = match (quantiles.first(), quantiles.last()) {
            (Some(low), Some(high)) if low < high => {
                let edges = |ahead: usize| {
                    let all = forecasts.quantiles(number, ahead, target);
                    (ahead as f64, all[0], all[all.len() - 1])
                };
                let start = (0.0, values[origin], values[origin]);
                let points = std::iter::once(start).chain((1..=horizon).map(edges)).collect();
                vec![Band { panel: 0, name: format!("quantiles {low} to {high}"), points, colour: PALETTE[5] }]
            }
            _ => Vec::new(),
        };
        let unit = series.grid.step.times(1);
        let unit = unit.strip_prefix("1 ").map_or(format!("steps of {unit}"), |unit| format!("{unit}s"));
        let after = format!("{unit} after {}", series.grid.label(origin));
        let ticks = dates(series, first, origin, origin + horizon);
        LineChart {
            title: format!("{}, {horizon} steps from {}", series.names[target], series.grid.label(origin)),
            x: Axis { label: if ticks.is_empty() { after } else { "time".into() }, ticks, ..Axis::default() },
            y: Axis { label: series.names[target].clone(), ..Axis::default() },
            panels: vec![Panel { title: String::new(), lines }],
        }
        .svg_with_bands(&bands)
    };
    let charts: Vec<String> = (0..targets).map(chart).collect();
    stack(&charts)
}
