//! The program as a person runs it.

use rnn_harness::testing::{Program, Ran};
use serde_json::Value;

#[path = "program/words.rs"]
mod words;

fn sentiment() -> Program {
    Program::new(env!("CARGO_BIN_EXE_sentiment"))
}

const SMALL: [&str; 10] = ["--device", "flex", "--embedding", "8", "--hidden", "8", "--tokens", "30", "--epochs", "2"];

fn train(program: &Program, args: &[&str]) -> Ran {
    program.run(&[&["train", "--json"], &SMALL[..], args].concat()).ok()
}

fn probabilities(ran: &Ran) -> Vec<Value> {
    let json = ran.json();
    let predictions = json["predictions"].as_array().expect("a list").iter();
    predictions.map(|p| p["probability"].clone()).filter(|p| !p.is_null()).collect()
}

#[test]
fn the_sample_is_learned_without_a_network_and_named_as_such() {
    let program = sentiment();
    let ran = program.run(&["--json", "--device", "flex"]).ok(); // as a newcomer types it
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].contains("sample"), "{ran:?}");
    assert!(lines[lines.len() - 2].contains("sample"), "{ran:?}");
    assert!(ran.stderr.contains("no IMDb: https://ai.stanford.edu"), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["corpus"], "sample");
    // Chance gives 0.5 with a standard error of 0.05.
    assert!(json["test_accuracy"].as_f64().expect("number") > 0.8, "{ran:?}");
    assert!(!program.folder().join("cache").exists());
}

#[test]
fn a_model_gives_another_process_the_same_to_the_last_bit() {
    let program = sentiment();
    let trained = train(&program, &["--data", "sample", "--name", "a"]).json();
    let evaluated = program.run(&["eval", "--run", "runs/sentiment/a", "--data", "sample", "--json"]).ok().json();
    assert_eq!(trained["test_loss"], evaluated["test_loss"]);
    assert_eq!(trained["test_accuracy"], evaluated["test_accuracy"]);
    let reviews = ["A wonderful film, I loved it.", "Bad. Boring. A waste of time!", "42"];
    let together = program.run(&[&["predict", "--json"], &reviews[..]].concat()).ok();
    let again = program.run_with(&["predict", "--json"], &reviews.join("\n\n"), &[]).ok();
    assert_eq!(probabilities(&together), probabilities(&again));
    program.write("reviews.txt", format!("\u{feff}{}", reviews.join("\r\n")));
    let file = program.run(&["predict", "--json", "--file", "reviews.txt"]).ok();
    assert_eq!(probabilities(&together), probabilities(&file));
    for (review, expected) in reviews.iter().zip(probabilities(&together)) {
        let alone = program.run(&["predict", "--json", review]).ok();
        assert_eq!(probabilities(&alone), [expected]);
        assert!(alone.stdout.starts_with("positive ") || alone.stdout.starts_with("negative "));
    }
    // The same seed gives the same model, another seed another.
    let same = train(&program, &["--data", "sample"]).json();
    assert_eq!(trained["test_loss"], same["test_loss"]);
    let other = train(&program, &["--data", "sample", "--seed", "1"]).json();
    assert_ne!(trained["test_loss"], other["test_loss"]);
}

#[test]
fn half_storage_is_kept_with_the_run() {
    let args = [&["train", "--data", "sample"], &SMALL[2..]].concat();
    sentiment().half_storage_is_kept(&args, &["predict", "A good film."]);
}

#[test]
fn a_cell_without_a_recurrence_has_none_to_drop() {
    for option in ["--weight-dropout", "--recurrent-dropout"] {
        sentiment()
            .run(&["train", "--data", "sample", "--cell", "mingru", option, "0.1"])
            .told(&format!("{option} 0.1 would change nothing: a mingru does not multiply its state; use --dropout"));
    }
}

