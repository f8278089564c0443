//! `compare`: settings that differ, figures, curves.

use super::{Run, figure_names, shown};
use crate::arguments::given::options_of_train;
use crate::html::Page;
use crate::report::{EPOCHS, chart, columns};
use crate::run_dir::{CONFIG, found, runs};
use crate::{Failure, print_line, say, write_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Compares runs of this program.
#[derive(Debug, clap::Args)]
pub struct CompareArgs {
    /// Run folders, or the names of runs
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Write the curves of the loss (of the validation, where there is one)
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write table and curves as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Settings that differ in every pair of runs without saying anything.
const NO_SETTINGS: [&str; 4] = ["format", "program", "prime", "data.fingerprint"];
/// Ends of settings' paths whose option has another name.
const NAMES: [(&str, &str); 5] = [
    ("ngrams.order", "ngrams"),
    ("dropout.input", "dropout"),
    ("dropout.recurrent", "recurrent-dropout"),
    ("dropout.masks", "dropout-masks"),
    ("plan.max_steps", "steps"),
];

pub(super) fn command(program: &str, args: &CompareArgs) -> Result<(), Failure> {
    let find = |given: &PathBuf| {
        let path = found(program, given, CONFIG);
        if !path.join(CONFIG).is_file() {
            return Err(Failure::input(format!(
                "there is no run {} here or under {}; {program} runs lists them",
                given.display(),
                runs(program).display()
            )));
        }
        let run = Run::read(&path)?;
        match run.program.as_deref().filter(|of| *of != program) {
            Some(of) => Err(Failure::input(format!(
                "{} is a run of {of}, whose figures mean something else; {program} compares its own runs",
                given.display()
            ))),
            None => Ok(run),
        }
    };
    let all = args.runs.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let comparison = Comparison::of(&all);
    print_line!("{}", comparison.text());
    if let Some(path) = &args.svg {
        write(path, &comparison.curves)?;
    }
    if let Some(path) = &args.html {
        write(path, &comparison.page(program))?;
    }
    Ok(())
}

/// Writes a file and says so.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_file(path, text)?;
    print_line!("written: {}", path.display());
    Ok(())
}

/// An option, and its value in each run.
type Column = (String, Vec<String>);

fn value(settings: &[(String, String)], name: &str) -> String {
    settings.iter().find(|(setting, _)| setting == name).map_or("–".to_string(), |(_, value)| value.clone())
}

fn differ(values: &[String]) -> bool {
    values.iter().any(|value| *value != values[0])
}

/// The settings of `configs`, by path, under the names of the options that they come from. What comes from none of
/// `options` was computed from the data; without any, the last part of a path says the most.
fn columns_of(configs: &[&[(String, String)]], options: &[&str]) -> Vec<Column> {
    let mut all: Vec<(Column, [bool; 2])> = Vec::new();
    let paths: BTreeSet<&String> = configs.iter().flat_map(|config| config.iter()).map(|(path, _)| path).collect();
    for path in paths.into_iter().filter(|path| !NO_SETTINGS.contains(&path.as_str())) {
        let parts: Vec<String> = path.rsplit('.').map(|part| part.replace('_', "-")).collect();
        let other = NAMES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, option)| (*option).to_string());
        let is_option = |part: &&str| options.is_empty() || options.contains(part);
        let singular =
            |part: &String| [part.as_str(), part.trim_end_matches('s')].into_iter().find(is_option).map(String::from);
        let Some(name) = other.clone().or_else(|| parts.iter().find_map(singular)) else { continue };
        let values: Vec<String> = configs.iter().map(|config| value(config, path)).collect();
        // Of several settings of one option, one that differs, and rather that of its own name.
        let says = [differ(&values), other.is_some() || name == parts[0]];
        match all.iter_mut().find(|((known, _), _)| *known == name) {
            None => all.push(((name, values), says)),
            Some((column, before)) if says > *before => (*column, *before) = ((name, values), says),
            Some(_) => {}
        }
    }
    all.into_iter().map(|(column, _)| column).collect()
}

