//! The layers against plain loops over the equations, and their gradients against differences, all in f64.
//!
//! A process has one default dtype, so these tests have a binary of their own.

mod gradients;
mod naive;
mod pairs;
mod ways;

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Gradients, Tensor, TensorData};
use naive::Naive;
use rnn_core::cell::Cell;
use rnn_core::{
    Activation, Bias, CellState, Direction, DropoutMasks, ForwardArgs, GruCell, GruConfig, HiddenState, Input, Key,
    Layer, LstmCell, LstmConfig, LstmState, MaskedOutput, MinGruCell, MinGruConfig, MinLstmCell, MinLstmConfig, Preset,
    Recurrent, RecurrentConfig, RnnCell, RnnConfig, States, probe,
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
    largest(found.iter().zip(expected).map(|(a, b)| a - b)) / scale
}

/// The largest absolute value; NaN if there is one, which `f64::max` would pass over.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m })
}

/// All options that change the numbers, for one cell.
fn each_layer<C: Cell>(make: impl Fn(Bias) -> RecurrentConfig<C>, f: impl FnMut(Recurrent<C>)) {
    let mut configs = Vec::new();
    let of_cell = |zoneout| if C::State::TENSORS > 1 { zoneout } else { 0.0 };
    for bias in [Bias::None, Bias::One, Bias::Two] {
        for masks in [DropoutMasks::Shared, DropoutMasks::PerGate] {
            configs.push(make(bias).with_dropout(0.3).with_recurrent_dropout(0.4).with_dropout_masks(masks));
        }
    }
    configs
        .push(make(Bias::One).with_direction(Direction::Backward).with_num_layers(2).with_zoneout(0.3, of_cell(0.2)));
    let all = make(Bias::Two).with_direction(Direction::Bidirectional).with_d_hidden([2, 3, 1]);
    let all = all.with_dropout(0.2).with_recurrent_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate);
    let all = all.with_layer_dropout(0.3).with_weight_dropout(0.3).with_zoneout(0.2, of_cell(0.3));
    configs.push(all.clone());
    configs.push(make(Bias::Two).with_layer_norm(true));
    // Of one or two sums there is nothing left but signs.
    configs.push(all.with_layer_norm(true).with_d_hidden([3, 4, 3]));
    each_config(configs, f);
}

/// One layer of each configuration, with every parameter away from where it starts.
fn each_config<C: Cell>(configs: Vec<RecurrentConfig<C>>, mut f: impl FnMut(Recurrent<C>)) {
    for config in configs {
        let layer = config.init(Key::new(11), &device());
        // Biases start at 0; give every one a value of its own.
        f(layer.map(&mut Shift(0.1)));
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

fn rnn(activation: Activation) -> impl Fn(Bias) -> RecurrentConfig<RnnCell> {
    move |bias| {
        RnnConfig::new(INPUT, HIDDEN).with_hidden_activation(activation).with_preset(Preset::Pytorch).with_bias(bias)
    }
}

fn lstm(bias: Bias) -> RecurrentConfig<LstmCell> {
    LstmConfig::new(INPUT, HIDDEN).with_bias(bias)
}

fn gru(reset_after: bool) -> impl Fn(Bias) -> RecurrentConfig<GruCell> {
    move |bias| GruConfig::new(INPUT, HIDDEN).with_reset_after(reset_after).with_bias(bias)
}

/// What single cells offer besides, and all of it together in a stack of both directions with everything else.
fn own_lstms() -> Vec<RecurrentConfig<LstmCell>> {
    let plain = || lstm(Bias::One);
    let all_projected = || {
        let config = plain().with_proj_size(Some(3)).with_peepholes(true).with_clip(Some(0.8)).with_zoneout(0.0, 0.3);
        config.with_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate).with_coupled_gates(true)
    };
    let all = plain().with_direction(Direction::Bidirectional).with_d_hidden([3, 4]).with_bias(Bias::Two);
    let all = all.with_recurrent_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate).with_dropout(0.2);
    let all = all.with_zoneout(0.2, 0.3).with_weight_dropout(0.2).with_layer_dropout(0.2);
    let all = all.with_proj_size(Some(2)).with_peepholes(true).with_clip(Some(0.8));
    vec![
        plain().with_peepholes(true),
        plain().with_coupled_gates(true),
        plain().with_coupled_gates(true).with_peepholes(true).with_recurrent_dropout(0.3),
        plain().with_proj_size(Some(3)).with_zoneout(0.3, 0.2),
        plain().with_proj_size(Some(1)).with_direction(Direction::Bidirectional).with_num_layers(2),
        all_projected().with_weight_dropout(0.2).with_direction(Direction::Backward),
        plain().with_clip(Some(0.3)),
        plain().with_gate_activation(Activation::HardSigmoid { slope: 0.2 }),
        plain().with_cell_activation(Activation::Softsign).with_hidden_activation(Activation::Linear),
        all.clone(),
        all.clone().with_coupled_gates(true),
        all.with_layer_norm(true),
    ]
}

fn own_grus() -> Vec<RecurrentConfig<GruCell>> {
    let activations = |reset_after| {
        let plain = gru(reset_after)(Bias::Two).with_gate_activation(Activation::HardSigmoid { slope: 1.0 / 6.0 });
        plain.with_hidden_activation(Activation::Elu)
    };
    vec![activations(true), activations(false), gru(true)(Bias::One).with_clip(Some(0.4))]
}