#[test]
fn every_review_has_its_answer() {
    let program = sentiment();
    train(&program, &["--data", "sample"]);
    let field = |ran: &Ran, name: &str| -> Vec<Value> {
        ran.json()["predictions"].as_array().expect("a list").iter().map(|p| p[name].clone()).collect()
    };
    let unknown = "日本語の映画はとても良かった";
    let ran = program.run(&["predict", "--json", "a good\nfilm", "", unknown, " \n"]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].ends_with("  a good film") && lines[2].ends_with(unknown), "{ran:?}");
    assert_eq!([lines[1], lines[3], lines[4].get(..1).expect("JSON")], ["blank", "blank", "{"]);
    assert_eq!(field(&ran, "number"), [1, 2, 3, 4]);
    assert_eq!(field(&ran, "review"), ["a good\nfilm", "", unknown, " \n"]);
    assert_eq!(field(&ran, "known_words"), [3, 0, 0, 0]);
    for name in ["label", "probability"] {
        assert_eq!(field(&ran, name).iter().map(Value::is_null).collect::<Vec<_>>(), [false, true, false, true]);
    }
    let note = "review 3 has no word that the model knows: the answer says nothing of it";
    assert_eq!(ran.stderr.lines().filter(|line| line.contains("no word")).collect::<Vec<_>>(), [note]);

    program.write("reviews.txt", format!("\u{feff}good film\r\n\r\n{unknown}\r\n"));
    let file = program.run(&["predict", "--json", "--file", "reviews.txt"]).ok();
    assert_eq!(field(&file, "number"), [1, 2, 3]);
    assert_eq!(field(&file, "review"), ["good film", "", unknown]);
    assert!(file.stderr.contains("line 3 has no word that the model knows"), "{file:?}");

    program.write("latin1.txt", b"good\ncaf\xe9\n");
    let wrong = program.run(&["predict", "--json", "--file", "latin1.txt"]);
    assert_eq!(wrong.stdout, ""); // nothing is answered before all is read
    wrong.told("--file latin1.txt, line 2: byte 3 is not UTF-8; convert it to UTF-8, as iconv");
    program.run(&["predict", "--file", "nowhere"]).told("--file nowhere: No such file");
    program.run(&["predict"]).told("no review was given");
    program.run(&["predict", " "]).told("all reviews given are blank (1)");
    program.run_with(&["predict"], "\n\n", &[]).told("all reviews given are blank (2)");
}

#[test]
fn tables_train_too() {
    let program = sentiment();
    let row = |i: usize| format!("good nice film {i},positive\nbad dull film {i},negative\n");
    program.write("films.csv", format!("text,label\n{}", (0..40).map(row).collect::<String>()));
    for cell in ["rnn", "lstm", "gru"] {
        let args = [
            "--data",
            "films.csv",
            "--cell",
            cell,
            "--epochs",
            "5",
            "--batch",
            "4",
            "--optimizer",
            "rmsprop",
            "--learning-rate",
            "0.01",
        ];
        let args = [&args[..], &["--layers", "2", "--bidirectional"]].concat();
        let ran = program.run(&[&["train", "--json", "--hidden", "8", "--embedding", "8"], &args[..]].concat()).ok();
        let json = ran.json();
        assert_eq!((&json["corpus"], &json["test_reviews"]), (&"films.csv".into(), &16.into()));
        assert_eq!(json["test_accuracy"], 1.0, "{cell}");
    }
}

