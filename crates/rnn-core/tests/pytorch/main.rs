//! Against PyTorch: outputs, final states and every gradient, in f32. `generate.py` beside this file made the fixtures.

#[path = "../common/mod.rs"]
mod common;
mod files;

use burn::module::Param;
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rnn_core::cell::Cell;
use rnn_core::weights::WeightError;
use rnn_core::{
    Activation, Bias, CellState, Direction, ForwardArgs, GruConfig, Key, LstmConfig, Preset, RecurrentConfig,
    RnnConfig, States,
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Fixture {
    torch: String,
    /// The case whose weights are in lstm.pt.
    pt: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    cell: String,
    layers: usize,
    both: bool,
    bias: bool,
    lengths: Option<Vec<usize>>,
    batch: usize,
    time: usize,
    input: usize,
    hidden: usize,
    /// Of the input; generate.py says why.
    phase: f64,
    /// `proj_size`.
    proj: Option<usize>,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cell, layers, batch, time, hidden, .. } = self;
        let both = if self.both { " both directions" } else { "" };
        let bias = if self.bias { "" } else { ", no bias" };
        write!(f, "{cell} {layers} x {hidden}{both}, batch {batch}, time {time}{bias}")?;
        self.proj.iter().try_for_each(|proj| write!(f, ", projected to {proj}"))?;
        self.lengths.iter().try_for_each(|lengths| write!(f, ", lengths {lengths:?}"))
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch")
}

fn fixture() -> Fixture {
    let json = std::fs::read(here().join("cases.json")).expect("cases.json");
    serde_json::from_slice(&json).expect("cases")
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

/// Compares one tensor after another with PyTorch's and keeps the worst of the case.
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

    fn gradient<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>, gradients: &Gradients) {
        let gradient = param.val().grad(gradients).expect("gradient");
        let values = match gradient.dims()[..] {
            [rows, columns] => to_vec(gradient.reshape([rows, columns]).transpose()),
            _ => to_vec(gradient),
        };
        self.check(&format!("grad.{name}"), values);
    }
}

fn run<C: Cell>(case: &Case, config: RecurrentConfig<C>, comparison: &mut Comparison) {
    let direction = if case.both { Direction::Bidirectional } else { Direction::Forward };
    let config = config.with_num_layers(case.layers).with_direction(direction).with_preset(Preset::Pytorch);
    let config = if case.bias { config } else { config.with_bias(Bias::None) };
    let layer = config.init(Key::new(0), &device());
    let prefix = format!("case{}.layer", comparison.case);
    let layer = layer.load_pytorch(here().join("cases.safetensors"), &prefix).expect("the same layer");

    let x = wave([case.batch, case.time, case.input], case.phase).require_grad();
    let states = case.layers * direction.count();
    let whole: Vec<Tensor<3>> = (0..C::State::TENSORS)
        .map(|i| {
            // h comes first, and it alone is projected.
            let width = if i == 0 { case.proj.unwrap_or(case.hidden) } else { case.hidden };
            wave([states, case.batch, width], 0.2 + 0.1 * i as f64).require_grad()
        })
        .collect();
    let start = (0..states).map(|i| {
        let mut of_state = whole.iter();
        let zeros = C::State::zeros(case.batch, case.hidden, case.hidden, &device());
        zeros.map(|_| of_state.next().expect("one a tensor").clone().slice_dim(0, i..i + 1).squeeze_dim(0))
    });
    let args = ForwardArgs::default().with_state(States::new(direction, start.collect()));
    let mut args = args.with_step_by_step_warning(|why| panic!("a case without a kernel: {why}"));
    args.lengths = case.lengths.as_deref();
    let out = layer.forward_with(x.clone(), args);

    let mut end: Vec<Vec<Tensor<2>>> = vec![Vec::new(); C::State::TENSORS];
    for state in out.state.into_vec() {
        let mut number = 0;
        let _ = state.map(|t| {
            end[number].push(t.clone());
            number += 1;
            t
        });
    }
    let shape = out.sequence.dims();
    comparison.check("y", to_vec(out.sequence.clone()));
    let mut loss = (out.sequence * wave(shape, 0.4)).sum();
    for (i, end) in end.into_iter().enumerate() {
        let end: Tensor<3> = Tensor::stack(end, 0);
        comparison.check(&format!("end.{i}"), to_vec(end.clone()));
        let shape = end.dims();
        loss = loss + (end * wave(shape, 0.5 + i as f64)).sum();
    }
    let gradients = loss.backward();
    comparison.check("grad.x", to_vec(x.grad(&gradients).expect("gradient")));
    for (i, start) in whole.iter().enumerate() {
        comparison.check(&format!("grad.start.{i}"), to_vec(start.grad(&gradients).expect("gradient")));
    }
    for (index, weights) in layer.layers.iter().enumerate() {
        let reverse = if index % direction.count() == 1 { "_reverse" } else { "" };
        let at = format!("l{}{reverse}", index / direction.count());
        comparison.gradient(&format!("weight_ih_{at}"), &weights.weight_ih, &gradients);
        comparison.gradient(
            &format!("weight_hh_{at}"),
            weights.weight_hh.as_ref().expect("it multiplies h"),
            &gradients,
        );
        if let Some(weight_hr) = &weights.weight_hr {
            comparison.gradient(&format!("weight_hr_{at}"), weight_hr, &gradients);
        }
        for (name, bias) in [("bias_ih", &weights.bias_ih), ("bias_hh", &weights.bias_hh)] {
            if let Some(bias) = bias {
                comparison.gradient(&format!("{name}_{at}"), bias, &gradients);
            }
        }
    }
}

