//! Horizontal bars in groups, which begin at a value: quotients, for example, begin at 1.

use crate::scale::{Range, Scale};
use crate::svg::{Anchor, Svg, width_of};

/// What the bars of one colour have in common.
#[derive(Debug, Clone)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// As SVG writes colours.
    pub colour: &'static str,
}

/// One bar.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Which of the chart's series it belongs to.
    pub series: usize,
    /// Where it ends; it is left out if the scale has no place for that.
    pub value: f64,
    /// Beside its end.
    pub label: String,
}

/// The bars of one thing.
#[derive(Debug, Clone)]
pub struct Group {
    /// Left of the bars.
    pub label: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// Groups with an axis of their own: large values in one panel do not squeeze another.
#[derive(Debug, Clone)]
pub struct BarPanel {
    /// Above the panel.
    pub title: String,
    /// From top to bottom.
    pub groups: Vec<Group>,
}

/// A chart of bars; [`svg`](Self::svg) draws it.
#[derive(Debug, Clone)]
pub struct BarChart {
    /// Above all panels.
    pub title: String,
    /// Linear or logarithmic.
    pub scale: Scale,
    /// Where bars begin: a black line through each panel.
    pub base: f64,
    /// What the line at [`base`](Self::base) is, for the legend.
    pub base_name: String,
    /// After every tick's number, for example `×`.
    pub unit: String,
    /// In the legend, in this order.
    pub series: Vec<Series>,
    /// From top to bottom.
    pub panels: Vec<BarPanel>,
}

const WIDTH: f64 = 920.0;
const BAR: f64 = 12.0;
const GAP: f64 = 7.0;
/// From the labels to the bars, so that a bar left of the base has room for its own label.
const LABEL_GAP: f64 = 44.0;
const TICKS: usize = 9;

impl BarChart {
    /// The chart as an SVG file.
    pub fn svg(&self) -> String {
        let labels = self.panels.iter().flat_map(|panel| &panel.groups).map(|group| width_of(&group.label));
        let left = 20.0 + labels.fold(0.0, f64::max) + LABEL_GAP;
        let mut svg = Svg::default();
        svg.text([20.0, 28.0], Anchor::Start, "title", &self.title);
        let mut y = self.legend(&mut svg) + 16.0;
        for panel in &self.panels {
            y = self.panel(&mut svg, panel, left, y);
        }
        svg.finish([WIDTH, y], &self.title)
    }

    /// Returns where it ends.
    fn legend(&self, svg: &mut Svg) -> f64 {
        let (mut x, mut y) = (20.0, 44.0);
        let base = (&self.base_name, "#000", 2.0);
        for (name, colour, width) in [base].into_iter().chain(self.series.iter().map(|s| (&s.name, s.colour, 12.0))) {
            let length = 17.0 + width_of(name) + 20.0;
            if x + length > WIDTH {
                (x, y) = (20.0, y + 18.0);
            }
            svg.rect([x, y], [width, 12.0], colour);
            svg.text([x + 17.0, y + 10.0], Anchor::Start, "", name);
            x += length;
        }
        y + 12.0
    }

    /// Draws a panel from `y` on; returns where the next one begins.
    fn panel(&self, svg: &mut Svg, panel: &BarPanel, left: f64, y: f64) -> f64 {
        let right = WIDTH - 70.0;
        let range = self.range(panel);
        let place = |value: f64| left + (right - left) * range.place(value);
        svg.text([20.0, y + 13.0], Anchor::Start, "panel", &panel.title);
        let top = y + 26.0;
        let bars = |group: &Group| group.bars.len().max(1) as f64 * BAR;
        let bottom = top + panel.groups.iter().map(|group| bars(group) + GAP).sum::<f64>();
        for tick in range.ticks(TICKS) {
            let x = place(tick.value);
            svg.segment([x, top], [x, bottom], "#ddd", 1.0);
            svg.text([x, top - 4.0], Anchor::Middle, "tick", &(tick.label + &self.unit));
        }
        let mut y = top + GAP / 2.0;
        for group in &panel.groups {
            svg.text([left - LABEL_GAP, y + bars(group) / 2.0 + 4.0], Anchor::End, "", &group.label);
            for (row, bar) in group.bars.iter().enumerate().filter(|(_, bar)| self.scale.has(bar.value)) {
                let top = y + row as f64 * BAR;
                let (base, end) = (place(self.base), place(bar.value));
                let size = [(end - base).abs().max(0.5), BAR - 1.5];
                svg.rect([base.min(end), top], size, self.series.get(bar.series).map_or("#888", |s| s.colour));
                let (x, anchor) = if end >= base { (end + 4.0, Anchor::Start) } else { (end - 4.0, Anchor::End) };
                svg.text([x, top + BAR - 2.5], anchor, "small", &bar.label);
            }
            y += bars(group) + GAP;
        }
        let x = place(self.base);
        svg.segment([x, top], [x, bottom], "#000", 2.0);
        bottom + 16.0
    }

    /// From a little before the least value to a little after the greatest one.
    fn range(&self, panel: &BarPanel) -> Range {
        let values = || panel.groups.iter().flat_map(|group| &group.bars).map(|bar| bar.value);
        let values = || values().filter(|value| self.scale.has(*value));
        let (low, high) = (values().fold(self.base, f64::min), values().fold(self.base, f64::max));
        match self.scale {
            Scale::Log => Range::of(
                self.scale,
                if low < self.base { low * 0.9 } else { low * 0.95 },
                (high * 1.1).max(self.base * 2.0),
            ),
            Scale::Linear => {
                let room = (high - low).max(f64::MIN_POSITIVE) * 0.05;
                Range::of(self.scale, if low < self.base { low - room } else { low }, high + room)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, base: f64, values: &[f64]) -> String {
        let bars = values.iter().map(|&value| Bar { series: 0, value, label: format!("{value:.2}×") }).collect();
        BarChart {
            title: "Time relative to ours".into(),
            scale,
            base,
            base_name: "ours".into(),
            unit: "×".into(),
            series: vec![Series { name: "theirs".into(), colour: "#d55e00" }],
            panels: vec![BarPanel { title: "Layers".into(), groups: vec![Group { label: "LSTM <x>".into(), bars }] }],
        }
        .svg()
    }

    #[test]
    fn bars_begin_at_the_base() {
        let svg = chart(Scale::Log, 1.0, &[2.0, 0.5]);
        let bars: Vec<f64> = svg
            .lines()
            .filter(|line| line.contains("height=\"10.5\""))
            .filter_map(|line| line.split("x=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        let base = svg.lines().find(|line| line.contains("stroke-width=\"2\"")).expect("the base");
        assert!(base.contains(&format!("x1=\"{:.1}\"", bars[0])), "{svg}");
        assert!(bars[1] < bars[0], "the other one ends there");
        assert!(svg.contains("LSTM &lt;x&gt;") && svg.contains(">2.00×<") && svg.contains(">ours<"));
    }

    #[test]
    fn what_has_no_place_has_no_bar() {
        let svg = chart(Scale::Log, 1.0, &[2.0, f64::NAN, 0.0]);
        assert_eq!(svg.matches("height=\"10.5\"").count(), 1);
        assert!(chart(Scale::Linear, 0.0, &[]).ends_with("</svg>\n"));
    }
}
