//! The program as a person runs it.

use rnn_harness::testing::{Program, tensors};
use std::ffi::OsStr;

fn chargen() -> Program {
    Program::new(env!("CARGO_BIN_EXE_chargen"))
}

const SMALL: [&str; 6] = ["--device", "flex", "--hidden", "16", "--epochs", "1"];

#[test]
fn the_sample_is_learned_without_a_network_and_named_as_such() {
    let program = chargen();
    let ran = program.run(&[&["--json"], &SMALL[..]].concat()).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains("sample") && lines[lines.len() - 2].contains("sample"), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["corpus"], "sample");
    let loss = json["train_loss"].as_f64().expect("number");
    let chance = json["symbols"].as_f64().expect("number").ln();
    assert!(loss < chance - 0.5, "{loss} {chance}");
    // The sample after the epoch: a window of 10 and 100 characters more.
    let seed = lines.iter().position(|line| line.starts_with("Generating from seed: ")).expect("a sample");
    assert_eq!(lines[seed + 1].len(), 110, "{ran:?}");
    assert_eq!(lines[seed]["Generating from seed: ".len()..], lines[seed + 1][..10]);
}

#[test]
fn a_model_writes_the_same_in_another_process() {
    let program = chargen();
    program.write("tale.txt", "The cat sat on the mat. The dog sat on the log.\n".repeat(40));
    for (cell, optimizer) in [("gru", "rmsprop"), ("lstm", "adam"), ("rnn", "sgd")] {
        let args = ["--data", "tale.txt", "--cell", cell, "--optimizer", optimizer, "--layers", "2"];
        let json = program.run(&[&["train", "--json"], &SMALL[..], &args[..]].concat()).ok().json();
        assert_eq!(json["corpus"], "tale.txt");
        assert_eq!(json["windows"], 48 * 40 - 1 - 10);
    }
    let generate = |args: &[&str]| program.run(&[&["generate", "--length", "30"], args].concat()).ok().stdout;
    let plain = generate(&["--prime", "The cat"]);
    assert!(plain.starts_with("the cat") && plain.trim_end_matches('\n').len() == 37, "{plain:?}");
    assert_eq!(plain, generate(&["--prime", "The cat"]));
    // A state that has read no more than a window is what the window gives.
    let carried = generate(&["--prime", "The cat", "--carry-state"]);
    assert_eq!(carried[..10], plain[..10]);
    let drawn = generate(&["--temperature", "1.5", "--seed", "1"]);
    assert_eq!(drawn, generate(&["--temperature", "1.5", "--seed", "1"]));
    assert_ne!(drawn, generate(&["--temperature", "1.5", "--seed", "2"]));
    // The window is the end of what there is; a state goes on however much is read.
    let long = generate(&["--prime", "a cat sat on the mat and so on"]);
    assert_eq!(long.strip_prefix("a cat sat on the mat"), Some(generate(&["--prime", " and so on"]).as_str()));
    let longer = program.run(&["generate", "--length", "60", "--prime", "The cat", "--carry-state"]).ok().stdout;
    assert!(longer.starts_with(carried.trim_end_matches('\n')), "{longer:?}");
}

#[test]
fn half_storage_is_kept_with_the_run() {
    let program = chargen();
    program.write("tale.txt", "The cat sat on the mat. The dog sat on the log.\n".repeat(20));
    let args = [&["train", "--data", "tale.txt"], &SMALL[2..]].concat();
    program.half_storage_is_kept(&args, &["generate", "--length", "5"]);
}

