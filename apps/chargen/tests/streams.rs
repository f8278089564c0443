//! Contiguous text as a person trains on it, and what its models are used for.

use rnn_harness::testing::Program;

fn chargen() -> Program {
    Program::new(env!("CARGO_BIN_EXE_chargen"))
}

const STREAMS: [&str; 12] = [
    "--mode",
    "streams",
    "--device",
    "flex",
    "--hidden",
    "24",
    "--batch",
    "8",
    "--window",
    "16",
    "--optimizer",
    "adam",
];

/// A text in Cyrillic throughout: training, writing, measuring.
#[test]
fn a_cyrillic_text_is_learnt_as_a_stream() {
    let program = chargen();
    let sentence = "Жила-была ёлка у реки, и была она зелёная. Мимо шёл волк и сказал: «Какая ёлка!»\n";
    program.write("tale.txt", sentence.repeat(120));
    let more = ["--data", "tale.txt", "--prepare", "none", "--epochs", "4", "--learning-rate", "0.02", "--test", "0.1"];
    let best = ["--layers", "2", "--embedding", "24", "--tied", "--layer-dropout", "0.1", "--json"];
    let json = program.run(&[&["train"], &STREAMS[..], &more, &best].concat()).ok().json();
    let bits = json["bits_per_character"].as_f64().expect("a validation part by default");
    assert!(bits < 2.0 && (json["validation_loss"].as_f64().expect("it") / 2f64.ln() - bits).abs() < 1e-9, "{json:#}");
    let tested = json["test_loss"].as_f64().expect("a test part");

    // One character after the other gives what the mini-batches gave.
    let ran = program.run(&["eval", "--json", "--show", "80", "--html", "page.html"]).ok();
    assert!(ran.stdout.contains("\u{1b}[30;48;2;") && ran.stdout.contains("5-grams"), "{ran:?}");
    let json = ran.json();
    let loss = json["loss"].as_f64().expect("a loss");
    assert!((loss - tested).abs() < 0.02, "{loss} {tested}");
    assert!((json["perplexity"].as_f64().expect("one") - loss.exp()).abs() < 1e-9);
    assert!(json["baselines"]["5-gram"]["loss"].as_f64().expect("a baseline") > 0.0);
    let page = std::fs::read_to_string(program.folder().join("page.html")).expect("written");
    assert!(page.contains("ё</span>") && page.contains("5-grams"));

    program.write("own.txt", "Жила-была щука.\nYes.\n");
    let place = "own.txt: the character 'щ' does not occur";
    program.run(&["eval", "own.txt"]).told(place);
    program.run(&["eval", "own.txt"]).told("line 1, column 11; 4 characters are unknown in all: --skip-unknown");
    let ran = program.run(&["eval", "own.txt", "--skip-unknown", "--json"]).ok();
    assert_eq!(ran.json()["characters"], 16 + 5 - 4 - 1, "{ran:?}");

    let write = |args: &[&str]| program.run(&[&["generate", "--prime", "ёлка"], args].concat()).ok().stdout;
    let text = write(&["--length", "40"]);
    assert_eq!(text.chars().count(), 4 + 40 + 1, "{text:?}");
    let word = write(&["--length", "400", "--top-k", "5", "--stop", " "]);
    assert!(word.ends_with(" \n") && word.matches(' ').count() == 1, "{word:?}");
    let two = write(&["--length", "30", "--count", "2", "--seed", "5"]);
    let alone = [write(&["--length", "30", "--seed", "5"]), write(&["--length", "30", "--seed", "6"])];
    assert_eq!(two, format!("--- 1 of 2\n{}--- 2 of 2\n{}", alone[0], alone[1]));
    program.write("prime.txt", "Мимо шёл");
    let from_file = program.run(&["generate", "--prime-file", "prime.txt", "--length", "5", "--top-p", "0.9"]).ok();
    assert!(from_file.stdout.starts_with("Мимо шёл"), "{from_file:?}");
    program.run(&["generate", "--top-p", "1.5"]).told("--top-p 1.5 is not possible");
    program.run(&["generate", "--repetition-penalty", "0"]).told("--repetition-penalty 0 is not possible");
    program.run(&["generate", "--prime-file", "nowhere.txt"]).told("nowhere.txt");
    program.run(&["generate", "--stop", "щ"]).told("--stop: the character 'щ' does not occur");

    let seen = program.run(&["inspect", "--data", "tale.txt", "--prepare", "none"]).ok().stdout;
    assert!(seen.starts_with("9720 characters, 30 distinct, 120 lines"), "{seen}");
}

