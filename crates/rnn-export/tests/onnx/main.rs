//! Small networks as files: the bytes are those that onnxruntime and PyTorch ran, and our layers answer as they did.
//!
//! `generate.py` runs the files of this folder and writes `cases.json`. With RNN_WRITE_FIXTURES set, this test writes
//! the files first; `cargo xtask parity --regenerate` does both.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::{AnyCell, cell::Activation};
use rnn_core::{AnyConfig, AnyRecurrent, Bias, CellKind, Direction, ForwardArgs, GruCell, Input as CoreInput, RnnCell};
use rnn_export::{Answer, Beside, Dense, Input, Matrix, Network, Read, int8, onnx, pytorch, table};
use serde_json::Value;
use std::path::PathBuf;

const ANSWERS: usize = 2;
const BATCH: usize = 3;
const TIME: usize = 5;
/// The case with a linear layer beside the recurrent one, and the steps that it reads.
const BESIDE: &str = "gru-beside";
const STEPS: usize = 3;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

/// What a case reads: ids of a table of 6 rows, 6 symbols, or 3 features.
#[derive(Clone, Copy, PartialEq)]
enum Reads {
    Ids,
    Symbols,
    Features,
}

struct Case {
    name: &'static str,
    reads: Reads,
    config: AnyConfig,
    read: Read,
    int8: bool,
    lengths: bool,
}

/// The lengths of a case that has them.
const LENGTHS: [usize; BATCH] = [5, 2, 3];

fn cases() -> Vec<Case> {
    let of = |kind, d_input| AnyConfig::of_kind(kind, d_input, 4);
    let relu = AnyCell::Rnn(RnnCell { hidden_activation: Activation::Relu, ..RnnCell::default() });
    let before = AnyCell::Gru(GruCell { reset_after: false, ..GruCell::default() });
    let case = |name, reads, config, read, int8| Case { name, reads, config, read, int8, lengths: false };
    let with_lengths = |case: Case| Case { lengths: true, ..case };
    let pooled = |max, mean| Read::Pooled { max, mean };
    let stack = of(CellKind::Lstm, 3).with_num_layers(2).with_direction(Direction::Bidirectional);
    let both = Direction::Bidirectional;
    use Read::{EveryStep, Last};
    use Reads::{Features, Ids, Symbols};
    vec![
        case("lstm", Ids, of(CellKind::Lstm, 3), Last, false),
        case("lstm-int8", Ids, of(CellKind::Lstm, 3), Last, true),
        case("lstm-stack", Symbols, of(CellKind::Lstm, 6).with_num_layers(2), EveryStep, false),
        case("gru", Symbols, of(CellKind::Gru, 6), EveryStep, false),
        case("gru-both-stack", Features, of(CellKind::Gru, 3).with_num_layers(2).with_direction(both), Last, false),
        case("gru-before", Features, AnyConfig::of(before, 3, 4), Last, false),
        case("rnn-both-int8", Ids, of(CellKind::Rnn, 3).with_direction(both), EveryStep, true),
        case("gru-beside", Features, of(CellKind::Gru, 3), Last, false),
        case("relu-no-bias", Features, AnyConfig::of(relu, 3, 4).with_bias(Bias::None), Last, false),
        case("gru-max", Features, of(CellKind::Gru, 3), pooled(true, false), false),
        case("rnn-mean", Features, of(CellKind::Rnn, 3), pooled(false, true), false),
        with_lengths(case("lengths-lstm-both-pooled", Ids, stack, pooled(true, true), false)),
        with_lengths(case("lengths-gru-both", Ids, of(CellKind::Gru, 3).with_direction(both), Last, true)),
    ]
}

/// `scale·sin(0.7·i + phase)` at the i-th element, counted row by row.
fn wave<const D: usize>(shape: [usize; D], phase: f64, scale: f64) -> Tensor<D> {
    // Rounded, so that every machine's sine gives the same bytes.
    let value = |i: usize| (scale * (0.7 * i as f64 + phase).sin() * 4096.0).round() as f32 / 4096.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::default())
}

