//! The layers against plain loops over the equations, and their gradients against differences, all in f64.
//!
//! A process has one default dtype, so these tests have a binary of their own.

mod naive;

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Gradients, Tensor, TensorData};
use naive::Naive;
use rnn_core::cell::Cell;
use rnn_core::{
    Activation, Bias, CellState, Direction, DropoutMasks, ForwardArgs, GruCell, GruConfig, HiddenState, Key, Layer,
    LstmCell, LstmConfig, LstmState, MaskedOutput, Preset, Recurrent, RecurrentConfig, RnnCell, RnnConfig, States,
    probe, windows,
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
    for bias in [Bias::None, Bias::One, Bias::Two] {
        for masks in [DropoutMasks::Shared, DropoutMasks::PerGate] {
            configs.push(make(bias).with_dropout(0.3).with_recurrent_dropout(0.4).with_dropout_masks(masks));
        }
    }
    configs.push(make(Bias::One).with_direction(Direction::Backward).with_num_layers(2).with_zoneout(0.3, 0.2));
    let all = make(Bias::Two).with_direction(Direction::Bidirectional).with_d_hidden([2, 3, 1]);
    let all = all.with_dropout(0.2).with_recurrent_dropout(0.2).with_dropout_masks(DropoutMasks::PerGate);
    let all = all.with_layer_dropout(0.3).with_weight_dropout(0.3).with_zoneout(0.2, 0.3);
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
        let [d_output, width] = weights.weight_hh.dims();
        C::State::zeros(BATCH, width / layer.config.cell.gates(), d_output, &device()).map(|zeros| {
            let shape = zeros.dims();
            let (part, after) = rest.split_at(shape[0] * shape[1]);
            rest = after;
            tensor(part, shape).require_grad()
        })
    });
    States(all.collect())
}

