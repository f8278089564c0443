//! Files of other people: names with gaps, prefixes that are not there, pickled modules, other numbers, too much of
//! anything.
//!
//! `files/p.py` made what lies in `files`.

use super::{device, here, to_vec};
use burn::store::{ModuleStore, PytorchStore, bridge};
use burn::tensor::{DType, Tensor, TensorData};
use rnn_core::cell::{Cell, Recurrence};
use rnn_core::weights::WeightError;
use rnn_core::{Bias, GruConfig, HiddenState, Key, Lstm, LstmConfig, Preset, RecurrentConfig};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

fn file(name: &str) -> PathBuf {
    here().join("files").join(name)
}

fn load(config: LstmConfig, path: &Path, prefix: &str) -> Result<Lstm, WeightError> {
    config.with_preset(Preset::Pytorch).init(Key::new(0), &device()).load_pytorch(path, prefix)
}

fn told(config: LstmConfig, path: &Path, prefix: &str) -> String {
    load(config, path, prefix).expect_err("wrong on purpose").to_string()
}

/// The values of a matrix of the file, row by row in PyTorch's way round.
fn matrix(layer: &Lstm) -> Vec<f32> {
    let weight = layer.layers[0].weight_ih.val();
    to_vec(weight.transpose())
}

/// Weights loaded onto a device with gradient checkpointing take the input of that device.
#[test]
fn a_layer_that_was_loaded_trains_with_gradient_checkpointing() {
    let device = device().autodiff().gradient_checkpointing();
    let layer = LstmConfig::new(2, 3).with_preset(Preset::Pytorch).init(Key::new(0), &device);
    let layer = layer.load_pytorch(file("seq.pt"), "seq.1").expect("there");
    let input = Tensor::<3>::ones([2, 4, 2], &device);
    let grads = layer.forward(input).sequence.sum().backward();
    let grad = layer.layers[0].weight_ih.val().grad(&grads).expect("it trains");
    assert!(to_vec(grad).iter().any(|x| *x != 0.0));
}

#[test]
fn numbers_with_gaps_stay_as_they_are() {
    // The first values of weight_ih_l0, as torch.load gives them.
    let stack = [
        ("layers.0", [-0.0043225177, 0.30971584, -0.47518533]),
        ("layers.2", [0.28827965, 0.12084019, -0.4503817]),
        ("layers.4", [-0.40725034, 0.025749758, -0.4069939]),
    ];
    let seq = [("seq.1", [-0.0043225177, 0.30971584, -0.47518533]), ("seq.3", [0.10806383, -0.09726043, -0.095009424])];
    let folder = tempfile::tempdir().expect("folder");
    for (name, d_input, layers) in [("stack", 3, &stack[..]), ("seq", 2, &seq[..])] {
        let pt = file(&format!("{name}.pt"));
        let safetensors = folder.path().join(format!("{name}.safetensors"));
        as_safetensors(&pt, &safetensors);
        for (prefix, first) in layers {
            let from_pt = load(LstmConfig::new(d_input, 3), &pt, prefix).expect(prefix);
            assert_eq!(matrix(&from_pt)[..3], first[..], "{prefix}");
            let from_safetensors = load(LstmConfig::new(d_input, 3), &safetensors, prefix).expect(prefix);
            assert_eq!(matrix(&from_safetensors), matrix(&from_pt), "{prefix}");
        }
        // Between them there is nothing, in either format.
        for path in [&pt, &safetensors] {
            let gap = if name == "seq" { "seq.2" } else { "layers.1" };
            let message = told(LstmConfig::new(d_input, 3), path, gap);
            let prefixes: Vec<String> = layers.iter().map(|(prefix, _)| format!("{prefix:?}")).collect();
            let expected = format!(
                "there is no {gap}.weight_ih_l0; the file has nothing of a recurrent layer under {gap:?}, but under {}",
                prefixes.join(", ")
            );
            assert!(message.ends_with(&expected), "{message}");
        }
    }
}

/// The tensors of a `.pt` file under their names, as a `.safetensors` file.
fn as_safetensors(pt: &Path, to: &Path) {
    let mut store = PytorchStore::from_file(pt).map_indices_contiguous(false);
    let tensors = store.get_all_tensors().expect("readable");
    let tensors: Vec<_> = tensors.iter().map(|(n, t)| (n.clone(), bridge::to_data(t).expect("data"))).collect();
    write_safetensors(to, &tensors.iter().map(|(n, t)| (n.as_str(), t.clone())).collect::<Vec<_>>());
}

