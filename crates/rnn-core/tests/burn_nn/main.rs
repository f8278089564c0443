//! Against burn-nn: the same weights in both give the same outputs, final states and gradients, and come back
//! unchanged.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::activation::ActivationConfig;
use burn::nn::{self, GateController, Linear};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rnn_core::weights::{BurnCell, WeightError};
use rnn_core::{
    Activation, Bias, CellState, Direction, ForwardArgs, Gru, GruConfig, Key, Lstm, LstmConfig, Output, Preset,
    Recurrent, RecurrentConfig, Rnn, RnnConfig, States, probe,
};

/// The largest difference over the largest value, per tensor.
const TOLERANCE: f64 = 1e-6;

const BATCH: usize = 3;
const TIME: usize = 4;
const D_INPUT: usize = 2;
const D_HIDDEN: usize = 3;

fn device() -> Device {
    Device::default().autodiff()
}

/// sin(0.7·i + phase) at the i-th element.
fn wave<const D: usize>(shape: [usize; D], phase: f64) -> Tensor<D> {
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

fn filled<M: Module>(module: M) -> M {
    module.map(&mut Fill(0.0))
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

fn same<const D: usize>(what: &str, ours: Tensor<D>, theirs: Tensor<D>) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let (ours, theirs) = (to_vec(ours), to_vec(theirs));
    let scale = theirs.iter().fold(1e-30, |m: f64, x| m.max(f64::from(x.abs())));
    // `max` passes over NaN.
    assert!(ours.iter().all(|x| x.is_finite()), "{what} is not finite");
    let error = ours.iter().zip(&theirs).fold(0.0, |m: f64, (a, b)| m.max(f64::from((a - b).abs()))) / scale;
    assert!(error <= TOLERANCE, "{what}: {error:e}");
}

/// What both libraries gave: the outputs, and the final states stacked, h first.
struct Given {
    sequence: Tensor<3>,
    states: Vec<Tensor<3>>,
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
fn start<S: CellState>(direction: Direction) -> States<S> {
    let state = |direction| {
        let mut number = 0;
        S::zeros(BATCH, D_HIDDEN, D_HIDDEN, &device()).map(|zeros| {
            number += 1;
            wave(zeros.dims(), 0.3 * direction as f64 + 0.1 * f64::from(number))
        })
    };
    States::new(direction, (0..direction.count()).map(state).collect())
}

fn compare<'a, C: BurnCell>(
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

fn weights<C: BurnCell>(layer: &Recurrent<C>) -> Vec<f32> {
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
fn ours<C: BurnCell>(config: RecurrentConfig<C>) -> Recurrent<C> {
    config.with_preset(Preset::Pytorch).init(Key::new(7), &device())
}

fn gates_of_lstm(lstm: &nn::Lstm) -> Vec<&GateController> {
    let gates = [Some(&lstm.input_gate), lstm.forget_gate.as_ref(), Some(&lstm.cell_gate), Some(&lstm.output_gate)];
    gates.into_iter().flatten().collect()
}

fn gates_of_gru(gru: &nn::Gru) -> Vec<&GateController> {
    vec![&gru.reset_gate, &gru.update_gate, &gru.new_gate]
}

#[test]
fn rnns_are_the_same_both_ways() {
    for (activation, bias, reverse, batch_first, clip) in [
        (ActivationConfig::Tanh, true, false, true, None),
        (ActivationConfig::Relu, true, true, true, None),
        (ActivationConfig::Tanh, false, true, false, Some(0.4)),
    ] {
        let config = nn::RnnConfig::new(D_INPUT, D_HIDDEN, bias).with_hidden_activation(activation).with_clip(clip);
        let theirs = filled(config.with_reverse(reverse).with_batch_first(batch_first).init(&device()));
        let layer = Rnn::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Rnn| {
            compare("rnn", &layer, &[vec![&theirs.gate]], |x| {
                let state = nn::RnnState::new(start::<rnn_core::HiddenState>(Direction::Forward).hidden());
                let (sequence, state) = theirs.forward(x, Some(state));
                Given { sequence, states: vec![state.hidden.unsqueeze()] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Rnn::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn lstms_are_the_same_both_ways() {
    for (bias, reverse, batch_first, coupled, clip) in [
        (true, false, true, false, None),
        (true, true, false, false, None),
        (false, true, true, false, Some(0.4)),
        (true, false, true, true, None),
    ] {
        let config = nn::LstmConfig::new(D_INPUT, D_HIDDEN, bias).with_reverse(reverse).with_batch_first(batch_first);
        let config = config.with_input_forget(coupled).with_clip(clip);
        let theirs = filled(config.init(&device()));
        let layer = Lstm::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Lstm| {
            compare("lstm", &layer, &[gates_of_lstm(theirs)], |x| {
                let start = start::<rnn_core::LstmState>(Direction::Forward).last_layer()[0].clone();
                let (sequence, state) = theirs.forward(x, Some(nn::LstmState::new(start.cell, start.hidden)));
                Given { sequence, states: vec![state.hidden.unsqueeze(), state.cell.unsqueeze()] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Lstm::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn grus_are_the_same_both_ways() {
    for (bias, reset_after, clip) in [(true, true, None), (true, false, None), (false, true, Some(0.4))] {
        let config = nn::GruConfig::new(D_INPUT, D_HIDDEN, bias).with_reset_after(reset_after).with_clip(clip);
        let theirs = filled(config.init(&device()));
        let layer = Gru::from_burn(&theirs).expect("the same layer");
        let check = |theirs: &nn::Gru| {
            compare("gru", &layer, &[gates_of_gru(theirs)], |x| {
                let state = start::<rnn_core::HiddenState>(Direction::Forward).hidden();
                let sequence = theirs.forward(x, Some(state));
                let last = sequence.clone().slice_dim(1, TIME - 1..TIME).swap_dims(0, 1);
                Given { sequence, states: vec![last] }
            });
        };
        check(&theirs);
        let there = layer.to_burn().expect("the same layer");
        check(&there);
        let back = Gru::from_burn(&there).expect("the same layer");
        assert_eq!(back.config, layer.config);
        assert_eq!(weights(&back), weights(&layer));
    }
}

#[test]
fn both_directions_are_the_same_both_ways() {
    for (bias, batch_first) in [(true, true), (false, false)] {
        let config = nn::BiRnnConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Rnn::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("birnn", &layer, &[vec![&theirs.forward.gate], vec![&theirs.reverse.gate]], |x| {
                let states = start::<rnn_core::HiddenState>(Direction::Bidirectional)
                    .into_vec()
                    .into_iter()
                    .map(|state| state.hidden)
                    .collect();
                let (sequence, state) = theirs.forward(x, Some(nn::RnnState::new(Tensor::stack(states, 0))));
                Given { sequence, states: vec![state.hidden] }
            });
        }
        let config = nn::BiLstmConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Lstm::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("bilstm", &layer, &[gates_of_lstm(&theirs.forward), gates_of_lstm(&theirs.reverse)], |x| {
                let states = start::<rnn_core::LstmState>(Direction::Bidirectional).into_vec();
                let stack = |of: fn(&rnn_core::LstmState) -> &Tensor<2>| -> Tensor<3> {
                    Tensor::stack(states.iter().map(|state| of(state).clone()).collect(), 0)
                };
                let state = nn::LstmState::new(stack(|state| &state.cell), stack(|state| &state.hidden));
                let (sequence, state) = theirs.forward(x, Some(state));
                Given { sequence, states: vec![state.hidden, state.cell] }
            });
        }
        let config = nn::BiGruConfig::new(D_INPUT, D_HIDDEN, bias).with_batch_first(batch_first);
        let theirs = filled(config.init(&device()));
        let layer = Gru::from_burn_bidirectional(&theirs).expect("the same layer");
        for theirs in [theirs, layer.to_burn_bidirectional().expect("the same layer")] {
            compare("bigru", &layer, &[gates_of_gru(&theirs.forward), gates_of_gru(&theirs.reverse)], |x| {
                let states = start::<rnn_core::HiddenState>(Direction::Bidirectional)
                    .into_vec()
                    .into_iter()
                    .map(|state| state.hidden)
                    .collect();
                let (sequence, state) = theirs.forward(x, Some(Tensor::stack(states, 0)));
                Given { sequence, states: vec![state] }
            });
        }
    }
}

#[test]
fn a_record_goes_through_its_module() {
    let trained = ours(LstmConfig::new(D_INPUT, D_HIDDEN));
    let record = trained.to_burn().expect("the same layer").into_record();
    // What a program on burn-nn does with a record, and what one on this crate does with a record of burn-nn.
    let theirs = nn::LstmConfig::new(D_INPUT, D_HIDDEN, true).init(&device()).load_record(record);
    let back = Lstm::from_burn(&theirs).expect("the same layer");
    assert_eq!(weights(&back), weights(&trained));

    // One bias becomes two, or the record would not fit; the sums are the same.
    let one = ours(GruConfig::new(D_INPUT, D_HIDDEN)).layers;
    let one = Gru {
        layers: one.into_iter().map(|layer| rnn_core::Layer { bias_hh: None, ..layer }).collect(),
        config: GruConfig::new(D_INPUT, D_HIDDEN).with_bias(Bias::One),
    };
    let record = one.to_burn().expect("the same layer").into_record();
    let theirs = nn::GruConfig::new(D_INPUT, D_HIDDEN, true).init(&device()).load_record(record);
    let x = wave([BATCH, TIME, D_INPUT], 1.0);
    same("one bias", one.forward(x.clone()).sequence, theirs.forward(x, None));
}

#[test]
fn what_cannot_be_converted_is_told() {
    let message = |result: Result<(), WeightError>| result.expect_err("wrong on purpose").to_string();
    let lstm = |config: nn::LstmConfig| message(Lstm::from_burn(&config.init(&device())).map(drop));
    let config = || nn::LstmConfig::new(D_INPUT, D_HIDDEN, true);
    let no = "rnn-core has no layer with";
    let gelu = || ActivationConfig::GeluApproximate;
    assert_eq!(
        lstm(config().with_clip(Some(f64::INFINITY))),
        format!("{no} a clip that is not a finite number above zero")
    );
    for config in [
        config().with_gate_activation(gelu()),
        config().with_cell_activation(gelu()),
        config().with_hidden_activation(gelu()),
    ] {
        assert_eq!(lstm(config), format!("{no} such an activation"));
    }

    let mut some = config().init(&device());
    some.cell_gate.hidden_transform.bias = None;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} biases in some gates only"));
    some.cell_gate = nn::LstmConfig::new(D_INPUT, 5, true).init(&device()).cell_gate;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} gates of different shapes"));
    some.forget_gate = None;
    assert_eq!(message(Lstm::from_burn(&some).map(drop)), format!("{no} no forget gate"));
    let mut both = nn::BiGruConfig::new(D_INPUT, D_HIDDEN, true).init(&device());
    both.reverse.reset_after = false;
    let told = message(Gru::from_burn_bidirectional(&both).map(drop));
    assert_eq!(told, format!("{no} directions of different options"));
    let mut both = nn::BiLstmConfig::new(D_INPUT, D_HIDDEN, true).init(&device());
    both.forward.reverse = true;
    let told = message(Lstm::from_burn_bidirectional(&both).map(drop));
    assert_eq!(told, format!("{no} halves of a bidirectional module that turn their input themselves"));

    let lstm = |config: LstmConfig| message(ours(config).to_burn().map(drop));
    let config = || LstmConfig::new(D_INPUT, D_HIDDEN);
    assert_eq!(lstm(config().with_peepholes(true)), "burn-nn has no layer with peepholes");
    assert_eq!(lstm(config().with_proj_size(Some(2))), "burn-nn has no layer with a projection");
    let norm = "burn-nn has no layer with layer normalisation inside the cell";
    assert_eq!(lstm(config().with_layer_norm(true)), norm);
    let silu = config().with_gate_activation(Activation::Silu);
    assert_eq!(lstm(silu), "burn-nn has no layer with such an activation");

    let gru = |config: GruConfig| message(ours(config).to_burn().map(drop));
    let config = || GruConfig::new(D_INPUT, D_HIDDEN);
    let no = "burn-nn has no layer with";
    assert_eq!(gru(config().with_num_layers(2)), format!("{no} a stack; convert layer by layer"));
    assert_eq!(gru(config().with_direction(Direction::Backward)), format!("{no} a backward GRU"));
    assert_eq!(gru(config().with_time_major(true)), format!("{no} a GRU whose time comes first"));
    let both = format!("{no} both directions in one module; use to_burn_bidirectional");
    assert_eq!(gru(config().with_direction(Direction::Bidirectional)), both);
    let one = message(ours(config()).to_burn_bidirectional().map(drop));
    assert_eq!(one, format!("{no} one direction in a bidirectional module; use to_burn"));
}

/// Each activation as it stands in an RNN gives the same in both libraries.
#[test]
fn activations_are_the_same_both_ways() {
    let all = [
        Activation::Linear,
        Activation::Sigmoid,
        Activation::HardSigmoid { slope: 0.2 },
        Activation::Tanh,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.3 },
        Activation::Elu,
        Activation::Softsign,
        Activation::Softplus,
        Activation::Gelu,
    ];
    for activation in all {
        let layer = ours(RnnConfig::new(D_INPUT, D_HIDDEN).with_hidden_activation(activation));
        let theirs = layer.to_burn().expect("the same layer");
        let x = wave([BATCH, TIME, D_INPUT], 1.0) * 3.0;
        same(&format!("{activation:?}"), layer.forward(x.clone()).sequence, theirs.forward(x, None).0);
        assert_eq!(Rnn::from_burn(&theirs).expect("the same layer").config.cell, layer.config.cell);
    }
}