#[test]
fn every_case_is_what_pytorch_gives() {
    let fixture = fixture();
    let store = SafetensorsStore::from_file(here().join("cases.safetensors"));
    let mut comparison = Comparison { store, case: 0, worst: 0.0, compared: 0 };
    let mut worst: f64 = 0.0;
    for (number, case) in fixture.cases.iter().enumerate() {
        (comparison.case, comparison.worst) = (number, 0.0);
        let (d_input, d_hidden) = (case.input, case.hidden);
        match case.cell.as_str() {
            "rnn" => run(case, RnnConfig::new(d_input, d_hidden), &mut comparison),
            "relu" => {
                let config = RnnConfig::new(d_input, d_hidden).with_hidden_activation(Activation::Relu);
                run(case, config, &mut comparison);
            }
            "lstm" => run(case, LstmConfig::new(d_input, d_hidden).with_proj_size(case.proj), &mut comparison),
            "gru" => run(case, GruConfig::new(d_input, d_hidden), &mut comparison),
            other => panic!("no cell {other}"),
        }
        println!("pytorch {number}: {case}: worst error {:.1e}", comparison.worst);
        worst = worst.max(comparison.worst);
    }
    let compared = comparison.compared;
    println!("PyTorch {}: {} cases, {compared} tensors, worst error {worst:.1e}", fixture.torch, fixture.cases.len());
    assert!(fixture.cases.len() >= 90 && compared > 1300);
}

/// The LSTM of lstm.pt.
fn lstm(hidden: usize) -> LstmConfig {
    LstmConfig::new(2, hidden).with_num_layers(3).with_direction(Direction::Bidirectional).with_preset(Preset::Pytorch)
}

