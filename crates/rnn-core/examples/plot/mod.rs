//! Tables in Markdown, and line plots with a logarithmic y axis as SVG, for the examples.

use std::fmt::Write;

/// One curve: its name in the legend, its colour, its dashes (as SVG has them, `none` for a full line), and a value for
/// x = 1, 2, …
pub struct Curve {
    pub name: &'static str,
    pub colour: &'static str,
    pub dash: &'static str,
    pub values: Vec<f64>,
}

/// Plots side by side, all with the same y axis.
pub struct Plot<'a> {
    pub x: &'a str,
    pub y: &'a str,
    /// Title and curves of each plot.
    pub panels: Vec<(&'a str, &'a [Curve])>,
}

/// A table with a column a curve, for x = 1 and each `every`-th x.
pub fn table(x: &str, curves: &[Curve], every: usize) -> String {
    let names: Vec<&str> = curves.iter().map(|curve| curve.name).collect();
    let mut out = format!("| {x} | {} |\n|---:|{}\n", names.join(" | "), "---:|".repeat(names.len()));
    let last = curves.iter().map(|curve| curve.values.len()).min().unwrap_or(0);
    for at in (1..=last).filter(|at| *at == 1 || at % every == 0) {
        let values: Vec<String> = curves.iter().map(|curve| format!("{:.1e}", curve.values[at - 1])).collect();
        writeln!(out, "| {at} | {} |", values.join(" | ")).expect("a string takes all");
    }
    out
}

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 380.0;
const GAP: f64 = 24.0;
const LEFT: f64 = 76.0;
const TOP: f64 = 34.0;
const LEGEND_LINE: f64 = 18.0;
/// Decades between two labels of the y axis.
const DECADES: usize = 4;

impl Plot<'_> {
    /// The plot as an SVG file.
    pub fn svg(&self) -> String {
        let values = || self.panels.iter().flat_map(|(_, curves)| curves.iter().flat_map(|c| &c.values));
        let exponents = || values().filter(|v| **v > 0.0).map(|v| v.log10());
        let step = DECADES as f64;
        let low = (exponents().fold(0.0, f64::min) / step).floor() * step;
        let high = (exponents().fold(0.0, f64::max) / step).ceil() * step;
        let last = self.panels.iter().flat_map(|(_, curves)| curves.iter().map(|c| c.values.len())).max().unwrap_or(1);

        let legend = self.panels.iter().map(|(_, curves)| curves.len()).max().unwrap_or(0) as f64;
        let width = LEFT + self.panels.len() as f64 * (WIDTH + GAP);
        let height = TOP + HEIGHT + 52.0 + legend * LEGEND_LINE + 8.0;
        let y_of = |exponent: f64| TOP + HEIGHT * (high - exponent) / (high - low);
        let middle = TOP + HEIGHT / 2.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text transform=\"translate(16 {middle:.0}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            self.y
        );
        for (number, (title, curves)) in self.panels.iter().enumerate() {
            let left = LEFT + number as f64 * (WIDTH + GAP);
            let x_of = |x: f64| left + WIDTH * x / last as f64;
            let mut line = |text: String| writeln!(out, "{text}").expect("a string takes all");
            line(format!(
                "<text x=\"{:.1}\" y=\"20\" text-anchor=\"middle\" font-weight=\"bold\">{title}</text>",
                left + WIDTH / 2.0
            ));
            for exponent in (low as i32..=high as i32).step_by(DECADES) {
                let (y, stroke) = (y_of(exponent.into()), if exponent == 0 { "#888" } else { "#ddd" });
                line(format!("<path d=\"M{left:.1} {y:.1}h{WIDTH}\" stroke=\"{stroke}\"/>"));
                if number == 0 {
                    let (x, y) = (left - 6.0, y + 4.0);
                    let exponent = exponent.to_string().replace('-', "−");
                    let power = format!("10<tspan dy=\"-5\" font-size=\"9\">{exponent}</tspan>");
                    line(format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{power}</text>"));
                }
            }
            let bottom = TOP + HEIGHT;
            for x in (0..=last).step_by((last / 5).max(1)) {
                let at = x_of(x as f64);
                line(format!("<path d=\"M{at:.1} {bottom:.1}v4\" stroke=\"#222\"/>"));
                line(format!("<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>", bottom + 18.0));
            }
            line(format!(
                "<rect x=\"{left:.1}\" y=\"{TOP}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#222\"/>"
            ));
            let middle = left + WIDTH / 2.0;
            line(format!(
                "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 36.0,
                self.x
            ));
            for (row, Curve { name, colour, dash, values }) in curves.iter().enumerate() {
                let points = values.iter().enumerate().filter(|(_, v)| **v > 0.0);
                let points = points.map(|(i, v)| format!("{:.1},{:.1}", x_of(i as f64 + 1.0), y_of(v.log10())));
                let points = points.collect::<Vec<_>>().join(" ");
                let stroke = format!("stroke=\"{colour}\" stroke-width=\"2.5\" stroke-dasharray=\"{dash}\"");
                line(format!("<polyline points=\"{points}\" fill=\"none\" {stroke}/>"));
                let y = bottom + 56.0 + row as f64 * LEGEND_LINE;
                line(format!("<path d=\"M{left:.1} {y:.1}h34\" {stroke}/>"));
                line(format!("<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>", left + 42.0, y + 4.0));
            }
        }
        out + "</svg>\n"
    }
}