fn own_rnns() -> Vec<RecurrentConfig<RnnCell>> {
    let activations = [
        Activation::Linear,
        Activation::Sigmoid,
        Activation::HardTanh,
        Activation::LeakyRelu { slope: 0.1 },
        Activation::Softplus,
        Activation::Silu,
    ];
    let mut configs: Vec<_> = activations.into_iter().map(|activation| rnn(activation)(Bias::One)).collect();
    configs.push(rnn(Activation::Tanh)(Bias::One).with_clip(Some(0.5)));
    configs
}

/// What a cell without `W_hh` can have, with every φ that has a kernel and one that has none.
fn scans<C: Cell>(make: impl Fn(Activation) -> RecurrentConfig<C>) -> Vec<RecurrentConfig<C>> {
    let both_ways = |config: RecurrentConfig<C>| {
        let config = config.with_direction(Direction::Bidirectional).with_d_hidden([2, 3]).with_dropout(0.2);
        config.with_dropout_masks(DropoutMasks::PerGate).with_layer_dropout(0.3).with_zoneout(0.2, 0.0)
    };
    vec![
        make(Activation::Linear).with_bias(Bias::None).with_dropout(0.3),
        make(Activation::Linear).with_direction(Direction::Backward).with_zoneout(0.3, 0.0),
        both_ways(make(Activation::Positive)),
        make(Activation::Tanh),
        both_ways(make(Activation::Linear)).with_layer_norm(true),
    ]
}

fn min_grus() -> Vec<RecurrentConfig<MinGruCell>> {
    scans(|activation| MinGruConfig::new(INPUT, HIDDEN).with_hidden_activation(activation))
}

fn min_lstms() -> Vec<RecurrentConfig<MinLstmCell>> {
    scans(|activation| MinLstmConfig::new(INPUT, HIDDEN).with_hidden_activation(activation))
}

/// How many numbers all initial states of a layer have.
fn state_size<C: Naive>(layer: &Recurrent<C>) -> usize {
    let config = &layer.config;
    let one = |&n: &usize| config.cell.proj_size().unwrap_or(n) + (C::STATE_TENSORS - 1) * n;
    BATCH * config.direction.count() * config.d_hidden.iter().map(one).sum::<usize>()
}

/// Initial states whose tensors hold `base`, one after the other.
fn states<C: Cell>(layer: &Recurrent<C>, base: &[f64]) -> States<C::State> {
    let mut rest = base;
    let all = layer.layers.iter().map(|weights| {
        let d_hidden = weights.weight_ih.dims()[1] / layer.config.cell.gates();
        let d_output = layer.config.cell.proj_size().unwrap_or(d_hidden);
        C::State::zeros(BATCH, d_hidden, d_output, &device()).map(|zeros| {
            let shape = zeros.dims();
            let (part, after) = rest.split_at(shape[0] * shape[1]);
            rest = after;
            tensor(part, shape).require_grad()
        })
    });
    States::new(layer.config.direction, all.collect())
}

/// Every tensor of every state.
fn tensors<S: CellState>(states: &States<S>) -> Vec<Tensor<2>> {
    let mut all = Vec::new();
    for state in states.each() {
        let _ = state.clone().map(|t| {
            all.push(t.clone());
            t
        });
    }
    all
}

fn state_values<S: CellState>(states: &States<S>) -> Vec<f64> {
    tensors(states).into_iter().flat_map(to_vec).collect()
}

fn counted_by(lengths: &[usize]) -> Vec<bool> {
    lengths.iter().flat_map(|&length| (0..TIME).map(move |t| t < length)).collect()
}

fn check_forward<C: Cell + Naive>(layer: Recurrent<C>) {
    let x = values(Key::new(1), BATCH * TIME * INPUT);
    let s = values(Key::new(2), state_size(&layer));
    let check = |args: ForwardArgs<C::State>, counted: &[bool]| {
        for key in [None, Some(Key::new(3))] {
            let args = args.clone().with_state(states(&layer, &s)).with_dropout_key(key);
            let run = || layer.forward_with(tensor(&x, [BATCH, TIME, INPUT]), args.clone());
            let (sequence, last) = naive::run(&layer, &x, &s, counted, BATCH, key);
            // As it comes, on a fused kernel if there is one, and step by step, which a probe asks for.
            for out in [run(), probe::record(run).0] {
                assert!(worst(&to_vec(out.sequence), &sequence) < 1e-13, "{:?}", layer.config);
                assert!(worst(&state_values(&out.state), &last) < 1e-13, "{:?}", layer.config);
            }
        }
    };
    check(ForwardArgs::default(), &[true; BATCH * TIME]);
    for lengths in [[5, 1, 3], [0, 5, 2]] {
        check(ForwardArgs::default().with_lengths(&lengths), &counted_by(&lengths));
    }
    // Padded in front, with holes, nothing at all.
    let mask = [[false, false, true, true, true], [true, false, true, false, true], [false; 5]].concat();
    check(ForwardArgs::default().with_mask(&mask), &mask);
}

#[test]
fn forward_equals_the_equations() {
    each_layer(rnn(Activation::Tanh), check_forward);
    each_layer(rnn(Activation::Relu), check_forward);
    each_layer(lstm, check_forward);
    each_layer(gru(true), check_forward);
    each_layer(gru(false), check_forward);
    each_config(own_rnns(), check_forward);
    each_config(own_lstms(), check_forward);
    each_config(own_grus(), check_forward);
    each_config(min_grus(), check_forward);
    each_config(min_lstms(), check_forward);
}
