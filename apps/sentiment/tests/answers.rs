//! What a trained model is used for: predictions from and to tables, explanations, figures, exports.

use rnn_harness::testing::{Program, Ran, tensors};
use serde_json::Value;
use std::collections::BTreeMap;

const HIDDEN: usize = 6;
const WIDTH: usize = 5;

/// The program with a run `a`, trained on the sample.
fn trained(args: &[&str]) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let sizes = ["--embedding", "5", "--hidden", "6", "--tokens", "12", "--epochs", "2"];
    program.run(&[&["--data", "sample", "--device", "flex", "--name", "a"], &sizes[..], args].concat()).ok();
    program
}

fn predictions(ran: &Ran) -> Vec<Value> {
    ran.json()["predictions"].as_array().expect("a list").clone()
}

/// The probability of "positive".
fn probability(program: &Program, review: &str) -> f64 {
    let answer = predictions(&program.run(&["predict", "--json", review]).ok()).remove(0);
    let of_label = answer["probability"].as_f64().expect("a number");
    assert!(of_label >= 0.5, "the label is the likelier one: {answer}");
    if answer["label"] == "positive" { of_label } else { 1.0 - of_label }
}

#[test]
fn a_table_is_answered_row_by_row() {
    let program = trained(&[]);
    let rows = "id,comment\n1,\"A \"\"good\"\" film,\nloved it\"\n2,\n3,boring\n";
    program.write("c.csv", format!("\u{feff}{}", rows.replace('\n', "\r\n")));
    let predict = |args: &[&str]| program.run(&[&["predict", "--file", "c.csv"], args].concat());
    predict(&[]).told("none of \"id\", \"comment\" is called text or review or sentence or content");
    predict(&["--column", "nope"]).told("none of \"id\", \"comment\" is called nope");
    program.run(&["predict", "good", "--column", "comment"]).told("--column");
    let ran = predict(&["--column", "comment", "--format", "csv", "--top", "2"]).ok();
    let (head, rest) = ran.stdout.split_once('\n').expect("a header");
    assert_eq!(head, "number,label,probability,top,review");
    assert!(rest.contains(",\"A \"\"good\"\" film,") && rest.contains("\n2,,,,\"\"\n3,\""), "{ran:?}");
    // What it wrote it reads.
    program.write("answers.csv", &ran.stdout);
    let objects =
        |ran: Ran| -> Vec<Value> { ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect() };
    let json = objects(predict(&["--column", "comment", "--format", "jsonl"]).ok());
    let again = objects(program.run(&["predict", "--file", "answers.csv", "--format", "jsonl"]).ok());
    assert_eq!(json, again);
    assert_eq!(json.iter().map(|row| row["label"].is_null()).collect::<Vec<_>>(), [false, true, false]);
    let third = json[2]["probability"].as_f64().expect("a number");
    assert!(rest.contains(&format!("\n3,\"{}\",{third:.6},", json[2]["label"].as_str().expect("a label"))), "{rest}");
    let unknown = predict(&["--column", "id"]).ok();
    assert_eq!(unknown.stderr.lines().filter(|line| line.starts_with("row ")).count(), 3, "{unknown:?}");
}