/// Every tensor of every state.
fn tensors<S: CellState>(states: &States<S>) -> Vec<Tensor<2>> {
    let mut all = Vec::new();
    for state in &states.0 {
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
            let args = args.clone().with_state(states(&layer, &s)).with_dropout(key);
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
}

/// A scalar that depends on every output and every final state with weights of its own.
fn loss<C: Cell>(layer: &Recurrent<C>, x: Tensor<3>, s: States<C::State>) -> Tensor<1> {
    let lengths = [5, 2, 4];
    let args = ForwardArgs::default().with_state(s).with_lengths(&lengths).with_dropout(Some(Key::new(3)));
    let out = layer.forward_with(x, args);
    let weigh = |number: usize, n: usize| values(Key::new(21 + number as u64), n);
    let shape = out.sequence.dims();
    let mut sum = (out.sequence * tensor(&weigh(0, shape.iter().product()), shape)).sum();
    for (number, t) in tensors(&out.state).into_iter().enumerate() {
        let shape = t.dims();
        sum = sum + (t * tensor(&weigh(number + 1, shape.iter().product()), shape)).sum();
    }
    sum
}

/// The largest difference between `gradient` and (f(v+e) − f(v−e)) / 2e, over the gradient's largest value. At most
/// eight elements are tried, from all over `v`.
fn from_differences(gradient: &[f64], v: &[f64], f: impl Fn(&[f64]) -> f64) -> f64 {
    assert_eq!(gradient.len(), v.len());
    let e = 1e-6;
    let difference = |i: usize| {
        let mut w = v.to_vec();
        w[i] += e;
        let up = f(&w);
        w[i] -= 2.0 * e;
        (up - f(&w)) / (2.0 * e)
    };
    let scale = gradient.iter().fold(1e-300, |m: f64, x| m.max(x.abs()));
    let tried = (0..v.len()).step_by(v.len().div_ceil(8));
    largest(tried.map(|i| difference(i) - gradient[i])) / scale
}

const PARAMETERS: [&str; 12] =
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh", "0", "1", "2", "3", "4"];

/// The values and the gradient of a parameter, if the layer has it.
fn parameter(layer: &Layer, name: &str, grads: &Gradients) -> Option<(Vec<f64>, Vec<f64>)> {
    fn both<const D: usize>(param: &Param<Tensor<D>>, grads: &Gradients) -> (Vec<f64>, Vec<f64>) {
        (to_vec(param.val()), to_vec(param.val().grad(grads).expect("gradient")))
    }
    match name {
        "weight_ih" => Some(both(&layer.weight_ih, grads)),
        "weight_hh" => Some(both(&layer.weight_hh, grads)),
        "bias_ih" => layer.bias_ih.as_ref().map(|bias| both(bias, grads)),
        "bias_hh" => layer.bias_hh.as_ref().map(|bias| both(bias, grads)),
        "weight_hr" => layer.weight_hr.as_ref().map(|weight| both(weight, grads)),
        "norm_ih" => layer.norm_ih.as_ref().map(|gain| both(gain, grads)),
        "norm_hh" => layer.norm_hh.as_ref().map(|gain| both(gain, grads)),
        own => layer.vectors.get(own.parse::<usize>().expect("a number")).map(|vector| both(vector, grads)),
    }
}

fn set(layer: &mut Layer, name: &str, v: &[f64]) {
    fn replace<const D: usize>(param: &mut Param<Tensor<D>>, v: &[f64]) {
        *param = Param::from_tensor(tensor(v, param.val().dims()));
    }
    let there = "what has a gradient is there";
    match name {
        "weight_ih" => replace(&mut layer.weight_ih, v),
        "weight_hh" => replace(&mut layer.weight_hh, v),
        "bias_ih" => replace(layer.bias_ih.as_mut().expect(there), v),
        "bias_hh" => replace(layer.bias_hh.as_mut().expect(there), v),
        "weight_hr" => replace(layer.weight_hr.as_mut().expect(there), v),
        "norm_ih" => replace(layer.norm_ih.as_mut().expect(there), v),
        "norm_hh" => replace(layer.norm_hh.as_mut().expect(there), v),
        own => replace(&mut layer.vectors[own.parse::<usize>().expect("a number")], v),
    }
}

fn check_gradients<C: Cell + Naive>(layer: Recurrent<C>) {
    let x = values(Key::new(1), BATCH * TIME * INPUT);
    let s = values(Key::new(2), state_size(&layer));
    let scalar = |layer: &Recurrent<C>, x: &[f64], s: &[f64]| {
        loss(layer, tensor(x, [BATCH, TIME, INPUT]), states(layer, s)).into_scalar::<f64>()
    };
    let input = tensor(&x, [BATCH, TIME, INPUT]).require_grad();
    let start = states(&layer, &s);
    let grads = loss(&layer, input.clone(), start.clone()).backward();

    // Fused kernels, where there are any, and the steps one by one give the same.
    let step_by_step = probe::record(|| loss(&layer, input.clone(), start.clone())).0.backward();
    let same = |what: &str, a: &[f64], b: &[f64]| assert!(worst(a, b) < 1e-12, "{what} of {:?}", layer.config);
    let of_input = |grads| to_vec(input.grad(grads).expect("input gradient"));
    same("input", &of_input(&grads), &of_input(&step_by_step));
    for t in tensors(&start) {
        let of_state = |grads| to_vec(t.grad(grads).expect("state gradient"));
        same("initial state", &of_state(&grads), &of_state(&step_by_step));
    }
    for (weights, name) in layer.layers.iter().flat_map(|weights| PARAMETERS.map(|name| (weights, name))) {
        if let (Some(a), Some(b)) = (parameter(weights, name, &grads), parameter(weights, name, &step_by_step)) {
            same(name, &a.1, &b.1);
        }
    }

    let found = to_vec(input.grad(&grads).expect("input gradient"));
    let error = from_differences(&found, &x, |x| scalar(&layer, x, &s));
    assert!(error < 1e-7, "input of {:?}", layer.config);

    let found: Vec<f64> =
        tensors(&start).iter().flat_map(|t| to_vec(t.grad(&grads).expect("state gradient"))).collect();
    let error = from_differences(&found, &s, |s| scalar(&layer, &x, s));
    assert!(error < 1e-7, "initial states of {:?}", layer.config);

    for number in 0..layer.layers.len() {
        for name in PARAMETERS {
            let Some((v, found)) = parameter(&layer.layers[number], name, &grads) else { continue };
            let error = from_differences(&found, &v, |v| {
                let mut changed = layer.clone();
                set(&mut changed.layers[number], name, v);
                scalar(&changed, &x, &s)
            });
            assert!(error < 1e-7, "{name} of layer {number} of {:?}", layer.config);
        }
    }
}

#[test]
fn gradients_equal_differences() {
    each_layer(rnn(Activation::Tanh), check_gradients);
    each_layer(lstm, check_gradients);
    each_layer(gru(true), check_gradients);
    each_layer(gru(false), check_gradients);
    each_config(own_rnns(), check_gradients);
    each_config(own_lstms(), check_gradients);
    each_config(own_grus(), check_gradients);
}

#[test]
fn steps_one_by_one_equal_the_sequence() {
    let layer = lstm(Bias::One).with_num_layers(2).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let whole = layer.forward(x.clone());
    let mut state: Option<States<_>> = None;
    for t in 0..TIME {
        let input = x.clone().slice_dim(1, t..t + 1).squeeze_dim(1);
        state = Some(layer.step(input, state));
    }
    let state = state.expect("TIME is not 0");
    assert_eq!(state_values(&state), state_values(&whole.state), "the same operations, so the same bits");
}

#[test]
fn two_windows_with_carried_state_equal_the_whole() {
    let layer = gru(true)(Bias::Two).with_num_layers(2).with_zoneout(0.2, 0.0).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let whole = layer.forward(x.clone());
    let first = layer.forward(x.clone().slice_dim(1, 0..2));
    let args = ForwardArgs::default().with_state(first.state.clone().detach());
    let second = layer.forward_with(x.clone().slice_dim(1, 2..TIME), args);
    let together = Tensor::cat(vec![first.sequence, second.sequence], 1);
    assert_eq!(to_vec(together), to_vec(whole.sequence));
    assert_eq!(state_values(&second.state), state_values(&whole.state));
    let lengths: Vec<usize> = windows(x.clone(), 2).map(|window| window.dims()[1]).collect();
    assert_eq!(lengths, [2, 2, 1]);
    // A row whose document ended starts anew.
    let reset = first.state.reset(&[false, true, false]);
    let expected = tensors(&layer.forward(x.slice_dim(1, 0..2)).state);
    for (found, before) in tensors(&reset).into_iter().zip(expected) {
        let (found, before) = (to_vec(found), to_vec(before));
        assert_eq!(found[..HIDDEN], before[..HIDDEN]);
        assert_eq!(found[HIDDEN..2 * HIDDEN], [0.0; HIDDEN]);
        assert_eq!(found[2 * HIDDEN..], before[2 * HIDDEN..]);
    }
}

#[test]
fn a_permuted_batch_gives_a_permuted_result() {
    let layer = lstm(Bias::Two).with_direction(Direction::Bidirectional).with_num_layers(2);
    let layer = layer.with_peepholes(true).with_proj_size(Some(3)).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let (lengths, order) = ([3, 5, 1], [2, 0, 1]);
    let rows = |t: Tensor<3>| Tensor::cat(order.map(|row| t.clone().slice_dim(0, row..row + 1)).to_vec(), 0);
    let a = layer.forward_with(x.clone(), ForwardArgs::default().with_lengths(&lengths));
    let b = layer.forward_with(rows(x), ForwardArgs::default().with_lengths(&order.map(|row| lengths[row])));
    assert!(worst(&to_vec(rows(a.sequence)), &to_vec(b.sequence)) < 1e-15);
    for (a, b) in tensors(&a.state).into_iter().zip(tensors(&b.state)) {
        assert!(worst(&to_vec(rows(a.unsqueeze_dim(1))), &to_vec(b)) < 1e-15);
    }
}

#[test]
fn a_probe_sees_what_happens_and_changes_nothing() {
    let layer = gru(true)(Bias::Two).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let plain = layer.forward(x.clone());
    let (seen, traces) = probe::record(|| layer.forward(x.clone()));
    assert!(worst(&to_vec(seen.sequence.clone()), &to_vec(plain.sequence.clone())) < 1e-14);
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].names(), ["r", "z", "n", "h"]);
    assert!(traces[0].values("f").is_none());
    let hidden = traces[0].values("h").expect("h").swap_dims(0, 1);
    assert_eq!(to_vec(hidden), to_vec(seen.sequence.clone()));
    // h' = (1−z)∘n + z∘h, from what was seen of the gates.
    let at = |name: &str, t: usize| to_vec(traces[0].values(name).expect("seen").slice_dim(0, t..t + 1));
    let (z, n, before, after) = (at("z", 3), at("n", 3), at("h", 2), at("h", 3));
    let again: Vec<f64> = (0..z.len()).map(|i| (1.0 - z[i]) * n[i] + z[i] * before[i]).collect();
    assert!(worst(&again, &after) < 1e-15);

    // ∂L/∂h_2 is the gradient of the state with which the second of two windows starts, and what h_2 adds as an output.
    let weigh = |t: Tensor<3>| {
        let shape = t.dims();
        (t * tensor(&values(Key::new(7), TIME * BATCH * HIDDEN)[..shape.iter().product()], shape)).sum()
    };
    let loss = weigh(seen.sequence.slice_dim(1, 3..TIME));
    let found = traces[0].gradients("h", &loss.backward()).expect("differentiable");
    let first = layer.forward(x.clone().slice_dim(1, 0..3)).state.detach();
    let start = first.last().hidden.clone().require_grad();
    let args = ForwardArgs::default().with_state(HiddenState { hidden: start.clone() });
    let second = layer.forward_with(x.slice_dim(1, 3..TIME), args);
    let expected = start.grad(&weigh(second.sequence).backward()).expect("gradient");
    assert!(worst(&to_vec(found.slice_dim(0, 2..3)), &to_vec(expected)) < 1e-14);

    // In a stack of both directions each pass has a trace, its steps in the order of time.
    let both = lstm(Bias::One).with_direction(Direction::Bidirectional).with_num_layers(2);
    let both = both.init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let (output, traces) = probe::record(|| both.forward(x));
    let passes: Vec<(usize, bool)> = traces.iter().map(|trace| (trace.layer, trace.reverse)).collect();
    assert_eq!(passes, [(0, false), (0, true), (1, false), (1, true)]);
    assert_eq!(traces[0].names(), ["i", "f", "g", "c", "o", "h"]);
    let backward = traces[3].values("h").expect("h").swap_dims(0, 1);
    assert_eq!(to_vec(backward), to_vec(output.sequence.clone().slice_dim(2, HIDDEN..2 * HIDDEN)));
    let gradients = output.sequence.slice_dim(1, 0..1).sum().backward();
    let norms = traces[2].gradient_norms("h", &gradients).expect("differentiable");
    assert!(norms[0] > 0.0 && norms[1..] == [0.0; TIME - 1], "the first output sees no later step: {norms:?}");
    let norms = traces[3].gradient_norms("c", &gradients).expect("differentiable");
    assert!(norms.iter().all(|&norm| norm > 0.0), "the backward pass ends there: {norms:?}");
}

