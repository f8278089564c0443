//! What happens inside a network while it adds, and which of its units remember the carry.

pub mod picture;

use crate::config::{Keys, RunConfig};
use crate::data::{Pair, bits_of, carries, number, random_pairs, sum, written};
use crate::model::Model;
use burn::tensor::Device;
use rnn_harness::html::shade;
use serde::Serialize;
use std::fmt::Write;

/// The additions over which units and carry are correlated.
const ADDITIONS: usize = 200;
/// A unit whose correlation with the carry is at least this is said to remember it.
const REMEMBERS: f64 = 0.9;

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// The two bits.
    pub input: [u8; 2],
    /// What is carried into this step, which the network is not given.
    pub carry_in: u8,
    /// What is carried on to the next step, which the network must remember.
    pub carry_out: u8,
    /// h_t.
    pub hidden: Vec<f32>,
    /// The probability of a one.
    pub answer: f64,
    /// The right bit.
    pub right: u8,
}

/// An addition in a network.
#[derive(Debug, Clone, Serialize)]
pub struct Watched {
    pub a: u64,
    pub b: u64,
    pub answer: u128,
    pub right: bool,
    pub cell: String,
    /// The steps, the least significant bit first.
    pub steps: Vec<Step>,
    /// How each unit goes with the carry that it must remember: the correlation over random additions, −1 to 1.
    pub correlations: Vec<f64>,
    /// The units by their correlation with the next carry, the highest first.
    pub order: Vec<usize>,
}

impl Watched {
    /// Lets `model` add `pair`.
    pub fn new(model: &Model, config: &RunConfig, pair: Pair, device: &Device) -> Self {
        let bits = config.model.bits;
        let (hidden, logits) = model.watch(pair, bits, device);
        let steps = (0..bits as usize).map(|t| Step {
            input: [pair.0, pair.1].map(|number| bits_of(number, bits).nth(t).unwrap_or(0)),
            carry_in: carries(pair, bits).nth(t).unwrap_or(0),
            carry_out: carries(pair, bits).nth(t + 1).unwrap_or(0),
            hidden: hidden[t].clone(),
            answer: 1.0 / (1.0 + f64::from(-logits[t]).exp()),
            right: bits_of(sum(pair), bits).nth(t).unwrap_or(0),
        });
        let steps = steps.collect();
        let answer = number(&logits.iter().map(|&logit| logit > 0.0).collect::<Vec<_>>());
        let correlations = correlations(model, config, device);
        let mut order: Vec<usize> = (0..correlations.len()).collect();
        order.sort_by(|&i, &j| correlations[j].total_cmp(&correlations[i]));
        let (a, b) = pair;
        let cell = config.model.cell.to_string();
        Self { a, b, answer, right: answer == sum(pair), cell, steps, correlations, order }
    }

    /// How many units remember the carry, and the one that does it best with its correlation.
    fn memory(&self) -> (usize, usize, f64) {
        let strong = self.correlations.iter().filter(|r| r.abs() >= REMEMBERS).count();
        let strength = |unit: &usize| self.correlations[*unit].abs();
        let best = (0..self.correlations.len()).max_by(|i, j| strength(i).total_cmp(&strength(j))).unwrap_or(0);
        (strong, best, self.correlations.get(best).copied().unwrap_or(0.0))
    }

    /// The result in one line.
    pub fn said(&self) -> String {
        let Self { a, b, answer, cell, steps, .. } = self;
        let verdict = if self.right { "right".into() } else { format!("wrong, it is {}", sum((*a, *b))) };
        format!("{a} + {b} = {answer} ({verdict}), {} bits, {cell} of {} units", steps.len(), self.correlations.len())
    }

    /// What the order of the units means, and which remember the carry.
    pub fn legend(&self) -> String {
        let (strong, best, r) = self.memory();
        let units = self.correlations.len();
        format!(
            "The units are ordered by their correlation with the carry out, over {ADDITIONS} random additions, the \
             highest first. Unit {best} has the strongest one (r = {r:.2}); {strong} of {units} units reach |r| = \
             {REMEMBERS}."
        )
    }