fn write_safetensors(path: &Path, tensors: &[(&str, TensorData)]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, tensor) in tensors {
        let dtype = match tensor.dtype() {
            DType::F64 => "F64",
            DType::F32 => "F32",
            DType::F16 => "F16",
            DType::BF16 => "BF16",
            DType::I64 => "I64",
            other => panic!("no {other:?}"),
        };
        let start = data.len();
        data.extend_from_slice(tensor.as_bytes());
        let shape: Vec<usize> = tensor.shape().iter().copied().collect();
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.to_string(), entry);
    }
    let header = serde_json::to_vec(&header).expect("JSON");
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn prefixes_that_are_there_are_named() {
    let lstm = || LstmConfig::new(3, 4);
    let nothing = |name: &str, under: &str| {
        format!("there is no {name}weight_ih_l0; the file has nothing of a recurrent layer under {under:?}")
    };
    let there = "model_state_dict.encoder.lstm";
    assert!(load(lstm(), &file("c.pt"), there).is_ok());
    for prefix in ["lstm", "encoder.lstm", "model_state_dict"] {
        let expected = format!("{}, but under {there:?}", nothing(&format!("{prefix}."), prefix));
        let message = told(lstm(), &file("c.pt"), prefix);
        assert!(message.ends_with(&expected), "{message}");
    }
    for name in ["m.pt", "m.safetensors"] {
        assert!(load(lstm(), &file(name), "module.encoder.lstm").is_ok(), "{name}");
        let message = told(lstm(), &file(name), "");
        assert!(message.ends_with(&format!("{}, but under \"module.encoder.lstm\"", nothing("", ""))), "{message}");
    }
    let message = told(lstm(), &file("two.pt"), "a.lstm");
    assert!(message.ends_with("under \"a.lstm\", but under \"a\", \"b\""), "{message}");
    // `b` is a GRU.
    let message = told(lstm(), &file("two.pt"), "b");
    assert!(message.contains("b.weight_ih_l0 is [12, 3], but the layer's is [16, 3]"), "{message}");
}

#[test]
fn a_prefix_is_a_whole_name() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.safetensors");
    let gru = |value: f32| {
        [
            ("weight_ih_l0", TensorData::new(vec![value; 3], [3, 1])),
            ("weight_hh_l0", TensorData::new(vec![value; 3], [3, 1])),
        ]
    };
    let mut tensors = Vec::new();
    for (prefix, value) in [("lstm", 1.0), ("lstm2", 2.0), ("lstm.lstm", 3.0), ("lstm.10", 10.0), ("lstm.2", 4.0)] {
        tensors.extend(gru(value).map(|(name, data)| (format!("{prefix}.{name}"), data)));
    }
    tensors.push(("lstm.weight_ih_l".into(), TensorData::new(vec![0f32], [1])));
    let tensors: Vec<_> = tensors.iter().map(|(name, data)| (name.as_str(), data.clone())).collect();
    write_safetensors(&path, &tensors[..10]);
    let load = |prefix: &str| {
        let config = GruConfig::new(1, 1).with_bias(Bias::None);
        config
            .init(Key::new(0), &device())
            .load_pytorch(&path, prefix)
            .map(|gru| to_vec(gru.layers[0].weight_ih.val())[0])
    };
    for (prefix, value) in
        [("lstm", 1.0), ("lstm.", 1.0), ("lstm2", 2.0), ("lstm.lstm", 3.0), ("lstm.10", 10.0), ("lstm.2", 4.0)]
    {
        assert_eq!(load(prefix).expect(prefix), value, "{prefix}");
    }
    assert!(load("ls").is_err());
    write_safetensors(&path, &tensors);
    assert!(load("lstm").expect_err("one more").to_string().contains("lstm.weight_ih_l has no place in this layer"));
}

