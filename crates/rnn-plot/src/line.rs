//! Curves over a common x: panels side by side with one y axis, and under each its legend.

use crate::PALETTE;
use crate::scale::{Range, Scale, Tick};
use crate::svg::{Anchor, Stroke, Svg, width_of};

/// One curve.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// In the order in which they are joined. A point without a place, such as NaN, leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// As SVG writes colours; `None` takes the next one of [`PALETTE`].
    pub colour: Option<&'static str>,
    /// Solid, dashed or dotted.
    pub stroke: Stroke,
}

impl Line {
    /// A curve in the next colour of the palette.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect(), colour: None, stroke: Stroke::Solid }
    }
}

/// A filled area between two curves, such as the range in which a forecast is expected to lie.
#[derive(Debug, Clone)]
pub struct Band {
    /// The index of its panel.
    pub panel: usize,
    /// In the legend, behind the lines.
    pub name: String,
    /// x, the lower and the upper y. Points without a place are left out.
    pub points: Vec<(f64, f64, f64)>,
    /// As SVG writes colours.
    pub colour: &'static str,
}

/// One plot of a [`LineChart`].
#[derive(Debug, Clone, Default)]
pub struct Panel {
    /// Above the plot; may be empty.
    pub title: String,
    /// The curves; a later one is drawn over an earlier one.
    pub lines: Vec<Line>,
}

/// What stands along an edge.
#[derive(Debug, Clone, Default)]
pub struct Axis {
    /// The quantity and its unit.
    pub label: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Ticks at whole numbers only, as for epochs.
    pub whole: bool,
    /// The places of ticks and what stands there, such as dates; if empty, ticks are at round numbers.
    pub ticks: Vec<(f64, String)>,
    /// Values between which the axis is drawn in any case, such as 90 and 100 for shares that may all be 100 %.
    pub covers: Option<[f64; 2]>,
}

impl Axis {
    /// The range of `values` and of what the axis covers.
    fn range(&self, values: impl Iterator<Item = f64>) -> Range {
        Range::over(self.scale, self.whole, values.chain(self.covers.into_iter().flatten()))
    }

    /// The ticks over `range`, about `most` if they are at round numbers.
    fn ticks_over(&self, range: &Range, most: usize) -> Vec<Tick> {
        if self.ticks.is_empty() {
            return range.ticks(most);
        }
        self.ticks.iter().map(|(value, label)| Tick { value: *value, label: label.clone() }).collect()
    }
}

/// A chart of curves; [`svg`](Self::svg) draws it.
///
/// ```
/// use rnn_plot::{Axis, Line, LineChart, Panel};
/// let train = Line::new("training", [(1.0, 0.9), (2.0, 0.5), (3.0, 0.4)]);
/// let valid = Line::new("validation", [(1.0, 0.8), (2.0, 0.6), (3.0, 0.6)]);
/// let chart = LineChart {
///     title: "Loss".into(),
///     x: Axis { label: "epoch".into(), whole: true, ..Axis::default() },
///     y: Axis { label: "binary cross-entropy".into(), ..Axis::default() },
///     panels: vec![Panel { title: String::new(), lines: vec![train, valid] }],
/// };
/// assert!(chart.svg().starts_with("<svg"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct LineChart {
    /// Above all panels; may be empty.
    pub title: String,
    /// Under every panel.
    pub x: Axis,
    /// Left of the first panel; all panels have the same range.
    pub y: Axis,
    /// From left to right.
    pub panels: Vec<Panel>,
}

const GAP: f64 = 24.0;
const HEIGHT: f64 = 380.0;
const LEGEND_LINE: f64 = 18.0;
const X_TICKS: usize = 6;
const Y_TICKS: usize = 9;

impl LineChart {
    /// The chart as an SVG file.
    pub fn svg(&self) -> String {
        self.svg_with_bands(&[])
    }

