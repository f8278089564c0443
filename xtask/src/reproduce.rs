//! `cargo xtask reproduce`: runs the lesson's experiments and prints the README's tables, the lesson's figure beside
//! ours.

use clap::ValueEnum;
use serde_json::Value;
use std::process::Stdio;

#[derive(Debug, clap::Args)]
pub struct ReproduceArgs {
    /// Which tables; all of them if none is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Device, as the programs take it
    #[arg(long, default_value = "flex")]
    device: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The network from scratch, and rnn-core on the same task
    Adder,
    /// Five seeds of the LSTM on IMDb
    Sentiment,
    /// Five seeds of the GRU on Alice
    Chargen,
    /// Three cells on both tasks, seed 0
    Cells,
}

const LESSON_SEEDS: std::ops::Range<u64> = 0..5;
/// The mean that chargen is held against is that of its first seeds.
const CHARGEN_SEEDS: usize = 3;

/// Runs the chosen parts.
pub fn run(args: &ReproduceArgs) -> Result<(), String> {
    let has = |part| args.parts.is_empty() || args.parts.contains(&part);
    let programs = Programs { device: &args.device };
    if [Part::Adder, Part::Sentiment, Part::Chargen].into_iter().any(has) {
        println!("| | the lesson | here | command |\n|---|---|---|---|");
    }
    if has(Part::Adder) {
        adder(&programs)?;
    }
    if has(Part::Sentiment) {
        sentiment(&programs)?;
    }
    if has(Part::Chargen) {
        chargen(&programs)?;
    }
    if has(Part::Cells) {
        cells(&programs)?;
    }
    Ok(())
}

fn adder(programs: &Programs) -> Result<(), String> {
    let scratch = programs.run("adder", &["scratch"])?;
    let (iterations, error, seconds) =
        (&scratch["iterations"], number(&scratch, "error")?, number(&scratch, "train_seconds")?);
    let command = "`cargo run -p adder -- scratch`";
    println!("| adder from scratch, error of the last report | 0.21595037 | {error:.8} | {command} |");
    println!(
        "| adder from scratch, {iterations} additions | | {seconds:.3} s | `cargo run -p adder -- scratch --json` |"
    );
    for cell in ["rnn", "lstm", "gru"] {
        let trained = programs.run("adder", &["train", "--device", programs.device, "--cell", cell])?;
        let seconds = number(&trained, "train_seconds")?;
        println!(
            "| adder with rnn-core, {cell}, wrong answers | | {} of {} after {seconds:.1} s | \
             `cargo run -p adder -- --cell {cell}` |",
            trained["wrong"], trained["pairs"]
        );
    }
    Ok(())
}

fn sentiment(programs: &Programs) -> Result<(), String> {
    let runs = programs.seeds("sentiment")?;
    let command = "`cargo run -p sentiment -- --seed N`";
    let accuracy = all(&runs, "test_accuracy")?;
    println!("| sentiment, test accuracy, mean of seeds 0 to 4 | 0.8336 | {:.4} | {command} |", mean(&accuracy));
    println!("| sentiment, test accuracy of each seed | | {} | |", list(&accuracy));
    let loss = all(&runs, "test_loss")?;
    println!("| sentiment, test loss, mean of seeds 0 to 4 | 0.3825 | {:.4} | {command} |", mean(&loss));
    println!("| sentiment, test loss of each seed | | {} | |", list(&loss));
    println!("| sentiment, seconds of an epoch | 24 | {:.1} | {command} |", mean(&all(&runs, "train_seconds")?));
    Ok(())
}

fn chargen(programs: &Programs) -> Result<(), String> {
    let runs = programs.seeds("chargen")?;
    let command = "`cargo run -p chargen -- --seed N`";
    let (windows, symbols) = (&runs[0]["windows"], &runs[0]["symbols"]);
    println!("| chargen, windows and symbols | 158773, 55 | {windows}, {symbols} | {command} |");
    let loss = all(&runs, "train_loss")?;
    let first = mean(&loss[..CHARGEN_SEEDS]);
    println!("| chargen, training loss, mean of seeds 0 to 2 | 2.3163 | {first:.4} | {command} |");
    println!("| chargen, training loss of seeds 0 to 4 | | {} | |", list(&loss));
    println!("| chargen, seconds of an epoch | 14 | {:.1} | {command} |", mean(&all(&runs, "train_seconds")?));
    Ok(())
}

fn cells(programs: &Programs) -> Result<(), String> {
    println!("\n| cell | sentiment: seconds | test accuracy | test loss | chargen: seconds | training loss |");
    println!("|---|---:|---:|---:|---:|---:|");
    for cell in ["rnn", "gru", "lstm"] {
        let on = |program| programs.run(program, &["train", "--device", programs.device, "--cell", cell]);
        let (reviews, book) = (on("sentiment")?, on("chargen")?);
        println!(
            "| {cell} | {:.1} | {:.4} | {:.4} | {:.1} | {:.4} |",
            number(&reviews, "train_seconds")?,
            number(&reviews, "test_accuracy")?,
            number(&reviews, "test_loss")?,
            number(&book, "train_seconds")?,
            number(&book, "train_loss")?,
        );
    }
    Ok(())
}

/// The programs, as a person runs them.
pub(crate) struct Programs<'a> {
    pub device: &'a str,
}

impl Programs<'_> {
    /// Runs a program as a person would, with `--json`, and reads the last line of its stdout.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<Value, String> {
        let features: &[&str] = match self.device.split(':').next() {
            Some(feature @ ("ndarray" | "wgpu" | "cuda")) => &["--features", feature],
            _ => &[],
        };
        let output = crate::cargo()
            .args(["run", "--quiet", "--package", program])
            .args(features)
            .arg("--")
            .args(args)
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("cannot start {program}: {e}"))?;
        if !output.status.success() {
            return Err(format!("{program} {} ended with {}", args.join(" "), output.status));
        }
        let stdout = String::from_utf8_lossy(&output.stdout);
        let json: Value = serde_json::from_str(stdout.lines().last().unwrap_or_default())
            .map_err(|e| format!("{program}: the last line is not JSON: {e}"))?;
        if json["corpus"] == "sample" {
            return Err(format!(
                "{program} found only the built-in sample; set RNN_DATASETS or fetch the corpora first"
            ));
        }
        Ok(json)
    }

    fn seeds(&self, program: &str) -> Result<Vec<Value>, String> {
        LESSON_SEEDS
            .map(|seed| self.run(program, &["train", "--device", self.device, "--seed", &seed.to_string()]))
            .collect()
    }
}

/// The number `key` of `json`.
pub(crate) fn number(json: &Value, key: &str) -> Result<f64, String> {
    json[key].as_f64().ok_or_else(|| format!("there is no number {key} in {json}"))
}

fn all(runs: &[Value], key: &str) -> Result<Vec<f64>, String> {
    runs.iter().map(|run| number(run, key)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(", ")
}
