//! `compare`: settings that differ, figures, curves.

use super::{Run, figure_names, shown};
use crate::arguments::given::options_of_train;
use crate::html::Page;
use crate::report::{EPOCHS, chart, columns};
use crate::run_dir::{CONFIG, found, runs};
use crate::{Failure, print_line, say, write_file};
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
const NAMES: [(&str, &str); 4] = [
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

/// Settings of a run by the names of options.
type Named = Vec<(String, String)>;

/// The settings, by path, under the names of the options that they come from. What comes from none of `options` was
/// computed from the data; without any, the last part of a path says the most.
fn named(settings: &[(String, String)], options: &[&str]) -> Named {
    let mut all: Named = Vec::new();
    for (path, value) in settings.iter().filter(|(path, _)| !NO_SETTINGS.contains(&path.as_str())) {
        let parts: Vec<String> = path.rsplit('.').map(|part| part.replace('_', "-")).collect();
        let other = NAMES.iter().find(|(end, _)| path.ends_with(end)).map(|(_, option)| (*option).to_string());
        let is_option = |part: &&str| options.is_empty() || options.contains(part);
        let singular =
            |part: &String| [part.as_str(), part.trim_end_matches('s')].into_iter().find(is_option).map(String::from);
        let Some(name) = other.or_else(|| parts.iter().find_map(singular)) else { continue };
        match all.iter_mut().find(|(known, _)| *known == name) {
            None => all.push((name, value.clone())),
            // Of several settings of one option, that of its own name.
            Some((known, before)) if *known == parts[0] => before.clone_from(value),
            Some(_) => {}
        }
    }
    all
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
        let options = options_of_train();
        let mut settings: Vec<Named> = all.iter().map(|run| named(&run.settings, &options)).collect();
        // What no configuration has, such as a preset, is known where it was asked for.
        let known: Vec<String> = settings.iter().flatten().map(|(name, _)| name.clone()).collect();
        for (settings, run) in settings.iter_mut().zip(all) {
            settings.extend(run.asked.iter().filter(|(name, _)| !known.contains(name)).cloned());
        }
        let mut names: Vec<String> = Vec::new();
        for (name, _) in settings.iter().flatten() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let value = |settings: &Named, name: &String| {
            let found = settings.iter().find(|(setting, _)| setting == name);
            found.map_or("–".to_string(), |(_, value)| value.clone())
        };
        names.retain(|name| settings.iter().any(|one| value(one, name) != value(&settings[0], name)));
        let figures = figure_names(all);
        let mut rows = vec![vec!["run".to_string()]];
        rows[0].extend(names.iter().cloned());
        rows[0].extend(figures.iter().map(|name| name.replace('_', " ")));
        for (run, settings) in all.iter().zip(&settings) {
            let mut row = vec![run.name.clone()];
            row.extend(names.iter().map(|name| value(settings, name)));
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
        let settings = [
            ("format", "2"),
            ("model.cell", "gru"),
            ("model.features", "3"),
            ("model.dropout.input", "0.1"),
            ("model.dropout.recurrent", "0.2"),
            ("data.name", "alice"),
            ("data.data", "a.csv"),
            ("data.targets", "[\"y\"]"),
            ("view.scaling.0.mean", "1.5"),
            ("ngrams.order", "3"),
            ("training.plan.optimizer.name", "adam"),
            ("training.plan.optimizer.learning_rate", "0.1"),
            ("training.plan.schedule.shape", "cosine"),
        ];
        let settings: Named = settings.map(|(name, value)| (name.into(), value.into())).to_vec();
        let options =
            ["cell", "data", "dropout", "input", "target", "ngrams", "optimizer", "learning-rate", "schedule"];
        let named: Vec<String> = named(&settings, &options).into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        let expected = "cell=gru dropout=0.1 recurrent-dropout=0.2 data=a.csv target=[\"y\"] ngrams=3 optimizer=adam \
            learning-rate=0.1 schedule=cosine";
        assert_eq!(named.join(" "), expected);
    }
}