fn layer(config: &AnyConfig) -> AnyRecurrent {
    let mut layer = config.init_zeros(&Device::default());
    let fill = |param: &mut burn::module::Param<Tensor<2>>, phase| {
        *param = burn::module::Param::from_tensor(wave(param.val().dims(), phase, 0.6));
    };
    for (number, weights) in layer.layers.iter_mut().enumerate() {
        let phase = number as f64;
        fill(&mut weights.weight_ih, phase);
        fill(weights.weight_hh.as_mut().expect("it multiplies h"), phase + 0.3);
        for (bias, phase) in [(&mut weights.bias_ih, phase + 0.5), (&mut weights.bias_hh, phase + 0.8)] {
            if let Some(bias) = bias {
                *bias = burn::module::Param::from_tensor(wave(bias.val().dims(), phase, 0.4));
            }
        }
    }
    layer
}

/// The weight of the layer beside the recurrent one, over two features.
fn beside() -> Tensor<2> {
    wave([ANSWERS, 2 * STEPS], 1.7, 0.5)
}

/// The ids that are read, `[BATCH, TIME]`.
fn ids() -> Vec<u32> {
    (0..(BATCH * TIME) as u32).map(|i| (i * 7 + i / 4) % 6).collect()
}

/// Our answers.
fn answers(case: &Case, layer: &AnyRecurrent, embedding: &Tensor<2>, dense: &Linear) -> Vec<f32> {
    let ids = ids();
    let args = || ForwardArgs { lengths: case.lengths.then_some(LENGTHS.as_slice()), ..ForwardArgs::default() };
    let output = match case.reads {
        Reads::Features => layer.forward_with(wave([BATCH, TIME, 3], 0.1, 1.0), args()),
        Reads::Symbols => layer.forward_with(CoreInput::symbols(&ids, [BATCH, TIME]), args()),
        Reads::Ids => {
            let numbers: Vec<i64> = ids.iter().map(|&id| id.into()).collect();
            let indices = Tensor::<1, Int>::from_data(TensorData::new(numbers, [ids.len()]), &Device::default());
            layer.forward_with(embedding.clone().select(0, indices).reshape([BATCH, TIME, 3]), args())
        }
    };
    let logits = match case.read {
        Read::Last if case.name == BESIDE => {
            let last = wave([BATCH, TIME, 3], 0.1, 1.0).slice([0..BATCH, TIME - STEPS..TIME, 0..2]);
            let beside = last.reshape([BATCH, 2 * STEPS]).matmul(beside().transpose());
            (dense.forward(output.last_hidden()) + beside).into_data()
        }
        Read::Last => dense.forward(output.last_hidden()).into_data(),
        Read::EveryStep => dense.forward(output.sequence).into_data(),
        Read::Pooled { max, mean } => {
            let lengths = if case.lengths { LENGTHS } else { [TIME; BATCH] };
            dense.forward(pooled(output.sequence, lengths, [max, mean])).into_data()
        }
    };
    logits.iter::<f32>().collect()
}

/// The largest value of each unit over the steps below the lengths, the mean, or both.
fn pooled(sequence: Tensor<3>, lengths: [usize; BATCH], wanted: [bool; 2]) -> Tensor<2> {
    let [batch, _, d] = sequence.dims();
    let values: Vec<f32> = sequence.into_data().iter::<f32>().collect();
    let mut all = Vec::new();
    for (row, length) in lengths.into_iter().enumerate() {
        let unit = |unit: usize| (0..length).map(move |t| (row * TIME + t) * d + unit);
        let units = |of: &dyn Fn(usize) -> f32| (0..d).map(of).collect::<Vec<f32>>();
        if wanted[0] {
            all.extend(units(&|i| unit(i).map(|at| values[at]).fold(f32::NEG_INFINITY, f32::max)));
        }
        if wanted[1] {
            all.extend(units(&|i| unit(i).map(|at| values[at]).sum::<f32>() / length as f32));
        }
    }
    let width = all.len() / batch;
    Tensor::from_data(TensorData::new(all, [batch, width]), &Device::default())
}