#[test]
fn time_may_come_first() {
    let config = lstm(Bias::One).with_num_layers(2);
    let (layer, other) =
        (config.init(Key::new(5), &device()), config.with_time_major(true).init(Key::new(5), &device()));
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let lengths = [3, 5, 1];
    let args = || ForwardArgs::default().with_lengths(&lengths);
    let (a, b) = (layer.forward_with(x.clone(), args()), other.forward_with(x.clone().swap_dims(0, 1), args()));
    assert_eq!(to_vec(a.sequence.swap_dims(0, 1)), to_vec(b.sequence));
    assert_eq!(state_values(&a.state), state_values(&b.state));
    let first: Tensor<2> = x.slice_dim(1, 0..1).squeeze_dim(1);
    assert_eq!(state_values(&layer.step(first.clone(), None)), state_values(&other.step(first, None)));
}

#[test]
fn a_backward_layer_is_a_forward_one_on_the_reversed_input() {
    let forward = lstm(Bias::One).init(Key::new(5), &device());
    let backward = lstm(Bias::One).with_direction(Direction::Backward).init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let a = forward.forward(x.clone().flip([1]));
    let b = backward.forward(x);
    assert_eq!(to_vec(a.sequence.flip([1])), to_vec(b.sequence));
    assert_eq!(state_values(&a.state), state_values(&b.state));
}

