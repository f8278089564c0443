//! A training on several devices, as a person runs it.

use rnn_harness::testing::Program;

/// Two devices of one kind train as one that accumulates, and one may go on with what two began.
#[test]
fn two_devices_share_a_training() {
    let program = Program::new(env!("CARGO_BIN_EXE_adder"));
    let small = ["--hidden", "4", "--steps", "500", "--learning-rate", "0.01", "--json", "--device", "flex"];
    let train = |name: &str, args: &[&str]| program.run(&[&small[..], &["--name", name], args].concat()).ok();
    let model = |name: &str| std::fs::read(program.folder().join("runs/adder").join(name).join("model.bpk"));
    let one = train("one", &["--accumulate", "2"]).json();
    let ran = train("two", &["--device", "flex"]);
    assert!(ran.stderr.contains("device: flex+flex (CPU, "), "{ran:?}");
    let two = ran.json();
    assert_eq!((&two["device"], &two["train_loss"]), (&"flex+flex".into(), &one["train_loss"]));
    assert!(model("two").expect("a model") == model("one").expect("a model"));
    let config = std::fs::read_to_string(program.folder().join("runs/adder/two/config.json")).expect("there");
    assert!(config.contains("\"accumulate\": 2") && config.contains("\"device\": \"flex+flex\""), "{config}");

    let resumed = program.run(&["train", "--resume", "runs/adder/two", "--device", "flex", "--json"]).ok();
    assert!(!resumed.stderr.contains("the last digits will differ"), "{resumed:?}");
    assert_eq!(resumed.json()["train_loss"], one["train_loss"]);
    let three = ["--device", "flex", "--device", "flex", "--device", "flex"];
    program
        .run(&[&["train", "--resume", "runs/adder/two"], &three[..]].concat())
        .told("devices are 3, but an update takes 2 mini-batches (--accumulate)");
    program
        .run(&["ask", "1", "2", "--device", "flex", "--device", "flex"])
        .told("only training can use several devices");
}
