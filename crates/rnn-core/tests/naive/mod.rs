//! The equations of the cells in plain loops, one row and one step at a time.

use burn::tensor::Tensor;
use rnn_core::cell::Cell;
use rnn_core::{DropoutMasks, GruCell, Key, LstmCell, Nonlinearity, Recurrent, RnnCell};

/// One row's step: `x` and `u` are the sums of all gates from the input and from h.
pub trait Naive: Cell {
    const STATE_TENSORS: usize;
    /// New `[h, c…]` from the old; `product(h)` is `(h∘mask)·W_hh + b_hh`.
    fn next(&self, x: &[f64], s: &[Vec<f64>], product: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>>;
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Naive for RnnCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, x: &[f64], s: &[Vec<f64>], product: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
        let u = product(&s[0]);
        let act = |v: f64| match self.nonlinearity {
            Nonlinearity::Tanh => v.tanh(),
            Nonlinearity::Relu => v.max(0.0),
        };
        vec![(0..u.len()).map(|j| act(x[j] + u[j])).collect()]
    }
}

impl Naive for LstmCell {
    const STATE_TENSORS: usize = 2;
    fn next(&self, x: &[f64], s: &[Vec<f64>], product: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
        let n = s[0].len();
        let u = product(&s[0]);
        let at = |gate: usize, j: usize| x[gate * n + j] + u[gate * n + j];
        let c: Vec<f64> = (0..n).map(|j| sigmoid(at(1, j)) * s[1][j] + sigmoid(at(0, j)) * at(2, j).tanh()).collect();
        let h = (0..n).map(|j| sigmoid(at(3, j)) * c[j].tanh()).collect();
        vec![h, c]
    }
}

impl Naive for GruCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, x: &[f64], s: &[Vec<f64>], product: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
        let h = &s[0];
        let n = h.len();
        let u = product(h);
        let r: Vec<f64> = (0..n).map(|j| sigmoid(x[j] + u[j])).collect();
        let z: Vec<f64> = (0..n).map(|j| sigmoid(x[n + j] + u[n + j])).collect();
        let candidate: Vec<f64> = if self.reset_after {
            (0..n).map(|j| (x[2 * n + j] + r[j] * u[2 * n + j]).tanh()).collect()
        } else {
            let rh: Vec<f64> = (0..n).map(|j| r[j] * h[j]).collect();
            let v = product(&rh);
            (0..n).map(|j| (x[2 * n + j] + v[2 * n + j]).tanh()).collect()
        };
        vec![(0..n).map(|j| (1.0 - z[j]) * candidate[j] + z[j] * h[j]).collect()]
    }
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec().expect("f64 tensor")
}

/// `(v∘mask)·W` of one row, W row by row; each gate, of `columns / masks.len()` columns, has a mask of its own.
fn times(v: &[f64], masks: &[&[f64]], w: &[f64], columns: usize) -> Vec<f64> {
    let mask = |column: usize| masks[column * masks.len() / columns];
    (0..columns).map(|c| (0..v.len()).map(|r| v[r] * mask(c)[r] * w[r * columns + c]).sum()).collect()
}

/// Dropout masks as the layer defines them: child 0 (layer), 0 (direction), then 0 for the input and 1 for the recurrent
/// mask, then the gate if each has its own.
fn masks(key: Option<Key>, which: u64, p: f64, n: usize, gates: Option<u64>) -> Vec<Vec<f64>> {
    let mask = |key: Key| key.uniforms(n).map(|u| if u < p { 0.0 } else { 1.0 / (1.0 - p) }).collect();
    let Some(key) = key else { return vec![vec![1.0; n]] };
    let key = key.child(0).child(0).child(which);
    match gates {
        None => vec![mask(key)],
        Some(gates) => (0..gates).map(|gate| mask(key.child(gate))).collect(),
    }
}

/// Outputs `[batch, time, d_hidden]` and final states, one tensor after the other.
pub fn run<C: Naive>(
    layer: &Recurrent<C>,
    x: &[f64],
    state: &[f64],
    lengths: &[usize],
    key: Option<Key>,
) -> (Vec<f64>, Vec<f64>) {
    let (batch, n, d) = (lengths.len(), layer.config.d_hidden, layer.config.d_input);
    let (time, g) = (x.len() / batch / d, C::GATES * n);
    let weights = &layer.layers[0];
    let (w_ih, w_hh) = (to_vec(weights.weight_ih.val()), to_vec(weights.weight_hh.val()));
    let zero = || vec![0.0; g];
    let b_ih = weights.bias_ih.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let b_hh = weights.bias_hh.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let gates = (layer.config.dropout_masks == DropoutMasks::PerGate).then_some(C::GATES as u64);
    let input_masks = masks(key, 0, layer.config.dropout, batch * d, gates);
    let hidden_masks = masks(key, 1, layer.config.recurrent_dropout, batch * n, gates);
    let of_row = |masks: &[Vec<f64>], row: usize, n: usize| -> Vec<Vec<f64>> {
        masks.iter().map(|mask| mask[row * n..][..n].to_vec()).collect()
    };

    let mut outputs = vec![0.0; batch * time * n];
    let mut last = vec![0.0; C::STATE_TENSORS * batch * n];
    for row in 0..batch {
        let mut s: Vec<Vec<f64>> =
            (0..C::STATE_TENSORS).map(|k| state[(k * batch + row) * n..][..n].to_vec()).collect();
        let (input_masks, hidden_masks) = (of_row(&input_masks, row, d), of_row(&hidden_masks, row, n));
        let [input_masks, hidden_masks] =
            [&input_masks, &hidden_masks].map(|masks| masks.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let product = |h: &[f64]| -> Vec<f64> {
            times(h, &hidden_masks, &w_hh, g).iter().zip(&b_hh).map(|(a, b)| a + b).collect()
        };
        for t in 0..lengths[row] {
            let x_t = &x[(row * time + t) * d..][..d];
            let sums: Vec<f64> = times(x_t, &input_masks, &w_ih, g).iter().zip(&b_ih).map(|(a, b)| a + b).collect();
            s = layer.config.cell.next(&sums, &s, &product);
            outputs[(row * time + t) * n..][..n].copy_from_slice(&s[0]);
        }
        for (k, tensor) in s.iter().enumerate() {
            last[(k * batch + row) * n..][..n].copy_from_slice(tensor);
        }
    }
    (outputs, last)
}
