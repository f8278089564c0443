//! The words of a text are the same however they are typed, and what the model does not know is said.

use super::{SMALL, sentiment};
use rnn_harness::testing::{Program, Ran};
use serde_json::Value;

/// Trains on a table.
fn train(program: &Program, name: &str, csv: &str, epochs: &str) {
    program.write(name, csv);
    let args = ["--data", name, "--batch", "4", "--epochs", epochs];
    program.run(&[&SMALL[..8], &args].concat()).ok();
}

fn predictions(ran: &Ran) -> Vec<Value> {
    ran.json()["predictions"].as_array().expect("a list").clone()
}

/// What the model makes of a review, whatever its text is.
fn judged(prediction: &Value) -> [&Value; 5] {
    ["probability", "words", "words_read", "known_words", "unknown_words"].map(|name| &prediction[name])
}

fn table(row: impl Fn(usize) -> String) -> String {
    format!("text,label\n{}", (0..40).map(row).collect::<String>())
}

#[test]
fn typographic_texts_are_read_as_typed_ones() {
    let program = sentiment();
    program.run(&[&["--data", "sample"], &SMALL[..]].concat()).ok();
    let pairs = [
        ["I don't like it, it isn't good", "I don\u{2019}t like it, it isn\u{2019}t good"],
        ["Great film - really", "\u{201c}Great\u{201d} film\u{2014}really"],
        ["This is not \"bad\"", "This is not \u{201c}bad\u{201d}"],
        ["A masterpiece...", "A masterpiece\u{2026}"],
        ["a good film", "a\u{a0}good\u{3000}film"],
        ["a good film", "ａ ＧＯＯＤ ﬁlm"],
        ["a good film", "a go\u{ad}od\r\nfi\u{200b}lm"],
    ];
    let reviews: Vec<&str> = pairs.iter().flatten().copied().collect();
    let ran = program.run(&[&["predict", "--json"], &reviews[..]].concat()).ok();
    for (pair, found) in pairs.iter().zip(predictions(&ran).chunks(2)) {
        assert_eq!(judged(&found[0]), judged(&found[1]), "{pair:?}");
        assert!(found[0]["known_words"].as_u64().is_some_and(|known| known > 0), "{found:?}");
    }
}

#[test]
fn capitals_of_any_script_are_the_same_words() {
    let program = sentiment();
    let row = |i: usize| format!("отличный фильм номер {i},1\nужасный фильм номер {i},0\n");
    train(&program, "ru.csv", &table(row), "5");
    let reviews = ["отличный фильм", "Отличный фильм", "ОТЛИЧНЫЙ ФИЛЬМ", "ОТЛИЧНЫИ\u{306} ФИЛЬМ"];
    let found = predictions(&program.run(&[&["predict", "--json"], &reviews[..]].concat()).ok());
    for prediction in &found {
        assert_eq!(prediction["known_words"], 2, "{prediction}");
        assert_eq!(judged(prediction), judged(&found[0]));
    }
}

#[test]
fn white_space_of_any_kind_separates_words_in_tables() {
    let program = sentiment();
    let eval = |name: &str, csv: String| {
        program.write(name, csv);
        let json = program.run(&["eval", "--data", name, "--json"]).ok().json();
        (json["test_loss"].clone(), json["known_words"].clone())
    };
    let row = |space: &str, i| format!("good{space}film{space}{i},1\nbad{space}film{space}{i},0\n");
    train(&program, "plain.csv", &table(|i| row(" ", i)), "5");
    let plain = eval("plain.csv", table(|i| row(" ", i)));
    assert_eq!(plain.1, 64 * 3 + 16 * 2); // the numbers of the 16 that were for the test are in no other review
    for space in ["\u{a0}", "\u{3000}", "\u{2028}", "\u{85}", "\u{202f}\u{feff}"] {
        assert_eq!(eval("other.csv", table(|i| row(space, i))), plain, "{space:?}");
    }
    // A line end within a quoted text.
    let row = |end: &str, i| {
        format!("\"number {i} film good{end}loved it\",1{end}\"number {i} film bad{end}hated it\",0{end}")
    };
    let lf = eval("lf.csv", table(|i| row("\n", i)));
    assert_eq!(eval("crlf.csv", table(|i| row("\r\n", i))), lf);
}

