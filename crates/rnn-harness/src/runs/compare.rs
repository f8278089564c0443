//! `compare`: settings that differ, figures, curves.

use super::{Run, figure_names, shown};
use crate::html::Page;
use crate::report::{chart, columns};
use crate::run_dir::{CONFIG, runs};
use crate::{Failure, print_line, write_file};
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
const NO_SETTINGS: [&str; 3] = ["format", "prime", "data.fingerprint"];

pub(super) fn command(program: &str, args: &CompareArgs) -> Result<(), Failure> {
    let find = |given: &PathBuf| {
        let named = runs(program).join(given);
        let found = [given, &named].into_iter().find(|path| path.join(CONFIG).is_file());
        let path = found.ok_or_else(|| {
            Failure::input(format!(
                "there is no run {} here or under {}; {program} runs lists them",
                given.display(),
                runs(program).display()
            ))
        })?;
        Run::read(path)
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

/// Runs side by side.
pub(super) struct Comparison {
    /// A row a run, below a header.
    rows: Vec<Vec<String>>,
    /// As SVG.
    curves: String,
}

impl Comparison {
    pub fn of(all: &[Run]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in all.iter().flat_map(|run| &run.settings) {
            if !names.contains(&name.as_str()) && !NO_SETTINGS.contains(&name.as_str()) {
                names.push(name);
            }
        }
        let value = |run: &Run, name: &str| {
            let found = run.settings.iter().find(|(setting, _)| setting == name);
            found.map_or("–".to_string(), |(_, value)| value.clone())
        };
        names.retain(|name| all.iter().any(|run| value(run, name) != value(&all[0], name)));
        let figures = figure_names(all);
        let mut rows = vec![vec!["run".to_string()]];
        // The last part of a path says enough, unless two settings share it.
        let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_string();
        let short = |name: &&str| match names.iter().filter(|other| last(other) == last(name)).count() {
            1 => last(name),
            _ => name.to_string(),
        };
        rows[0].extend(names.iter().map(|name| short(name).replace('_', " ")));
        rows[0].extend(figures.iter().map(|name| name.replace('_', " ")));
        for run in all {
            let mut row = vec![run.name.clone()];
            row.extend(names.iter().map(|name| value(run, name)));
            row.extend(figures.iter().map(|name| shown(run.figure(name))));
            rows.push(row);
        }
        let validated = all.iter().all(|run| run.figure("validation_loss").is_some());
        let lines = all.iter().map(|run| run.folder.epochs().loss(&run.name)).collect();
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
