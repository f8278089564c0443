//! The layers against plain loops over the equations, and their gradients against differences, all in f64.
//!
//! A process has one default dtype, so these tests have a binary of their own.

mod naive;

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use naive::Naive;
use rnn_core::cell::Cell;
use rnn_core::{
    Bias, CellState, DropoutMasks, ForwardArgs, GruCell, GruConfig, Key, LstmCell, LstmConfig, Nonlinearity, Preset,
    Recurrent, RecurrentConfig, RnnCell, RnnConfig, States,
};
use std::sync::Once;

const BATCH: usize = 3;
const TIME: usize = 5;
const INPUT: usize = 2;
const HIDDEN: usize = 4;

fn device() -> Device {
    static F64: Once = Once::new();
    F64.call_once(|| {
        Device::default().configure(FloatDType::F64).expect("the dtype is set before any tensor exists");
    });
    Device::default().autodiff()
}

fn values(key: Key, n: usize) -> Vec<f64> {
    key.normals(n).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &device())
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec().expect("f64 tensor")
}

/// The largest difference, over the largest value of `expected`.
fn worst(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
    found.iter().zip(expected).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale
}

/// All options that change the numbers, for one cell.
fn each_layer<C: Cell>(make: impl Fn(Bias) -> RecurrentConfig<C>, mut f: impl FnMut(Recurrent<C>)) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        for masks in [DropoutMasks::Shared, DropoutMasks::PerGate] {
            let config = make(bias).with_dropout(0.3).with_recurrent_dropout(0.4).with_dropout_masks(masks);
            let layer = config.init(Key::new(11), &device());
            // Biases start at 0; give every one a value of its own.
            f(layer.map(&mut Shift(0.1)));
        }
    }
}

struct Shift(f64);

impl burn::module::ModuleMapper for Shift {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let n = param.shape().num_elements();
        self.0 += 0.1;
        let noise: Vec<f64> = Key::new(n as u64).uniforms(n).map(|u| u - self.0).collect();
        let shape = param.shape();
        param.map(|t| {
            let noise = Tensor::from_data(TensorData::new(noise, shape), &t.device());
            (t.detach() + noise.mul_scalar(0.3)).detach().require_grad()
        })
    }
}

fn rnn(nonlinearity: Nonlinearity) -> impl Fn(Bias) -> RecurrentConfig<RnnCell> {
    move |bias| {
        RnnConfig::new(INPUT, HIDDEN).with_nonlinearity(nonlinearity).with_preset(Preset::Pytorch).with_bias(bias)
    }
}

fn lstm(bias: Bias) -> RecurrentConfig<LstmCell> {
    LstmConfig::new(INPUT, HIDDEN).with_bias(bias)
}

fn gru(reset_after: bool) -> impl Fn(Bias) -> RecurrentConfig<GruCell> {
    move |bias| GruConfig::new(INPUT, HIDDEN).with_reset_after(reset_after).with_bias(bias)
}

/// An initial state whose tensors hold `base`, changed at `(tensor, element)` by `delta`.
fn state<S: CellState>(base: &[f64]) -> S {
    let mut n = 0;
    S::zeros(BATCH, HIDDEN, &device()).map(|_| {
        n += 1;
        let part = &base[(n - 1) * BATCH * HIDDEN..n * BATCH * HIDDEN];
        tensor(part, [BATCH, HIDDEN]).require_grad()
    })
}

fn state_values<S: CellState>(state: &S) -> Vec<f64> {
    let mut all = Vec::new();
    let _ = state.clone().map(|t| {
        all.extend(to_vec(t.clone()));
        t
    });
    all
}

fn check_forward<C: Cell + Naive>(make: impl Fn(Bias) -> RecurrentConfig<C>) {
    each_layer(make, |layer| {
        let x = values(Key::new(1), BATCH * TIME * INPUT);
        let s = values(Key::new(2), C::STATE_TENSORS * BATCH * HIDDEN);
        for lengths in [vec![TIME; BATCH], vec![5, 1, 3], vec![0, 5, 2]] {
            for key in [None, Some(Key::new(3))] {
                let args =
                    ForwardArgs::default().with_state(state::<C::State>(&s)).with_lengths(&lengths).with_dropout(key);
                let out = layer.forward_with(tensor(&x, [BATCH, TIME, INPUT]), args);
                let (sequence, last) = naive::run(&layer, &x, &s, &lengths, key);
                assert!(worst(&to_vec(out.sequence), &sequence) < 1e-13);
                assert!(worst(&state_values(out.state.last()), &last) < 1e-13);
            }
        }
    });
}

#[test]
fn forward_equals_the_equations() {
    check_forward(rnn(Nonlinearity::Tanh));
    check_forward(rnn(Nonlinearity::Relu));
    check_forward(lstm);
    check_forward(gru(true));
    check_forward(gru(false));
}

