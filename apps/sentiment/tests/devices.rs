//! Every device that is compiled in trains the same model: the random numbers are drawn on the host.
#![cfg(any(feature = "ndarray", feature = "wgpu"))]

use rnn_harness::testing::Program;
use serde_json::Value;

fn train(program: &Program, device: &str) -> Value {
    let small = ["--embedding", "8", "--hidden", "8", "--tokens", "20", "--epochs", "1", "--batch", "50"];
    let args = [&["train", "--data", "sample", "--json", "--device", device], &small[..]].concat();
    program.run(&args).ok().json()
}

#[test]
fn devices_agree() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let flex = train(&program, "flex");
    let others = [("ndarray", cfg!(feature = "ndarray")), ("wgpu", cfg!(feature = "wgpu"))];
    for (device, _) in others.into_iter().filter(|(_, here)| *here) {
        let other = train(&program, device);
        assert!(other["device"].as_str().expect("name").starts_with(device), "{other}");
        for key in ["train_loss", "test_loss"] {
            let (a, b) = (flex[key].as_f64().expect("number"), other[key].as_f64().expect("number"));
            assert!((a - b).abs() < 1e-4, "{device} {key}: {a} {b}");
        }
        // What one device trained another may use.
        let reviews = ["predict", "--json", "--device", "flex", "a wonderful film"];
        assert_eq!(program.run(&reviews).ok().json()["device"], "flex");
    }
}
