//! Against Keras: outputs, final states and every gradient, in f32. `generate.py` beside this file made the fixtures.

#[path = "../common/mod.rs"]
mod common;
mod files;
mod hostile;
mod options;

use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::weights::KerasCell;
use rnn_core::{
    Activation, Bias, CellState, Direction, ForwardArgs, GruConfig, Key, LstmConfig, MaskedOutput, RecurrentConfig,
    RnnConfig, States,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Of the input; generate.py says why.
const PHASE: f64 = 1.0;

#[derive(Deserialize)]
struct Fixture {
    keras: String,
    masks: BTreeMap<String, Vec<Vec<u8>>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    layer: String,
    activation: Option<String>,
    recurrent_activation: Option<String>,
    units: Vec<usize>,
    direction: String,
    bias: bool,
    mask: Option<String>,
    /// `zero_output_for_mask`.
    zero: bool,
    /// Whether it starts from a given state.
    state: bool,
    batch: usize,
    time: usize,
    input: usize,
    /// The file under `weights`.
    weights: String,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { layer, units, direction, batch, time, .. } = self;
        write!(f, "{layer} {units:?} {direction}, batch {batch}, time {time}")?;
        let mask = self.mask.as_ref().map(|mask| format!(", mask {mask}{}", if self.zero { " to zero" } else { "" }));
        let bias = if self.bias { "" } else { ", no bias" };
        let state = if self.state { "" } else { ", no state" };
        write!(f, "{bias}{}{state}", mask.unwrap_or_default())?;
        self.activation.iter().try_for_each(|name| write!(f, ", {name}"))?;
        self.recurrent_activation.iter().try_for_each(|name| write!(f, ", gates {name}"))
    }
}

