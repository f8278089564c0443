//! Reverse-mode differentiation of scalars, so that the expected gradients come from no formula of the kernels'.

use rnn_kernels::Activation;
use std::cell::RefCell;

/// A number on the tape; its index.
#[derive(Debug, Clone, Copy)]
pub struct Var(pub usize);

#[derive(Default)]
pub struct Tape {
    values: RefCell<Vec<f64>>,
    /// Where each number's factors end.
    ends: RefCell<Vec<usize>>,
    /// What each number depends on, and the derivatives.
    factors: RefCell<Vec<(usize, f64)>>,
}

impl Tape {
    fn push(&self, value: f64, factors: impl IntoIterator<Item = (Var, f64)>) -> Var {
        let mut all = self.factors.borrow_mut();
        all.extend(factors.into_iter().map(|(var, d)| (var.0, d)));
        self.values.borrow_mut().push(value);
        self.ends.borrow_mut().push(all.len());
        Var(self.values.borrow().len() - 1)
    }

    pub fn value(&self, var: Var) -> f64 {
        self.values.borrow()[var.0]
    }

    pub fn leaf(&self, value: f64) -> Var {
        self.push(value, [])
    }

    pub fn leaves(&self, values: &[f64]) -> Vec<Var> {
        values.iter().map(|&value| self.leaf(value)).collect()
    }

    pub fn add(&self, a: Var, b: Var) -> Var {
        self.push(self.value(a) + self.value(b), [(a, 1.0), (b, 1.0)])
    }

    pub fn mul(&self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.push(x * y, [(a, y), (b, x)])
    }

    pub fn scale(&self, a: Var, factor: f64) -> Var {
        self.push(self.value(a) * factor, [(a, factor)])
    }

    pub fn dot(&self, pairs: impl Iterator<Item = (Var, Var)>) -> Var {
        let (mut sum, mut factors) = (0.0, Vec::new());
        for (a, b) in pairs {
            let (x, y) = (self.value(a), self.value(b));
            sum += x * y;
            factors.extend([(a, y), (b, x)]);
        }
        self.push(sum, factors)
    }

    pub fn sigmoid(&self, a: Var) -> Var {
        let y = 1.0 / (1.0 + (-self.value(a)).exp());
        self.push(y, [(a, y * (1.0 - y))])
    }

    pub fn div(&self, a: Var, b: Var) -> Var {
        let (x, y) = (self.value(a), self.value(b));
        self.push(x / y, [(a, 1.0 / y), (b, -x / (y * y))])
    }

    /// x + ½ where x is positive, else σ(x).
    pub fn positive(&self, a: Var) -> Var {
        let x = self.value(a);
        if x > 0.0 { self.push(x + 0.5, [(a, 1.0)]) } else { self.sigmoid(a) }
    }

    /// `f(a)`, with the derivative as a textbook has it.
    pub fn apply(&self, f: Activation, a: Var) -> Var {
        let x = self.value(a);
        let sigmoid = 1.0 / (1.0 + (-x).exp());
        let above = |slope: f64| if x > 0.0 { 1.0 } else { slope };
        let (y, slope) = match f {
            Activation::Linear => (x, 1.0),
            Activation::Sigmoid => (sigmoid, sigmoid * (1.0 - sigmoid)),
            Activation::HardSigmoid { slope } => {
                let y = slope * x + 0.5;
                (y.clamp(0.0, 1.0), if y > 0.0 && y < 1.0 { slope } else { 0.0 })
            }
            Activation::Tanh => (x.tanh(), 1.0 - x.tanh() * x.tanh()),
            Activation::HardTanh => (x.clamp(-1.0, 1.0), if x.abs() < 1.0 { 1.0 } else { 0.0 }),
            // NaN goes through, both ways, as in PyTorch.
            Activation::Relu if x <= 0.0 => return self.push(0.0, []),
            Activation::Relu => (x, 1.0),
            Activation::LeakyRelu { slope } => (x * above(slope), above(slope)),
            Activation::Elu => (if x > 0.0 { x } else { x.exp_m1() }, above(x.exp())),
            Activation::Softsign => (x / (1.0 + x.abs()), (1.0 + x.abs()).powi(-2)),
            Activation::Softplus => (x.max(0.0) + (-x.abs()).exp().ln_1p(), sigmoid),
            Activation::Silu => (x * sigmoid, sigmoid + x * sigmoid * (1.0 - sigmoid)),
            Activation::Positive if x > 0.0 => (x + 0.5, 1.0),
            Activation::Positive => (sigmoid, sigmoid * (1.0 - sigmoid)),
            Activation::Gelu => {
                let (below, density) = normal(x);
                (x * below, below + x * density)
            }
        };
        self.push(y, [(a, slope)])
    }

    /// `(a − mean)/√(variance + 1e-5)`.
    pub fn normalize(&self, a: &[Var]) -> Vec<Var> {
        let mean = |a: &[Var]| {
            let sum = a.iter().fold(self.leaf(0.0), |sum, &x| self.add(sum, x));
            self.scale(sum, 1.0 / a.len() as f64)
        };
        let minus = self.scale(mean(a), -1.0);
        let centred: Vec<Var> = a.iter().map(|&x| self.add(x, minus)).collect();
        let squares: Vec<Var> = centred.iter().map(|&x| self.mul(x, x)).collect();
        let variance = mean(&squares);
        let x = self.value(variance) + 1e-5;
        let scale = self.push(x.powf(-0.5), [(variance, -0.5 * x.powf(-1.5))]);
        centred.into_iter().map(|x| self.mul(x, scale)).collect()
    }

    /// `a` held in `[−clip, clip]`.
    pub fn clamp(&self, a: Var, clip: f64) -> Var {
        let x = self.value(a);
        if x.abs() > clip { self.push(clip.copysign(x), []) } else { self.push(x, [(a, 1.0)]) }
    }

    /// The gradients of all numbers, given those of some; and the sums of the absolute values of their terms.
    pub fn backward(&self, given: impl IntoIterator<Item = (Var, f64)>) -> Vec<[f64; 2]> {
        let (ends, factors) = (self.ends.borrow(), self.factors.borrow());
        let mut gradients = vec![[0.0; 2]; ends.len()];
        for (var, gradient) in given {
            gradients[var.0][0] += gradient;
            gradients[var.0][1] += gradient.abs();
        }
        for i in (0..ends.len()).rev() {
            let start = if i == 0 { 0 } else { ends[i - 1] };
            for &(var, d) in &factors[start..ends[i]] {
                let [gradient, terms] = gradients[i];
                gradients[var][0] += gradient * d;
                gradients[var][1] += terms * d.abs();
            }
        }
        gradients
    }
}

/// The normal distribution and its density at `x`; the power series of the error function that has no minus.
fn normal(x: f64) -> (f64, f64) {
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let mut term = x;
    let mut sum = 0.0;
    for n in 1..200 {
        sum += term;
        term *= x * x / f64::from(2 * n + 1);
    }
    (0.5 + density * sum, density)
}