#[test]
fn a_padded_batch_equals_its_rows_alone() {
    let config = gru(true)(Bias::Two).with_num_layers(2).with_direction(Direction::Bidirectional);
    let layer = config.init(Key::new(5), &device());
    let x = tensor(&values(Key::new(1), BATCH * TIME * INPUT), [BATCH, TIME, INPUT]);
    let x = x.require_grad();
    let lengths = [3, 5, 1];
    let batch = layer.forward_with(x.clone(), ForwardArgs::default().with_lengths(&lengths));
    // The gradients of a row are those of the row alone, and the weights' are the sum of all rows'.
    let weights = tensor(&values(Key::new(7), BATCH * TIME * 2 * HIDDEN), [BATCH, TIME, 2 * HIDDEN]);
    let loss = |sequence: Tensor<3>, states: &States<HiddenState>, row: usize| {
        let [rows, time, _] = sequence.dims();
        let ends = tensors(states).into_iter().map(|t| t.sum()).reduce(|a, b| a + b).expect("states");
        (sequence * weights.clone().slice_dim(0, row..row + rows).slice_dim(1, 0..time)).sum() + ends
    };
    let of_batch = loss(batch.sequence.clone(), &batch.state, 0).backward();
    let of_parameters = |grads: &Gradients| -> Vec<f64> {
        let all = layer.layers.iter().flat_map(|weights| PARAMETERS.map(|name| (weights, name)));
        all.filter_map(|(weights, name)| parameter(weights, name, grads)).flat_map(|(_, grad)| grad).collect()
    };
    let mut sum = vec![0.0; of_parameters(&of_batch).len()];
    for (row, length) in lengths.into_iter().enumerate() {
        let alone_x = tensor(&to_vec(x.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..length)), [1, length, INPUT]);
        let alone_x = alone_x.require_grad();
        let alone = layer.forward(alone_x.clone());
        let grads = loss(alone.sequence.clone(), &alone.state, row).backward();
        sum.iter_mut().zip(of_parameters(&grads)).for_each(|(sum, grad)| *sum += grad);
        let ours = x.grad(&of_batch).expect("gradient").slice_dim(0, row..row + 1);
        let expected = to_vec(alone_x.grad(&grads).expect("gradient"));
        assert!(worst(&to_vec(ours.clone().slice_dim(1, 0..length)), &expected) < 1e-14);
        assert!(to_vec(ours).into_iter().skip(length * INPUT).all(|grad| grad == 0.0));
        let ours = batch.sequence.clone().slice_dim(0, row..row + 1);
        assert!(worst(&to_vec(ours.clone().slice_dim(1, 0..length)), &to_vec(alone.sequence)) < 1e-15);
        assert!(to_vec(ours).into_iter().skip(length * 2 * HIDDEN).all(|v| v == 0.0));
        for (ours, alone) in tensors(&batch.state).into_iter().zip(tensors(&alone.state)) {
            assert!(worst(&to_vec(ours.slice_dim(0, row..row + 1)), &to_vec(alone)) < 1e-15);
        }
    }
    assert!(worst(&of_parameters(&of_batch), &sum) < 1e-14);
    let x = x.detach();
    // The same rows padded in front, with a mask.
    let pad = |row: usize| {
        let real = x.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..lengths[row]);
        let zeros = Tensor::zeros([1, TIME - lengths[row], INPUT], &device());
        Tensor::cat(vec![zeros, real], 1)
    };
    let front = Tensor::cat((0..BATCH).map(pad).collect(), 0);
    let mask: Vec<bool> = lengths.iter().flat_map(|&l| (0..TIME).map(move |t| t >= TIME - l)).collect();
    let masked = layer.forward_with(front.clone(), ForwardArgs::default().with_mask(&mask));
    assert!(worst(&state_values(&masked.state), &state_values(&batch.state)) < 1e-15);
    // Keras' way: at steps that do not count the output before is given again.
    let one = gru(true)(Bias::Two).init(Key::new(5), &device());
    let x = x.slice_dim(0, 0..1);
    let mask = [false, true, false, false, true];
    let args = ForwardArgs::default().with_mask(&mask).with_masked_output(MaskedOutput::Previous);
    let out = to_vec(one.forward_with(x, args).sequence);
    let step = |t: usize| &out[t * HIDDEN..(t + 1) * HIDDEN];
    assert_eq!(step(0), [0.0; HIDDEN]);
    assert_eq!((step(2), step(3)), (step(1), step(1)));
    assert_ne!(step(4), step(1));
}