    /// The chart with bands behind its lines.
    pub fn svg_with_bands(&self, bands: &[Band]) -> String {
        let lines = self.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| line.points.iter().copied());
        let edges = bands.iter().flat_map(|band| &band.points).flat_map(|&(x, low, high)| [(x, low), (x, high)]);
        let points: Vec<(f64, f64)> = lines.chain(edges).collect();
        let both = || points.iter().filter(|(x, y)| self.x.scale.has(*x) && self.y.scale.has(*y));
        // A dot on the frame is easily missed; of a line some of it is always elsewhere.
        let has_place = |(x, y): &(f64, f64)| self.x.scale.has(*x) && self.y.scale.has(*y);
        let all = || self.panels.iter().flat_map(|panel| &panel.lines);
        let has_dots = all().any(|line| line.points.split(|point| !has_place(point)).any(|run| run.len() == 1));
        let room = |range: Range| if has_dots { range.with_room() } else { range };
        let x_range = room(self.x.range(both().map(|point| point.0)));
        let y_range = room(self.y.range(both().map(|point| point.1))).rounded(Y_TICKS);
        let y_ticks = self.y.ticks_over(&y_range, Y_TICKS);

        let width = if self.panels.len() > 1 { 300.0 } else { 560.0 };
        let widest = y_ticks.iter().map(|tick| width_of(&tick.label)).fold(0.0, f64::max);
        let left = 38.0 + widest;
        let top = if self.title.is_empty() { 34.0 } else { 60.0 };
        let bottom = top + HEIGHT;
        let rows =
            |(number, panel): (usize, &Panel)| panel.lines.len() + bands.iter().filter(|b| b.panel == number).count();
        let legend = self.panels.iter().enumerate().map(rows).max().unwrap_or(0) as f64;
        let size = [left + self.panels.len() as f64 * (width + GAP), bottom + 60.0 + legend * LEGEND_LINE];

