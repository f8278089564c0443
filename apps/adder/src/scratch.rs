//! The lesson's recurrent network from scratch: no framework, plain loops, `f64`.
//!
//! It reads two binary numbers bit by bit, the last bit first, and at each step answers one bit of their sum. It must
//! remember the carry from one step to the next, and nobody tells it that there is a carry.
//!
//! ```text
//! h_t = σ(W_xᵀ x_t + W_hᵀ h_{t−1})     x_t: the two bits at step t; h_t: what it remembers; h_0 = 0
//! o_t = σ(w_oᵀ h_t)                    the bit it answers
//! L   = ½ Σ_t (o_t − y_t)²             y_t: the right bit
//! ```
//! Training goes back through time (BPTT), because the error at step t depends on h_{t−1}, h_{t−2} and so on. With
//! σ' = σ(1 − σ), and δ for the derivative of L before a sigmoid:
//!
//! ```text
//! δo_t = (o_t − y_t)·o_t(1 − o_t)                          at the output
//! δh_t = (w_o·δo_t + W_h·δh_{t+1}) ∘ h_t ∘ (1 − h_t)       at the hidden layer: from the output and from the step
//! after ∂L/∂w_o = Σ_t h_t·δo_t     ∂L/∂W_h = Σ_t h_{t−1}·δh_tᵀ     ∂L/∂W_x = Σ_t x_t·δh_tᵀ
//! ```
//!
//! | the lesson's code | here |
//! |---|---|
//! | `synapse_0`, `synapse_h`, `synapse_1` | `Weights::{input, recurrent, output}` (W_x, W_h, w_o) |
//! | `layer_1_values`, `layer_2` | `Trace::{hidden, answers}` (h_t, o_t) |
//! | `layer_2_deltas`, `layer_1_delta`, `future_layer_1_delta` | −δo_t, −δh_t, −δh_{t+1}: the lesson adds where this
//! subtracts |

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
    /// Learning rate of gradient descent (the lesson's alpha).
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
    /// The steps, the last bit first.
    pub steps: Vec<Step>,
}

/// One step of an addition.
#[derive(Debug, Clone)]
pub struct Step {
    /// The two bits.
    pub input: [u8; 2],
    /// The bit that is carried into this step, which the network is not given.
    pub carry: u8,
    /// h_t.
    pub hidden: Vec<f64>,
    /// o_t.
    pub answer: f64,
    /// y_t.
    pub right: u8,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
        let shade = |h: &f64| SHADES[((h * 5.0) as usize).min(4)];
        let hidden: String = self.hidden.iter().map(shade).collect();
        let ([a, b], answer) = (self.input, self.answer);
        write!(f, "{a} + {b}, carry {}: [{hidden}] {answer:.3}, right {}", self.carry, self.right)
    }
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

/// Two numbers of which the sum has `bits` bits.
#[derive(Debug, Clone, Copy)]
struct Addition {
    a: u32,
    b: u32,
    bits: usize,
}

impl Addition {
    /// Operands below half the range, so that the sum fits.
    fn random(bits: usize, random: &mut RandomState) -> Self {
        let (a, b) = (random.randint(1 << (bits - 1)), random.randint(1 << (bits - 1)));
        Self { a, b, bits }
    }

    /// x_t, the last bit first.
    fn input(&self, t: usize) -> [f64; 2] {
        [self.a, self.b].map(|number| f64::from(number >> t & 1))
    }

    /// y_t.
    fn right(&self, t: usize) -> f64 {
        f64::from((self.a + self.b) >> t & 1)
    }

    /// Whether bits 0 to t−1 leave a one to carry to step t.
    fn carry(&self, t: usize) -> bool {
        let below = (1 << t) - 1;
        (self.a & below) + (self.b & below) > below
    }
}

/// The weights; gradients have the same shapes.
#[derive(Clone)]
struct Weights {
    /// W_x, `[2, hidden]`.
    input: Matrix,
    /// W_h, `[hidden, hidden]`.
    recurrent: Matrix,
    /// w_o, `[hidden]`.
    output: Vec<f64>,
}

/// What a forward pass leaves for the backward pass.
struct Trace {
    /// h_0 … h_bits.
    hidden: Vec<Vec<f64>>,
    /// o_1 … o_bits.
    answers: Vec<f64>,
}

impl Weights {
    fn random(hidden: usize, random: &mut RandomState) -> Self {
        // The lesson draws them in this order.
        let input = random_matrix(2, hidden, random);
        let output = random_matrix(hidden, 1, random).concat();
        Self { input, output, recurrent: random_matrix(hidden, hidden, random) }
    }

    /// All numbers, row by row.
    fn each(&mut self) -> impl Iterator<Item = &mut f64> {
        self.input.iter_mut().chain(&mut self.recurrent).chain([&mut self.output]).flatten()
    }

    /// Gradient descent: `W ← W − rate·∂L/∂W`.
    fn descend(&mut self, mut gradient: Weights, rate: f64) {
        for (weight, gradient) in self.each().zip(gradient.each()) {
            *weight -= rate * *gradient;
        }
    }

