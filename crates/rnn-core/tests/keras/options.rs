//! The options in a `.keras` archive: what fits gives Keras' numbers, what does not is told. `archives/generate.py`
//! made them.

use super::{device, here, to_vec};
use burn::tensor::{Tensor, TensorData};
use rnn_core::weights::{KerasCell, WeightError};
use rnn_core::{
    Activation, Bias, Direction, GruConfig, Key, LstmConfig, Preset, Recurrent, RecurrentConfig, RnnConfig,
};
use std::path::{Path, PathBuf};

fn archive(name: &str) -> PathBuf {
    here().join("archives").join(format!("{name}.keras"))
}

fn load<C: KerasCell>(config: RecurrentConfig<C>, name: &str, layer: &str) -> Result<Recurrent<C>, WeightError> {
    config.init(Key::new(0), &device()).load_keras(archive(name), &[layer])
}

fn floats(file: &str) -> Vec<f32> {
    let bytes = std::fs::read(here().join("archives").join(file)).expect(file);
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The layer with the archive's options gives what `model.predict` gave.
fn same<C: KerasCell>(config: RecurrentConfig<C>, name: &str) {
    let backward = config.direction == Direction::Backward;
    let layer = load(config, name, "l").expect(name);
    let x: Tensor<3> = Tensor::from_data(TensorData::new(floats("x.bin"), [2, 5, 3]), &device());
    let sequence = layer.forward(x).sequence;
    // Keras gives a backward layer's outputs in the order in which they were made.
    let found = to_vec(if backward { sequence.flip([1]) } else { sequence });
    let expected = floats(&format!("{name}.out"));
    assert_eq!(found.len(), expected.len(), "{name}");
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let worst = found.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst <= 1e-5 * scale, "{name}: {worst}");
}

/// What is said of a layer that differs, after the file's name.
fn told<C: KerasCell>(config: RecurrentConfig<C>, name: &str, layer: &str) -> String {
    let message = load(config, name, layer).expect_err("wrong on purpose").to_string();
    let (_, message) = message.split_once(&format!("{name}.keras: ")).expect("the file's name");
    message.to_string()
}

fn differs(layer: &str, option: &str, found: &str, expected: &str) -> String {
    format!("{layer} has {option} {found}, but the layer here has {expected}; make it with the file's {option}")
}

fn lstm() -> LstmConfig {
    LstmConfig::new(3, 4)
}

fn gru() -> GruConfig {
    GruConfig::new(3, 4)
}

#[test]
fn layers_of_the_same_options_give_keras_numbers() {
    let hard = Activation::HardSigmoid { slope: 1.0 / 6.0 };
    let relu = lstm().with_cell_activation(Activation::Relu).with_hidden_activation(Activation::Relu);
    same(lstm(), "lstm");
    same(relu, "lstm_relu");
    same(lstm().with_gate_activation(hard), "lstm_hard");
    same(lstm().with_direction(Direction::Backward), "lstm_back");
    same(lstm().with_direction(Direction::Bidirectional), "bi_concat");
    same(gru(), "gru");
    same(gru().with_reset_after(false).with_preset(Preset::Keras), "gru_before");
    same(gru().with_bias(Bias::None), "gru_nobias");
    same(gru().with_reset_after(false).with_bias(Bias::None), "gru_nobias_before");
    same(RnnConfig::new(3, 4), "rnn");
    same(RnnConfig::new(3, 4).with_hidden_activation(Activation::Relu), "rnn_relu");
}

#[test]
fn an_option_that_differs_is_told_with_both_values() {
    let l = "layer l";
    let both = || lstm().with_direction(Direction::Bidirectional);
    assert_eq!(told(lstm(), "lstm_relu", "l"), differs(l, "activation", "relu", "tanh"));
    assert_eq!(told(lstm(), "lstm_hard", "l"), differs(l, "recurrent_activation", "hard_sigmoid", "sigmoid"));
    // Keras 2's hard sigmoid is another function.
    let old = lstm().with_gate_activation(Activation::HardSigmoid { slope: 0.2 });
    let of_old = "hard_sigmoid of slope 0.2";
    assert_eq!(told(old, "lstm_hard", "l"), differs(l, "recurrent_activation", "hard_sigmoid", of_old));
    assert_eq!(told(lstm(), "lstm_back", "l"), differs(l, "go_backwards", "True", "False"));
    let back = lstm().with_direction(Direction::Backward);
    assert_eq!(told(back, "lstm", "l"), differs(l, "go_backwards", "False", "True"));
    assert_eq!(told(RnnConfig::new(3, 4), "rnn_relu", "l"), differs(l, "activation", "relu", "tanh"));
    let no_bias = gru().with_bias(Bias::None);
    assert_eq!(told(no_bias.clone(), "gru_nobias_before", "l"), differs(l, "reset_after", "False", "True"));
    assert_eq!(told(no_bias.with_reset_after(false), "gru_nobias", "l"), differs(l, "reset_after", "True", "False"));
    assert_eq!(told(gru(), "gru_nobias", "l"), differs(l, "use_bias", "False", "True"));
    assert_eq!(told(both(), "bi_sum", "l"), differs(l, "merge_mode", "sum", "concat"));
    assert_eq!(told(both(), "lstm", "l"), differs(l, "class", "LSTM", "Bidirectional"));
    assert_eq!(told(lstm(), "bi_concat", "l"), differs(l, "class", "Bidirectional", "LSTM"));
    assert_eq!(told(gru(), "lstm", "l"), differs(l, "class", "LSTM", "GRU"));
    assert_eq!(told(LstmConfig::new(3, 5), "lstm", "l"), differs(l, "units", "4", "5"));
    let gru = gru().with_direction(Direction::Bidirectional);
    assert_eq!(told(gru, "bi_concat", "l"), differs("layer l, forward_layer", "class", "LSTM", "GRU"));
}

