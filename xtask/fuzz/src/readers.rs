//! Reads what libFuzzer makes up, as a file of the format in `RNN_FUZZ_TARGET`.
//!
//! A checksum or a compression would hide what is inside from the mutations, so several targets take a first byte `Z`
//! to mean that the rest is to be wrapped.

#![no_main]

mod scratch;

use flate2::{Compression, write::GzEncoder};
use rnn_core::burn::tensor::Device;
use rnn_core::{Key, Lstm, LstmConfig, Preset};
use rnn_data::series::{self, Grid};
use rnn_data::{Places, reviews, text};
use scratch::file;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::OnceLock;
use zip::write::SimpleFileOptions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| match std::env::var("RNN_FUZZ_TARGET").as_deref() {
        Ok("pt") => pt,
        Ok("safetensors") => safetensors,
        Ok("h5") => h5,
        Ok("keras") => keras,
        Ok("npz") => npz,
        Ok("tables") => tables,
        Ok("corpora") => corpora,
        Ok("series") => series_of,
        other => panic!("RNN_FUZZ_TARGET is {other:?}; run `cargo xtask fuzz`"),
    });
    scratch::run(|| target(data));
});

/// `nn.LSTM(3, 4)`, or `LSTM(4)` after three features.
fn lstm(preset: Preset) -> Lstm {
    static LAYERS: OnceLock<[Lstm; 2]> = OnceLock::new();
    let new = |preset| LstmConfig::new(3, 4).with_preset(preset).init(Key::new(0), &Device::default());
    let [pytorch, keras] = LAYERS.get_or_init(|| [new(Preset::Pytorch), new(Preset::Keras)]);
    if preset == Preset::Pytorch { pytorch.clone() } else { keras.clone() }
}

/// The bytes behind a first `Z`.
fn inside(data: &[u8]) -> Option<&[u8]> {
    data.strip_prefix(b"Z")
}

/// An archive of `files`, not compressed.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        archive.start_file(*name, options).expect("in memory");
        archive.write_all(bytes).expect("in memory");
    }
    archive.finish().expect("in memory").into_inner()
}

fn pytorch(path: &Path) {
    for prefix in ["", "module.encoder.lstm"] {
        let _ = lstm(Preset::Pytorch).load_pytorch(path, prefix);
    }
}

fn pt(data: &[u8]) {
    let numbers = [0; 256];
    let wrapped = inside(data).map(|pickle| {
        let storages = ["m/data/0", "m/data/1", "m/data/2", "m/data/3"].map(|name| (name, &numbers[..]));
        zipped(&[&[("m/data.pkl", pickle)], &storages[..]].concat())
    });
    pytorch(&file("x.pt", wrapped.as_deref().unwrap_or(data)));
}

fn safetensors(data: &[u8]) {
    pytorch(&file("x.safetensors", data));
}

fn h5(data: &[u8]) {
    let path = file("x.weights.h5", data);
    // By name or by path.
    let name = if data.len() % 2 == 0 { "l" } else { "layers/lstm" };
    let _ = lstm(Preset::Keras).load_keras(&path, &[name]);
}

fn keras(data: &[u8]) {
    // A real archive's weights, to go with a config.json.
    static WEIGHTS: OnceLock<Vec<u8>> = OnceLock::new();
    let weights = WEIGHTS.get_or_init(|| {
        let archive = include_bytes!("../../../crates/rnn-core/tests/keras/archives/lstm.keras");
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&archive[..])).expect("an archive");
        let mut bytes = Vec::new();
        archive.by_name("model.weights.h5").expect("weights").read_to_end(&mut bytes).expect("whole");
        bytes
    });
    let wrapped = inside(data).map(|config| zipped(&[("config.json", config), ("model.weights.h5", weights)]));
    let path = file("x.keras", wrapped.as_deref().unwrap_or(data));
    let _ = lstm(Preset::Keras).load_keras(&path, &["l"]);
}

fn npz(data: &[u8]) {
    let wrapped = inside(data).map(|array| zipped(&[("arr_0.npy", array), ("arr_1.npy", array), ("arr_2.npy", array)]));
    let path = file("x.npz", wrapped.as_deref().unwrap_or(data));
    let _ = lstm(Preset::Keras).load_keras(&path, &[]);
}

fn read_reviews(path: &Path) {
    let _ = reviews::load(&Places { data: Some(path.to_path_buf()), ..Places::default() });
}

/// The first byte is the format.
fn tables(data: &[u8]) {
    let Some((format, table)) = data.split_first() else { return };
    let ending = ["csv", "tsv", "jsonl"][usize::from(*format) % 3];
    read_reviews(&file(&format!("x.{ending}"), table));
}

/// Tables of numbers over time. The first byte is the separator and which columns are the time; every column is read as
/// numbers too.
fn series_of(data: &[u8]) {
    let Some((how, table)) = data.split_first() else { return };
    let path = file(if how % 2 == 0 { "x.csv" } else { "x.tsv" }, table);
    let Ok(table) = series::load("temperatures", &Places { data: Some(path), ..Places::default() }) else { return };
    let columns = table.names.len();
    let times = usize::from(how / 2) % 6;
    let time: Vec<usize> = (0..times.min(columns)).collect();
    for column in 0..columns {
        let _ = (table.is_time(column), table.is_numeric(column));
        let _ = table.numbers(column).map(|numbers| assert_eq!(numbers.len(), table.rows()));
    }
    let Ok(grid) = Grid::of(&table, &time) else { return };
    assert!(grid.rows.iter().flatten().all(|row| *row < table.rows()));
    for at in [0, grid.len() / 2, grid.len() - 1, grid.len() + 9] {
        let _ = (grid.label(at), grid.seconds(at).map(series::time::phase));
    }
    let _ = grid.skip(1).label(0);
}

/// Texts; with a first `Z` archives of reviews, compressed here; else archives as they are.
fn corpora(data: &[u8]) {
    if let Some(archive) = inside(data) {
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(archive).expect("in memory");
        read_reviews(&file("x.tar.gz", &compressed.finish().expect("in memory")));
    } else if data.starts_with(b"\x1f\x8b") {
        read_reviews(&file("x.tar.gz", data));
    } else if let Ok(text) = text::read(&file("x.txt", data)) {
        let _ = text::lesson(&text);
    }
}
