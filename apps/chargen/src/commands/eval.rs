//! `chargen eval`: how well a trained model predicts a text, beside an n-gram model of the same training part.

use crate::config::Mode;
use crate::data::{Prepare, characters};
use crate::ngram::{self, NGrams};
use crate::prime;
use crate::run::Trained;
use crate::surprise::{Mean, coloured, of_grams, of_model, spans};
use rnn_data::text;
use rnn_harness::device::DeviceArgs;
use rnn_harness::html::Page;
use rnn_harness::interrupt::listen;
use rnn_harness::options::RunArgs;
use rnn_harness::{Failure, json_line, print_line, say, whole, write_file};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Predicts each character of a text from those before it.
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    /// A UTF-8 text file [default: the run's own test part, else its validation part]
    file: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Which part of the run's own text
    #[arg(long, value_enum, conflicts_with = "file")]
    part: Option<Part>,
    /// Leave out the file's characters that the model does not know
    #[arg(long, requires = "file")]
    skip_unknown: bool,
    /// Order of the n-gram baseline; 0 for none
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u64>(0..=ngram::MOST))]
    ngram: u64,
    /// Show the first characters of the text, the redder the more surprising
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1000", value_parser = whole::<u64>(1..=1_000_000))]
    show: Option<u64>,
    /// Write the text (its first 50,000 characters) as an HTML page, the redder the more surprising
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// What the model was validated on
    Validation,
    /// What was held out for a test
    Test,
}

#[derive(Debug, Serialize)]
struct Evaluated {
    corpus: String,
    run: String,
    characters: usize,
    #[serde(flatten)]
    model: Mean,
    baselines: BTreeMap<String, Mean>,
    seconds: f64,
}

/// The characters on the page.
const ON_PAGE: usize = 50_000;
/// The largest number of characters that the baseline counts, from the end of the training part. Each takes some
/// hundred bytes.
const COUNTED: usize = 20_000_000;

/// What is predicted.
struct Text {
    name: String,
    /// With the characters before it that the model reads first.
    ids: Vec<u32>,
    /// The first place that is predicted.
    from: usize,
}

pub fn eval(args: &EvalArgs) -> Result<(), Failure> {
    listen()?;
    let selected = args.device.select()?;
    let trained = Trained::load(&args.run, &selected.device)?;
    let (text, train) = match &args.file {
        None => own(&trained, args.part)?,
        Some(_) if args.ngram == 0 => (file(args, &trained)?, None),
        Some(_) => (file(args, &trained)?, training_part(&trained)),
    };
    let Text { name, ids, from } = &text;
    let count = ids.len() - from;
    let start = Instant::now();
    let surprises = of_model(&trained, ids, *from).map_err(Failure::failed)?;
    let surprises = surprises.ok_or_else(|| Failure::Interrupted("before the end of the text".into()))?;
    let seconds = start.elapsed().as_secs_f64();
    let model = Mean::of(&surprises);
    print_line!("{} of {name}, each predicted from all before it", characters(count));
    let cell = trained.config.model.cell;
    let mut rows = vec![row(&format!("{cell} of {} units", trained.config.model.hidden), model)];
    let mut baselines = BTreeMap::new();
    if let (Some(train), true) = (train, args.ngram > 0) {
        let mut grams = NGrams::new(args.ngram as usize, trained.vocabulary.len());
        grams.train(train.into_iter());
        let mean = Mean::of(&of_grams(&grams, ids, *from));
        rows.push(row(&format!("{}-grams (Witten-Bell)", args.ngram), mean));
        baselines.insert(format!("{}-gram", args.ngram), mean);
    }
    for [who, loss, bits, perplexity] in &rows {
        print_line!("{who:<24} {loss} nats, {bits} bits a character, perplexity {perplexity}");
    }
    let decode = |ids: &[u32]| ids.iter().map(|&id| trained.vocabulary.decode(id)).collect::<Vec<char>>();
    if let Some(most) = args.show {
        let end = ids.len().min(from + most as usize);
        println!("{}", coloured(&spans(&decode(&ids[*from..end]), &surprises)));
    }
    if let Some(path) = &args.html {
        let end = ids.len().min(from + ON_PAGE);
        let table: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
        let page = Page::new(&format!("{name}: how surprising each character is"))
            .table(&["", "nats a character", "bits a character", "perplexity"], &table)
            .text(
                "The redder a character, the more surprising it is to the model: white is certain, full red 6 nats (1 in \
                 400) and more. The pointer shows it in bits.",
            )
            .shaded(&spans(&decode(&ids[*from..end]), &surprises));
        let page =
            if end < ids.len() { page.text(&format!("… and {} more characters.", ids.len() - end)) } else { page };
        write_file(path, page.finish())?;
        print_line!("page: {}", path.display());
    }
    if args.json {
        let (corpus, run) = (name.clone(), trained.path.display().to_string());
        json_line(&Evaluated { corpus, run, characters: count, model, baselines, seconds })?;
    }
    Ok(())
}

