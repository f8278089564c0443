//! The equations of the cells in plain loops, one row and one step at a time.

use burn::tensor::Tensor;
use rnn_core::cell::Cell;
use rnn_core::{
    Activation, Direction, DropoutMasks, GruCell, Key, LstmCell, MinGruCell, MinLstmCell, Recurrent, RnnCell,
};
use std::collections::BTreeMap;
use std::ops::Range;

type Product<'a> = dyn Fn(&[f64], Range<usize>) -> Vec<f64> + 'a;

/// What one row's step is given.
pub struct Step<'a> {
    /// The sums of all gates from the input.
    pub x: &'a [f64],
    /// `[h, c…]` before it.
    pub s: &'a [Vec<f64>],
    /// `(v∘mask)·W_hh + b_hh` of these gates.
    pub product: &'a Product<'a>,
    /// The cell's own vectors by name.
    pub vectors: &'a BTreeMap<&'static str, Vec<f64>>,
}

/// One row's step: new `[h, c…]` from the old, h not yet projected.
pub trait Naive: Cell {
    const STATE_TENSORS: usize;
    fn next(&self, step: Step) -> Vec<Vec<f64>>;
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn apply(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Linear => x,
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope } => (slope * x + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        Activation::Elu => {
            if x > 0.0 {
                x
            } else {
                x.exp() - 1.0
            }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Softplus => (1.0 + x.exp()).ln(),
        Activation::Silu => x * sigmoid(x),
        Activation::Positive if x > 0.0 => x + 0.5,
        Activation::Positive => sigmoid(x),
        other => panic!("no plain formula for {other:?}"),
    }
}

fn clipped(x: f64, clip: Option<f64>) -> f64 {
    clip.map_or(x, |clip| {
        if x > clip {
            clip
        } else if x < -clip {
            -clip
        } else {
            x
        }
    })
}

/// (x − mean)/√(variance + 1e-5).
fn normalized(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    x.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect()
}

impl Naive for RnnCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, Step { x, s, product, .. }: Step) -> Vec<Vec<f64>> {
        let u = product(&s[0], 0..1);
        vec![(0..u.len()).map(|j| clipped(apply(self.hidden_activation, x[j] + u[j]), self.clip)).collect()]
    }
}

impl Naive for LstmCell {
    const STATE_TENSORS: usize = 2;
    fn next(&self, Step { x, s, product, vectors }: Step) -> Vec<Vec<f64>> {
        let n = s[1].len();
        let u = product(&s[0], 0..self.gates());
        let at = |gate: usize, j: usize| x[gate * n + j] + u[gate * n + j];
        let own = |name: &str, j: usize| vectors.get(name).map_or(0.0, |v| v[j]);
        let (g_at, o_at) = if self.coupled { (1, 2) } else { (2, 3) };
        let (mut h, mut c) = (vec![0.0; n], vec![0.0; n]);
        for j in 0..n {
            let old = s[1][j];
            let i = apply(self.gate_activation, at(0, j) + own("p_i", j) * old);
            let f = match self.coupled {
                true => 1.0 - i,
                false => apply(self.gate_activation, at(1, j) + own("p_f", j) * old),
            };
            c[j] = clipped(f * old + i * apply(self.cell_activation, at(g_at, j)), self.clip);
        }
        let shown = match vectors.contains_key("gamma_c") {
            true => (0..n).map(|j| normalized(&c)[j] * own("gamma_c", j) + own("beta_c", j)).collect(),
            false => c.clone(),
        };
        for j in 0..n {
            let o = apply(self.gate_activation, at(o_at, j) + own("p_o", j) * c[j]);
            h[j] = o * apply(self.hidden_activation, shown[j]);
        }
        vec![h, c]
    }
}

impl Naive for GruCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, Step { x, s, product, .. }: Step) -> Vec<Vec<f64>> {
        let h = &s[0];
        let n = h.len();
        let candidate = |sum: f64| apply(self.hidden_activation, sum);
        let gate = |sum: f64| apply(self.gate_activation, sum);
        let (u, n_sums): (Vec<f64>, Vec<f64>) = if self.reset_after {
            let u = product(h, 0..3);
            let sums = (0..n).map(|j| x[2 * n + j] + gate(x[j] + u[j]) * u[2 * n + j]).collect();
            (u, sums)
        } else {
            let u = product(h, 0..2);
            let rh: Vec<f64> = (0..n).map(|j| gate(x[j] + u[j]) * h[j]).collect();
            let v = product(&rh, 2..3);
            (u, (0..n).map(|j| x[2 * n + j] + v[j]).collect())
        };
        let next = |j: usize| {
            let z = gate(x[n + j] + u[n + j]);
            clipped((1.0 - z) * candidate(n_sums[j]) + z * h[j], self.clip)
        };
        vec![(0..n).map(next).collect()]
    }
}

impl Naive for MinGruCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, Step { x, s, .. }: Step) -> Vec<Vec<f64>> {
        let n = s[0].len();
        let next = |j: usize| {
            let z = sigmoid(x[j]);
            (1.0 - z) * s[0][j] + z * apply(self.hidden_activation, x[n + j])
        };
        vec![(0..n).map(next).collect()]
    }
}