#[test]
fn a_pickled_module_is_read_or_told() {
    let lstm = || LstmConfig::new(3, 4);
    let path = file("whole.pt");
    assert!(load(lstm(), &path, "").is_ok());
    let message = told(lstm(), &path, "lstm");
    let advice = "it is a pickled module; save the state_dict instead: torch.save(model.state_dict(), \"model.pt\")";
    assert!(message.ends_with(&format!("under \"lstm\", but under \"\"; {advice}")), "{message}");
    assert!(!told(lstm(), &file("c.pt"), "").contains("pickled module"));

    // A module of a kind that cannot be read: a tensor among its attributes.
    let folder = tempfile::tempdir().expect("folder");
    let odd = folder.path().join("odd.pt");
    let pickle = b"\x80\x02c__torch__.M\nM\n)\x81}(X\x0b\x00\x00\x00_parametersN";
    write_zip(&odd, &[("m/data.pkl", pickle)]);
    let message = told(lstm(), &odd, "");
    assert!(message.contains(advice), "{message}");
}

fn write_zip(path: &Path, files: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).expect("created"));
    for (name, bytes) in files {
        archive.start_file(*name, SimpleFileOptions::default()).expect("entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("written");
}

#[test]
fn floats_are_converted_and_other_numbers_told() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.safetensors");
    let config = || GruConfig::new(1, 1).with_bias(Bias::None).init(Key::new(0), &device());
    let values = vec![0.5f32, -1.0, 2.0];
    for dtype in [DType::F16, DType::BF16, DType::F32, DType::F64] {
        let data = TensorData::new(values.clone(), [3, 1]).convert_dtype(dtype);
        write_safetensors(&path, &[("weight_hh_l0", data.clone()), ("weight_ih_l0", data)]);
        let gru = config().load_pytorch(&path, "").expect("converted");
        assert_eq!(to_vec(gru.layers[0].weight_ih.val()), values, "{dtype:?}");
    }
    let whole = TensorData::new(vec![1i64, 2, 3], [3, 1]);
    write_safetensors(&path, &[("weight_hh_l0", whole.clone()), ("weight_ih_l0", whole)]);
    let message = config().load_pytorch(&path, "").expect_err("whole numbers").to_string();
    assert!(
        message.ends_with("weight_ih_l0 holds I64 numbers; only floats of 16, 32 and 64 bits are read"),
        "{message}"
    );
    // The other way round it has as many values.
    let turned = TensorData::new(values, [1, 3]);
    write_safetensors(&path, &[("weight_hh_l0", turned.clone()), ("weight_ih_l0", turned)]);
    let message = config().load_pytorch(&path, "").expect_err("turned").to_string();
    assert!(message.contains("weight_ih_l0 is [1, 3], but the layer's is [3, 1]"), "{message}");
}

/// A tensor as torch.save pickles it: of the storage `key`, which has `numbers` floats.
fn pickled(key: &str, shape: [u8; 2], stride: [u8; 2], numbers: u8) -> Vec<u8> {
    let pair = |[a, b]: [u8; 2]| vec![b'K', a, b'K', b, 0x86];
    let start = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n";
    let end = b"\x89ccollections\nOrderedDict\n)RtR";
    let storage = [&text(key)[..], &text("cpu"), &[b'K', numbers], b"tQK\x00"].concat();
    [&start[..], &storage, &pair(shape), &pair(stride), end].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> = entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &entries[..], b"u"].concat()
}

fn write_pt(path: &Path, pickle: &[u8], storages: &[(&str, &[f32])]) {
    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let mut files = vec![("m/data.pkl".to_string(), [b"\x80\x02", pickle, b"."].concat())];
    files.extend(storages.iter().map(|(key, values)| (format!("m/data/{key}"), bytes(values))));
    write_zip(path, &files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect::<Vec<_>>());
}

