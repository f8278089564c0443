//! `chargen generate`: a trained model continues a text.

use crate::generate::{Memory, Writer, generate as write_on};
use crate::prime;
use crate::run::Trained;
use rnn_core::{Key, Sampling};
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, printable_text, whole};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Continues a text with a trained model. Generation runs on the CPU, on a copy of the weights, because single steps
/// are fastest there.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Beginning of the text. Only the last characters count, as many as the model's window, unless --carry-state is
    /// given [default: a window of the training text]
    #[arg(long, value_name = "TEXT")]
    prime: Option<String>,
    /// Characters to generate
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = whole::<u64>(1..=1_000_000_000))]
    length: u64,
    /// 0 always takes the most probable character; 1 samples the model's distribution; more is wilder
    #[arg(long, default_value_t = 0.0, value_name = "T")]
    temperature: f64,
    /// Read each character once and carry the state over, instead of reading the last window again for each one:
    /// faster, but the model was not trained on longer texts than its window
    #[arg(long)]
    carry_state: bool,
    /// Seed of the sampling, with a --temperature above 0 [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Serialize)]
struct Generated<'a> {
    corpus: &'a str,
    seed: u64,
    device: &'a str,
    run: String,
    temperature: f64,
    prime: &'a str,
    text: String,
    seconds: f64,
}

/// Generates a text and prints each character at once.
pub fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let temperature = args.temperature;
    if !(temperature >= 0.0 && temperature.is_finite()) {
        return Err(Failure::input(format!(
            "--temperature {temperature} is not possible; give 0 for the most probable character, or a number above"
        )));
    }
    if temperature == 0.0 && args.seed.is_some() {
        return Err(Failure::input(
            "--seed is for sampling, but without --temperature, or with 0, the most probable character is always taken; \
             give a --temperature above 0, or no --seed",
        ));
    }
    let seed = args.seed.unwrap_or(0);
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let config = &trained.config;
    let (prime, ids) = match &args.prime {
        None => {
            let ids = trained.vocabulary.encode(&config.prime);
            (config.prime.clone(), ids.map_err(|e| Failure::input(format!("the run's own prime: {e}")))?)
        }
        Some(given) => prime::read(given, config.data.prepare, &trained.vocabulary)?,
    };
    let choice = if temperature == 0.0 { Sampling::Argmax } else { Sampling::Temperature(temperature) };
    let mut stdout = std::io::stdout().lock();
    // A terminal shows each character at once. Elsewhere a few are buffered: a system call per character would take
    // half as long as the character itself.
    let on_terminal = stdout.is_terminal();
    let held_back = if on_terminal { 1 } else { 64 };
    // A run folder from another person may have any character among its symbols.
    let shown = |text: String| if on_terminal { printable_text(&text).into_owned() } else { text };
    write!(stdout, "{}", shown(prime.clone()))?;
    stdout.flush()?;
    let (mut text, mut written) = (String::new(), 0u64);
    let on_character = |id| {
        let character = trained.vocabulary.decode(id);
        if args.json {
            text.push(character); // without --json a text of any length takes no memory
        }
        write!(stdout, "{}", shown(character.to_string()))?;
        written += 1;
        if written.is_multiple_of(held_back) {
            stdout.flush()?;
        }
        Ok::<(), Failure>(())
    };
    let writer = Writer {
        reader: trained.model.reader().map_err(Failure::failed)?,
        window: config.model.window,
        memory: if args.carry_state { Memory::State } else { Memory::Window },
        choice,
        key: Key::new(seed),
    };
    let start = Instant::now();
    write_on(writer, &ids, args.length, on_character)?;
    let seconds = start.elapsed().as_secs_f64();
    writeln!(stdout)?;
    drop(stdout);
    if args.json {
        let run = trained.path.display().to_string();
        let (corpus, device) = (config.data.corpus.as_str(), selected.name.as_str());
        json_line(&Generated { corpus, seed, device, run, temperature, prime: &prime, text, seconds })?;
    }
    Ok(())
}
