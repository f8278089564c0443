//! The same layer in both libraries, and how far apart what they give is.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{GateController, Linear};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rnn_core::weights::BurnCell;
use rnn_core::{CellState, Direction, ForwardArgs, Key, Output, Preset, Recurrent, RecurrentConfig, States, probe};

/// The largest difference over the largest value, per tensor.
const TOLERANCE: f64 = 1e-6;

pub const BATCH: usize = 3;
pub const TIME: usize = 4;
pub const D_INPUT: usize = 2;
pub const D_HIDDEN: usize = 3;

pub fn device() -> Device {
    Device::default().autodiff()
}

/// sin(0.7·i + phase) at the i-th element.
pub fn wave<const D: usize>(shape: [usize; D], phase: f64) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (0.7 * i as f64 + phase).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// Gives every parameter values of its own; burn-nn's initialisers draw from a generator that the tests share.
struct Fill(f64);

impl ModuleMapper for Fill {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.0 += 1.0;
        let values = wave(param.val().dims(), self.0) * 0.6;
        Param::initialized(param.id, values.detach().require_grad())
    }
}

pub fn filled<M: Module>(module: M) -> M {
    module.map(&mut Fill(0.0))
}

pub fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

pub fn same<const D: usize>(what: &str, ours: Tensor<D>, theirs: Tensor<D>) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let (ours, theirs) = (to_vec(ours), to_vec(theirs));
    let scale = theirs.iter().fold(1e-30, |m: f64, x| m.max(f64::from(x.abs())));
    // `max` passes over NaN.
    assert!(ours.iter().all(|x| x.is_finite()), "{what} is not finite");
    let error = ours.iter().zip(&theirs).fold(0.0, |m: f64, (a, b)| m.max(f64::from((a - b).abs()))) / scale;
    assert!(error <= TOLERANCE, "{what}: {error:e}");
}

/// What both libraries gave: the outputs, and the final states stacked, h first.
pub struct Given {
    pub sequence: Tensor<3>,
    pub states: Vec<Tensor<3>>,
}

impl Given {
    fn loss(&self) -> Tensor<1> {
        let mut loss = (self.sequence.clone() * wave(self.sequence.dims(), 0.4)).sum();
        for state in &self.states {
            loss = loss + (state.clone() * wave(state.dims(), 0.5)).sum();
        }
        loss
    }
}

impl<S: CellState> From<Output<S>> for Given {
    fn from(output: Output<S>) -> Self {
        let mut states: Vec<Vec<Tensor<2>>> = vec![Vec::new(); S::TENSORS];
        for state in output.state.into_vec() {
            let mut number = 0;
            let _ = state.map(|tensor| {
                states[number].push(tensor.clone());
                number += 1;
                tensor
            });
        }
        Self {
            sequence: output.sequence,
            states: states.into_iter().map(|tensors| Tensor::stack(tensors, 0)).collect(),
        }
    }
}

/// A start state per direction: h, and c for the cells that have it.
pub fn start<S: CellState>(direction: Direction) -> States<S> {
    let state = |direction| {
        let mut number = 0;
        S::zeros(BATCH, D_HIDDEN, D_HIDDEN, &device()).map(|zeros| {
            number += 1;
            wave(zeros.dims(), 0.3 * direction as f64 + 0.1 * f64::from(number))
        })
    };
    States::new(direction, (0..direction.count()).map(state).collect())
}

pub fn compare<'a, C: BurnCell>(
    what: &str,
    layer: &Recurrent<C>,
    gates: &[Vec<&'a GateController>],
    run: impl Fn(Tensor<3>) -> Given,
) {
    let shape = if layer.config.time_major { [TIME, BATCH, D_INPUT] } else { [BATCH, TIME, D_INPUT] };
    let input = || wave(shape, 1.0).require_grad();
    let (x, their_x) = (input(), input());
    // Step by step, as burn-nn computes; the fused kernels are held against these steps in tests/numbers and fused.rs.
    let args = ForwardArgs::default().with_state(start::<C::State>(layer.config.direction));
    let ours: Given = probe::record(|| layer.forward_with(x.clone(), args)).0.into();
    let theirs = run(their_x.clone());
    same(what, ours.sequence.clone(), theirs.sequence.clone());
    for (ours, theirs) in ours.states.iter().zip(&theirs.states) {
        same(what, ours.clone(), theirs.clone());
    }
    let (gradients, their_gradients) = (ours.loss().backward(), theirs.loss().backward());
    same(what, x.grad(&gradients).expect("gradient"), their_x.grad(&their_gradients).expect("gradient"));
    for (layer, gates) in layer.layers.iter().zip(gates) {
        for (weight, bias, hidden) in [
            (&layer.weight_ih, &layer.bias_ih, false),
            (layer.weight_hh.as_ref().expect("it multiplies h"), &layer.bias_hh, true),
        ] {
            let of = |gate: &&'a GateController| -> &'a Linear {
                if hidden { &gate.hidden_transform } else { &gate.input_transform }
            };
            let theirs = gates.iter().map(|gate| of(gate).weight.val().grad(&their_gradients).expect("gradient"));
            same(what, grad(weight, &gradients), Tensor::cat(theirs.collect(), 1));
            if let Some(bias) = bias {
                let theirs = gates.iter().map(|gate| {
                    let bias = of(gate).bias.as_ref().expect("bias");
                    grad(bias, &their_gradients)
                });
                same(what, grad(bias, &gradients), Tensor::cat(theirs.collect(), 0));
            }
        }
    }
}

fn grad<const D: usize>(param: &Param<Tensor<D>>, gradients: &Gradients) -> Tensor<D> {
    param.val().grad(gradients).expect("gradient")
}

pub fn weights<C: BurnCell>(layer: &Recurrent<C>) -> Vec<f32> {
    let bias = |bias: &Option<Param<Tensor<1>>>| bias.as_ref().map_or_else(Vec::new, |bias| to_vec(bias.val()));
    let of = |w: &rnn_core::Layer| {
        [
            to_vec(w.weight_ih.val()),
            to_vec(w.weight_hh.as_ref().expect("it multiplies h").val()),
            bias(&w.bias_ih),
            bias(&w.bias_hh),
        ]
        .concat()
    };
    layer.layers.iter().flat_map(of).collect()
}

/// A layer with biases that are not zero.
pub fn ours<C: BurnCell>(config: RecurrentConfig<C>) -> Recurrent<C> {
    config.with_preset(Preset::Pytorch).init(Key::new(7), &device())
}
