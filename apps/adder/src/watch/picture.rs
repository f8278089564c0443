//! An addition in a network as SVG: a column a step, the least significant bit at the left, a row a unit.

use super::{Step, Watched};
use rnn_harness::html::shade;
use std::fmt::Write;

const CELL: f64 = 26.0;
/// The columns together: of many steps they are narrower, so that a page, 992 wide, need not shrink the picture and its
/// text.
const COLUMNS: f64 = 780.0;
/// Left of the columns, for the names of the rows.
const NAMES: f64 = 130.0;
/// Right of them, for the correlations.
const RIGHT: f64 = 70.0;
const TOP: f64 = 64.0;
const GAP: f64 = 12.0;

/// The most units of which each has a row; of a larger layer those at both ends of the order are drawn.
const MOST_UNITS: usize = 48;

struct Drawing {
    /// The width of a column.
    column: f64,
    body: String,
    y: f64,
}

impl Drawing {
    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        // A string takes all.
        let _ = writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>");
    }

    /// A row of fields: what stands in each, its colour, and what shows when the pointer rests on it.
    fn row(&mut self, name: &str, right: &str, fields: impl Iterator<Item = (String, String, String)>) {
        let (y, height, width) = (self.y, CELL, self.column);
        self.text(NAMES - 8.0, y + height * 0.68, "end", name);
        let mut x = NAMES;
        for (text, colour, title) in fields {
            let _ = writeln!(
                self.body,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\"><title>{title}\
                 </title></rect>"
            );
            if !text.is_empty() {
                self.text(x + width / 2.0, y + height * 0.68, "middle", &text);
            }
            x += width;
        }
        if !right.is_empty() {
            self.text(x + 8.0, y + height * 0.68, "small", right);
        }
        self.y += height;
    }

    fn bits(&mut self, name: &str, steps: &[Step], bit: impl Fn(&Step) -> u8, one: &str) {
        let fields = steps.iter().enumerate().map(|(t, step)| {
            let bit = bit(step);
            let colour = if bit == 1 { one } else { "#f6f6f6" };
            (bit.to_string(), colour.to_string(), format!("step {t}: {bit}"))
        });
        self.row(name, "", fields);
    }
}

/// The picture.
pub fn svg(watched: &Watched) -> String {
    let steps = &watched.steps;
    let column = CELL.min(COLUMNS / steps.len().max(1) as f64);
    let mut drawing = Drawing { column, body: String::new(), y: TOP };
    drawing.text(12.0, 24.0, "title", &watched.said());
    drawing.text(NAMES, 50.0, "small", "the least significant bit first: time goes to the right →");
    drawing.bits("a", steps, |step| step.input[0], "#bbb");
    drawing.bits("b", steps, |step| step.input[1], "#bbb");
    drawing.bits("carry in", steps, |step| step.carry_in, "#e69f00");
    drawing.y += GAP;
    let order = &watched.order;
    let ends = MOST_UNITS / 2;
    for (place, &unit) in order.iter().enumerate() {
        if order.len() > MOST_UNITS && (ends..order.len() - ends).contains(&place) {
            if place == ends {
                let left_out = order.len() - MOST_UNITS;
                drawing.text(NAMES, drawing.y + CELL * 0.68, "small", &format!("… {left_out} units …"));
                drawing.y += CELL;
            }
            continue;
        }
        let fields = steps.iter().enumerate().map(|(t, step)| {
            let h = f64::from(step.hidden[unit]);
            (String::new(), shade(h), format!("unit {unit}, step {t}: {h:.3}"))
        });
        drawing.row(&format!("unit {unit}"), &format!("r = {:.2}", watched.correlations[unit]), fields);
    }
    drawing.y += GAP;
    drawing.bits("carry out", steps, |step| step.carry_out, "#e69f00");
    drawing.y += GAP;
    let answers = steps.iter().enumerate().map(|(t, step)| {
        let bit = u8::from(step.answer > 0.5);
        let colour = if bit == step.right { shade(step.answer) } else { "#de533c".into() };
        (bit.to_string(), colour, format!("step {t}: a one with probability {:.3}", step.answer))
    });
    drawing.row("answer", "", answers);
    drawing.bits("right bit", steps, |step| step.right, "#bbb");
    let (width, height) = (NAMES + column * steps.len() as f64 + RIGHT, drawing.y + 84.0);
    let width = width.max(560.0);
    let y = drawing.y + 28.0;
    let mut x = 12.0;
    for (value, text) in [(-1.0, "−1"), (0.0, "0"), (1.0, "1")] {
        let _ = writeln!(
            drawing.body,
            "<rect x=\"{x}\" y=\"{:.1}\" width=\"18\" height=\"14\" fill=\"{}\" stroke=\"#999\"/>",
            y - 11.0,
            shade(value)
        );
        drawing.text(x + 24.0, y, "small", text);
        x += 60.0;
    }
    drawing.text(x, y, "small", "h of a unit.  Orange: a one is carried.  Red answer: wrong.");
    drawing.text(12.0, y + 20.0, "small", "r: correlation of the unit with the carry out, over random additions.");
    drawing.text(
        12.0,
        y + 38.0,
        "small",
        "A unit with r near 1 or −1 changes where the row “carry out” changes: it remembers the carry.",
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\">\n<style>text{{font:12px sans-serif;fill:#222}}.title{{font-size:16px;font-weight:bold}}\
         .small{{font-size:11px;fill:#555}}.end{{text-anchor:end}}.middle{{text-anchor:middle}}rect{{stroke:#fff}}\
         </style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
        drawing.body
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page shows the longest addition at its full size.
    #[test]
    fn a_picture_of_many_steps_is_no_wider_than_a_page() {
        let width = |bits: usize| {
            let step = Step { input: [1, 0], carry_in: 0, carry_out: 1, hidden: vec![0.5], answer: 0.9, right: 1 };
            let steps = vec![step; bits];
            let (a, cell) = (u64::MAX, "rnn".to_string());
            let (correlations, order) = (vec![0.9], vec![0]);
            let picture = svg(&Watched { a, b: 1, answer: 0, right: false, cell, steps, correlations, order });
            let end = picture.lines().find(|line| line.contains("class=\"small\">r = ")).expect("a unit");
            let end: f64 = end.split('"').nth(1).expect("x").parse().expect("a number");
            let width = picture.split("width=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a width");
            (width.parse::<f64>().expect("a number"), end)
        };
        assert_eq!(width(30), (NAMES + 780.0 + RIGHT, NAMES + 788.0));
        assert_eq!(width(65), width(30));
        assert_eq!(width(8), (560.0, NAMES + 8.0 * CELL + 8.0));
    }
}