/// An error about a cell or an option names the command line's options.
#[test]
fn what_would_change_nothing_and_what_cannot_be_exported_is_told() {
    let program = chargen();
    program.write("tale.txt", "The cat sat on the mat. The dog sat on the log.\n".repeat(20));
    let train = |args: &[&str]| program.run(&[&["train", "--data", "tale.txt"], &SMALL[..], args].concat());
    train(&["--layer-dropout", "0.3"]).told("--layer-dropout 0.3 would change nothing: with --mode windows it acts");
    train(&["--layer-dropout", "0.3", "--layers", "2"]).ok();
    train(&["--layer-dropout", "0.3", "--mode", "streams", "--window", "8", "--batch", "4"]).ok();
    train(&["--cell", "mingru", "--weight-dropout", "0.1"])
        .told("--weight-dropout 0.1 would change nothing: a mingru does not multiply its state; use --dropout or");
    train(&["--cell", "minlstm", "--name", "a"]).ok();
    let told = "neither PyTorch nor ONNX has the minLSTM; train a model with --cell rnn, lstm or gru";
    for (format, out) in [("onnx", "a.onnx"), ("pytorch", "a")] {
        program.run(&["export", "--run", "a", "--format", format, "--out", out]).told(told);
        assert!(!program.folder().join(out).exists());
    }
    let config = std::fs::read_to_string(program.folder().join("runs/chargen/a/config.json")).expect("there");
    program.forge("runs/chargen/a", "config.json", config.replace("\"recurrent\": 0.0", "\"recurrent\": 0.5"));
    program.run(&["generate", "--run", "a"]).told("--recurrent-dropout 0.5 would change nothing: a minlstm");
    program.write("one.txt", "x");
    program.run(&["--data", "one.txt"]).told("the text has 1 character, too few for --window 10");
}

#[test]
fn an_own_text_has_a_validation_part() {
    let program = chargen();
    program.write("long.txt", "The cat sat on the mat. The dog sat on the log.\n".repeat(250));
    let first = |args: &[&str]| {
        let ran = program.run(&[&["--data", "long.txt", "--hidden", "4", "--epochs", "1"], args].concat()).ok();
        ran.stdout.lines().next().unwrap_or_default().to_string()
    };
    assert!(first(&[]).contains("10790 windows of 10, 1199 to validate"), "{}", first(&[]));
    assert!(first(&["--validation", "0"]).contains("11989 windows of 10, "), "{}", first(&["--validation", "0"]));
    program
        .run(&["--data", "long.txt", "--mode", "streams", "--device", "flex", "--device", "flex"])
        .told("--device flex+flex: with --mode streams each mini-batch begins where the one before ended");
}

#[test]
fn any_language_will_do() {
    let program = chargen();
    program.write("tale.txt", "Жила-была ёлка 🎄 у реки.\n".repeat(30));
    program.run(&["--data", "tale.txt"]).told("use --prepare none");
    let args = ["--data", "tale.txt", "--prepare", "none", "--epochs", "3"];
    program.run(&[&["train", "--hidden", "16", "--device", "flex"], &args[..]].concat()).ok();
    let written = program.run(&["generate", "--prime", "ёлка", "--length", "20"]).ok().stdout;
    assert_eq!(written.chars().count(), 4 + 20 + 1, "{written:?}");
}

#[test]
fn wrong_input_is_told() {
    let program = chargen();
    program.run(&["generate"]).told("no trained model under runs/chargen");
    program.run(&["--data", "nowhere"]).told("nowhere: there is no such file or folder");
    program.write("file", "");
    let in_a_file = [("RNN_RUNS", OsStr::new("file"))];
    program.run_with(&["--data", "nowhere"], "", &in_a_file).told("set RNN_RUNS to a folder that can be written");
    program.write("short.txt", "too short");
    program.run(&["--data", "short.txt"]).told("the text has 9 characters, too few for --window 10");
    program.run(&["--data", "sample", "--hidden", "1000000"]).told("more than the 268435456 that are possible here");
    program.write("latin1.txt", b"caf\xe9");
    program.run(&["--data", "latin1.txt"]).told("latin1.txt: byte 3 is not UTF-8");
    assert!(!program.folder().join("runs").exists());
    program.run(&[&["--data", "sample"], &SMALL[..]].concat()).ok();
    program.run(&["generate", "--prime", "#"]).told("the character '#' does not occur in the text");
    program.run(&["generate", "--prime", ""]).told("--prime is empty");
    let partly = program.run(&["generate", "--prime", "Ünï alice"]).ok();
    assert!(partly.stderr.contains("--prime: 2 characters that are not ASCII are left out"), "{partly:?}");
    assert!(partly.stdout.starts_with("n alice"), "{partly:?}");
    program.run(&["generate", "--length", "0"]).told("--length 0: too small; give a whole number from 1 to 1000000000");
    program.run(&["--data", "sample", "--dropout-masks", "shared"]).told("--dropout-masks would change nothing");
    program.run(&["generate", "--temperature", "-1"]).told("--temperature -1 is not possible");
}