impl Naive for MinLstmCell {
    const STATE_TENSORS: usize = 1;
    fn next(&self, Step { x, s, .. }: Step) -> Vec<Vec<f64>> {
        let n = s[0].len();
        let next = |j: usize| {
            let (i, f) = (sigmoid(x[j]), sigmoid(x[n + j]));
            (f * s[0][j] + i * apply(self.hidden_activation, x[2 * n + j])) / (f + i)
        };
        vec![(0..n).map(next).collect()]
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

/// What is drawn for one layer and direction: children of the key are the layer, the direction, the kind of mask, and
/// the gate if each has its own.
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
        let p = layer.config.cell.proj_size().unwrap_or(n);
        let mut wide = vec![0.0; batch * time * directions * p];
        for direction in 0..directions {
            let size = batch * (p + (C::STATE_TENSORS - 1) * n);
            let start = &state[read..][..size];
            read += size;
            let (outputs, end) = one(layer, (l, direction), &sequence, start, counted, batch, key);
            for (row, output) in outputs.chunks_exact(p).enumerate() {
                wide[(row * directions + direction) * p..][..p].copy_from_slice(output);
            }
            last.extend(end);
        }
        if l + 1 < layer.config.d_hidden.len() {
            // Drawn in the order of the driver's tensor, [time, batch, width].
            let width = directions * p;
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
    let p = config.cell.proj_size().unwrap_or(n);
    let (d, gates) = (x.len() / batch / time, config.cell.gates());
    let g = gates * n;
    let weights = &layer.layers[number * config.direction.count() + direction];
    let draws = Draws(key.map(|key| key.child(number as u64).child(direction as u64)));
    let w_ih = to_vec(weights.weight_ih.val());
    let mut w_hh = weights.weight_hh.as_ref().map(|weight| to_vec(weight.val())).unwrap_or_default();
    let thinned = draws.masks(3, config.weight_dropout, w_hh.len(), None).concat();
    w_hh.iter_mut().zip(thinned).for_each(|(w, m)| *w *= m);
    let zero = || vec![0.0; g];
    let b_ih = weights.bias_ih.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let b_hh = weights.bias_hh.as_ref().map_or_else(zero, |b| to_vec(b.val()));
    let per_gate = (config.dropout_masks == DropoutMasks::PerGate).then_some(gates as u64);
    let input_masks = draws.masks(0, config.dropout, batch * d, per_gate);
    let hidden_masks = draws.masks(1, config.recurrent_dropout, batch * p, per_gate);
    let gain_ih = weights.norm_ih.as_ref().map(|gain| to_vec(gain.val()));
    let gain_hh = weights.norm_hh.as_ref().map(|gain| to_vec(gain.val()));
    let w_hr = weights.weight_hr.as_ref().map(|w| to_vec(w.val()));
    let names = config.cell.vectors(config.layer_norm);
    let vectors = names.iter().map(|v| v.name).zip(weights.vectors.iter().map(|v| to_vec(v.val()))).collect();
    // h comes first and may be projected.
    let width = |tensor: usize| if tensor == 0 { p } else { n };
    let zoneout: Vec<Vec<f64>> = [config.zoneout.hidden, config.zoneout.cell]
        .into_iter()
        .enumerate()
        .map(|(tensor, prob)| draws.zoneout(tensor as u64, prob, time * batch * width(tensor)))
        .collect();
    let backward = config.direction == Direction::Backward || direction == 1;

    let mut outputs = vec![0.0; batch * time * p];
    let mut last = vec![0.0; batch * (p + (C::STATE_TENSORS - 1) * n)];
    // Where the row's part of a state tensor lies among all of them.
    let part = |tensor: usize, row: usize| match tensor {
        0 => row * p..(row + 1) * p,
        _ => {
            let start = batch * p + ((tensor - 1) * batch + row) * n;
            start..start + n
        }
    };
    for row in 0..batch {
        let mut s: Vec<Vec<f64>> = (0..C::STATE_TENSORS).map(|k| state[part(k, row)].to_vec()).collect();
        let input_masks: Vec<&[f64]> = input_masks.iter().map(|mask| &mask[row * d..][..d]).collect();
        let hidden_masks: Vec<&[f64]> = hidden_masks.iter().map(|mask| &mask[row * p..][..p]).collect();
        let product = |h: &[f64], gates: Range<usize>| -> Vec<f64> {
            let columns = gates.start * n..gates.end * n;
            let sums = &times(h, &hidden_masks, &w_hh, g)[columns.clone()];
            gained(sums, gain_hh.as_ref().map(|gain| &gain[columns.clone()]), &b_hh[columns.clone()])
        };
        for t in (0..time).map(|t| if backward { time - 1 - t } else { t }) {
            if !counted[row * time + t] {
                continue;
            }
            let x_t = &x[(row * time + t) * d..][..d];
            let sums = gained(&times(x_t, &input_masks, &w_ih, g), gain_ih.as_deref(), &b_ih);
            let mut new = config.cell.next(Step { x: &sums, s: &s, product: &product, vectors: &vectors });
            if let Some(w_hr) = &w_hr {
                new[0] = times(&new[0], &[&vec![1.0; n]], w_hr, p);
            }
            for (tensor, ((new, old), keep)) in new.iter_mut().zip(&s).zip(&zoneout).enumerate() {
                for j in 0..width(tensor) {
                    let keep = keep[(t * batch + row) * width(tensor) + j];
                    new[j] = keep * old[j] + (1.0 - keep) * new[j];
                }
            }
            s = new;
            outputs[(row * time + t) * p..][..p].copy_from_slice(&s[0]);
        }
        for (k, tensor) in s.iter().enumerate() {
            last[part(k, row)].copy_from_slice(tensor);
        }
    }
    (outputs, last)
}

/// The sums, normalised and scaled where there is a gain, and the bias.
fn gained(sums: &[f64], gain: Option<&[f64]>, bias: &[f64]) -> Vec<f64> {
    let sums = match gain {
        Some(gain) => normalized(sums).iter().zip(gain).map(|(x, gain)| x * gain).collect(),
        None => sums.to_vec(),
    };
    sums.iter().zip(bias).map(|(a, b)| a + b).collect()
}