/// In a file of more than a mini-batch the words of other reviews change nothing but rounding.
#[test]
fn many_reviews_of_a_file_are_judged_as_single_ones() {
    let program = trained(&["--masked"]);
    let review = |i: usize| format!("a {} film number {i}{}", ["good", "dull"][i % 2], " really".repeat(i % 13));
    let reviews: Vec<String> = (0..230).map(review).collect();
    program.write("many.txt", reviews.join("\n\n"));
    let of_file = predictions(&program.run(&["predict", "--json", "--file", "many.txt"]).ok());
    let lines = program.run_with(&["predict", "--json"], &reviews.join("\n\n"), &[]).ok();
    assert_eq!(of_file.len(), 459);
    for (a, b) in of_file.iter().zip(predictions(&lines)) {
        assert_eq!((&a["number"], &a["review"], &a["words_read"]), (&b["number"], &b["review"], &b["words_read"]));
        let [a, b] = [a, &b].map(|p| p["probability"].as_f64().unwrap_or(-1.0));
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn explanations_end_at_the_answer() {
    let program = trained(&[]);
    let review = "A <b>wonderful</b> film, I loved it";
    let ran = program.run(&["predict", "--explain", review, "--html", "page.html"]).ok();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let answer = format!("{:.4}", probability(&program, review));
    assert_eq!(lines[0], format!("probability of positive: {answer}"));
    let words: Vec<&str> = lines[1..].iter().map(|line| line.split_once(' ').expect("a word").1).collect();
    assert_eq!(words, review.split(' ').collect::<Vec<_>>());
    assert!(lines[6].starts_with(&answer), "{ran:?}");
    let page = std::fs::read_to_string(program.folder().join("page.html")).expect("a page");
    assert_eq!(page.matches("<span style=").count(), 6);
    assert!(page.contains(&format!("title=\"{answer}\"> it</span>")) && !page.contains("<b>"), "{page}");
    program.run(&["predict", "x", "--explain", "--html", "no/page.html"]).told("cannot write no/page.html");
}

#[test]
fn mistakes_and_a_baseline_stand_beside_the_figures() {
    let program = trained(&[]);
    let args = ["eval", "--data", "sample", "--baseline", "--mistakes", "4", "--html", "page.html", "--json"];
    let ran = program.run(&args).ok();
    let json = ran.json();
    // Chance gives 0.5 with a standard error of 0.05.
    assert!(json["baseline_accuracy"].as_f64().expect("a number") > 0.8, "{json}");
    let mistakes: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("given ")).collect();
    let share = |line: &&str| line.split([' ', ',']).nth(3).expect("a number").to_string();
    let shares: Vec<String> = mistakes.iter().map(share).collect();
    assert!(mistakes.len() == 4 && shares.is_sorted_by(|a, b| a >= b), "{ran:?}");
    assert!(mistakes.iter().all(|line| line.contains("given negative") == line.contains("is positive")), "{ran:?}");
    let page = std::fs::read_to_string(program.folder().join("page.html")).expect("a page");
    for part in ["<h2>Confusion</h2>", "<h2>Calibration</h2>", "<h2>Baseline", "<svg", &shares[0]] {
        assert!(page.contains(part), "{part}");
    }
}

/// The LSTM of PyTorch's documentation over `xs` in one direction: h after each step.
fn lstm(weights: &BTreeMap<String, Vec<f32>>, suffix: &str, xs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let [w_ih, w_hh, b_ih, b_hh] =
        ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| &weights[&format!("rnn.{name}_l0{suffix}")]);
    let dot = |row: &[f32], x: &[f32]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>();
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c) = (vec![0f32; HIDDEN], vec![0f32; HIDDEN]);
    let step = |x: &Vec<f32>| {
        let sum = |row: usize| {
            let [w, r] = [&w_ih[row * WIDTH..][..WIDTH], &w_hh[row * HIDDEN..][..HIDDEN]];
            dot(w, x) + b_ih[row] + dot(r, &h) + b_hh[row]
        };
        let sums: Vec<f32> = (0..4 * HIDDEN).map(sum).collect();
        for unit in 0..HIDDEN {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| sums[gate * HIDDEN + unit]);
            c[unit] = sigmoid(f) * c[unit] + sigmoid(i) * g.tanh();
            h[unit] = sigmoid(o) * c[unit].tanh();
        }
        h.clone()
    };
    xs.iter().map(step).collect()
}

/// The probability that plain loops over the exported weights give.
fn by_hand(program: &Program, folder: &str, review: &str, is_lesson: bool) -> f64 {
    let folder = program.folder().join(folder);
    let weights = tensors(&folder.join("model.safetensors"));
    let words = std::fs::read_to_string(folder.join("words.txt")).expect("the words");
    let id = |word: &str| words.lines().position(|line| line == word).expect("a known word") + 4;
    let mut ids: Vec<usize> = std::iter::once(1).chain(review.split(' ').map(id)).collect();
    if is_lesson {
        ids.splice(0..0, vec![0; 12 - ids.len()]);
    }
    let row = |id: usize| weights["embedding.weight"][id * WIDTH..][..WIDTH].to_vec();
    let mut xs: Vec<Vec<f32>> = ids.into_iter().map(row).collect();
    let forward = lstm(&weights, "", &xs);
    let read = if is_lesson {
        forward[11].clone()
    } else {
        xs.reverse();
        let both = [forward, lstm(&weights, "_reverse", &xs)];
        let units = |of: &dyn Fn(&mut dyn Iterator<Item = f32>) -> f32| -> Vec<f32> {
            let unit = |i: usize| of(&mut both[i / HIDDEN].iter().map(|h| h[i % HIDDEN]));
            (0..2 * HIDDEN).map(unit).collect()
        };
        let max = units(&|values| values.fold(f32::NEG_INFINITY, f32::max));
        [max, units(&|values| values.sum::<f32>() / xs.len() as f32)].concat()
    };
    let logit = read.iter().zip(&weights["dense.weight"]).map(|(a, b)| a * b).sum::<f32>() + weights["dense.bias"][0];
    1.0 / (1.0 + f64::from(-logit).exp())
}

