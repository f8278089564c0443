//! Weights from and for Keras' files, and what is told of files that do not fit.

use super::{device, here, to_vec};
use burn::module::Param;
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::Tensor;
use rnn_core::weights::KerasCell;
use rnn_core::{Activation, Bias, Direction, GruConfig, Key, LstmConfig, Recurrent, RecurrentConfig, RnnConfig};
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

fn model() -> PathBuf {
    here().join("model.weights.h5")
}

pub fn new<C: KerasCell>(config: RecurrentConfig<C>) -> Recurrent<C> {
    config.init(Key::new(1), &device())
}

/// All weights, in the order of `get_weights`, the gates in ours.
pub fn weights<C: KerasCell>(layer: &Recurrent<C>) -> Vec<f32> {
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

/// `get_weights()` of a layer of the model, the GRU's gates brought into our order.
fn expected(name: &str, gru: bool) -> Vec<f32> {
    let mut store = SafetensorsStore::from_file(here().join("model.safetensors"));
    let mut all = Vec::new();
    for i in 0.. {
        let Some(tensor) = store.get_tensor(&format!("{name}.{i}")).expect("readable") else { break };
        let data = bridge::to_data(tensor).expect("readable");
        let columns = data.shape().iter().copied().last().expect("a dimension");
        let values: Vec<f32> = data.try_to_vec().expect("f32");
        all.extend(super::keras_order(values, columns, if gru { "gru" } else { name }));
    }
    assert!(!all.is_empty(), "no {name}");
    all
}

#[test]
fn layers_are_found_by_name_and_by_path() {
    let both = |config: GruConfig| config.with_direction(Direction::Bidirectional);
    let path = model();
    let stack = new(LstmConfig::new(2, 3).with_d_hidden([3, 2])).load_keras(&path, &["lstm", "second"]).expect("stack");
    assert_eq!(weights(&stack), [expected("lstm", false), expected("second", false)].concat());
    let alone = new(LstmConfig::new(3, 2)).load_keras(&path, &["layers/lstm_1"]).expect("by path");
    assert_eq!(weights(&alone), expected("second", false));
    let gru = new(both(GruConfig::new(2, 2))).load_keras(&path, &["both"]).expect("bidirectional");
    assert_eq!(weights(&gru), expected("both", true));
    let inner = new(GruConfig::new(2, 2)).load_keras(&path, &["inner_gru"]).expect("a model in the model");
    assert_eq!(weights(&inner), expected("inner_gru", true));
    let by_path = new(GruConfig::new(2, 2)).load_keras(&path, &["layers/sequential/layers/gru"]).expect("by path");
    assert_eq!(weights(&by_path), weights(&inner));
    let config = RnnConfig::new(2, 2).with_bias(Bias::None).with_direction(Direction::Bidirectional);
    let rnn = new(config).load_keras(&path, &["bidirectional"]).expect("no bias");
    assert_eq!(weights(&rnn), expected("bidirectional", false));
    let last = new(GruConfig::new(4, 2).with_reset_after(false)).load_keras(&path, &["last"]).expect("one bias");
    assert_eq!(weights(&last), expected("last", true));
}

#[test]
fn what_is_written_is_read_back_and_is_what_numpy_writes() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out.npz");
    let direction = Direction::Bidirectional;
    round_trip(RnnConfig::new(2, 3), &path, "rnn-3");
    round_trip(LstmConfig::new(2, 3).with_d_hidden([3, 2]), &path, "lstm-3-2");
    round_trip(GruConfig::new(2, 3).with_direction(direction), &path, "gru-3-both");
    round_trip(GruConfig::new(2, 3).with_reset_after(false), &path, "gru-before-3");
    round_trip(GruConfig::new(2, 3).with_bias(Bias::None), &path, "gru-3-nobias");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing temporary is left");
}

#[test]
fn threads_may_write_one_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out.npz");
    let layer = new(LstmConfig::new(2, 64));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| layer.save_keras(&path).expect("written")));
        }
    });
    let back = new(LstmConfig::new(2, 64)).load_keras(&path, &[]).expect("whole");
    assert_eq!(weights(&back), weights(&layer));
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing temporary is left");
}

fn round_trip<C: KerasCell>(config: RecurrentConfig<C>, path: &Path, name: &str) {
    let numpy = here().join(format!("weights/{name}.npz"));
    let layer = new(config.clone()).load_keras(&numpy, &[]).expect("read");
    layer.save_keras(path).expect("written");
    let back = new(config).load_keras(path, &[]).expect("read back");
    assert_eq!(weights(&back), weights(&layer));
    assert_eq!(files(path), files(&numpy), "{name}");
}