#[test]
fn lines_of_stdin_may_end_with_cr() {
    let program = sentiment();
    program.run(&[&["--data", "sample"], &SMALL[..]].concat()).ok();
    let ran = program.run_with(&["predict", "--json"], "good film\rbad film\r", &[]).ok();
    let found = predictions(&ran);
    assert_eq!(found.iter().map(|p| &p["review"]).collect::<Vec<_>>(), ["good film", "bad film"]);
    program.write("utf16.txt", "good film\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    program
        .run(&["predict", "--file", "utf16.txt"])
        .told("--file utf16.txt, line 1: byte 1 is NUL; the text seems to be UTF-16LE: convert it to UTF-8, as iconv");
}

#[test]
fn what_the_model_does_not_know_or_read_is_said() {
    let program = sentiment();
    let row = |i: usize| format!("good film {i},1\nbad film {i},0\n");
    train(&program, "films.csv", &table(row), "1"); // 30 tokens
    let long = "good film ".repeat(30) + "xyzzy";
    let ran = program.run(&["predict", "--json", &long, "bad film", "bad xyzzy plugh"]).ok();
    let counts = |p: &Value| ["words", "words_read", "known_words", "unknown_words"].map(|name| p[name].as_u64());
    let found: Vec<_> = predictions(&ran).iter().map(counts).collect();
    assert_eq!(found, [[61, 31, 30, 1], [2, 2, 2, 0], [3, 3, 1, 2]].map(|counts| counts.map(Some)));
    let said: Vec<&str> = ran.stderr.lines().rev().take(2).collect();
    assert_eq!(said[1], "the model does not know 3 of the 36 words it read");
    assert_eq!(
        said[0],
        "1 of 3 reviews is longer than the 30 words that the model sees: it read only their last 30 words"
    );
    let alone = program.run(&["predict", &long]).ok();
    assert!(alone.stderr.contains("it read only the last 31 of its 61 words"), "{alone:?}");

    program.write("more.csv", table(|i| format!("{}{i},1\nbad xyzzy,0\n", "good film ".repeat(20))));
    let ran = program.run(&["eval", "--data", "more.csv", "--json"]).ok();
    let json = ran.json();
    // All 80 rows; the model knows the numbers of 32 of the 40 long ones.
    assert_eq!(counts(&json), [40 * 41 + 80, 32 * 30 + 8 * 31 + 80, 40 * 30 + 40, 8 + 40].map(Some), "{json}");
    assert_eq!((&json["cut_texts"], &json["unknown_texts"]), (&40.into(), &0.into()));
    assert!(ran.stderr.contains("40 of 80 reviews are longer than the 30 words"), "{ran:?}");
}

#[test]
fn a_test_in_another_language_is_told_before_training() {
    let program = sentiment();
    let row =
        |i: usize| format!("good film {i},1,train\nbad film {i},0,train\n电影很好{i},1,test\n电影很差{i},0,test\n");
    let csv = table(row).replacen("text,label", "text,label,split", 1);
    program.write("films.csv", &csv);
    let args = [&["--data", "films.csv"], &SMALL[..]].concat();
    let ran = program.run(&args).ok();
    let warned = ran.stderr.find("warning: only 0 of 80 test reviews have a word that the model can know");
    assert!(warned.is_some_and(|at| at < ran.stderr.find("epoch 1/").expect("progress")), "{ran:?}");
    program.write("films.csv", csv.replace("电影", "film "));
    assert!(!program.run(&args).ok().stderr.contains("warning"));
}

/// `script`, of util-linux, gives the program a terminal.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_it_says_what_to_type() {
    let program = sentiment();
    program.run(&[&["--data", "sample"], &SMALL[..]].concat()).ok();
    let command = format!("{} predict", env!("CARGO_BIN_EXE_sentiment"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(program.folder()).env_remove("RNN_RUNS");
    let mut child =
        script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("script starts");
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, b"a good xyzzy film\n\x04").expect("written");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("type reviews, one on each line; Ctrl-D on an empty line ends"), "{said}");
    assert!(said.contains("the model does not know 1 of the 4 words it read"), "{said}");
    drop(stdin);
}
