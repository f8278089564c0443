//! `chargen generate`: a trained model continues a text.

use crate::commands::interactive::Conversation;
use crate::generate::{Memory, Writer};
use crate::prime;
use crate::run::Trained;
use rnn_core::{Key, Sampling};
use rnn_data::text;
use rnn_harness::device::DeviceArgs;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, printable_text, whole};
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

/// Continues a text with a trained model. Generation runs on the CPU, on a copy of the weights, because single steps
/// are fastest there.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Beginning of the text. A model of windows reads only its last characters, as many as the window has, unless
    /// --carry-state is given [default: a window of the training text]
    #[arg(long, value_name = "TEXT", conflicts_with = "prime_file")]
    prime: Option<String>,
    /// A UTF-8 file with the beginning of the text
    #[arg(long, value_name = "FILE")]
    prime_file: Option<PathBuf>,
    /// Characters to generate
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = whole::<u64>(1..=1_000_000_000))]
    length: u64,
    /// 0 always takes the most probable character, 1 samples from the model's probabilities, and a higher value chooses
    /// improbable characters more often [default: 0.8; 0 for the lesson's model]
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// Sample only among the K most probable characters [default: all]
    #[arg(long, value_name = "K", value_parser = whole::<u64>(1..=1_000_000))]
    top_k: Option<u64>,
    /// Sample only among the most probable characters, as many as reach the probability P together [default: 1]
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Make the last 32 characters less likely, or likelier with a value below 1; 1 changes nothing, and 1.2 is already
    /// strong
    #[arg(long, value_name = "R", default_value_t = 1.0)]
    repetition_penalty: f64,
    /// End a text as soon as it has generated TEXT, which stays at its end
    #[arg(long, value_name = "TEXT")]
    stop: Option<String>,
    /// Number of texts to generate; the second is what the next --seed gives, and so on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(1..=10_000))]
    count: u64,
    /// Continue each line of stdin in turn, keeping the state; /help lists the commands
    #[arg(short, long, conflicts_with_all = ["count", "json"])]
    interactive: bool,
    /// Read each character once and carry the state over, instead of reading the last window again for each one:
    /// faster, but a model of windows was not trained on longer texts than its window. A model of streams always does
    #[arg(long)]
    carry_state: bool,
    /// Seed of the sampling, with a temperature above 0 [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Print the results as a JSON object in the last line
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
    /// The first one.
    text: &'a str,
    /// All of them, if more than one was asked for.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    texts: &'a [String],
    seconds: f64,
}

/// How characters are chosen; checked.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    pub temperature: f64,
    pub top_k: Option<u64>,
    pub top_p: Option<f64>,
}

impl Choice {
    /// The sampling.
    ///
    /// # Errors
    /// A value outside its range; `name` says what a setting is called where it was given.
    pub fn sampling(self, name: impl Fn(&str) -> String) -> Result<Sampling, Failure> {
        let Self { temperature, top_k, top_p } = self;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Failure::input(format!(
                "{} {temperature} is not possible; give 0 for the most probable character, or a finite number above, such \
                 as 0.8",
                name("temperature")
            )));
        }
        if let Some(p) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            let name = name("top-p");
            return Err(Failure::input(format!("{name} {p} is not possible; give a number above 0, at most 1")));
        }
        Ok(match (temperature, top_k, top_p) {
            (0.0, ..) => Sampling::Argmax,
            (_, None, None) => Sampling::Temperature(temperature),
            _ => Sampling::Among { temperature, top_k: top_k.map(|k| k as usize), top_p },
        })
    }
}

/// Checks a penalty.
pub fn check_penalty(name: &str, penalty: f64) -> Result<(), Failure> {
    match penalty > 0.0 && penalty.is_finite() {
        true => Ok(()),
        false => Err(Failure::input(format!(
            "{name} {penalty} is not possible; give 1 for none, a finite number above for less repetition, such as \
                 1.1, or one between 0 and 1 for more"
        ))),
    }
}