#[test]
fn symbols_are_one_hot_rows() {
    let symbols: Vec<u32> = (0..BATCH * TIME).map(|i| (i * 7 % 5) as u32).collect();
    let one_hot: Vec<f64> =
        symbols.iter().flat_map(|&symbol| (0..5).map(move |i| f64::from(u8::from(i == symbol)))).collect();
    let lengths = [5, 2, 4];
    let plain = LstmConfig::new(5, HIDDEN).with_direction(Direction::Bidirectional).with_num_layers(2);
    // Input dropout and normalisation are those of the one-hot rows.
    for config in [plain.clone(), plain.clone().with_dropout(0.3), plain.with_layer_norm(true)] {
        let layer = config.init(Key::new(5), &device());
        let args = || ForwardArgs::default().with_lengths(&lengths).with_dropout(Some(Key::new(3)));
        let loss = |out: &rnn_core::Output<LstmState>| {
            let shape = out.sequence.dims();
            (out.sequence.clone() * tensor(&values(Key::new(7), shape.iter().product()), shape)).sum()
        };
        let dense = layer.forward_with(tensor(&one_hot, [BATCH, TIME, 5]), args());
        let expected = loss(&dense).backward();
        let run = || layer.forward_symbols(&symbols, [BATCH, TIME], args());
        for found in [run(), probe::record(run).0] {
            assert!(worst(&to_vec(found.sequence.clone()), &to_vec(dense.sequence.clone())) < 1e-14);
            assert!(worst(&state_values(&found.state), &state_values(&dense.state)) < 1e-14);
            let grads = loss(&found).backward();
            for weights in &layer.layers {
                for name in ["weight_ih", "weight_hh", "bias_ih"] {
                    let (_, found) = parameter(weights, name, &grads).expect("there");
                    let (_, expected) = parameter(weights, name, &expected).expect("there");
                    assert!(worst(&found, &expected) < 1e-13, "{name}");
                }
            }
        }
    }
}