    /// h_t of x_t and h_{t−1}.
    fn hidden(&self, x: [f64; 2], before: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; before.len()];
        for (value, row) in x.iter().chain(before).zip(self.input.iter().chain(&self.recurrent)) {
            for (sum, w) in sum.iter_mut().zip(row) {
                *sum += value * w;
            }
        }
        sum.into_iter().map(sigmoid).collect()
    }

    /// o_t of h_t.
    fn answer(&self, hidden: &[f64]) -> f64 {
        sigmoid(hidden.iter().zip(&self.output).map(|(h, w)| h * w).sum())
    }

    /// From the last bit to the first.
    fn forward(&self, addition: &Addition) -> Trace {
        let mut trace = Trace { hidden: vec![vec![0.0; self.output.len()]], answers: Vec::new() };
        for t in 0..addition.bits {
            let hidden = self.hidden(addition.input(t), &trace.hidden[t]);
            trace.answers.push(self.answer(&hidden));
            trace.hidden.push(hidden);
        }
        trace
    }

    /// The gradient of L, back through time.
    fn backward(&self, addition: &Addition, trace: &Trace) -> Weights {
        let hidden = self.output.len();
        let mut gradient =
            Weights { input: zeros(2, hidden), recurrent: zeros(hidden, hidden), output: vec![0.0; hidden] };
        let mut delta_after = vec![0.0; hidden]; // δh_{t+1}
        for t in (0..addition.bits).rev() {
            let (before, h, o) = (&trace.hidden[t], &trace.hidden[t + 1], trace.answers[t]);
            let delta_output = (o - addition.right(t)) * sigmoid_slope(o);
            let mut delta = vec![0.0; hidden];
            for i in 0..hidden {
                let from_after: f64 = delta_after.iter().zip(&self.recurrent[i]).map(|(d, w)| d * w).sum();
                delta[i] = (from_after + delta_output * self.output[i]) * sigmoid_slope(h[i]);
                gradient.output[i] += h[i] * delta_output;
            }
            let rows = gradient.input.iter_mut().chain(&mut gradient.recurrent);
            for (value, row) in addition.input(t).iter().chain(before).zip(rows) {
                row.iter_mut().zip(&delta).for_each(|(sum, d)| *sum += value * d);
            }
            delta_after = delta;
        }
        gradient
    }

    /// L.
    fn loss(&self, addition: &Addition) -> f64 {
        let answers = self.forward(addition).answers;
        answers.iter().enumerate().map(|(t, o)| 0.5 * (o - addition.right(t)).powi(2)).sum()
    }
}

/// Trains the network, one addition at a time, and hands over a report every so often.
pub fn run(settings: &Settings, mut on_report: impl FnMut(&Report)) {
    let mut random = RandomState::new(settings.seed);
    let mut weights = Weights::random(settings.hidden, &mut random);
    for iteration in 0..settings.iterations {
        let addition = Addition::random(settings.bits, &mut random);
        let trace = weights.forward(&addition);
        weights.descend(weights.backward(&addition, &trace), settings.learning_rate);
        if iteration % settings.report_every == 0 {
            on_report(&Report::new(&addition, trace));
        }
    }
}

impl Report {
    fn new(addition: &Addition, trace: Trace) -> Self {
        let Addition { a, b, bits } = *addition;
        let steps = trace.answers.iter().zip(&trace.hidden[1..]).enumerate().map(|(t, (&answer, hidden))| Step {
            input: addition.input(t).map(|bit| bit as u8),
            carry: u8::from(addition.carry(t)),
            hidden: hidden.clone(),
            answer,
            right: addition.right(t) as u8,
        });
        Self {
            error: trace.answers.iter().enumerate().map(|(t, o)| (addition.right(t) - o).abs()).sum(),
            predicted: trace.answers.iter().rev().map(|&o| u8::from(o > 0.5)).collect(),
            right: (0..bits).rev().map(|t| addition.right(t) as u8).collect(),
            operands: (a, b),
            steps: steps.collect(),
        }
    }
}

/// The largest difference between the gradient of BPTT and central differences of L, relative to the largest
/// derivative, over all weights at a few additions before training.
pub fn check_gradients(settings: &Settings) -> f64 {
    const STEP: f64 = 1e-5;
    const ADDITIONS: usize = 5;
    let mut random = RandomState::new(settings.seed);
    let weights = Weights::random(settings.hidden, &mut random);
    let (mut worst, mut largest) = (0.0f64, 0.0f64);
    for _ in 0..ADDITIONS {
        let addition = Addition::random(settings.bits, &mut random);
        let mut gradient = weights.backward(&addition, &weights.forward(&addition));
        for (number, derivative) in gradient.each().enumerate() {
            let loss = |change: f64| {
                let mut moved = weights.clone();
                moved.each().skip(number).take(1).for_each(|weight| *weight += change);
                moved.loss(&addition)
            };
            let difference = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            worst = worst.max((difference - *derivative).abs());
            largest = largest.max(derivative.abs());
        }
    }
    worst / largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_that_of_differences() {
        let worst = check_gradients(&Settings { hidden: 5, bits: 6, ..Settings::default() });
        assert!(worst < 1e-8, "{worst}");
    }

    #[test]
    fn the_carry_is_that_of_the_bits_before() {
        let carries = |a, b| (0..4).map(|t| Addition { a, b, bits: 4 }.carry(t)).collect::<Vec<_>>();
        assert_eq!(carries(0b011, 0b001), [false, true, true, false]);
        assert_eq!(carries(0b101, 0b010), [false; 4]);
    }
}