fn weights(layer: &rnn_core::Lstm) -> Vec<f32> {
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

#[test]
fn both_formats_and_a_round_trip_give_the_same_bits() {
    let new = || lstm(3).init(Key::new(1), &device());
    let from_pt = new().load_pytorch(here().join("lstm.pt"), "model").expect("pt");
    let prefix = format!("case{}.layer.", fixture().pt);
    let from_safetensors = new().load_pytorch(here().join("cases.safetensors"), &prefix).expect("safetensors");
    assert_eq!(weights(&from_pt), weights(&from_safetensors));
    assert_ne!(weights(&from_pt), weights(&new()));

    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out.safetensors");
    for prefix in ["", "encoder.lstm"] {
        from_pt.save_pytorch(&path, prefix).expect("written");
        let back = new().load_pytorch(&path, prefix).expect("read");
        assert_eq!(weights(&back), weights(&from_pt));
    }
    let mut store = SafetensorsStore::from_file(&path);
    let names: Vec<&String> = store.get_all_tensors().expect("readable").keys().collect();
    assert_eq!(names.len(), 3 * 2 * 4);
    assert!(names.iter().all(|name| name.starts_with("encoder.lstm.")), "{names:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing temporary is left");
}

#[test]
fn a_projection_comes_back() {
    let cases = fixture().cases;
    let number = cases.iter().position(|case| case.proj.is_some() && case.both).expect("a projection");
    let config = LstmConfig::new(2, 3).with_direction(Direction::Bidirectional).with_preset(Preset::Pytorch);
    let new = || config.clone().with_proj_size(cases[number].proj).init(Key::new(1), &device());
    let layer = new().load_pytorch(here().join("cases.safetensors"), &format!("case{number}.layer")).expect("read");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out.safetensors");
    layer.save_pytorch(&path, "").expect("written");
    let back = new().load_pytorch(&path, "").expect("read");
    let projections = |layer: &rnn_core::Lstm| -> Vec<Vec<f32>> {
        layer.layers.iter().map(|w| to_vec(w.weight_hr.as_ref().expect("a projection").val())).collect()
    };
    assert_eq!(projections(&back), projections(&layer));
    assert_eq!(weights(&back), weights(&layer));
    let told = config.init(Key::new(1), &device()).load_pytorch(&path, "").expect_err("no projection").to_string();
    assert!(told.contains("weight_hh_l0 is [12, 2], but the layer's is [12, 3] (PyTorch's way round)"), "{told}");
}

#[test]
fn what_does_not_fit_is_told() {
    let path = here().join("lstm.pt");
    let error = |config: LstmConfig, path: &Path, prefix: &str| {
        config.init(Key::new(1), &device()).load_pytorch(path, prefix).expect_err("wrong on purpose").to_string()
    };
    let told = error(lstm(3), &path, "");
    assert!(told.contains("there is no weight_ih_l0; the file has nothing of a recurrent layer under \"\""), "{told}");
    let told = error(lstm(3).with_num_layers(4), &path, "model");
    assert!(told.contains("there is no model.weight_ih_l3; the file has model.bias_hh_l0, "), "{told}");
    let told = error(lstm(3).with_num_layers(2), &path, "model");
    assert!(told.contains("model.bias_hh_l2 has no place in this layer"), "{told}");
    let told = error(lstm(3).with_bias(Bias::None), &path, "model");
    assert!(told.contains("model.bias_hh_l0 has no place in this layer"), "{told}");
    let told = error(lstm(4), &path, "model");
    assert!(told.contains("model.weight_ih_l0 is [12, 2], but the layer's is [16, 2]"), "{told}");
    let one = "PyTorch has no layer with one bias; make the layer with Bias::Two or Preset::Pytorch";
    assert_eq!(error(lstm(3).with_bias(Bias::One), &path, "model"), one);
    let backward = lstm(3).with_direction(Direction::Backward);
    assert_eq!(error(backward, &path, "model"), "PyTorch has no layer with the backward direction alone");
    let sizes = lstm(3).with_d_hidden([3, 4]);
    assert_eq!(error(sizes, &path, "model"), "PyTorch has no layer with layers of different sizes");
    let gru = GruConfig::new(2, 3).with_reset_after(false).with_preset(Preset::Pytorch).init(Key::new(0), &device());
    let told = gru.load_pytorch(&path, "model").expect_err("no such GRU");
    assert!(matches!(told, WeightError::Unlike { .. }), "{told}");
    let told = error(lstm(3), Path::new("nowhere.pt"), "");
    assert!(told.starts_with("nowhere.pt: No such file"), "{told}");

    let folder = tempfile::tempdir().expect("folder");
    for name in ["broken.pt", "broken.safetensors", "broken.onnx"] {
        let path = folder.path().join(name);
        std::fs::write(&path, "nothing of the kind").expect("written");
        let told = error(lstm(3), &path, "");
        assert!(told.contains(name), "{told}");
    }
    let layer = lstm(3).init(Key::new(1), &device());
    let told = layer.save_pytorch(folder.path().join("x.pt"), "").expect_err("no such format").to_string();
    assert!(told.ends_with("give a .safetensors file"), "{told}");
}
