//! Files that ask for too much, or hold what no layer has: an error, within bounds, and never a panic.

use super::files::{archive, new, npy, told, weights};
use super::{here, to_vec};
use hdf5_pure::{AttrValue, Datatype, DatatypeByteOrder, FileBuilder, FloatingPointLayout};
use rnn_core::weights::KerasCell;
use rnn_core::{GruConfig, LstmConfig, RecurrentConfig, RnnConfig};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn hostile(name: &str) -> PathBuf {
    here().join("archives").join(name)
}

/// What is said within a few seconds, without what a caught panic would leave.
fn told_soon<C: KerasCell>(config: RecurrentConfig<C>, path: &Path, names: &[&str]) -> String {
    let start = Instant::now();
    let message = told(config, path, names);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}: {message}", start.elapsed());
    assert!(message != "it is damaged", "a panic");
    message
}

#[test]
fn half_precision_is_converted() {
    let path = hostile("keras_f16.weights.h5");
    let layer = new(LstmConfig::new(2, 3)).load_keras(path, &["lstm"]).expect("read");
    let weights = to_vec(layer.layers[0].weight_ih.val());
    // As h5py reads them.
    assert_eq!(weights[..4], [-0.3720703, -0.4501953, -0.5756836, 0.28515625]);
    // The forget gate's bias.
    let bias = to_vec(layer.layers[0].bias_ih.as_ref().expect("bias").val());
    assert_eq!(bias, [[0.0; 3], [1.0; 3], [0.0; 3], [0.0; 3]].concat());
}

#[test]
fn groups_in_a_circle_end() {
    let message = told_soon(LstmConfig::new(3, 4), &hostile("cycle3.weights.h5"), &["l"]);
    assert_eq!(message, "it has more than 30000 groups and arrays, or groups that hold themselves");
}

#[test]
fn a_declared_size_is_compared_before_it_is_read() {
    let message = told_soon(LstmConfig::new(2, 3), &hostile("huge.weights.h5"), &["lstm"]);
    assert!(message.contains("0 (kernel) is [2, 1099511627776], but the layer's is [2, 12]"), "{message}");

    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.npz");
    let huge = npy("<f4", false, "(1000000000, 1000000000)", &[0; 16]);
    archive(&path, &[("arr_0.npy", &huge)]);
    let message = told_soon(RnnConfig::new(2, 3), &path, &[]);
    assert!(message.starts_with("arr_0 (kernel) is [1000000000, 1000000000], but the layer's is [2, 3]"), "{message}");
    // A version 2 header of 4 GB.
    archive(&path, &[("arr_0.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff")]);
    let message = told_soon(RnnConfig::new(2, 3), &path, &[]);
    assert_eq!(message, "arr_0: its header is of 4294967295 bytes; at most 65536 are read");
}

#[test]
fn archives_that_inflate_are_told() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("m.keras");
    let zeros = vec![0; 66 << 20];
    archive(&path, &[("config.json", b"{}"), ("model.weights.h5", &zeros)]);
    assert!(std::fs::metadata(&path).expect("written").len() < 1 << 20);
    let message = told_soon(LstmConfig::new(3, 4), &path, &["l"]);
    let expected = "model.weights.h5: it inflates to more than 67108864 bytes; unpack the archive and load this file";
    assert_eq!(message, expected);
    let weights = std::fs::read(super::here().join("model.weights.h5")).expect("weights");
    archive(&path, &[("model.weights.h5", &weights), ("config.json", &zeros)]);
    let message = told_soon(LstmConfig::new(2, 3), &path, &["lstm"]);
    assert!(message.starts_with("config.json: it inflates to more than 16777216 bytes"), "{message}");
    // Arrays are read as far as the layer is large.
    let path = folder.path().join("w.npz");
    let long = [npy("<f4", false, "(2, 3)", &[]), zeros].concat();
    archive(&path, &[("arr_0.npy", &long)]);
    let message = told_soon(RnnConfig::new(2, 3), &path, &[]);
    assert_eq!(message, "arr_0: it has more than 24 bytes of values for the shape [2, 3]");
}

/// A file with a layer of the class `group`; its arrays as `write` makes them.
fn layer_file(path: &Path, groups: &[(&str, Option<&str>)], write: impl Fn(&mut hdf5_pure::GroupBuilder, usize)) {
    let mut file = FileBuilder::new();
    let mut layers = file.create_group("layers");
    for (group, name) in groups {
        let mut layer = layers.create_group(group);
        let mut vars = layer.create_group("vars");
        if let Some(name) = name {
            vars.set_attr("name", AttrValue::String(name.to_string()));
        }
        layer.add_group(vars.finish());
        let mut cell = layer.create_group("cell");
        let mut vars = cell.create_group("vars");
        (0..3).for_each(|which| write(&mut vars, which));
        cell.add_group(vars.finish());
        layer.add_group(cell.finish());
        layers.add_group(layer.finish());
    }
    file.add_group(layers.finish());
    std::fs::write(path, file.finish().expect("a file")).expect("written");
}

/// The arrays of a `SimpleRNN(2)` after one feature.
const SHAPES: [&[u64]; 3] = [&[1, 2], &[2, 2], &[2]];

fn floats(vars: &mut hdf5_pure::GroupBuilder, which: usize) {
    let count = SHAPES[which].iter().product::<u64>() as usize;
    vars.create_dataset(&which.to_string()).with_shape(SHAPES[which]).with_f32_data(&vec![0.5; count]);
}