/// Keras' activations by their names there.
fn activation(name: &str) -> Activation {
    match name {
        "linear" => Activation::Linear,
        "sigmoid" => Activation::Sigmoid,
        "hard_sigmoid" => Activation::HardSigmoid { slope: 1.0 / 6.0 },
        "hard_tanh" => Activation::HardTanh,
        "leaky_relu" => Activation::LeakyRelu { slope: 0.2 },
        "elu" => Activation::Elu,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "silu" => Activation::Silu,
        "gelu" => Activation::Gelu,
        other => panic!("no activation {other}"),
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keras")
}

fn device() -> Device {
    common::device().autodiff()
}

/// sin(0.7·i + phase) at the i-th element.
fn wave<const D: usize>(shape: [usize; D], phase: f64) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (0.7 * i as f64 + phase).sin() as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// Compares one tensor after another with Keras' and keeps the worst of the case.
struct Comparison {
    store: SafetensorsStore,
    case: usize,
    worst: f64,
    compared: usize,
}

impl Comparison {
    fn check(&mut self, name: &str, found: Vec<f32>) {
        let name = format!("case{}.{name}", self.case);
        let expected = self.store.get_tensor(&name).expect("readable").unwrap_or_else(|| panic!("no {name}"));
        let expected: Vec<f32> = bridge::to_data(expected).expect("readable").try_to_vec().expect("f32");
        assert_eq!(found.len(), expected.len(), "{name}");
        let scale = expected.iter().fold(1e-30, |m: f64, x| m.max(f64::from(x.abs())));
        // `max` passes over NaN.
        assert!(found.iter().all(|x| x.is_finite()), "{name} is not finite");
        let error = found.iter().zip(&expected).fold(0.0, |m: f64, (a, b)| m.max(f64::from((a - b).abs()))) / scale;
        assert!(error <= common::tolerance(), "{name}: {error:e}");
        self.worst = self.worst.max(error);
        self.compared += 1;
    }
}

/// Each row's gates in Keras' order: the GRU's z before its r.
fn keras_order(values: Vec<f32>, columns: usize, layer: &str) -> Vec<f32> {
    let gates: &[usize] = if layer.starts_with("gru") { &[1, 0, 2] } else { return values };
    let width = columns / gates.len();
    let row = |row: &[f32]| gates.iter().flat_map(|g| row[g * width..(g + 1) * width].to_vec()).collect::<Vec<f32>>();
    values.chunks(columns).flat_map(row).collect()
}

/// Steps, the last first.
fn flip(sequence: Tensor<3>) -> Tensor<3> {
    sequence.flip([1])
}

fn run<C: KerasCell>(case: &Case, mask: Option<Vec<bool>>, config: RecurrentConfig<C>, comparison: &mut Comparison) {
    let direction = match case.direction.as_str() {
        "forward" => Direction::Forward,
        "backward" => Direction::Backward,
        "both" => Direction::Bidirectional,
        other => panic!("no direction {other}"),
    };
    let config = config.with_d_hidden(&case.units[..]).with_direction(direction);
    let config = if case.bias { config } else { config.with_bias(Bias::None) };
    let path = here().join("weights").join(format!("{}.npz", case.weights));
    let layer = config.init(Key::new(0), &device()).load_keras(path, &[]).expect("the same layer");

    let x = wave([case.batch, case.time, case.input], PHASE).require_grad();
    let count = layer.layers.len();
    let mut starts = Vec::new();
    let states = (0..count).map(|number| {
        let units = case.units[number / direction.count()];
        let zeros = C::State::zeros(case.batch, units, units, &device());
        let mut tensor = 0;
        zeros.map(|zeros| {
            let start = wave(zeros.dims(), 0.2 + 0.1 * f64::from(tensor) + 0.3 * number as f64).require_grad();
            tensor += 1;
            starts.push(start.clone());
            start
        })
    });
    let states = States::new(direction, states.collect());
    let mut args = ForwardArgs { mask: mask.as_deref(), ..Default::default() };
    if mask.is_some() && !case.zero {
        args.masked_output = MaskedOutput::Previous;
    }
    args.state = case.state.then_some(states);
    let out = layer.forward_with(x.clone(), args);

    // Keras gives a backward layer's outputs in the order in which they were made.
    let sequence = if direction == Direction::Backward { flip(out.sequence) } else { out.sequence };
    let shape = sequence.dims();
    comparison.check("y", to_vec(sequence.clone()));
    let mut loss = (sequence * wave(shape, 0.4)).sum();
    let mut ends = Vec::new();
    for state in out.state.into_vec() {
        let _ = state.map(|tensor| {
            ends.push(tensor.clone());
            tensor
        });
    }
    for (i, end) in ends.into_iter().enumerate() {
        comparison.check(&format!("end.{i}"), to_vec(end.clone()));
        let shape = end.dims();
        loss = loss + (end * wave(shape, 0.5 + i as f64)).sum();
    }
    let gradients = loss.backward();
    comparison.check("grad.x", to_vec(x.grad(&gradients).expect("gradient")));
    for (i, start) in starts.iter().enumerate().filter(|_| case.state) {
        comparison.check(&format!("grad.start.{i}"), to_vec(start.grad(&gradients).expect("gradient")));
    }
    let mut number = 0;
    let mut check = |values: Vec<f32>, columns: usize| {
        comparison.check(&format!("grad.arr_{number}"), keras_order(values, columns, &case.layer));
        number += 1;
    };
    for weights in &layer.layers {
        let columns = weights.weight_ih.val().dims()[1];
        for weight in [&weights.weight_ih, weights.weight_hh.as_ref().expect("it multiplies h")] {
            check(to_vec(weight.val().grad(&gradients).expect("gradient")), columns);
        }
        let biases = [&weights.bias_ih, &weights.bias_hh].into_iter().flatten();
        let biases: Vec<f32> = biases.flat_map(|b| to_vec(b.val().grad(&gradients).expect("gradient"))).collect();
        if !biases.is_empty() {
            check(biases, columns);
        }
    }
}

#[test]
fn every_case_is_what_keras_gives() {
    let json = std::fs::read(here().join("cases.json")).expect("cases.json");
    let fixture: Fixture = serde_json::from_slice(&json).expect("cases");
    let store = SafetensorsStore::from_file(here().join("cases.safetensors"));
    let mut comparison = Comparison { store, case: 0, worst: 0.0, compared: 0 };
    let mut worst: f64 = 0.0;
    for (number, case) in fixture.cases.iter().enumerate() {
        (comparison.case, comparison.worst) = (number, 0.0);
        let mask = case.mask.as_ref().map(|mask| fixture.masks[mask].concat().iter().map(|&step| step == 1).collect());
        let (d_input, d_hidden, c) = (case.input, 1, &mut comparison);
        let chosen = |name: &Option<String>, default| name.as_deref().map_or(default, activation);
        let hidden = chosen(&case.activation, Activation::Tanh);
        let gates = chosen(&case.recurrent_activation, Activation::Sigmoid);
        let gru = || GruConfig::new(d_input, d_hidden).with_gate_activation(gates).with_hidden_activation(hidden);
        // The names of generate.py's LAYERS.
        match case.layer.as_str() {
            "rnn" => run(case, mask, RnnConfig::new(d_input, d_hidden).with_hidden_activation(hidden), c),
            "relu" => run(case, mask, RnnConfig::new(d_input, d_hidden).with_hidden_activation(Activation::Relu), c),
            "lstm" => {
                let config = LstmConfig::new(d_input, d_hidden).with_gate_activation(gates);
                run(case, mask, config.with_cell_activation(hidden).with_hidden_activation(hidden), c);
            }
            "gru" => run(case, mask, gru(), c),
            "gru-before" => run(case, mask, gru().with_reset_after(false), c),
            other => panic!("no layer {other}"),
        }
        println!("keras {number}: {case}: worst error {:.1e}", comparison.worst);
        worst = worst.max(comparison.worst);
    }
    let (cases, compared) = (fixture.cases.len(), comparison.compared);
    println!("Keras {}: {cases} cases, {compared} tensors, worst error {worst:.1e}", fixture.keras);
    assert!(cases >= 100 && compared > 1000);
}