#[test]
fn pickles_of_other_people_are_read_as_torch_reads_them() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.pt");
    let gru = |d_input, prefix| {
        let config = GruConfig::new(d_input, 1).with_bias(Bias::None).init(Key::new(0), &device());
        config.load_pytorch(&path, prefix)
    };
    let recurrent = || ("weight_hh_l0", pickled("1", [3, 1], [1, 1], 3));
    // A transposed view: [[1, 4], [2, 5], [3, 6]].
    let turned = dict(&[("weight_ih_l0", pickled("0", [3, 2], [1, 3], 6)), recurrent()]);
    write_pt(&path, &turned, &[("0", &[1., 2., 3., 4., 5., 6.]), ("1", &[0.; 3])]);
    let weight = gru(2, "").expect("read").layers[0].weight_ih.val();
    assert_eq!(to_vec(weight), [1., 2., 3., 4., 5., 6.]);
    // A storage that is shorter than it says.
    write_pt(&path, &turned, &[("0", &[1., 2., 3., 4., 5.]), ("1", &[0.; 3])]);
    let message = gru(2, "").expect_err("short").to_string();
    assert!(message.contains("requires 6 elements from storage '0', but only 5 are available"), "{message}");
    // Two tensors that come to have one name.
    let inner = |key| pickled(key, [3, 1], [1, 1], 3);
    let one = dict(&[("b.weight_ih_l0", inner("0")), ("b.weight_hh_l0", inner("0"))]);
    let other = dict(&[("weight_ih_l0", inner("1")), ("weight_hh_l0", inner("1"))]);
    write_pt(&path, &dict(&[("a", one), ("a.b", other)]), &[("0", &[1.; 3]), ("1", &[2.; 3])]);
    let message = gru(1, "a.b").expect_err("which?").to_string();
    assert!(message.contains("two tensors are called a.b.weight_"), "{message}");
    assert!(message.ends_with("; rename one of them"), "{message}");
}

#[test]
fn threads_may_write_one_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.safetensors");
    let new = || LstmConfig::new(3, 32).with_preset(Preset::Pytorch).init(Key::new(0), &device());
    let layer = new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|_| layer.save_pytorch(&path, "").expect("written")));
        }
    });
    assert_eq!(matrix(&new().load_pytorch(&path, "").expect("whole")), matrix(&layer));
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1, "nothing temporary is left");
}

#[test]
fn too_much_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    // Read, each None takes some 100 bytes.
    let bomb = folder.path().join("bomb.pt");
    let pickle = [&b"\x80\x02("[..], &vec![b'N'; 33 << 20], b"l."].concat();
    write_zip(&bomb, &[("m/data.pkl", &pickle)]);
    let message = told(LstmConfig::new(3, 4), &bomb, "");
    assert!(
        message.ends_with("its data.pkl is of 34603013 bytes, at most 33554432 are read; save the state_dict alone"),
        "{message}"
    );
    // A tensor that repeats two numbers up to 8 GB, which its shape shows.
    let wide = folder.path().join("wide.pt");
    let pickle = b"\x80\x02}X\x0c\x00\x00\x00weight_ih_l0ctorch._utils\n_rebuild_tensor_v2\n\
        ((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQK\x00\
        J\x00\x00\x00\x40K\x02\x86K\x00K\x01\x86\x89ccollections\nOrderedDict\n)RtRs.";
    write_zip(&wide, &[("m/data.pkl", pickle), ("m/data/0", &[0; 8])]);
    let message = told(LstmConfig::new(3, 4), &wide, "");
    assert!(message.contains("weight_ih_l0 is [1073741824, 2], but the layer's is [16, 3]"), "{message}");
    // A header that says it is longer than the file, and one of nothing but brackets.
    let path = folder.path().join("w.safetensors");
    for bytes in [vec![0xff; 9], [&(1u64 << 20).to_le_bytes()[..], &vec![b'['; 1 << 20]].concat()] {
        std::fs::write(&path, bytes).expect("written");
        let message = told(LstmConfig::new(3, 4), &path, "");
        assert!(!message.ends_with("it is damaged"), "{message}");
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Own {}

impl Cell for Own {
    type State = HiddenState;

    fn gates(&self) -> usize {
        1
    }

    fn step(&self, input: Tensor<2>, state: HiddenState, recurrence: &Recurrence) -> HiddenState {
        HiddenState { hidden: input + recurrence.product_of(state.hidden, 0..1) }
    }
}

#[test]
fn a_cell_that_pytorch_lacks_is_the_reason_told() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.safetensors");
    // Both have one bias, too, which could be changed.
    let own = RecurrentConfig::<Own>::new(2, 3).init(Key::new(0), &device());
    let message = own.save_pytorch(&path, "").expect_err("no such cell").to_string();
    assert_eq!(message, "PyTorch has no layer with this cell");
    let peepholes = LstmConfig::new(2, 3).with_peepholes(true).init(Key::new(0), &device());
    let message = peepholes.save_pytorch(&path, "").expect_err("no such cell").to_string();
    assert_eq!(message, "PyTorch has no layer with peepholes");
    assert!(!path.exists());
}