#[test]
fn an_exported_model_answers_as_the_run_does() {
    let review = "a good film and i really loved it";
    for (is_lesson, args) in [(true, &[][..]), (false, &["--masked", "--bidirectional", "--pooling", "both"][..])] {
        let program = trained(args);
        let export = |args: &[&str]| program.run(&[&["export"], args].concat());
        let ran = export(&["--format", "pytorch", "--out", "pt"]).ok();
        assert_eq!(ran.stdout, "pt: model.safetensors, model.py, words.txt\n");
        let [exported, answered] = [by_hand(&program, "pt", review, is_lesson), probability(&program, review)];
        assert!((exported - answered).abs() < 1e-5, "{exported} {answered}");
        let python = std::fs::read_to_string(program.folder().join("pt/model.py")).expect("a file");
        assert_eq!(python.contains("def forward(self, ids, lengths):"), !is_lesson, "{python}");

        let json = export(&["--format", "onnx", "--int8", "--out", "a.onnx", "--json"]).ok().json();
        let onnx = std::fs::read(program.folder().join("a.onnx")).expect("a file");
        assert_eq!((&json["bytes"], &json["int8"]), (&onnx.len().into(), &true.into()));
        let has = |text: &str| onnx.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(has("words.txt") && has("DequantizeLinear") && has("lengths") != is_lesson);
        let figure = |name: &str| json[name].as_f64().expect("a number");
        assert!(figure("recurrent_bytes") < 0.5 * figure("recurrent_bytes_float32"), "{json}");
        let cost = figure("loss_int8") - figure("loss_float32");
        assert!(cost != 0.0 && cost.abs() < 0.01, "{json}");
        let summary = std::fs::read(program.folder().join("runs/sentiment/a/summary.json")).expect("a file");
        let summary: Value = serde_json::from_slice(&summary).expect("JSON");
        assert!((figure("loss_float32") - summary["test_loss"].as_f64().expect("a number")).abs() < 1e-6, "{json}");

        export(&["--format", "onnx", "--out", "a.onnx"]).told("--out a.onnx is there already; give a new name");
        export(&["--format", "onnx", "--out", "b"]).told("--out b: give a name that ends in .onnx");
        export(&["--format", "pytorch", "--out", "no/b"]).told("--out no/b: there is no folder no; make it first");
        assert!(!program.folder().join("b").exists());
    }
    let program = trained(&["--ngrams", "2"]);
    program.run(&["export", "--format", "onnx", "--out", "a.onnx"]).told("n-grams beside the recurrent part");
    assert!(!program.folder().join("a.onnx").exists());
}

#[test]
fn a_baseline_needs_the_training_reviews() {
    let program = Program::new(env!("CARGO_BIN_EXE_sentiment"));
    let rows: String = (0..10).map(|i| format!("good film {i},1\nbad film {i},0\n")).collect();
    program.write("films.csv", format!("text,label\n{rows}"));
    program
        .run(&["--data", "films.csv", "--device", "flex", "--embedding", "4", "--hidden", "4", "--epochs", "1"])
        .ok();
    std::fs::rename(program.folder().join("films.csv"), program.folder().join("moved.csv")).expect("moved");
    let ran = program.run(&["eval", "--data", "moved.csv", "--baseline"]);
    assert!(ran.stdout.contains("test loss "), "{ran:?}");
    ran.told("--baseline learns from the run's training reviews: ");
}