/// Generates texts and prints each character at once.
pub fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    if let Some(temperature) = args.temperature {
        Choice { temperature, top_k: args.top_k, top_p: args.top_p }.sampling(option)?;
    }
    check_penalty("--repetition-penalty", args.repetition_penalty)?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let config = &trained.config;
    let temperature = args.temperature.unwrap_or(if config.lesson { 0.0 } else { 0.8 });
    let choice = Choice { temperature, top_k: args.top_k, top_p: args.top_p };
    if temperature == 0.0 {
        refuse_sampling(args)?;
    }
    let sampling = choice.sampling(option)?;
    let seed = args.seed.unwrap_or(0);
    let given = match &args.prime_file {
        None => args.prime.clone().map(|prime| ("--prime", prime)),
        Some(path) => Some(("--prime-file", text::read(path).map_err(Failure::input)?)),
    };
    let (prime, ids) = match &given {
        None => {
            let ids = trained.vocabulary.encode(&config.prime);
            (config.prime.clone(), ids.map_err(|e| Failure::input(format!("the run's own prime: {e}")))?)
        }
        Some((name, given)) => prime::read(name, given, config.data.prepare, &trained.vocabulary)?,
    };
    let stop = match &args.stop {
        None => Vec::new(),
        Some(stop) => prime::read("--stop", stop, config.data.prepare, &trained.vocabulary)?.1,
    };
    let memory = if args.carry_state || config.carries_state() { Memory::State } else { Memory::Window };
    let writer = |seed| -> Result<Writer, Failure> {
        let reader = trained.model.reader().map_err(Failure::failed)?;
        let mut writer = Writer::new(reader, config.model.window, memory, sampling, Key::new(seed));
        writer.penalty = args.repetition_penalty;
        Ok(writer)
    };
    if args.interactive {
        let begin = if given.is_some() { ids } else { Vec::new() };
        return Conversation::new(&trained, writer(seed)?, choice, args.length, stop).run(&begin);
    }
    let start = Instant::now();
    let mut texts = Vec::new();
    for number in 0..args.count {
        if args.count > 1 {
            println!("--- {} of {}", number + 1, args.count);
        }
        print(&prime)?;
        let mut writer = writer(seed.wrapping_add(number))?;
        writer.read(&ids);
        let text = write(&mut writer, &trained, args.length, &stop, args.json)?;
        println!();
        if args.json {
            texts.push(text); // without --json a text of any length takes no memory
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let run = trained.path.display().to_string();
        let (corpus, device) = (config.data.corpus.as_str(), selected.name.as_str());
        let text = texts.first().map_or("", String::as_str);
        let texts = if args.count > 1 { &texts[..] } else { &[] };
        json_line(&Generated { corpus, seed, device, run, temperature, prime: &prime, text, texts, seconds })?;
    }
    Ok(())
}

/// The option of a setting.
fn option(name: &str) -> String {
    format!("--{name}")
}

/// Refuses options about sampling where nothing is drawn.
fn refuse_sampling(args: &GenerateArgs) -> Result<(), Failure> {
    let given = [
        ("--seed is", args.seed.is_some()),
        ("--top-k is", args.top_k.is_some()),
        ("--top-p is", args.top_p.is_some()),
        ("--count above 1 is", args.count > 1),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::input(format!(
            "{option} for sampling, but without --temperature, or with 0, the most probable character is always taken; \
             give a --temperature above 0, or leave it out",
        ))),
        None => Ok(()),
    }
}

/// Prints a text on stdout at once. A run folder from another person may have any character among its symbols.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let shown = if stdout.is_terminal() { printable_text(text) } else { text.into() };
    write!(stdout, "{shown}")?;
    stdout.flush()?;
    Ok(())
}

/// Lets `writer` write at most `length` characters, up to `stop`, onto stdout; returns them if `keep`.
pub fn write(writer: &mut Writer, trained: &Trained, length: u64, stop: &[u32], keep: bool) -> Result<String, Failure> {
    let mut stdout = std::io::stdout().lock();
    // A terminal shows each character at once. Elsewhere a few are buffered: a system call per character would take
    // half as long as the character itself.
    let on_terminal = stdout.is_terminal();
    let held_back = if on_terminal { 1 } else { 64 };
    let (mut text, mut last) = (String::new(), Vec::new());
    for number in 1..=length {
        let id = writer.next();
        let character = trained.vocabulary.decode(id);
        if keep {
            text.push(character);
        }
        let character = character.to_string();
        write!(stdout, "{}", if on_terminal { printable_text(&character) } else { character.as_str().into() })?;
        if number.is_multiple_of(held_back) {
            stdout.flush()?;
        }
        if !stop.is_empty() {
            last.push(id);
            if last.len() > stop.len() {
                last.remove(0);
            }
            if last == stop {
                break;
            }
        }
    }
    stdout.flush()?;
    Ok(text)
}
