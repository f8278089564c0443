//! The program on people's own files.

use rnn_harness::testing::{Program, Ran};

fn sentiment() -> Program {
    Program::new(env!("CARGO_BIN_EXE_sentiment"))
}

const SMALL: [&str; 12] =
    ["--device", "flex", "--embedding", "8", "--hidden", "8", "--tokens", "10", "--epochs", "5", "--batch", "4"];

fn train(program: &Program, args: &[&str]) -> Ran {
    program.run(&[&["train", "--json"], &SMALL[..], args].concat())
}

fn eval(program: &Program, data: &str) -> Ran {
    program.run(&["eval", "--json", "--device", "flex", "--data", data])
}

/// `n` rows of each class, in turn.
fn rows(n: usize) -> String {
    (0..n).map(|i| format!("wonderful film {i},1\nboring film {i},0\n")).collect()
}

/// A tenth of one's own table is validated on, unless it is small or `--validation 0` says otherwise.
#[test]
fn an_own_table_has_a_validation_part() {
    let program = sentiment();
    program.write("many.csv", format!("text,label\n{}", rows(130)));
    program.write("few.csv", format!("text,label\n{}", rows(50)));
    let parts = |args: &[&str]| {
        let ran = train(&program, args).ok();
        ran.stdout.lines().next().unwrap_or_default().split(": ").last().unwrap_or_default().to_string()
    };
    assert_eq!(parts(&["--data", "many.csv"]), "187 reviews to train, 21 to validate, 52 to test");
    assert_eq!(parts(&["--data", "many.csv", "--validation", "0"]), "208 reviews to train, 52 to test");
    assert_eq!(parts(&["--data", "many.csv", "--preset", "lesson"]), "208 reviews to train, 52 to test");
    assert_eq!(parts(&["--data", "few.csv"]), "80 reviews to train, 20 to test");
    train(&program, &["--data", "many.csv", "--validation", "0", "--validate-every", "5"])
        .told("--validate-every needs a validation set; add --validation SHARE");
}

#[test]
fn own_test_files_are_tested_to_the_last_row() {
    let program = sentiment();
    program.write("train.csv", format!("text,label\n{}", rows(50)));
    program.write("test.csv", format!("text,label\n{}", rows(50).replace("film", "movie")));
    program.write("alltest.csv", format!("text,label,split\n{}", rows(50).replace('\n', ",test\n")));
    program.write("alltrain.csv", format!("text,label,split\n{}", rows(50).replace('\n', ",train\n")));
    program.write("neg.csv", format!("text,label\n{}", "boring film,0\n".repeat(50)));
    for (i, (part, text)) in [("pos", "wonderful"), ("neg", "boring")].into_iter().enumerate() {
        let folder = program.folder().join("testonly/test").join(part);
        std::fs::create_dir_all(&folder).expect("made");
        for file in 0..2 + i {
            std::fs::write(folder.join(format!("{file}.txt")), text).expect("written");
        }
    }
    let own = "the model was trained on rows of this very table";
    let trained = train(&program, &["--data", "train.csv"]).ok();
    assert_eq!(trained.json()["test_reviews"], 20);
    assert!(!trained.stderr.contains("also trained on"), "{trained:?}");
    for (data, tested, share, same) in [
        ("test.csv", 100, 0.5, false),
        ("alltest.csv", 100, 0.5, false),
        ("neg.csv", 50, 1.0, false),
        ("testonly", 5, 0.6, false),
        ("train.csv", 100, 0.5, true),
    ] {
        let ran = eval(&program, data).ok();
        let json = ran.json();
        assert_eq!((&json["test_reviews"], &json["majority_share"]), (&tested.into(), &share.into()), "{data}");
        assert_eq!((ran.stderr.contains(own), &json["trained_on_these"]), (same, &same.into()), "{data}");
        assert!(ran.stdout.contains(&format!(" (the larger class alone: {share:.4}) on {tested} reviews")), "{ran:?}");
    }
    eval(&program, "alltrain.csv")
        .told("there is no review to test on: 100 are to train on, 0 for validation; without");
    std::fs::copy(program.folder().join("train.csv"), program.folder().join("copy.csv")).expect("copied");
    assert!(eval(&program, "copy.csv").ok().stderr.contains(own));

    // Without a test part it trains, and says that it tested nothing.
    let ran = train(&program, &["--data", "alltrain.csv"]).ok();
    assert!(ran.stdout.contains("nothing was tested: alltrain.csv has no test part; --test FILE"), "{ran:?}");
    let json = ran.json();
    for field in ["test_loss", "test_accuracy", "test_seconds", "test_corpus", "majority_share"] {
        assert!(json[field].is_null(), "{field}: {json}");
    }
    assert_eq!(json["test_reviews"], 0);
    // With --test all of a table trains.
    let ran = train(&program, &["--data", "train.csv", "--test", "test.csv"]).ok();
    assert_eq!((&ran.json()["test_reviews"], &ran.json()["test_corpus"]), (&100.into(), &"test.csv".into()));
    assert!(ran.stdout.starts_with("lstm on train.csv: 100 reviews to train, 100 of test.csv to test\n"), "{ran:?}");
    assert!(ran.stdout.contains("(the larger class alone: 0.5000), "), "{ran:?}");
    let ran = train(&program, &["--data", "alltest.csv", "--test", "testonly"]);
    ran.told("alltest.csv: there is no positive review to train on");
    let ran = train(&program, &["--data", "alltrain.csv", "--test", "testonly"]).ok();
    assert_eq!(ran.json()["test_reviews"], 5);
    let ran = train(&program, &["--data", "train.csv", "--test", "train.csv"]).ok();
    assert!(ran.stderr.contains("100 of the 100 test texts are also trained on: for these"), "{ran:?}");
    train(&program, &["--data", "train.csv", "--test", "nowhere"]).told("nowhere: there is no such file or folder");

    // A folder with both.
    let folder = program.folder().join("d");
    std::fs::create_dir(&folder).expect("made");
    for name in ["train.csv", "test.csv"] {
        std::fs::copy(program.folder().join(name), folder.join(name)).expect("copied");
    }
    let json = train(&program, &["--data", "d"]).ok().json();
    assert_eq!((&json["test_reviews"], &json["corpus"]), (&100.into(), &"d".into()));
    assert!(!eval(&program, "d").ok().stderr.contains(own));
    assert!(eval(&program, "d/train.csv").ok().stderr.contains(own));
}