/// Names and bytes of an archive's files.
pub fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).expect("open")).expect("an archive");
    let count = archive.len();
    let entry = |i| {
        let mut entry = archive.by_index(i).expect("entry");
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).expect("bytes");
        (entry.name().expect("name").to_string(), bytes)
    };
    (0..count).map(entry).collect()
}

pub fn archive(path: &Path, files: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).expect("created"));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("written");
}

/// An .npy file.
pub fn npy(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

#[test]
fn arrays_by_column_and_of_other_sizes_are_read() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.npz");
    let f64s = |values: &[f64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let by_column = npy("<f8", true, "(2, 3)", &f64s(&[1., 4., 2., 5., 3., 6.]));
    // 0.5, 1 and 2 in half precision.
    let half = npy("<f2", false, "(3,)", &[0x00, 0x38, 0x00, 0x3c, 0x00, 0x40]);
    let square = npy("<f8", false, "(3, 3)", &f64s(&[0.; 9]));
    archive(&path, &[("arr_0.npy", &by_column), ("arr_1.npy", &square), ("arr_2.npy", &half)]);
    let layer = new(RnnConfig::new(2, 3)).load_keras(&path, &[]).expect("read");
    assert_eq!(to_vec(layer.layers[0].weight_ih.val()), [1., 2., 3., 4., 5., 6.]);
    assert_eq!(to_vec(layer.layers[0].bias_ih.as_ref().expect("bias").val()), [0.5, 1., 2.]);
}

pub fn told<C: KerasCell>(config: RecurrentConfig<C>, path: &Path, names: &[&str]) -> String {
    let message = new(config).load_keras(path, names).expect_err("wrong on purpose").to_string();
    let name = path.file_name().expect("name").to_string_lossy();
    match message.split_once(&format!("{name}: ")) {
        Some((_, message)) => message.to_string(),
        None => message,
    }
}

#[test]
fn a_layer_that_the_file_does_not_have_is_told() {
    let path = model();
    let known = "lstm (layers/lstm), second (layers/lstm_1)";
    let lstm = || LstmConfig::new(2, 3);
    let message = told(lstm(), &path, &["dense"]);
    assert!(message.starts_with("there is no layer dense; the file has "), "{message}");
    assert!(message.contains(known), "{message}");
    let message = told(lstm(), &path, &[]);
    assert!(message.starts_with("0 layer names were given, expected 1; the file has "), "{message}");
    assert!(message.contains(known), "{message}");
    let message = told(LstmConfig::new(2, 2), &path, &["twice"]);
    let (inner, again) = ("layers/sequential/layers/lstm", "layers/sequential_1/layers/lstm");
    assert_eq!(message, format!("twice is the name of {inner}, {again}; give one of these paths"));
    assert!(new(LstmConfig::new(2, 2)).load_keras(&path, &[again]).is_ok());
    let message = told(lstm(), &path, &["layers/dense"]);
    assert!(message.starts_with("there is no layer layers/dense; the file has "), "{message}");
    let message = told(lstm(), &here().join("weights/lstm-3.npz"), &["lstm"]);
    let expected = "1 layer names were given, expected 0; the file has arrays only: arr_0, arr_1, arr_2";
    assert_eq!(message, expected);
}

#[test]
fn arrays_that_do_not_fit_are_told() {
    let path = model();
    let message = told(LstmConfig::new(2, 4), &path, &["lstm"]);
    let place = "layers/lstm/cell/vars";
    assert_eq!(message, format!("{place}/0 (kernel) is [2, 12], but the layer's is [2, 16] (Keras's way round)"));
    let message = told(LstmConfig::new(2, 3).with_bias(Bias::None), &path, &["lstm"]);
    let same = "has no place in this layer; make it with the same layers, directions and biases";
    assert_eq!(message, format!("{place}/2 {same}"));
    let message = told(GruConfig::new(4, 2), &path, &["last"]);
    let expected = "layers/gru/cell/vars/2 (bias) is [6], but the layer's is [2, 6] (Keras's way round)";
    assert_eq!(message, expected);
    let message = told(LstmConfig::new(2, 3).with_direction(Direction::Bidirectional), &path, &["lstm"]);
    let has = format!("{place}/0, {place}/1, {place}/2");
    assert_eq!(message, format!("there is no layers/lstm/forward_layer/cell/vars/0 (kernel); the file has {has}"));
    let message = told(RnnConfig::new(2, 2).with_direction(Direction::Bidirectional), &path, &["bidirectional"]);
    assert!(message.starts_with("there is no layers/bidirectional_1/forward_layer/cell/vars/2 (bias); "), "{message}");

    let npz = here().join("weights/lstm-3.npz");
    let message = told(LstmConfig::new(2, 3).with_num_layers(2), &npz, &[]);
    assert_eq!(message, "there is no arr_3 (kernel); the file has arr_0, arr_1, arr_2");
    let message = told(LstmConfig::new(2, 3).with_bias(Bias::None), &npz, &[]);
    assert_eq!(message, format!("arr_2 {same}"));
}

#[test]
fn layers_that_keras_does_not_have_are_told() {
    let path = model();
    let two = LstmConfig::new(2, 3).with_bias(Bias::Two);
    let no = "Keras has no layer with";
    assert_eq!(told(two.clone(), &path, &["lstm"]), format!("{no} two biases; make the layer with Preset::Keras"));
    let one = GruConfig::new(2, 3).with_bias(Bias::One);
    assert_eq!(told(one, &path, &["last"]), format!("{no} one bias; make the layer with Preset::Keras"));
    let stack = LstmConfig::new(2, 3).with_num_layers(2).with_direction(Direction::Backward);
    assert_eq!(told(stack, &path, &["lstm", "second"]), format!("{no} a stack of backward layers"));
    let lstm = || LstmConfig::new(2, 3);
    for (config, what) in [
        (lstm().with_peepholes(true), "peepholes"),
        (lstm().with_coupled_gates(true), "coupled gates"),
        (lstm().with_proj_size(Some(2)), "a projection"),
        (lstm().with_clip(Some(1.0)), "clipping"),
        (lstm().with_layer_norm(true), "layer normalisation inside the cell"),
        (lstm().with_cell_activation(Activation::Relu), "different activations of candidate and output"),
    ] {
        assert_eq!(told(config, &path, &["lstm"]), format!("{no} {what}"));
    }
    assert_eq!(told(GruConfig::new(2, 3).with_clip(Some(1.0)), &path, &["last"]), format!("{no} clipping"));
    assert_eq!(told(RnnConfig::new(2, 3).with_clip(Some(1.0)), &path, &["last"]), format!("{no} clipping"));
    let folder = tempfile::tempdir().expect("folder");
    let message = new(two).save_keras(folder.path().join("w.npz")).expect_err("wrong on purpose").to_string();
    assert!(message.starts_with(no), "{message}");
    let message = new(LstmConfig::new(2, 3)).save_keras(folder.path().join("w.h5")).expect_err("no writer").to_string();
    assert!(message.ends_with("w.h5: the name says no format; give a .npz file"), "{message}");
    let nowhere = folder.path().join("none/w.npz");
    let message = new(LstmConfig::new(2, 3)).save_keras(nowhere).expect_err("no folder").to_string();
    assert!(message.contains("w.npz: No such file"), "{message}");
}

#[test]
fn damaged_files_are_told() {
    let lstm = || LstmConfig::new(2, 3);
    assert!(told(lstm(), Path::new("nowhere.h5"), &["lstm"]).starts_with("No such file"));
    let folder = tempfile::tempdir().expect("folder");
    let in_folder = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    for name in ["broken.weights.h5", "broken.npz", "broken.keras", "broken.onnx"] {
        let path = in_folder(name, b"nothing of the kind");
        let message = new(lstm()).load_keras(path, &[]).expect_err("wrong on purpose").to_string();
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(
        told(lstm(), &in_folder("w.pt", b""), &[]),
        "the name says no format; give a .weights.h5, .keras or .npz file"
    );
    // Cut off anywhere, a real file is an error and no panic.
    let whole = std::fs::read(model()).expect("model");
    for part in 1..20 {
        let path = in_folder("cut.h5", &whole[..whole.len() * part / 20]);
        assert!(new(lstm()).load_keras(path, &["lstm"]).is_err(), "{part}");
    }
    let path = folder.path().join("w.npz");
    let wrong = [
        (npy(">f4", false, "(1,)", &[0; 4]), "arr_0: its numbers are '>f4'; only '<f2', '<f4' and '<f8' are read"),
        (npy("<f4", false, "(2, 12)", &[0; 4]), "arr_0: it has 4 bytes of values for the shape [2, 12]"),
        (npy("<f4", false, "(2, 12)", &[0; 99]), "arr_0: it has more than 96 bytes of values for the shape [2, 12]"),
        (npy("<f4", false, "2, 12", &[0; 4]), "arr_0: it is no .npy file"),
        (b"text".to_vec(), "arr_0: it is no .npy file"),
    ];
    for (bytes, message) in wrong {
        archive(&path, &[("arr_0.npy", &bytes)]);
        assert_eq!(told(lstm(), &path, &[]), message);
    }
    let keras = folder.path().join("m.keras");
    archive(&keras, &[("config.json", b"{}")]);
    assert!(told(lstm(), &keras, &["lstm"]).starts_with("model.weights.h5: "));
}