    /// For a terminal: a line a step. With `colours` a unit is a coloured block, red at −1 and blue at 1, else a shade
    /// from −1 (light) to 1 (dark).
    pub fn text(&self, colours: bool) -> String {
        let bits = self.steps.len() as u32;
        let mut text =
            format!("  {}   {}\n+ {}   {}\n\n", written(self.a, bits), self.a, written(self.b, bits), self.b);
        let units = self.order.len().max(6);
        let _ = writeln!(text, "step  a b  carry in  {:units$}  carry out  answer      right", "hidden");
        for (t, step) in self.steps.iter().enumerate() {
            let [a, b] = step.input;
            let hidden: String = self.order.iter().map(|&unit| block(step.hidden[unit], colours)).collect();
            let rest = " ".repeat(units - self.order.len());
            let (answer, bit) = (step.answer, u8::from(step.answer > 0.5));
            let wrong = if bit == step.right { "" } else { "  wrong" };
            let carry = |bit: u8| if bit == 1 { '1' } else { '·' };
            let _ = writeln!(
                text,
                "{t:>4}  {a} {b}  {:>8}  {hidden}{rest}  {:>9}  {answer:.3} → {bit}   {}{wrong}",
                carry(step.carry_in),
                carry(step.carry_out),
                step.right,
            );
        }
        let verdict = if self.right { String::new() } else { format!("   (wrong, it is {})", sum((self.a, self.b))) };
        let _ = writeln!(text, "\n= {}   {}{verdict}\n\n{}", written(self.answer, bits), self.answer, self.legend());
        if self.steps.iter().all(|step| step.carry_out == 0) {
            // The lesson's numbers where they are of the model's length, else the largest one and 1.
            let (a, b) = if bits == 8 { (57, 71) } else { (1, (1u128 << (bits - 1)) - 1) };
            let _ = writeln!(text, "\nNothing is carried in this addition; {a} + {b} carries a one through every bit.");
        } else {
            text.push('\n');
        }
        text
    }

    /// For a table: a row a step.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let row = |(t, step): (usize, &Step)| {
            let hidden: Vec<String> = step.hidden.iter().map(|h| format!("{h:.2}")).collect();
            let [a, b] = step.input.map(|bit| bit.to_string());
            let (answer, right) = (format!("{:.3}", step.answer), step.right.to_string());
            vec![t.to_string(), a, b, step.carry_in.to_string(), hidden.join(" "), answer, right]
        };
        self.steps.iter().enumerate().map(row).collect()
    }
}

/// A unit's value as one character.
fn block(h: f32, colours: bool) -> String {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    if !colours {
        return SHADES[(((h + 1.0) * 2.5) as usize).min(4)].to_string();
    }
    let colour = shade(f64::from(h));
    let part = |from: usize| u8::from_str_radix(colour.get(from..from + 2).unwrap_or("cc"), 16).unwrap_or(204);
    format!("\u{1b}[48;2;{};{};{}m \u{1b}[0m", part(1), part(3), part(5))
}

/// The hidden units of a step, and the carry that it hands on.
type Point = (Vec<f32>, f64);

/// The correlation of each unit with the carry that its step hands on, over random additions.
fn correlations(model: &Model, config: &RunConfig, device: &Device) -> Vec<f64> {
    let (bits, units) = (config.model.bits, config.model.hidden);
    let key = Keys::new(config.training.seed).trials.child(0);
    let mut points: Vec<Point> = Vec::new();
    for pair in random_pairs(bits, ADDITIONS, key) {
        let (hidden, _) = model.watch(pair, bits, device);
        points.extend(hidden.into_iter().zip(carries(pair, bits).skip(1).map(f64::from)));
    }
    let count = points.len() as f64;
    let mean = |f: &dyn Fn(&Point) -> f64| points.iter().map(f).sum::<f64>() / count;
    let carry = mean(&|point| point.1);
    let spread = mean(&|point| (point.1 - carry).powi(2)).sqrt();
    let of = |unit: usize| {
        let value = |point: &Point| f64::from(point.0[unit]);
        let middle = mean(&value);
        let own = mean(&|point| (value(point) - middle).powi(2)).sqrt();
        let together = mean(&|point| (value(point) - middle) * (point.1 - carry));
        if own * spread > 0.0 { together / (own * spread) } else { 0.0 }
    };
    (0..units).map(of).collect()
}