/// Runs side by side.
pub(super) struct Comparison {
    /// A row a run, below a header.
    rows: Vec<Vec<String>>,
    /// As SVG.
    curves: String,
}

impl Comparison {
    pub fn of(all: &[Run]) -> Self {
        let configs: Vec<&[(String, String)]> = all.iter().map(|run| &run.settings[..]).collect();
        let mut columns = columns_of(&configs, &options_of_train());
        // What no configuration has, such as a preset, is known where it was asked for.
        let known: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        for (name, _) in all.iter().flat_map(|run| &run.asked).filter(|(name, _)| !known.contains(name)) {
            let values = all.iter().map(|run| value(&run.asked, name)).collect();
            if !columns.iter().any(|(other, _)| other == name) {
                columns.push((name.clone(), values));
            }
        }
        columns.retain(|(_, values)| differ(values));
        let figures = figure_names(all);
        let mut rows = vec![vec!["run".to_string()]];
        rows[0].extend(columns.iter().map(|(name, _)| name.clone()));
        rows[0].extend(figures.iter().map(|name| name.replace('_', " ")));
        for (number, run) in all.iter().enumerate() {
            let mut row = vec![run.name.clone()];
            row.extend(columns.iter().map(|(_, values)| values[number].clone()));
            row.extend(figures.iter().map(|name| shown(name, run.figure(name))));
            rows.push(row);
        }
        let validated = all.iter().all(|run| run.figure("validation_loss").is_some());
        let curve = |run: &Run| {
            let line = run.folder.epochs().loss(&run.name);
            if line.points.is_empty() {
                let why = run.folder.read_text(EPOCHS).err();
                let why = why.map_or("it has no epoch yet".into(), |error| error.to_string());
                say!("{} has no curve: {why}", run.name);
            }
            line
        };
        let lines = all.iter().map(curve).collect();
        let curves = chart(if validated { "validation_loss" } else { "loss" }, lines);
        Self { rows, curves }
    }

    pub fn text(&self) -> String {
        columns(&self.rows)
    }

    pub fn page(&self, program: &str) -> String {
        let header: Vec<&str> = self.rows[0].iter().map(String::as_str).collect();
        Page::new(&format!("{program}: runs compared")).table(&header, &self.rows[1..]).picture(&self.curves).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_names_of_options() {
        let config = |of: &[(&str, &str)]| -> Vec<(String, String)> {
            of.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
        };
        let one = config(&[
            ("format", "2"),
            ("model.cell", "gru"),
            ("model.features", "3"),
            ("model.dropout.input", "0.1"),
            ("model.dropout.recurrent", "0.2"),
            ("data.name", "alice"),
            ("data.data", "a.csv"),
            ("data.targets", "[\"y\"]"),
            ("view.scaling.0.mean", "1.5"),
            ("ngrams", "–"),
            ("training.plan.optimizer.name", "adam"),
            ("training.plan.optimizer.learning_rate", "0.1"),
        ]);
        let other = config(&[("ngrams.c", "64.0"), ("ngrams.order", "2"), ("model.cell", "rnn")]);
        let options = ["cell", "data", "dropout", "input", "target", "ngrams", "optimizer", "learning-rate"];
        let columns = columns_of(&[&one, &other], &options);
        let mut shown: Vec<String> =
            columns.iter().map(|(name, values)| format!("{name}={}", values.join("|"))).collect();
        shown.sort();
        let expected = [
            "cell=gru|rnn",
            "data=a.csv|–",
            "dropout=0.1|–",
            "learning-rate=0.1|–",
            "ngrams=–|2",
            "optimizer=adam|–",
            "recurrent-dropout=0.2|–",
            "target=[\"y\"]|–",
        ];
        assert_eq!(shown, expected);
    }
}