#[test]
fn every_line_end_is_read_as_one() {
    let program = chargen();
    let text = "The cat sat on the mat.\nThe dog sat on the log.\n".repeat(20);
    for prepare in ["lesson", "none"] {
        let trained = ["\n", "\r", "\r\n"].map(|end| {
            program.write("tale.txt", text.replace('\n', end));
            let args = ["--data", "tale.txt", "--prepare", prepare, "--json"];
            let json = program.run(&[&args[..], &SMALL[..]].concat()).ok().json();
            [json["symbols"].clone(), json["windows"].clone(), json["train_loss"].clone()]
        });
        assert_eq!(trained[0], trained[1], "{prepare}");
        assert_eq!(trained[0], trained[2], "{prepare}");
        let primes = ["The cat\nThe dog", "The cat\rThe dog", "The cat\r\nThe dog"]
            .map(|prime| program.run(&["generate", "--length", "20", "--prime", prime]).ok().stdout);
        assert_eq!(primes[0], primes[1]);
        assert_eq!(primes[0], primes[2]);
    }
}

#[test]
fn what_the_lessons_preparation_loses_is_said_with_a_way_to_keep_it() {
    let program = chargen();
    program
        .write("fr.txt", "Le caf\u{e9} est \u{e0} c\u{f4}t\u{e9}.\nIl fait beau sur la place du village.\n".repeat(30));
    let ran = program.run(&[&["--data", "fr.txt"], &SMALL[..]].concat()).ok();
    let told = "120 characters that are not ASCII are left out (\u{e9} 60, \u{e0} 30, \u{f4} 30) and 59 line ends \
                become spaces, and capitals small letters, as in the lesson; --prepare none keeps the text as it is";
    assert!(ran.stderr.lines().any(|line| line == told), "{ran:?}");
    let ran = program.run(&["generate", "--length", "20", "--prime", "Le\nvillage"]).ok();
    assert!(ran.stdout.starts_with("le village"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("--prime: 1 line end becomes a space, because the training text was prepared as in the lesson"),
        "{ran:?}"
    );
    let ran = program.run(&[&["--data", "fr.txt", "--prepare", "none"], &SMALL[..]].concat()).ok();
    assert!(!ran.stderr.contains("lesson"), "{ran:?}");
}

#[test]
fn a_prime_is_found_in_the_other_unicode_form() {
    let program = chargen();
    program.write("nfd.txt", "Le cafe\u{301} est a\u{300} co\u{302}te\u{301} de la fore\u{302}t. ".repeat(20));
    program.run(&[&["--data", "nfd.txt", "--prepare", "none"], &SMALL[..]].concat()).ok();
    let composed = program.run(&["generate", "--length", "20", "--prime", "caf\u{e9}"]).ok();
    let decomposed = program.run(&["generate", "--length", "20", "--prime", "cafe\u{301}"]).ok();
    assert_eq!(composed.stdout, decomposed.stdout);
    assert!(composed.stderr.contains("in the Unicode form (NFC or NFD) that the model's text has"), "{composed:?}");
    assert!(!decomposed.stderr.contains("Unicode form"), "{decomposed:?}");
    let told = "--prime: the character 'ü' does not occur in the text the model was trained on; it is U+00FC, LATIN SMALL LETTER U WITH \
         DIAERESIS; leave it out";
    program.run(&["generate", "--prime", "u\u{308}"]).told(told);
}

#[test]
fn what_is_no_text_is_not_learnt() {
    let program = chargen();
    let text = "The cat sat on the mat.\n".repeat(20);
    program.write("utf16.txt", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    for prepare in ["lesson", "none"] {
        program
            .run(&["--data", "utf16.txt", "--prepare", prepare])
            .told("utf16.txt: byte 1 is NUL; the text seems to be UTF-16LE: convert it to UTF-8, as iconv -f UTF-16LE");
    }
    let file = std::fs::File::create(program.folder().join("huge.txt")).expect("made");
    file.set_len(3_000_000_000).expect("a hole");
    program
        .run(&["--data", "huge.txt"])
        .told("the text has 3000000000 bytes, more than the 536870912 bytes that are possible here");
    assert!(!program.folder().join("runs").exists());
}

#[test]
fn a_seed_without_draws_is_refused() {
    let program = chargen();
    let ran = program.run(&[&["--data", "sample", "--json"], &SMALL[..]].concat()).ok();
    let most_frequent = ran.json()["most_frequent"].as_f64().expect("a number");
    assert!((0.1..0.3).contains(&most_frequent), "{most_frequent}");
    assert!(ran.stdout.contains(&format!(" ({most_frequent:.4} by ' ' alone), ")), "{ran:?}");
    for args in [&["--seed", "1"][..], &["--seed", "0", "--temperature", "0"]] {
        program.run(&[&["generate"], args].concat()).told("--seed is for sampling");
    }
    program.run(&["generate", "--seed", "1", "--temperature", "0.5", "--length", "5"]).ok();
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_checkpoint_and_the_model() {
    let program = chargen();
    let args = ["--data", "sample", "--epochs", "1000", "--hidden", "64", "--name", "a"];
    let ran = program.run_signalled(&args, "epoch 1/1000  step 1", "TERM");
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stderr.contains("resume it with --resume runs/chargen/a"), "{ran:?}");
    let generated = program.run(&["generate", "--length", "5"]).ok();
    assert!(generated.stderr.contains("its training did not come to its end"), "{generated:?}");
    program.run(&args).told("choose another --name, or resume it: --resume runs/chargen/a");
    let mut running = program.start(&["train", "--resume", "runs/chargen/a"]);
    running.until("epoch 1/1000");
    program.run(&["--resume", "runs/chargen/a"]).told("another process is training in runs/chargen/a now");
    running.signal("INT");
    assert_eq!(running.end().code, Some(130));
    // What fixes the results is the run's.
    program
        .run(&["--resume", "runs/chargen/a", "--seed", "1"])
        .told("--resume takes all settings from the run; leave out --seed");
    program.run(&["--resume", "runs"]).told("--resume runs holds no config.json");
    program.write("tale.txt", "The cat sat on the mat. The dog sat on the log.\n".repeat(40));
    let long = ["--data", "tale.txt", "--epochs", "100000", "--hidden", "8", "--name", "b"];
    assert_eq!(program.run_signalled(&long, "epoch 1/100000", "TERM").code, Some(130));
    program.write("tale.txt", "The cow sat on the mat. The dog sat on the log.\n".repeat(40));
    program.run(&["--resume", "runs/chargen/b"]).told("has changed since the training began");
}

/// With validation, a schedule and dropout; checkpoints within the epochs.
#[cfg(unix)]
#[test]
fn a_killed_training_is_resumed_to_the_same_bits() {
    let args = [
        "--data",
        "sample",
        "--device",
        "flex",
        "--hidden",
        "48",
        "--layers",
        "2",
        "--dropout",
        "0.2",
        "--epochs",
        "3",
    ];
    let more = ["--validation", "0.1", "--schedule", "cosine", "--warm-up", "5", "--checkpoint-every", "37"];
    chargen().kill_and_resume(&[&args[..], &more].concat(), 16, 2);
}

#[test]
fn what_a_run_folder_says_is_checked() {
    let program = chargen();
    program.run(&[&["--data", "sample", "--name", "a"], &SMALL[..]].concat()).ok();
    let config = std::fs::read_to_string(program.folder().join("runs/chargen/a/config.json")).expect("there");
    for (from, to, what) in [
        ("\"hidden\": 16", "\"hidden\": 1000000", "more than the 268435456 that are possible here"),
        ("\"hidden\": 16", "\"hidden\": 5000", "but model.bpk has only"),
        ("\"hidden\": 16", "\"hidden\": 0", "--hidden 0: too small; give a whole number from 1 to 1000000"),
        ("\"window\": 10", "\"window\": 0", "--window 0: too small"),
        ("\"layers\": 1", "\"layers\": 65", "--layers 65: too large; give a whole number from 1 to 64"),
        ("\"symbols\": ", "\"symbols\": 1", "but model.bpk has only"),
        ("\"symbols\": ", "\"symbols\": 3, \"x\": ", "symbols, but config.json says 3"),
    ] {
        assert!(config.contains(from), "{config}");
        program.forge("runs/chargen/a", "config.json", config.replacen(from, to, 1));
        program.run(&["generate", "--run", "runs/chargen/a"]).told(what);
    }
}

/// The character that plain loops over the exported weights find likeliest after `read`: a GRU of 8 units as PyTorch's
/// documentation has it, over one-hot rows.
fn likeliest(folder: &std::path::Path, read: &str) -> char {
    const HIDDEN: usize = 8;
    let weights = tensors(&folder.join("model.safetensors"));
    let symbols = std::fs::read(folder.join("symbols.json")).expect("a file");
    let symbols: serde_json::Value = serde_json::from_slice(&symbols).expect("JSON");
    let symbols: Vec<char> = serde_json::from_value(symbols["symbols"].clone()).expect("characters");
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let [w_ih, w_hh, b_ih, b_hh] =
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| &weights[&format!("rnn.{name}_l0")]);
    let dot = |row: &[f32], h: &[f32]| row.iter().zip(h).map(|(a, b)| a * b).sum::<f32>();
    let mut h = vec![0f32; HIDDEN];
    for c in read.chars() {
        let id = symbols.iter().position(|symbol| *symbol == c).expect("a known character");
        let input: Vec<f32> = (0..3 * HIDDEN).map(|row| w_ih[row * symbols.len() + id] + b_ih[row]).collect();
        let state: Vec<f32> = (0..3 * HIDDEN).map(|row| dot(&w_hh[row * HIDDEN..][..HIDDEN], &h) + b_hh[row]).collect();
        let next = |unit: usize| {
            let r = sigmoid(input[unit] + state[unit]);
            let z = sigmoid(input[HIDDEN + unit] + state[HIDDEN + unit]);
            let n = (input[2 * HIDDEN + unit] + r * state[2 * HIDDEN + unit]).tanh();
            (1.0 - z) * n + z * h[unit]
        };
        h = (0..HIDDEN).map(next).collect();
    }
    let score = |id: usize| dot(&weights["dense.weight"][id * HIDDEN..][..HIDDEN], &h) + weights["dense.bias"][id];
    let best = (0..symbols.len()).max_by(|a, b| score(*a).total_cmp(&score(*b))).expect("a symbol");
    symbols[best]
}

#[test]
fn an_exported_model_writes_as_the_run_does() {
    let program = chargen();
    program.write("tale.txt", "the cat sat on the mat. the dog sat on the log. ".repeat(40));
    let args = ["--data", "tale.txt", "--hidden", "8", "--epochs", "3", "--batch", "16"];
    program.run(&[&["train", "--device", "flex"], &args[..]].concat()).ok();
    let export = |args: &[&str]| program.run(&[&["export"], args].concat());
    assert_eq!(
        export(&["--format", "pytorch", "--out", "pt"]).ok().stdout,
        "pt: model.safetensors, model.py, symbols.json\n"
    );
    let mut written = "the cat sat on ".to_string();
    let generated = program.run(&["generate", "--prime", &written, "--length", "12"]).ok().stdout;
    while written.chars().count() < 15 + 12 {
        let read = &written[written.len() - 10..]; // the window
        written.push(likeliest(&program.folder().join("pt"), read));
    }
    assert!(generated.contains(&written), "{generated:?} {written:?}");

    let json = export(&["--format", "onnx", "--int8", "--out", "a.onnx", "--json"]).ok().json();
    let onnx = std::fs::read(program.folder().join("a.onnx")).expect("a file");
    assert_eq!(json["bytes"], onnx.len());
    let has = |text: &str| onnx.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(["symbols.json", "DequantizeLinear", "h0", "hn"].iter().all(|name| has(name)));
    let figure = |name: &str| json[name].as_f64().expect("a number");
    assert!((figure("loss_int8") - figure("loss_float32")).abs() < 0.01, "{json}");
    export(&["--format", "pytorch", "--out", "pt"]).told("--out pt is there already; give a new name");
}