/// A conversation keeps its state; a wrong command gives an error line and does not end it.
#[test]
fn a_conversation_keeps_its_state() {
    let program = chargen();
    let train = ["--data", "sample", "--prepare", "none", "--epochs", "1"];
    program.run(&[&STREAMS[..], &train].concat()).ok();
    let talk = |lines: &str| program.run_with(&["generate", "-i", "--length", "20"], lines, &[]).ok();
    let ran = talk("/temperature 0\nThe \n\n/save tale.txt\n/reset\n\n/hop\n/top-p 2\n\u{416}\n/quit\nThe \n");
    let whole = program.run(&["generate", "--prime", "The ", "--length", "40", "--temperature", "0"]).ok().stdout;
    let saved = std::fs::read_to_string(program.folder().join("tale.txt")).expect("saved");
    assert_eq!(saved, whole[..whole.len() - 1]);
    for told in ["no text yet", "there is no /hop", "/top-p 2 is not possible", "the line: the character 'Ж'"] {
        assert_eq!(ran.stderr.lines().filter(|line| line.contains(told)).count(), 1, "{told}: {ran:?}");
    }
    assert_eq!(ran.stdout.matches("The ").count(), 1, "{ran:?}");
    // Turns are lines of their own: this one ends within a word.
    talk("/temperature 0\n/length 1\nThe \nShe\n/save turns.txt\n");
    let saved = std::fs::read_to_string(program.folder().join("turns.txt")).expect("saved");
    assert_eq!(saved.chars().take(9).collect::<String>(), "The t\nShe", "{saved:?}");
}

#[test]
fn wrong_streams_are_told() {
    let program = chargen();
    program.write("tale.txt", "The cat sat on the mat.\n".repeat(20));
    let run = |args: &[&str]| program.run(&[&["--data", "tale.txt", "--mode", "streams"], args].concat());
    run(&["--batch", "300"])
        .told("the part to train on has 431 characters, too few for --batch 300 rows of --window 64");
    run(&["--validation", "0.6", "--test", "0.5"]).told("which leaves nothing to train on");
    run(&["--test", "1.5"]).told("--test 1.5 is not possible");
    run(&["--embedding", "8", "--tied"]).told("give --embedding 128");
    run(&["--layer-dropout", "1"]).told("--layer-dropout is 1; it must be at least 0 and less than 1");
    program.run(&["--data", "tale.txt", "--device", "flex", "--hidden", "16"]).ok();
    program.run(&["eval"]).told("has no validation or test part; give a text: chargen eval FILE");
    program.run(&["eval", "--part", "test"]).told("has no test part");
}

/// The state that is carried from mini-batch to mini-batch is in the checkpoint.
#[cfg(unix)]
#[test]
fn a_killed_stream_is_resumed_to_the_same_bits() {
    let more = ["--data", "sample", "--layers", "2", "--epochs", "3", "--average", "0.9", "--checkpoint-every", "7"];
    let dropout = ["--layer-dropout", "0.2", "--weight-dropout", "0.2", "--embedding", "8", "--test", "0.1"];
    chargen().kill_and_resume(&[&STREAMS[..], &more, &dropout].concat(), 4, 3);
}