#[test]
fn layers_are_found_in_models_wrappers_and_cells() {
    let two = |activation| LstmConfig::new(2, 2).with_cell_activation(activation).with_hidden_activation(activation);
    let hard = Activation::HardSigmoid { slope: 1.0 / 6.0 };
    // Two layers called `twice`, with options of their own.
    let paths = ["layers/sequential/layers/lstm", "layers/sequential_1/layers/lstm"];
    assert!(told(LstmConfig::new(4, 2), "nested", "twice").starts_with("twice is the name of layers/sequential/"));
    assert!(load(LstmConfig::new(4, 2), "nested", paths[0]).is_ok());
    assert!(load(two(Activation::Tanh).with_gate_activation(hard), "nested", paths[1]).is_ok());
    let expected = differs("layer twice", "recurrent_activation", "hard_sigmoid", "sigmoid");
    assert_eq!(told(two(Activation::Tanh), "nested", paths[1]), expected);
    assert!(load(two(Activation::Relu), "nested", "deep").is_ok());
    assert_eq!(told(two(Activation::Tanh), "nested", "deep"), differs("layer deep", "activation", "relu", "tanh"));
    // A bidirectional layer whose first half goes backward.
    let both = GruConfig::new(2, 2).with_direction(Direction::Bidirectional);
    let expected = differs("layer turned, forward_layer", "go_backwards", "True", "False");
    assert_eq!(told(both, "nested", "turned"), expected);
    // RNN(LSTMCell(3)).
    let celled = |activation| LstmConfig::new(4, 3).with_cell_activation(activation).with_hidden_activation(activation);
    assert!(load(celled(Activation::Softsign), "nested", "celled").is_ok());
    let expected = differs("layer celled", "activation", "softsign", "tanh");
    assert_eq!(told(celled(Activation::Tanh), "nested", "celled"), expected);
    assert_eq!(
        told(RnnConfig::new(4, 3), "nested", "celled"),
        differs("layer celled", "class", "LSTMCell", "SimpleRNN")
    );
    // An activation that is a layer, and none.
    let leaky = |slope| {
        let activation = Activation::LeakyRelu { slope };
        LstmConfig::new(3, 3).with_cell_activation(activation).with_hidden_activation(activation)
    };
    assert!(load(leaky(0.3), "nested", "leaky").is_ok());
    let expected = differs("layer leaky", "activation", "leaky_relu of slope 0.3", "leaky_relu");
    assert_eq!(told(leaky(0.2), "nested", "leaky"), expected);
    assert!(load(two(Activation::Linear).with_bias(Bias::None), "nested", "last_lstm").is_ok());
    let expected = differs("layer last_lstm", "activation", "linear", "tanh");
    assert_eq!(told(two(Activation::Tanh).with_bias(Bias::None), "nested", "last_lstm"), expected);
    // A model of a class of one's own says nothing of its layers.
    let message = told(two(Activation::Relu), "own", "enc_lstm");
    assert!(message.starts_with("layer enc_lstm (enc): config.json does not describe it"), "{message}");
    assert!(message.ends_with("unpack the archive and load model.weights.h5"), "{message}");
}

/// The archive `name` with other bytes for its `config.json`, or for its weights.
fn changed(name: &str, file: &str, change: impl Fn(Vec<u8>) -> Vec<u8>, to: &Path) {
    let files: Vec<(String, Vec<u8>)> = super::files::files(&archive(name));
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(own, bytes)| (own.as_str(), if own == file { change(bytes.clone()) } else { bytes.clone() }))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(own, bytes)| (*own, &bytes[..])).collect();
    super::files::archive(to, &files);
}

#[test]
fn a_config_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.keras");
    let load = || lstm().init(Key::new(0), &device()).load_keras(&path, &["l"]);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("JSON");
    let own = (r#""registered_name": null"#, r#""registered_name": "mine>LSTM""#);
    let own_is = "layer l has class mine>LSTM, but the layer here has LSTM";
    let function = r#""activation": {"class_name": "function", "config": "sharp", "registered_name": "function"}"#;
    let cases: [(&str, &str, &str); 5] = [
        (r#""activation": "tanh""#, function, "layer l has activation function \"sharp\", but the layer here has tanh"),
        (r#""name": "l""#, r#""name": "other""#, "layer l (layers/lstm): config.json does not describe it"),
        // A class of one's own with Keras' name.
        (own.0, own.1, own_is),
        (r#""activation": "tanh""#, r#""activation": "\u001b[2J""#, r"activation \u{1b}[2J, but"),
        (r#"{"module""#, r#"{module"#, "config.json: key must be a string"),
    ];
    for (from, to, expected) in cases {
        changed("lstm", "config.json", |bytes| text(bytes).replace(from, to).into_bytes(), &path);
        let message = load().expect_err(to).to_string();
        assert!(message.contains(expected), "{message}");
    }
    // Unchanged but for white space, it loads.
    changed("lstm", "config.json", |bytes| text(bytes).replace(',', ",\n").into_bytes(), &path);
    assert!(load().is_ok());
}
