//! Opens run folders that libFuzzer makes up: two files, and a checksum of them that is right or made up too. Or
//! checkpoints, whose checksums are right, or nothing would be read.

#![no_main]

mod checkpoints;
mod scratch;

use rnn_core::burn::tensor::Device;
use rnn_core::{Key, LstmConfig};
use rnn_harness::run_dir::RunDir;
use std::sync::OnceLock;

/// Between the files in the bytes.
const CUT: &[u8] = b"\n----\n";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    let target = TARGET.get_or_init(|| match std::env::var("RNN_FUZZ_TARGET").as_deref() {
        Ok("runs") => runs,
        Ok("checkpoints") => checkpoints::checkpoints,
        other => panic!("RNN_FUZZ_TARGET is {other:?}; run `cargo xtask fuzz`"),
    });
    scratch::run(|| target(data));
});

fn runs(data: &[u8]) {
    let at = |bytes: &[u8]| bytes.windows(CUT.len()).position(|window| window == CUT);
    let parts = |bytes: &'_ [u8]| at(bytes).map(|i| (bytes[..i].to_vec(), bytes[i + CUT.len()..].to_vec()));
    let (config, rest) = parts(data).unwrap_or_else(|| (data.to_vec(), Vec::new()));
    let (model, checksums) = parts(&rest).map_or((rest, None), |(model, checksums)| (model, Some(checksums)));
    // Written as the programs do it, so that the checksums are right.
    let program = "fuzz";
    let path = {
        let run = RunDir::create(program, None).expect("a folder");
        run.write_bytes("config.json", &config).expect("written");
        run.write_bytes("model.bpk", &model).expect("written");
        run.path().to_path_buf()
    };
    if let Some(checksums) = checksums {
        std::fs::write(path.join("checksums.json"), checksums).expect("written");
    }
    if let Ok(run) = RunDir::open(program, Some(&path)) {
        let _ = run.read_json::<serde_json::Value>("config.json");
        let _ = run.read_text("config.json");
        let _ = run.load_model(LstmConfig::new(1, 2).init(Key::new(0), &Device::default()));
    }
    std::fs::remove_dir_all(&path).expect("removed");
}
