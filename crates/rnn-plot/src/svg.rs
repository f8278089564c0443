//! The document: a list of elements with coordinates of one decimal.

use std::fmt::Write;

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stroke {
    /// Without gaps.
    #[default]
    Solid,
    /// Dashes as long as the gaps.
    Dashed,
    /// Short dashes far apart, which another line can be seen through.
    Dotted,
}

impl Stroke {
    fn dashes(self) -> &'static str {
        match self {
            Stroke::Solid => "",
            Stroke::Dashed => " stroke-dasharray=\"11 11\"",
            Stroke::Dotted => " stroke-dasharray=\"4 18\"",
        }
    }
}

/// The part of a text that stands at its coordinates.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Height of the text of a class, in pixels; `STYLE` has the same numbers.
pub const TEXT: f64 = 12.0;
const STYLE: &str = "text { font: 12px sans-serif; fill: #222 } .title { font-size: 16px; font-weight: bold } \
                     .panel { font-size: 13px; font-weight: bold } .small { font-size: 10px } \
                     .tick { font-size: 11px; fill: #555 }";

/// About how wide `text` is at [`TEXT`] pixels of height.
pub fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * TEXT * 0.56
}

/// A document that grows.
#[derive(Debug, Default)]
pub struct Svg {
    body: String,
}

impl Svg {
    fn push(&mut self, element: std::fmt::Arguments) {
        self.body.write_fmt(element).expect("a string takes all");
        self.body.push('\n');
    }

    /// `class` is one of the style's, or empty.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.push(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\"{anchor}{class}>{}</text>", escape(text)));
    }

    /// Text that is read from the bottom upwards, centred at its coordinates.
    pub fn upright(&mut self, [x, y]: [f64; 2], text: &str) {
        let text = escape(text);
        let turned = format!("transform=\"translate({x:.1} {y:.1}) rotate(-90)\"");
        self.push(format_args!("<text {turned} text-anchor=\"middle\">{text}</text>"));
    }

    pub fn segment(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str, width: f64) {
        let stroke = format!("stroke=\"{colour}\" stroke-width=\"{width}\"");
        self.push(format_args!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {stroke}/>"));
    }

    /// A filled rectangle.
    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], colour: &str) {
        let size = format!("width=\"{width:.1}\" height=\"{height:.1}\"");
        self.push(format_args!("<rect x=\"{x:.1}\" y=\"{y:.1}\" {size} fill=\"{colour}\"/>"));
    }

    /// The outline of a rectangle.
    pub fn outline(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        let size = format!("width=\"{width:.1}\" height=\"{height:.1}\"");
        self.push(format_args!("<rect x=\"{x:.1}\" y=\"{y:.1}\" {size} fill=\"none\" stroke=\"#222\"/>"));
    }

    pub fn polyline(&mut self, points: &[[f64; 2]], colour: &str, stroke: Stroke) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let (points, dashes) = (points.join(" "), stroke.dashes());
        self.push(format_args!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"{dashes}/>"
        ));
    }

    /// A filled area, through which the grid can be seen.
    pub fn polygon(&mut self, points: &[[f64; 2]], colour: &str) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.push(format_args!("<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"0.4\"/>"));
    }

    pub fn dot(&mut self, [x, y]: [f64; 2], colour: &str) {
        self.push(format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
    }

    /// The whole file, on white. `name` is what a screen reader says.
    pub fn finish(self, [width, height]: [f64; 2], name: &str) -> String {
        let name = escape(name);
        let size = format!("viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\"");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {size} role=\"img\" aria-label=\"{name}\">\n\
             <style>{STYLE}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// Charts of this crate one above the other, as one SVG file.
pub fn stack(charts: &[String]) -> String {
    if let [only] = charts {
        return only.clone();
    }
    let size = |chart: &str| -> Option<[f64; 2]> {
        let numbers = chart.split("viewBox=\"0 0 ").nth(1)?.split('"').next()?;
        let (width, height) = numbers.split_once(' ')?;
        Some([width.parse().ok()?, height.parse().ok()?])
    };
    let (mut body, mut y, mut widest) = (String::new(), 0.0, 0.0f64);
    for chart in charts {
        let [width, height] = size(chart).unwrap_or_default();
        body += &chart.replacen("<svg ", &format!("<svg y=\"{y:.0}\" "), 1);
        y += height;
        widest = widest.max(width);
    }
    let size = format!("viewBox=\"0 0 {widest:.0} {y:.0}\" width=\"{widest:.0}\" height=\"{y:.0}\"");
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {size}>\n{body}</svg>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut svg = Svg::default();
        svg.text([1.0, 2.0], Anchor::End, "tick", "a < b & \"c\"");
        let file = svg.finish([10.0, 20.0], "<name>");
        assert!(file.contains(
            "<text x=\"1.0\" y=\"2.0\" text-anchor=\"end\" class=\"tick\">a &lt; b &amp; &quot;c&quot;</text>"
        ));
        assert!(file.contains("aria-label=\"&lt;name&gt;\"") && file.ends_with("</svg>\n"), "{file}");
    }
}