#[test]
fn layers_without_names_are_found_by_path_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.weights.h5");
    // As the first releases of Keras 3 wrote it. A model whose layers are called simple_rnn_1 and simple_rnn_2 has
    // them at simple_rnn and simple_rnn_1: the names are not those of the groups.
    layer_file(&path, &[("simple_rnn", None), ("simple_rnn_1", None)], floats);
    let rnn = || RnnConfig::new(1, 2);
    let message = told(rnn(), &path, &["simple_rnn_1"]);
    let both = ["layers/simple_rnn (its name is not in the file)", "layers/simple_rnn_1 (its name is not in the file)"];
    let both = both.join(", ");
    assert_eq!(message, format!("there is no layer simple_rnn_1; the file has {both}; give such a path"));
    assert!(new(rnn()).load_keras(&path, &["layers/simple_rnn_1"]).is_ok());

    // In an archive, config.json has the names.
    let archived = folder.path().join("m.keras");
    let layer = |name: &str| format!(r#"{{"class_name": "SimpleRNN", "config": {{"name": "{name}", "units": 2}}}}"#);
    let layers = [layer("simple_rnn_1"), layer("simple_rnn_2")].join(", ");
    let config = format!(r#"{{"class_name": "Sequential", "config": {{"layers": [{layers}]}}}}"#);
    let weights = std::fs::read(&path).expect("weights");
    archive(&archived, &[("model.weights.h5", &weights), ("config.json", config.as_bytes())]);
    assert!(new(rnn()).load_keras(&archived, &["simple_rnn_2"]).is_ok());
    let message = told(rnn(), &archived, &["simple_rnn"]);
    assert!(message.ends_with("simple_rnn_1 (layers/simple_rnn), simple_rnn_2 (layers/simple_rnn_1)"), "{message}");
}

#[test]
fn numbers_of_other_types_are_told_or_converted() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.weights.h5");
    let rnn = || RnnConfig::new(1, 2);
    layer_file(&path, &[("simple_rnn", Some("rnn"))], |vars, which| {
        let count = SHAPES[which].iter().product::<u64>() as usize;
        vars.create_dataset(&which.to_string()).with_shape(SHAPES[which]).with_i32_data(&vec![1; count]);
    });
    let message = told_soon(rnn(), &path, &["rnn"]);
    assert!(message.starts_with("layers/simple_rnn/cell/vars/0 holds "), "{message}");
    assert!(message.ends_with(" numbers; only floats of 16, 32 and 64 bits are read"), "{message}");

    // bfloat16 as Keras writes it (HDF5 has none), and as a float of its own; half precision with the high byte first.
    let brain = FloatingPointLayout {
        bit_offset: 0,
        bit_precision: 16,
        exponent_location: 7,
        exponent_size: 8,
        mantissa_location: 0,
        mantissa_size: 7,
        exponent_bias: 127,
    };
    let half =
        FloatingPointLayout { exponent_location: 10, exponent_size: 5, mantissa_size: 10, exponent_bias: 15, ..brain };
    let float = |byte_order, layout| Datatype::FloatingPoint { size: 2, byte_order, layout };
    let little = DatatypeByteOrder::LittleEndian;
    for (datatype, attribute, value) in [
        (Datatype::Opaque { size: 2, tag: Vec::new() }, true, [0x00, 0x3f]),
        (float(little, brain), false, [0x00, 0x3f]),
        (float(little, half), false, [0x00, 0x38]),
        (float(DatatypeByteOrder::BigEndian, half), false, [0x38, 0x00]),
    ] {
        layer_file(&path, &[("simple_rnn", Some("rnn"))], |vars, which| {
            let count = SHAPES[which].iter().product::<u64>();
            let values = value.repeat(count as usize);
            let dataset = vars.create_dataset(&which.to_string());
            dataset.with_raw_data(datatype.clone(), values, count).with_shape(SHAPES[which]);
            if attribute {
                dataset.set_attr("dtype", AttrValue::String("bfloat16".into()));
            }
        });
        let layer = new(rnn()).load_keras(&path, &["rnn"]).expect("converted");
        assert_eq!(weights(&layer), [0.5; 8], "{datatype:?}");
    }
    // Bytes that are not said to be bfloat16.
    layer_file(&path, &[("simple_rnn", Some("rnn"))], |vars, which| {
        let count = SHAPES[which].iter().product::<u64>();
        let opaque = Datatype::Opaque { size: 2, tag: Vec::new() };
        vars.create_dataset(&which.to_string())
            .with_raw_data(opaque, vec![0; 2 * count as usize], count)
            .with_shape(SHAPES[which]);
    });
    assert!(told_soon(rnn(), &path, &["rnn"]).contains("holds "));
}

#[test]
fn many_layers_take_time_by_their_number() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("w.weights.h5");
    let names: Vec<String> = (0..4000).map(|i| format!("simple_rnn_{i}")).collect();
    let groups: Vec<(&str, Option<&str>)> = names.iter().map(|name| (name.as_str(), Some(name.as_str()))).collect();
    layer_file(&path, &groups, floats);
    let start = Instant::now();
    new(RnnConfig::new(1, 2)).load_keras(&path, &["simple_rnn_3999"]).expect("found");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let message = told_soon(GruConfig::new(1, 2), &path, &["none"]);
    assert!(message.ends_with(", and 3988 more"), "{message}");
}