#[test]
fn bad_rows_stop_a_training_or_are_left_out() {
    let program = sentiment();
    program.write("bad.csv", format!("text,label\n{}{}", rows(10), " ,1\n".repeat(30)));
    let told = "bad.csv: 30 of 50 rows are bad: lines 22, 23, 24: the text is empty";
    train(&program, &["--data", "bad.csv"]).told(told);
    train(&program, &["--data", "bad.csv"]).told("mend them or leave them out (--skip-bad)");
    assert!(!program.folder().join("runs").exists());
    let ran = train(&program, &["--data", "bad.csv", "--skip-bad"]).ok();
    assert!(ran.stderr.contains("bad.csv: left out: 30 of 50 rows are bad: lines 22"), "{ran:?}");
    assert_eq!(ran.json()["test_reviews"], 4);
    eval(&program, "bad.csv").told(told);
    let ran = program.run(&["eval", "--json", "--data", "bad.csv", "--skip-bad"]).ok();
    assert_eq!(ran.json()["test_reviews"], 20);
}

#[test]
fn validation_rows_neither_train_nor_test() {
    let program = sentiment();
    let parts = ["train", "Valid", "TEST"];
    let row = |i: usize| format!("good film {i},1,{0}\nbad film {i},0,{0}\n", parts[i % 3]);
    program.write("valid.csv", format!("text,label,split\n{}", (0..30).map(row).collect::<String>()));
    let ran = train(&program, &["--data", "valid.csv"]).ok();
    assert!(ran.stdout.starts_with("lstm on valid.csv: 20 reviews to train, 20 to test"), "{ran:?}");
    assert!(ran.stderr.contains("20 validation reviews are neither trained nor tested on"), "{ran:?}");
}

#[test]
fn unequal_classes_are_said() {
    let program = sentiment();
    let row = |i: usize| format!("alpha beta {},{}\n", i % 7, u8::from(!i.is_multiple_of(20)));
    program.write("skew.csv", format!("text,label\n{}", (0..200).map(row).collect::<String>()));
    let ran = train(&program, &["--data", "skew.csv"]).ok();
    let json = ran.json();
    assert_eq!((&json["train_majority_share"], &json["majority_share"]), (&0.95.into(), &0.95.into()));
    let beside = " (the larger class alone: 0.9500)";
    let accuracies: Vec<&str> = ran.stdout.lines().filter(|line| line.contains(", accuracy ")).collect();
    assert_eq!(accuracies.len(), 6);
    assert!(accuracies.iter().all(|line| line.contains(beside)), "{ran:?}");
}

#[test]
fn a_long_review_trains_at_the_default_sizes() {
    let program = sentiment();
    program.write("a.csv", format!("text,label\n{}", rows(5)));
    let args = ["--device", "flex", "--epochs", "1", "--batch", "1", "--preset", "lesson", "--tokens", "2494"];
    let ran = program.run(&[&["train", "--json", "--words", "50", "--data", "a.csv"], &args[..]].concat()).ok();
    assert_eq!(ran.json()["test_reviews"], 2);
    assert!(eval(&program, "a.csv").ok().json()["test_reviews"] == 10);
}

#[test]
fn what_others_wrote_does_nothing_to_the_terminal() {
    let program = sentiment();
    program.write("esc.csv", "text\x1b[31m,label\x07\n1,2\n");
    let ran = train(&program, &["--data", "esc.csv"]);
    assert!(!ran.stderr.contains(|c: char| c.is_control() && c != '\n'), "{ran:?}");
    ran.told("esc.csv: the columns are \"text\\u{1b}[31m\", \"label\\u{7}\"; one of");
    program.write("wide.csv", "x".repeat(6_000_000));
    let ran = train(&program, &["--data", "wide.csv"]);
    assert!(ran.stderr.len() < 500, "{}", ran.stderr.len());
    ran.told("xxx…\"; one of text/review/sentence/content");
    program.write("named\x1b[31m.csv", "a,b\n");
    let ran = train(&program, &["--data", "named\x1b[31m.csv"]);
    assert!(!ran.stderr.contains(|c: char| c.is_control() && c != '\n'), "{ran:?}");
}
