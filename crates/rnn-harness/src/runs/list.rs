//! `runs`: the runs of a program with their figures.

use super::{Run, all, figure_names, shown};
use crate::report::columns;
use crate::run_dir::{runs, timestamp};
use crate::{Failure, json_line, print_line};
use serde_json::{Map, Value, json};

/// Lists the runs of this program, the oldest first.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Prints a table of the runs.
pub(super) fn list(program: &str, args: &ListArgs) -> Result<(), Failure> {
    let all = all(program);
    if all.is_empty() {
        return Err(Failure::input(format!(
            "no runs under {}; train one first: cargo run -p {program} -- train",
            runs(program).display()
        )));
    }
    let figures = figure_names(&all);
    let mut rows = vec![vec!["run".to_string(), "begun (UTC)".into(), "state".into()]];
    rows[0].extend(figures.iter().map(|name| name.replace('_', " ")));
    for run in &all {
        let mut row = vec![run.name.clone(), timestamp(run.begun), run.state()];
        row.extend(figures.iter().map(|name| shown(name, run.figure(name))));
        rows.push(row);
    }
    print_line!("{}", columns(&rows));
    if args.json {
        json_line(&json!({"runs": all.iter().map(json_of).collect::<Vec<_>>()}))?;
    }
    Ok(())
}

/// A run as JSON: its figures, and whether it is finished.
fn json_of(run: &Run) -> Value {
    let mut figures: Map<String, Value> = run.summary.clone().unwrap_or_default();
    figures.remove("epochs");
    figures.insert("run".into(), json!(run.folder.path().display().to_string()));
    figures.insert("finished".into(), json!(run.summary.is_some()));
    Value::Object(figures)
}
