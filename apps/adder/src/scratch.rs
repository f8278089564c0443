//! The lesson's recurrent network from scratch: no framework, plain loops, `f64`.
//!
//! It reads two binary numbers bit by bit, the last bit first, and says at each step the bit of their sum. What it must
//! remember from one step to the next is the carry, and it is told nothing about that.
//!
//! ```text
//! h_t = σ(W_xᵀ x_t + W_hᵀ h_{t−1})     x_t: the two bits at step t; h_t: what it remembers
//! o_t = σ(w_oᵀ h_t)                    the bit it answers
//! ```
//! Training goes back through time (BPTT): the error at step t also changes h_{t−1}, h_{t−2} and so on.

use crate::numpy_random::RandomState;
use std::fmt;

/// What can be chosen; the default is the lesson's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of all random numbers.
    pub seed: u32,
    /// Bits of the sum.
    pub bits: usize,
    /// Units of the hidden layer.
    pub hidden: usize,
    /// Additions to learn from.
    pub iterations: usize,
    /// Additions from one report to the next.
    pub report_every: usize,
    /// Step size of gradient descent (the lesson's alpha).
    pub learning_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 0, bits: 8, hidden: 16, iterations: 10_000, report_every: 1_000, learning_rate: 0.1 }
    }
}

/// One addition and how the network did it. Its `Display` is the lesson's block of five lines.
#[derive(Debug, Clone)]
pub struct Report {
    /// The sum over all bits of |right bit − answered value|.
    pub error: f64,
    /// The answered bits, most significant first.
    pub predicted: Vec<u8>,
    /// The right bits, most significant first.
    pub right: Vec<u8>,
    /// The operands.
    pub operands: (u32, u32),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = |bits: &[u8]| bits.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
        let error = format!("{:.8}", self.error);
        let answer = self.predicted.iter().fold(0, |n, &bit| n << 1 | u32::from(bit));
        writeln!(f, "Error:[{}]", error.trim_end_matches('0'))?;
        writeln!(f, "Pred:[{}]", bits(&self.predicted))?;
        writeln!(f, "True:[{}]", bits(&self.right))?;
        writeln!(f, "{} + {} = {answer}", self.operands.0, self.operands.1)?;
        write!(f, "-----")
    }
}

/// A matrix as rows.
type Matrix = Vec<Vec<f64>>;

fn zeros(rows: usize, columns: usize) -> Matrix {
    vec![vec![0.0; columns]; rows]
}

/// Uniform in [−1, 1).
fn random_matrix(rows: usize, columns: usize, random: &mut RandomState) -> Matrix {
    let mut row = || (0..columns).map(|_| 2.0 * random.random_sample() - 1.0).collect();
    (0..rows).map(|_| row()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The derivative of the sigmoid, from its value.
fn sigmoid_slope(value: f64) -> f64 {
    value * (1.0 - value)
}

/// The weights; gradients have the same shapes.
struct Weights {
    /// W_x, `[2, hidden]`.
    input: Matrix,
    /// W_h, `[hidden, hidden]`.
    recurrent: Matrix,
    /// w_o, `[hidden]`.
    output: Vec<f64>,
}

impl Weights {
    fn add(&mut self, gradient: &Weights, factor: f64) {
        let rows = self.input.iter_mut().chain(&mut self.recurrent).chain([&mut self.output]);
        let gradient = gradient.input.iter().chain(&gradient.recurrent).chain([&gradient.output]);
        for (row, gradient) in rows.zip(gradient) {
            for (weight, gradient) in row.iter_mut().zip(gradient) {
                *weight += factor * gradient;
            }
        }
    }

    /// h_t of x_t and h_{t−1}.
    fn hidden(&self, x: [f64; 2], before: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; before.len()];
        for (x, row) in x.iter().zip(&self.input) {
            for (sum, w) in sum.iter_mut().zip(row) {
                *sum += x * w;
            }
        }
        for (h, row) in before.iter().zip(&self.recurrent) {
            for (sum, w) in sum.iter_mut().zip(row) {
                *sum += h * w;
            }
        }
        sum.into_iter().map(sigmoid).collect()
    }

    /// o_t of h_t.
    fn answer(&self, hidden: &[f64]) -> f64 {
        sigmoid(hidden.iter().zip(&self.output).map(|(h, w)| h * w).sum())
    }
}

/// Trains the network, one addition at a time, and hands over a report every so often.
pub fn run(settings: &Settings, mut on_report: impl FnMut(&Report)) {
    let (bits, hidden) = (settings.bits, settings.hidden);
    let mut random = RandomState::new(settings.seed);
    // The lesson draws them in this order.
    let input = random_matrix(2, hidden, &mut random);
    let output = random_matrix(hidden, 1, &mut random).concat();
    let recurrent = random_matrix(hidden, hidden, &mut random);
    let mut weights = Weights { input, recurrent, output };

    for iteration in 0..settings.iterations {
        // Operands below half the range, so that the sum fits.
        let a = random.randint(1 << (bits - 1));
        let b = random.randint(1 << (bits - 1));
        let bit = |number: u32, t: usize| f64::from(number >> t & 1);
        let x = |t: usize| [bit(a, t), bit(b, t)];

        // Forward, from the last bit to the first.
        let mut states = vec![vec![0.0; hidden]]; // h_0 … h_bits
        let mut deltas = Vec::with_capacity(bits); // at the output, before its sigmoid
        let mut error = 0.0;
        let mut predicted = vec![0; bits];
        for t in 0..bits {
            let h = weights.hidden(x(t), &states[t]);
            let answer = weights.answer(&h);
            let wrong_by = bit(a + b, t) - answer;
            deltas.push(wrong_by * sigmoid_slope(answer));
            error += wrong_by.abs();
            predicted[bits - 1 - t] = u8::from(answer > 0.5);
            states.push(h);
        }

        // Backward through time. `later` is the delta of the hidden layer one step later.
        let mut gradient =
            Weights { input: zeros(2, hidden), recurrent: zeros(hidden, hidden), output: vec![0.0; hidden] };
        let mut later = vec![0.0; hidden];
        for t in (0..bits).rev() {
            let (before, h) = (&states[t], &states[t + 1]);
            let mut delta = vec![0.0; hidden];
            for i in 0..hidden {
                let from_later: f64 = later.iter().zip(&weights.recurrent[i]).map(|(d, w)| d * w).sum();
                delta[i] = (from_later + deltas[t] * weights.output[i]) * sigmoid_slope(h[i]);
                gradient.output[i] += h[i] * deltas[t];
            }
            for (h, row) in before.iter().zip(&mut gradient.recurrent) {
                row.iter_mut().zip(&delta).for_each(|(g, d)| *g += h * d);
            }
            for (x, row) in x(t).iter().zip(&mut gradient.input) {
                row.iter_mut().zip(&delta).for_each(|(g, d)| *g += x * d);
            }
            later = delta;
        }
        weights.add(&gradient, settings.learning_rate);

        if iteration % settings.report_every == 0 {
            let right = (0..bits).rev().map(|t| ((a + b) >> t & 1) as u8).collect();
            on_report(&Report { error, predicted, right, operands: (a, b) });
        }
    }
}