#[test]
fn every_case_has_the_bytes_and_answers_that_onnxruntime_had() {
    let write = std::env::var_os("RNN_WRITE_FIXTURES").is_some();
    let text = std::fs::read_to_string(folder().join("cases.json"));
    let known: Value = text.map_or(Value::Null, |text| serde_json::from_str(&text).expect("cases.json"));
    for case in cases() {
        let layer = layer(&case.config);
        let embedding = wave([6, 3], 0.9, 0.8);
        let parts = if case.read == (Read::Pooled { max: true, mean: true }) { 2 } else { 1 };
        let d_dense = parts * case.config.d_output();
        let mut dense = LinearConfig::new(d_dense, ANSWERS).init(&Device::default());
        dense.weight = burn::module::Param::from_tensor(wave([d_dense, ANSWERS], 0.2, 0.7));
        dense.bias = Some(burn::module::Param::from_tensor(wave([ANSWERS], 1.2, 0.5)));
        let input = match case.reads {
            Reads::Ids => table(embedding.clone()),
            Reads::Symbols => Input::Symbols,
            Reads::Features => Input::Features,
        };
        let network = Network::new(input, &layer, case.read, Dense::of(&dense)).expect("can be exported");
        let network = network.with_lengths(case.lengths);
        let network = match case.name {
            BESIDE => network.with_beside(Beside { features: 2, weight: Matrix::of(beside()) }),
            _ => network,
        };
        let network = network.with_answer(if case.read == Read::Last { Answer::Softmax } else { Answer::Plain });
        let mut files = vec![(
            format!("{}.onnx", case.name),
            onnx::onnx(&network, "test", &[("case", case.name)], case.int8).expect("small"),
        )];
        match pytorch::safetensors(&network, case.int8) {
            Ok(weights) => {
                files.push((format!("{}.safetensors", case.name), weights));
                files.push((format!("{}.py", case.name), pytorch::python(&network, case.name).into_bytes()));
            }
            Err(error) => assert!(case.name == "gru-before", "{}: {error}", case.name),
        }
        for (name, bytes) in files {
            let path = folder().join(&name);
            if write {
                std::fs::write(&path, &bytes).expect("written");
            }
            let there = std::fs::read(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(there == bytes, "{name} has changed: cargo xtask parity --regenerate runs it again");
        }
        if write {
            continue;
        }
        let layer = if case.int8 { int8::rounded(layer) } else { layer };
        let ours = answers(&case, &layer, &embedding, &dense);
        let theirs = known["logits"][case.name].as_array().expect("a case");
        assert_eq!(ours.len(), theirs.len(), "{}", case.name);
        let error = |(ours, theirs): (&f32, &Value)| (f64::from(*ours) - theirs.as_f64().expect("a number")).abs();
        let worst = ours.iter().zip(theirs).map(error).fold(0.0, f64::max);
        println!("onnxruntime {}: worst error {worst:.1e}", case.name);
        assert!(worst < 1e-5, "{}: {worst:e}", case.name);
    }
}

/// What is read back by the layer itself is what was written.
#[test]
fn our_reader_of_pytorchs_names_reads_what_is_written() {
    let config = AnyConfig::of_kind(CellKind::Lstm, 3, 4).with_num_layers(2).with_direction(Direction::Bidirectional);
    let layer = layer(&config.clone().with_bias(Bias::Two));
    let dense = LinearConfig::new(8, 1).init(&Device::default());
    let network = Network::new(Input::Features, &layer, Read::Last, Dense::of(&dense)).expect("PyTorch has it");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, pytorch::safetensors(&network, false).expect("PyTorch has it")).expect("written");
    let back = config.with_bias(Bias::Two).init_zeros(&Device::default()).load_pytorch(&path, "rnn").expect("read");
    let x = || wave([2, 4, 3], 0.1, 1.0);
    assert_eq!(layer.forward(x()).sequence.into_data(), back.forward(x()).sequence.into_data());
}

#[test]
fn what_others_lack_is_refused() {
    let device = Device::default();
    let dense = Dense::of(&LinearConfig::new(4, 1).init(&device));
    let refused = |config: AnyConfig| {
        let layer = config.init_zeros(&device);
        let error = match Network::new(Input::Features, &layer, Read::Last, dense.clone()) {
            Err(error) => error,
            Ok(network) => pytorch::safetensors(&network, false).expect_err("PyTorch lacks it"),
        };
        error.to_string()
    };
    let gru = || AnyConfig::of_kind(CellKind::Gru, 3, 4);
    for (config, what) in [
        (gru().with_layer_norm(true), "neither PyTorch nor ONNX has layer normalisation inside the cell"),
        (gru().with_zoneout(0.1, 0.0), "neither PyTorch nor ONNX has zoneout"),
        (gru().with_direction(Direction::Backward), "the backward direction alone is not PyTorch's; choose onnx"),
        (gru().with_d_hidden([5, 4]), "layers of different sizes is not PyTorch's; choose onnx"),
    ] {
        let said = refused(config);
        assert!(said.contains(what), "{said}");
    }
}