/// A scalar that depends on every output and every final state with weights of its own.
fn loss<C: Cell>(layer: &Recurrent<C>, x: Tensor<3>, s: C::State) -> Tensor<1> {
    let lengths = [5, 2, 4];
    let args = ForwardArgs::default().with_state(s).with_lengths(&lengths).with_dropout(Some(Key::new(3)));
    let out = layer.forward_with(x, args);
    let w = values(Key::new(21), BATCH * TIME * HIDDEN);
    let mut sum = (out.sequence * tensor(&w, [BATCH, TIME, HIDDEN])).sum();
    let mut seed = 22;
    let _ = out.state.last().clone().map(|t| {
        seed += 1;
        let w = values(Key::new(seed), BATCH * HIDDEN);
        sum = sum.clone() + (t.clone() * tensor(&w, [BATCH, HIDDEN])).sum();
        t
    });
    sum
}

/// (f(v+e) − f(v−e)) / 2e for each element of `v`.
fn differences(v: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let e = 1e-6;
    (0..v.len())
        .map(|i| {
            let mut w = v.to_vec();
            w[i] += e;
            let up = f(&w);
            w[i] -= 2.0 * e;
            (up - f(&w)) / (2.0 * e)
        })
        .collect()
}

fn check_gradients<C: Cell + Naive>(make: impl Fn(Bias) -> RecurrentConfig<C>) {
    each_layer(make, |layer| {
        let x = values(Key::new(1), BATCH * TIME * INPUT);
        let s = values(Key::new(2), C::STATE_TENSORS * BATCH * HIDDEN);
        let scalar = |layer: &Recurrent<C>, x: &[f64], s: &[f64]| {
            loss(layer, tensor(x, [BATCH, TIME, INPUT]), state(s)).into_scalar::<f64>()
        };
        let input = tensor(&x, [BATCH, TIME, INPUT]).require_grad();
        let start = state::<C::State>(&s);
        let grads = loss(&layer, input.clone(), start.clone()).backward();

        let found = to_vec(input.grad(&grads).expect("input gradient"));
        let expected = differences(&x, |x| scalar(&layer, x, &s));
        assert!(worst(&found, &expected) < 1e-7, "input");

        let mut found = Vec::new();
        let _ = start.map(|t| {
            found.extend(to_vec(t.grad(&grads).expect("state gradient")));
            t
        });
        let expected = differences(&s, |s| scalar(&layer, &x, s));
        assert!(worst(&found, &expected) < 1e-7, "initial state");

        let weights = &layer.layers[0];
        for (name, param) in [("W_ih", &weights.weight_ih), ("W_hh", &weights.weight_hh)] {
            let shape = param.val().dims();
            let found = to_vec(param.val().grad(&grads).expect("weight gradient"));
            let expected = differences(&to_vec(param.val()), |v| {
                let mut changed = layer.clone();
                let param = Param::from_tensor(tensor(v, shape));
                match name {
                    "W_ih" => changed.layers[0].weight_ih = param,
                    _ => changed.layers[0].weight_hh = param,
                }
                scalar(&changed, &x, &s)
            });
            assert!(worst(&found, &expected) < 1e-7, "{name}");
        }
        for (name, param) in [("b_ih", &weights.bias_ih), ("b_hh", &weights.bias_hh)] {
            let Some(param) = param else { continue };
            let shape = param.val().dims();
            let found = to_vec(param.val().grad(&grads).expect("bias gradient"));
            let expected = differences(&to_vec(param.val()), |v| {
                let mut changed = layer.clone();
                let param = Some(Param::from_tensor(tensor(v, shape)));
                match name {
                    "b_ih" => changed.layers[0].bias_ih = param,
                    _ => changed.layers[0].bias_hh = param,
                }
                scalar(&changed, &x, &s)
            });
            assert!(worst(&found, &expected) < 1e-7, "{name}");
        }
    });
}

#[test]
fn gradients_equal_differences() {
    check_gradients(rnn(Nonlinearity::Tanh));
    check_gradients(lstm);
    check_gradients(gru(true));
    check_gradients(gru(false));
}

#[test]
fn steps_one_by_one_equal_the_sequence() {
    let layer = lstm(Bias::One).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let whole = layer.forward(x.clone());
    let mut state: Option<States<_>> = None;
    for t in 0..TIME {
        let input = x.clone().slice_dim(1, t..t + 1).squeeze_dim(1);
        state = Some(layer.step(input, state));
    }
    let state = state.expect("TIME is not 0");
    assert_eq!(state_values(state.last()), state_values(whole.state.last()), "the same operations, so the same bits");
}
