//! Reverse-mode differentiation of scalars, so that the expected gradients come from no formula of the kernels'.

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

    pub fn tanh(&self, a: Var) -> Var {
        let y = self.value(a).tanh();
        self.push(y, [(a, 1.0 - y * y)])
    }

    /// NaN goes through, both ways, as in PyTorch.
    pub fn relu(&self, a: Var) -> Var {
        let x = self.value(a);
        if x <= 0.0 { self.push(0.0, []) } else { self.push(x, [(a, 1.0)]) }
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