        let mut svg = Svg::default();
        svg.text([20.0, 24.0], Anchor::Start, "title", &self.title);
        svg.upright([18.0, top + HEIGHT / 2.0], &self.y.label);
        for (number, panel) in self.panels.iter().enumerate() {
            let left = left + number as f64 * (width + GAP);
            let place = |x: f64, y: f64| [left + width * x_range.place(x), bottom - HEIGHT * y_range.place(y)];
            svg.text([left + width / 2.0, top - 12.0], Anchor::Middle, "panel", &panel.title);
            for tick in &y_ticks {
                let y = bottom - HEIGHT * y_range.place(tick.value);
                svg.segment([left, y], [left + width, y], "#ddd", 1.0);
                if number == 0 {
                    svg.text([left - 6.0, y + 4.0], Anchor::End, "tick", &tick.label);
                }
            }
            for tick in self.x.ticks_over(&x_range, X_TICKS) {
                let x = left + width * x_range.place(tick.value);
                svg.segment([x, bottom], [x, bottom + 4.0], "#222", 1.0);
                svg.text([x, bottom + 18.0], Anchor::Middle, "tick", &tick.label);
            }
            svg.outline([left, top], [width, HEIGHT]);
            svg.text([left + width / 2.0, bottom + 36.0], Anchor::Middle, "", &self.x.label);
            for (row, band) in bands.iter().filter(|band| band.panel == number).enumerate() {
                let has_place = |value: &f64| self.y.scale.has(*value);
                let known: Vec<&(f64, f64, f64)> = band
                    .points
                    .iter()
                    .filter(|(x, low, high)| self.x.scale.has(*x) && has_place(low) && has_place(high))
                    .collect();
                let upper = known.iter().map(|&&(x, _, high)| place(x, high));
                let lower = known.iter().rev().map(|&&(x, low, _)| place(x, low));
                svg.polygon(&upper.chain(lower).collect::<Vec<_>>(), band.colour);
                let y = bottom + 56.0 + (panel.lines.len() + row) as f64 * LEGEND_LINE;
                svg.polygon(
                    &[[left, y - 5.0], [left + 34.0, y - 5.0], [left + 34.0, y + 5.0], [left, y + 5.0]],
                    band.colour,
                );
                svg.text([left + 42.0, y + 4.0], Anchor::Start, "", &band.name);
            }
            for (row, line) in panel.lines.iter().enumerate() {
                let colour = line.colour.unwrap_or(PALETTE[row % PALETTE.len()]);
                for run in line.points.split(|point| !has_place(point)) {
                    let run: Vec<[f64; 2]> = run.iter().map(|&(x, y)| place(x, y)).collect();
                    match run[..] {
                        [] => {}
                        [point] => svg.dot(point, colour),
                        _ => svg.polyline(&run, colour, line.stroke),
                    }
                }
                let y = bottom + 56.0 + row as f64 * LEGEND_LINE;
                svg.polyline(&[[left, y], [left + 34.0, y]], colour, line.stroke);
                svg.text([left + 42.0, y + 4.0], Anchor::Start, "", &line.name);
            }
        }
        let name = if self.title.is_empty() { &self.y.label } else { &self.title };
        svg.finish(size, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)], scale: Scale) -> String {
        let lines = vec![Line::new("loss", points.iter().copied())];
        let y = Axis { label: "nats".into(), scale, ..Axis::default() };
        let x = Axis { label: "epoch".into(), whole: true, ..Axis::default() };
        LineChart { title: "Training".into(), x, y, panels: vec![Panel { title: String::new(), lines }] }.svg()
    }

    #[test]
    fn a_curve_has_a_line_a_legend_and_ticks() {
        let svg = chart(&[(1.0, 0.5), (2.0, 0.25), (3.0, 0.125)], Scale::Linear);
        assert_eq!(svg.matches("<polyline").count(), 2, "the curve and its legend");
        for text in [">loss<", ">nats<", ">epoch<", ">Training<", ">0.15<", ">2<"] {
            assert!(svg.contains(text), "{text}\n{svg}");
        }
    }

    #[test]
    fn a_band_is_one_area_within_the_range_and_charts_stack() {
        let band =
            Band { panel: 0, name: "80 %".into(), points: vec![(1.0, 0.0, 9.0), (2.0, 1.0, 8.0)], colour: "#56b4e9" };
        let lines = vec![Line::new("median", [(1.0, 4.0), (2.0, 5.0)])];
        let chart = LineChart { panels: vec![Panel { title: String::new(), lines }], ..LineChart::default() };
        let svg = chart.svg_with_bands(&[band]);
        assert_eq!(svg.matches("<polygon").count(), 2, "the band and its legend");
        assert!(svg.contains(">80 %<") && svg.contains(">9<"), "{svg}");
        let both = crate::stack(&[svg.clone(), svg]);
        assert_eq!(both.matches("<svg").count(), 3);
        assert!(both.contains("<svg y=\"") && both.ends_with("</svg>\n"), "{both}");
    }

    #[test]
    fn ticks_that_are_given_stand_in_place_of_round_numbers() {
        let lines = vec![Line::new("y", [(0.0, 1.0), (10.0, 2.0)])];
        let x = Axis { ticks: vec![(0.0, "May".into()), (10.0, "June".into())], ..Axis::default() };
        let svg = LineChart { x, panels: vec![Panel { title: String::new(), lines }], ..LineChart::default() }.svg();
        assert!(svg.contains(">May<") && svg.contains(">June<") && !svg.contains(">4<"), "{svg}");
    }

    #[test]
    fn what_has_no_place_leaves_a_gap() {
        let points = [(1.0, 1.0), (2.0, 0.5), (3.0, f64::NAN), (4.0, 0.25), (5.0, 0.0), (6.0, 0.125), (7.0, 0.1)];
        let svg = chart(&points, Scale::Log);
        assert_eq!(svg.matches("<polyline").count(), 3, "two pieces and the legend");
        assert_eq!(svg.matches("<circle").count(), 1, "a point by itself");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_dot_lies_within_the_frame() {
        let lines = vec![Line::new("a", [(1.0, 0.5)]), Line::new("b", [(1.0, 0.25), (3.0, 0.5)])];
        let x = Axis { label: "epoch".into(), whole: true, ..Axis::default() };
        let chart = LineChart { x, panels: vec![Panel { title: String::new(), lines }], ..LineChart::default() };
        let svg = chart.svg();
        let number = |tag: &str, name: &str| -> f64 {
            let tag = svg.lines().find(|line| line.contains(tag)).expect(tag);
            let value = tag.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
            value.and_then(|value| value.parse().ok()).expect(name)
        };
        let (dot, frame) = (|name| number("<circle", name), |name| number("fill=\"none\" stroke=\"#222\"", name));
        assert!(dot("cx") > frame("x") + 5.0, "{svg}");
        assert!(dot("cy") > frame("y") + 5.0, "{svg}");
    }

    #[test]
    fn the_same_data_give_the_same_bytes_and_nothing_gives_a_file() {
        let points = [(1.0, 3.0), (2.0, 2.0)];
        assert_eq!(chart(&points, Scale::Linear), chart(&points, Scale::Linear));
        assert!(chart(&[], Scale::Log).ends_with("</svg>\n"));
        assert!(LineChart::default().svg().ends_with("</svg>\n"));
    }
}
