//! What dropout and zoneout draw for one layer and direction, on the host, so that it is the same on every backend.
//!
//! The key of each mask is a path of children: layer, direction, which of the kinds below, and for masks of their own
//! the gate.

use crate::cell::Cell;
use crate::config::{DropoutMasks, RecurrentConfig};
use crate::layer::Layer;
use crate::ops::Zoneout;
use crate::{Exec, Key};
use burn::tensor::{DType, Device, Tensor, TensorData};

const INPUT: u64 = 0;
const RECURRENT: u64 = 1;
const BETWEEN: u64 = 2;
const WEIGHT: u64 = 3;
/// Of the first tensor of the state; the next one's is one more.
const ZONEOUT: u64 = 4;

/// The drawer of one layer and direction.
pub(crate) struct Dropout {
    /// `None` in evaluation.
    key: Option<Key>,
    exec: Exec,
    /// Where masks are made, and of what.
    device: Device,
    dtype: DType,
    kind: DropoutMasks,
    input: f64,
    recurrent: f64,
    between: f64,
    weight: f64,
    zoneout: [f64; 2],
    gates: usize,
}

impl Dropout {
    pub(crate) fn new<C: Cell>(
        config: &RecurrentConfig<C>,
        (key, exec): (Option<Key>, Exec),
        layer: usize,
        direction: usize,
        weights: &Layer,
    ) -> Self {
        let weight = weights.weight_ih.val();
        Self {
            key: key.map(|key| key.child(layer as u64).child(direction as u64)),
            exec,
            // Masks are constants: outside the graph they go with any, also with one of gradient checkpointing.
            device: weight.device().inner(),
            dtype: weight.dtype(),
            kind: config.dropout_masks,
            input: config.dropout,
            recurrent: config.recurrent_dropout,
            between: config.layer_dropout,
            weight: config.weight_dropout,
            zoneout: [config.zoneout.hidden, config.zoneout.cell],
            gates: config.cell.gates(),
        }
    }

    /// The masks of the input, `[batch, d_input]`: none, one, or one a gate.
    pub(crate) fn input(&self, batch: usize, d_input: usize) -> Vec<Tensor<2>> {
        self.masks(INPUT, self.input, [batch, d_input])
    }

    /// The masks of h in the recurrent product, `[batch, d_output]`: none, one, or one a gate.
    pub(crate) fn recurrent(&self, batch: usize, d_output: usize) -> Vec<Tensor<2>> {
        self.masks(RECURRENT, self.recurrent, [batch, d_output])
    }

    /// `W_hh`, thinned out.
    pub(crate) fn weight(&self, weight_hh: Tensor<2>) -> Tensor<2> {
        self.scaled(weight_hh, WEIGHT, self.weight)
    }

    /// The layer's output on its way to the next layer.
    pub(crate) fn between(&self, sequence: Tensor<3>) -> Tensor<3> {
        self.scaled(sequence, BETWEEN, self.between)
    }

    /// What each of the state's `tensors` keeps, `[time, batch, width]`, where h and c have a width each. Empty without
    /// zoneout.
    pub(crate) fn zoneout(
        &self,
        tensors: usize,
        [time, batch]: [usize; 2],
        [d_output, d_hidden]: [usize; 2],
    ) -> Vec<Zoneout<Tensor<3>>> {
        let ps = &self.zoneout[..tensors.min(2)];
        if ps.iter().all(|&p| p == 0.0) {
            return Vec::new();
        }
        let width = |which| if which == ZONEOUT { d_output } else { d_hidden };
        let draw = |(which, &p): (u64, &f64)| match self.key.filter(|_| p > 0.0) {
            None => Zoneout::Mean(p),
            Some(key) => Zoneout::Drawn(self.draw(key.child(which), [time, batch, width(which)], p, [1.0, 0.0])),
        };
        (ZONEOUT..).zip(ps).map(draw).collect()
    }

    fn masks(&self, which: u64, p: f64, shape: [usize; 2]) -> Vec<Tensor<2>> {
        let Some(key) = self.acting(which, p) else {
            return Vec::new();
        };
        match self.kind {
            DropoutMasks::Shared => vec![self.mask(key, p, shape)],
            DropoutMasks::PerGate => (0..self.gates as u64).map(|gate| self.mask(key.child(gate), p, shape)).collect(),
        }
    }

    fn scaled<const D: usize>(&self, tensor: Tensor<D>, which: u64, p: f64) -> Tensor<D> {
        match self.acting(which, p) {
            Some(key) => {
                let shape = tensor.dims();
                tensor * self.mask(key, p, shape)
            }
            None => tensor,
        }
    }

    /// The key of `which` masks, if anything is to be dropped.
    fn acting(&self, which: u64, p: f64) -> Option<Key> {
        self.key.filter(|_| p > 0.0).map(|key| key.child(which))
    }

    /// 0 with probability p, else 1/(1−p).
    fn mask<const D: usize>(&self, key: Key, p: f64, shape: [usize; D]) -> Tensor<D> {
        self.draw(key, shape, p, [0.0, 1.0 / (1.0 - p)])
    }

    /// The first value with probability p, else the second.
    fn draw<const D: usize>(&self, key: Key, shape: [usize; D], p: f64, choice: [f64; 2]) -> Tensor<D> {
        let n = shape.iter().product();
        let data = match self.dtype {
            DType::F32 => TensorData::new(key.choose(self.exec, n, p, choice.map(|x| x as f32)), shape),
            _ => TensorData::new(key.choose(self.exec, n, p, choice), shape),
        };
        Tensor::from_data(data, (&self.device, self.dtype))
    }
}