fn row(who: &str, Mean { loss, bits_per_character, perplexity }: Mean) -> [String; 4] {
    [who.to_string(), format!("{loss:.4}"), format!("{bits_per_character:.4}"), format!("{perplexity:.3}")]
}

/// A file of the person's.
fn file(args: &EvalArgs, trained: &Trained) -> Result<Text, Failure> {
    let Some(path) = &args.file else { return Err(Failure::failed("no file")) };
    let name = path.display().to_string();
    let mut given = text::read(path).map_err(Failure::input)?;
    if args.skip_unknown {
        given = trained.config.data.prepare.text(given)?;
        let before = given.chars().count();
        given = trained.vocabulary.in_known_form(&given);
        given.retain(|c| trained.vocabulary.contains(c));
        match before - given.chars().count() {
            0 => {}
            n => say!("{name}: {n} of {before} characters are unknown to the model and left out"),
        }
    }
    let ids = match prime::read(&name, &given, trained.config.data.prepare, &trained.vocabulary) {
        Ok((_, ids)) => ids,
        Err(Failure::Input(why)) if !args.skip_unknown => {
            return Err(Failure::input(format!("{why}{}", unknown(&given, trained))));
        }
        Err(failure) => return Err(failure),
    };
    if ids.len() < 2 {
        return Err(Failure::input(format!("{name} has {} to evaluate on; give at least 2", characters(ids.len()))));
    }
    Ok(Text { name, ids, from: 1 })
}

/// Where the first character stands that the model does not know, how many there are, and what to do.
fn unknown(text: &str, trained: &Trained) -> String {
    // The lesson's preparation drops what is not ASCII, and has spaces for line ends and small letters.
    let is_unknown = |c: &char| match trained.config.data.prepare {
        Prepare::None => !trained.vocabulary.contains(*c),
        Prepare::Lesson => c.is_ascii_graphic() && !trained.vocabulary.contains(c.to_ascii_lowercase()),
    };
    let known_form = trained.vocabulary.in_known_form(text);
    let count = known_form.chars().filter(is_unknown).count();
    let place = known_form.lines().enumerate().find_map(|(line, text)| {
        text.chars()
            .position(|c| is_unknown(&c))
            .map(|column| format!("; it is in line {}, column {}", line + 1, column + 1))
    });
    match count {
        0 => String::new(),
        n => {
            format!("{}; {n} characters are unknown in all: --skip-unknown leaves them out", place.unwrap_or_default())
        }
    }
}

/// The held-out part of the run's own text, and its training part.
fn own(trained: &Trained, part: Option<Part>) -> Result<(Text, Option<Vec<u32>>), Failure> {
    let config = &trained.config;
    let split = config.split();
    let has = |part| match part {
        Part::Validation => split.validation.is_some(),
        Part::Test => split.test.is_some(),
    };
    let part = match part {
        Some(part) if has(part) => part,
        None if has(Part::Test) => Part::Test,
        None if has(Part::Validation) => Part::Validation,
        asked => {
            let what = asked.map_or("validation or test", |p| if p == Part::Test { "test" } else { "validation" });
            return Err(Failure::input(format!(
                "the run {} has no {what} part; give a text: chargen eval FILE",
                trained.path.display()
            )));
        }
    };
    let data = config.data.load_again()?;
    let parts = config.parts(&data)?;
    let (range, called) = match part {
        Part::Validation => (parts.validation, "validation"),
        Part::Test => (parts.test, "test"),
    };
    // The model reads on from what stands before.
    let before = range.start.min(if config.mode == Mode::Streams { 4096 } else { config.model.window });
    let ids = data.ids.range(range.start - before..range.end).collect();
    let train = parts.train.end.saturating_sub(COUNTED)..parts.train.end;
    let name = format!("the {called} part of {}", config.data.corpus);
    let text = Text { name, ids, from: before.max(1) };
    Ok((text, Some(data.ids.range(train).collect())))
}

/// The training part, if the text is still there.
fn training_part(trained: &Trained) -> Option<Vec<u32>> {
    let read = || -> Result<Vec<u32>, Failure> {
        let data = trained.config.data.load_again()?;
        let end = trained.config.parts(&data)?.train.end;
        Ok(data.ids.range(end.saturating_sub(COUNTED)..end).collect())
    };
    read().map_err(|why| say!("without the n-gram baseline, which counts the training text: {why}")).ok()
}