#[test]
fn wrong_input_is_told() {
    let program = sentiment();
    program.run(&["predict", "x"]).told("no trained model under runs/sentiment");
    program.run(&["--data", "nowhere"]).told("nowhere: there is no such file or folder");
    program
        .run(&["--data", "sample", "--words", "3"])
        .told("--words 3: too small; give a whole number from 4 to 1000000");
    program.run(&["--data", "sample", "--hidden", "1000000"]).told("more than the 268435456 that are possible here");
    program.run(&["--data", "sample", "--tokens", "1000000"]).told("lower --tokens, --batch or --hidden");
    program.run(&["--data", "sample", "--dropout", "1"]).told("dropout is 1; it must be");
    program
        .run(&["--data", "sample", "--threads", "0"])
        .told("--threads 0: too small; give a whole number from 1 to 1024");
    program
        .run(&["--data", "sample", "--momentum", "0.5"])
        .told("--momentum has no meaning for adam; sgd and rmsprop have one");
    let folder = program.folder().as_os_str();
    assert!(!program.folder().join("runs").exists());
    std::fs::create_dir_all(program.folder().join("imdb")).expect("made");
    program.write("imdb/aclImdb_labelled.tar.gz", "half an archive");
    program.run_with(&[], "", &[("RNN_DATASETS", folder)]).told("it has 15 bytes instead of 27765085");
    program.run(&["--data", "imdb/aclImdb_labelled.tar.gz"]).told("the archive is truncated or damaged");
    program.write("latin1.csv", b"text,label\ncaf\xe9,1\n");
    program.run(&["--data", "latin1.csv"]).told("latin1.csv: byte 14 is not UTF-8");
    assert!(!program.folder().join("runs").exists());

    train(&program, &["--data", "sample", "--name", "a"]);
    let model = program.folder().join("runs/sentiment/a/model.bpk");
    let bytes = std::fs::read(&model).expect("there");
    std::fs::write(&model, &bytes[..bytes.len() / 2]).expect("written");
    program.run(&["predict", "x"]).told("model.bpk is damaged or of another run");
    program.run(&["predict", " "]).told("model.bpk is damaged or of another run");
    std::fs::write(program.folder().join("runs/sentiment/a/config.json"), "{").expect("written");
    program.run(&["predict", "x"]).told("config.json is damaged or was edited");
}

/// With validation and dropout; a table of words whose rows wait for their updates.
#[cfg(unix)]
#[test]
fn a_killed_training_is_resumed_to_the_same_bits() {
    let args = ["--data", "sample", "--device", "flex", "--hidden", "24", "--tokens", "60", "--epochs", "5"];
    let more = ["--validation", "0.2", "--patience", "9", "--checkpoint-every", "11", "--validate-every", "7"];
    sentiment().kill_and_resume(&[&args[..], &more].concat(), 17, 3);
}

#[test]
fn what_a_run_folder_says_is_checked() {
    let program = sentiment();
    train(&program, &["--data", "sample", "--name", "a"]);
    let config = std::fs::read_to_string(program.folder().join("runs/sentiment/a/config.json")).expect("there");
    for (from, to, what) in [
        ("\"embedding\": 8", "\"embedding\": 0", "--embedding 0: too small; give a whole number from 1 to 1000000"),
        ("\"embedding\": 8", "\"embedding\": 10000", "but model.bpk has only"),
        ("\"hidden\": 8", "\"hidden\": 1000000", "more than the 268435456 that are possible here"),
        ("\"num_words\": 20000", "\"num_words\": 3", "--words 3: too small"),
        ("\"num_words\": 20000", "\"num_words\": 20001", "model.bpk is damaged or of another model"),
        ("\"tokens\": 30", "\"tokens\": 0", "--tokens 0: too small"),
        ("\"tokens\": 30", "\"tokens\": 18446744073709551615", "--tokens 18446744073709551615: too large"),
        ("\"layers\": 1", "\"layers\": 0", "--layers 0: too small; give a whole number from 1 to 64"),
        ("\"input\": 0.2", "\"input\": 1.0", "--dropout is 1; it must be"),
    ] {
        assert!(config.contains(from), "{config}");
        program.forge("runs/sentiment/a", "config.json", config.replacen(from, to, 1));
        program.run(&["predict", "x", "--run", "runs/sentiment/a"]).told(what);
    }
    // The name of the corpus is shown, and does nothing to the terminal.
    let corpus = config.replacen("\"sample\"", "\"\\u001b]0;x\\u0007\\nerror: y\"", 1);
    program.forge("runs/sentiment/a", "config.json", corpus);
    let ran = program.run(&["predict", "x"]).ok();
    assert!(ran.stderr.contains("trained on \\u{1b}]0;x\\u{7} error: y"), "{ran:?}");
}
