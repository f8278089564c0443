//! The equations of the cells in plain loops, one row and one step at a time.

use burn::tensor::Tensor;
use rnn_core::cell::Cell;
use rnn_core::{Direction, DropoutMasks, GruCell, Key, LstmCell, Nonlinearity, Recurrent, RnnCell};

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

/// What is drawn for one layer and direction: children of the key are the layer, the direction, the kind of mask, and the
/// gate if each has its own.
struct Draws(Option<Key>);

impl Draws {
    /// 0 or 1/(1−p): the masks `[batch, n]` of kind `which`, one or one a gate.
    fn masks(&self, which: u64, p: f64, n: usize, gates: Option<u64>) -> Vec<Vec<f64>> {
        let Some(key) = self.0.filter(|_| p > 0.0) else { return vec![vec![1.0; n]] };
        let key = key.child(which);
        let mask = |key: Key| key.uniforms(n).map(|u| if u < p { 0.0 } else { 1.0 / (1.0 - p) }).collect();
        match gates {
            None => vec![mask(key)],
            Some(gates) => (0..gates).map(|gate| mask(key.child(gate))).collect(),
        }
    }

    /// How much of the old value stays: 0 or 1 in training, p in evaluation; `[time, batch, n]`.
    fn zoneout(&self, tensor: u64, p: f64, n: usize) -> Vec<f64> {
        match self.0 {
            None => vec![p; n],
            Some(key) => key.child(4 + tensor).uniforms(n).map(|u| f64::from(u8::from(u < p))).collect(),
        }
    }
}

/// Outputs `[batch, time, directions·d_hidden]` and final states, one tensor after the other, for input
/// `[batch, time, d_input]`. `counted` says which steps count, `[batch, time]`.
pub fn run<C: Naive>(
    layer: &Recurrent<C>,
    x: &[f64],
    state: &[f64],
    counted: &[bool],
    batch: usize,
    key: Option<Key>,
) -> (Vec<f64>, Vec<f64>) {
    let time = counted.len() / batch;
    let directions = layer.config.direction.count();
    let (mut sequence, mut last, mut read) = (x.to_vec(), Vec::new(), 0);
    for (l, &n) in layer.config.d_hidden.iter().enumerate() {
        let mut wide = vec![0.0; batch * time * directions * n];
        for direction in 0..directions {
            let size = C::STATE_TENSORS * batch * n;
            let start = &state[read..][..size];
            read += size;
            let (outputs, end) = one(layer, (l, direction), &sequence, start, counted, batch, key);
            for (row, output) in outputs.chunks_exact(n).enumerate() {
                wide[(row * directions + direction) * n..][..n].copy_from_slice(output);
            }
            last.extend(end);
        }
        if l + 1 < layer.config.d_hidden.len() {
            // Drawn in the order of the driver's tensor, [time, batch, width].
            let width = directions * n;
            let draws = Draws(key.map(|key| key.child(l as u64).child(0)));
            let mask = draws.masks(2, layer.config.layer_dropout, wide.len(), None).concat();
            for (i, value) in wide.iter_mut().enumerate() {
                let (row, t, j) = (i / width / time, i / width % time, i % width);
                *value *= mask[(t * batch + row) * width + j];
            }
        }
        sequence = wide;
    }
    (sequence, last)
}

/// One layer and direction.
fn one<C: Naive>(
    layer: &Recurrent<C>,
    (number, direction): (usize, usize),
    x: &[f64],
    state: &[f64],
    counted: &[bool],
    batch: usize,
    key: Option<Key>,
) -> (Vec<f64>, Vec<f64>) {
    let config = &layer.config;
    let (n, time) = (config.d_hidden[number], counted.len() / batch);
    let (d, g) = (x.len() / batch / time, C::GATES * n);
    let weights = &layer.layers[number * config.direction.count() + direction];
    let draws = Draws(key.map(|key| key.child(number as u64).child(direction as u64)));
    let (w_ih, mut w_hh) = (to_vec(weights.weight_ih.val()), to_vec(weights.weight_hh.val()));
    let thinned = draws.masks(3, config.weight_dropout, w_hh.len(), None).concat();
    w_hh.iter_mut().zip(thinned).for_each(|(w, m)| *w *= m);
    let zero = || vec![0.0; g];
    let b_ih = weights.bias_ih.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let b_hh = weights.bias_hh.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let gates = (config.dropout_masks == DropoutMasks::PerGate).then_some(C::GATES as u64);
    let input_masks = draws.masks(0, config.dropout, batch * d, gates);
    let hidden_masks = draws.masks(1, config.recurrent_dropout, batch * n, gates);
    let zoneout: Vec<Vec<f64>> = [config.zoneout.hidden, config.zoneout.cell]
        .into_iter()
        .enumerate()
        .map(|(tensor, p)| draws.zoneout(tensor as u64, p, time * batch * n))
        .collect();
    let backward = config.direction == Direction::Backward || direction == 1;

    let mut outputs = vec![0.0; batch * time * n];
    let mut last = vec![0.0; C::STATE_TENSORS * batch * n];
    for row in 0..batch {
        let mut s: Vec<Vec<f64>> =
            (0..C::STATE_TENSORS).map(|k| state[(k * batch + row) * n..][..n].to_vec()).collect();
        let input_masks: Vec<&[f64]> = input_masks.iter().map(|mask| &mask[row * d..][..d]).collect();
        let hidden_masks: Vec<&[f64]> = hidden_masks.iter().map(|mask| &mask[row * n..][..n]).collect();
        let product = |h: &[f64]| -> Vec<f64> {
            times(h, &hidden_masks, &w_hh, g).iter().zip(&b_hh).map(|(a, b)| a + b).collect()
        };
        for t in (0..time).map(|t| if backward { time - 1 - t } else { t }) {
            if !counted[row * time + t] {
                continue;
            }
            let x_t = &x[(row * time + t) * d..][..d];
            let sums: Vec<f64> = times(x_t, &input_masks, &w_ih, g).iter().zip(&b_ih).map(|(a, b)| a + b).collect();
            let mut new = config.cell.next(&sums, &s, &product);
            for ((new, old), keep) in new.iter_mut().zip(&s).zip(&zoneout) {
                for j in 0..n {
                    let keep = keep[(t * batch + row) * n + j];
                    new[j] = keep * old[j] + (1.0 - keep) * new[j];
                }
            }
            s = new;
            outputs[(row * time + t) * n..][..n].copy_from_slice(&s[0]);
        }
        for (k, tensor) in s.iter().enumerate() {
            last[(k * batch + row) * n..][..n].copy_from_slice(tensor);
        }
    }
    (outputs, last)
}
