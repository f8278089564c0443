//! The past, the forecast with its band, and what came, as SVG: a picture for each target, one above the other.

use crate::backtest::Forecasts;
use crate::data::Series;
use crate::view::View;
use rnn_plot::{Axis, Band, Line, LineChart, PALETTE, Panel, Stroke, stack};

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
        if last > origin {
            let came = (origin..=last).map(|t| (place(t), known(t)));
            lines.push(Line { colour: Some("#222222"), stroke: Stroke::Dotted, ..Line::new("what came", came) });
        }
        lines.push(Line { colour: Some(PALETTE[0]), ..Line::new("forecast (median)", forecast) });
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
        LineChart {
            title: format!("{}, {horizon} steps from {}", series.names[target], series.grid.label(origin)),
            x: Axis { label: format!("{unit} after {}", series.grid.label(origin)), ..Axis::default() },
            y: Axis { label: series.names[target].clone(), ..Axis::default() },
            panels: vec![Panel { title: String::new(), lines }],
        }
        .svg_with_bands(&bands)
    };
    let charts: Vec<String> = (0..targets).map(chart).collect();
    stack(&charts)
}
