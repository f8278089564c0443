//! Every device that is compiled in trains the same model: the random numbers are drawn on the host.
#![cfg(any(feature = "ndarray", feature = "wgpu"))]

use rnn_harness::testing::Program;
use serde_json::Value;

fn train(program: &Program, device: &str) -> Value {
    train_with(program, &["--device", device])
}

fn train_with(program: &Program, args: &[&str]) -> Value {
    let small = ["--embedding", "8", "--hidden", "8", "--tokens", "20", "--epochs", "1", "--batch", "50"];
    program.run(&[&["train", "--data", "sample", "--json"], &small[..], args].concat()).ok().json()
}

/// Two kinds of devices share a training; the random numbers are the same on both.
#[test]
fn devices_share_a_training() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let one = train_with(&program, &["--device", "flex", "--accumulate", "2"]);
    let others = [("ndarray", cfg!(feature = "ndarray")), ("wgpu", cfg!(feature = "wgpu"))];
    for (device, _) in others.into_iter().filter(|(_, here)| *here) {
        let both = train_with(&program, &["--device", "flex", "--device", device]);
        assert!(both["device"].as_str().expect("name").starts_with(&format!("flex+{device}")), "{both}");
        for key in ["train_loss", "test_loss"] {
            let (a, b) = (one[key].as_f64().expect("number"), both[key].as_f64().expect("number"));
            assert!((a - b).abs() < 1e-4, "flex and {device}, {key}: {a} {b}");
        }
    }
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

/// The trial steps change nothing, and the line says what was chosen.
#[test]
fn of_several_devices_the_faster_one_trains() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let others = [("ndarray", cfg!(feature = "ndarray")), ("wgpu", cfg!(feature = "wgpu"))];
    for (other, _) in others.into_iter().filter(|(_, here)| *here) {
        let several = format!("flex,{other}");
        let small = ["--embedding", "8", "--hidden", "8", "--tokens", "20", "--epochs", "1", "--batch", "50"];
        let args = |device| [&["train", "--data", "sample", "--json", "--device", device], &small[..]].concat();
        let ran = program.run(&args(&several)).ok();
        let chosen = ran.json()["device"].as_str().expect("name").to_string();
        let line = ran.stderr.lines().find(|line| line.starts_with("device: ")).expect("it says the device");
        assert!(line.starts_with(&format!("device: {chosen} (")), "{line}");
        assert!(line.contains("; a training step takes ") && line.contains(" times as long)"), "{line}");
        let alone = program.run(&args(chosen.split(':').next().expect("a kind"))).ok().json();
        assert_eq!(alone["train_loss"], ran.json()["train_loss"]);
        let config: Value = serde_json::from_slice(
            &std::fs::read(program.folder().join(ran.json()["run"].as_str().expect("a path")).join("config.json"))
                .expect("saved"),
        )
        .expect("JSON");
        assert_eq!(config["training"]["device"], Value::String(chosen));
    }
}

#[cfg(all(feature = "wgpu", target_os = "linux"))]
#[test]
fn without_an_adapter_there_is_one_line() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let nothing = std::ffi::OsStr::new("/dev/null");
    let drivers =
        ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES", "__EGL_VENDOR_LIBRARY_DIRS"];
    let without = drivers.map(|driver| (driver, nothing));
    let ran = program.run_with(&["train", "--data", "sample", "--device", "wgpu"], "", &without);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(
        ran.stderr.trim_end(),
        "error: --device wgpu: no wgpu device was found on this machine; is its driver installed?"
    );
    // Nothing to compare, and nothing is said about that.
    let ran = program.run_with(&["train", "--data", "sample", "--epochs", "1", "--hidden", "2"], "", &without).ok();
    assert_eq!(ran.stderr.lines().next(), ran.stderr.lines().find(|line| line.starts_with("device: flex (CPU, ")));
    assert!(!ran.stderr.contains("a training step takes"), "{}", ran.stderr);
}

/// Burn says it where the first result is read.
#[cfg(feature = "wgpu")]
#[test]
fn too_little_memory_is_one_line() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    // More than lavapipe gives one buffer, 134 MB.
    let table = ["--words", "300000", "--embedding", "128", "--tokens", "2", "--hidden", "2", "--batch", "330"];
    let ran = program.run(&[&["train", "--data", "sample", "--epochs", "1", "--device", "wgpu"], &table[..]].concat());
    if ran.stderr.contains("llvmpipe") {
        let error = ran.stderr.lines().last().unwrap_or_default();
        assert_eq!(ran.code, Some(1), "{error}");
        assert!(error.starts_with("error: the device has no room for a buffer of 154 MB; give"), "{error}");
    }
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "supported as long as Burn has it")]
fn a_tensor_on_another_device_is_told() {
    use burn::tensor::{Device, Tensor};
    use rnn_core::{ForwardArgs, GruConfig, HiddenState, Key};
    let gru = GruConfig::new(2, 3).init(Key::new(0), &Device::flex());
    let told = |device: &Device, args| {
        gru.try_forward(Tensor::zeros([1, 4, 2], device), args).expect_err("wrong on purpose").to_string()
    };
    let input = told(&Device::ndarray(), ForwardArgs::default());
    assert!(input.starts_with("input is on ") && input.contains("but the layer's weights are on "), "{input}");
    let state = HiddenState { hidden: Tensor::zeros([1, 3], &Device::ndarray()) };
    let state = told(&Device::flex(), ForwardArgs::default().with_state(state));
    assert!(state.starts_with("initial state is on "), "{state}");
}

#[cfg(feature = "ndarray")]
#[test]
#[expect(deprecated, reason = "supported as long as Burn has it")]
fn a_dense_layer_and_its_loss_agree() {
    use burn::tensor::{Device, Tensor, Tolerance};
    use rnn_core::{Key, Preset};
    let gradients = |device: Device| {
        let device = device.autodiff();
        let layer = Preset::Pytorch.linear(3, 4, Key::new(0), &device);
        let input = Tensor::<2>::from_floats([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], &device);
        let loss = rnn_core::cross_entropy(rnn_core::linear(&layer, input), Tensor::from_ints([3, 0], &device));
        let value = loss.clone().into_data();
        let grads = loss.backward();
        let bias = layer.bias.expect("it has one").val().grad(&grads);
        [Some(value), layer.weight.val().grad(&grads).map(Tensor::into_data), bias.map(Tensor::into_data)]
    };
    for (flex, ndarray) in gradients(Device::flex()).into_iter().zip(gradients(Device::ndarray())) {
        let (flex, ndarray) = (flex.expect("a gradient"), ndarray.expect("a gradient"));
        ndarray.assert_approx_eq::<f32>(&flex, Tolerance::absolute(1e-6));
    }
}
