//! What is kept of a run: a folder `docs/bench/DATE-MACHINE`, never edited.
//!
//! `run.json` is the record ([`run::Run`]). `README.md` ([`page`]) and `chart.svg` ([`chart`]) are rendered from it,
//! and nothing reads them again. Figures have five significant digits everywhere, so a page is the same when it is
//! rendered from the file.

pub mod chart;
mod json;
pub mod page;
pub mod row;
pub mod run;
pub mod sweep;
pub mod table;
pub mod targets;

use crate::machine;
use run::Run;
use std::path::{Path, PathBuf};

/// The record itself.
const RUN: &str = "run.json";
const PAGE: &str = "README.md";
const CHART: &str = "chart.svg";

/// The record in a folder, or in a file.
///
/// # Errors
/// One line: the file is not there, or it is no record.
pub fn read(path: &Path) -> Result<Run, String> {
    let path = if path.is_dir() { path.join(RUN) } else { path.to_path_buf() };
    let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    json::parse(&text).map_err(|e| format!("{} is no record of the bench: {e}", path.display()))
}

/// Writes page and chart of the record in `folder`.
///
/// # Errors
/// One line: there is no record, or a file cannot be written.
pub fn render(folder: &Path) -> Result<(), String> {
    let run = read(folder)?;
    let chart = chart::draw(&run.rows);
    write(&folder.join(PAGE), &page::text(&run, chart.is_some().then_some(CHART)))?;
    chart.map_or(Ok(()), |chart| write(&folder.join(CHART), &chart))
}

/// Writes a new record under docs/bench.
///
/// # Errors
/// One line: nothing was measured, or a file cannot be written.
pub fn keep(run: Run) -> Result<(), String> {
    let (folder, _) = keep_in(&crate::root().join("docs/bench"), run)?;
    eprintln!("record: {}", folder.display());
    Ok(())
}

/// Writes a record of today into a new folder of `records`, whole or not at all.
fn keep_in(records: &Path, mut run: Run) -> Result<(PathBuf, Run), String> {
    if !run.has_figures() {
        return Err("nothing was measured, so there is nothing to record; wait until the machine is idle".into());
    }
    run.name = free_name(records, &format!("{}-{}", machine::today(), run.machine.instructions));
    let folder = records.join(&run.name);
    let hidden = records.join(format!(".{}.tmp", run.name));
    let cannot = |path: &Path, e| format!("cannot make {}: {e}", path.display());
    std::fs::create_dir_all(&hidden).map_err(|e| cannot(&hidden, e))?;
    write(&hidden.join(RUN), &json::text(&run)?)?;
    render(&hidden)?;
    std::fs::rename(&hidden, &folder).map_err(|e| cannot(&folder, e))?;
    Ok((folder, run))
}

/// The name, or with a number where there is a record of that day and machine.
fn free_name(records: &Path, name: &str) -> String {
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.to_string()).chain(numbered);
    names.find(|name| !records.join(name).exists()).unwrap_or_default()
}

/// Writes under another name and renames.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let temporary: PathBuf = path.with_extension("tmp");
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary); // it may not be there
        format!("cannot write {}: {e}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders of all records.
    fn records() -> Vec<PathBuf> {
        let entries = std::fs::read_dir(crate::root().join("docs/bench")).expect("the records");
        let folders = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
        folders.collect()
    }

    #[test]
    fn pages_and_charts_of_all_records_are_rendered_from_their_data() {
        let records = records();
        assert!(records.len() >= 3, "{records:?}");
        for record in records {
            let run = read(&record).expect("a record");
            assert_eq!(Some(run.name.as_str()), record.file_name().and_then(|name| name.to_str()));
            let kept = |name: &str| std::fs::read_to_string(record.join(name)).ok();
            assert_eq!(
                kept(RUN),
                Some(json::text(&run).expect("JSON")),
                "{}: what is read is what is written",
                run.name
            );
            let chart = chart::draw(&run.rows);
            let page = page::text(&run, chart.is_some().then_some(CHART));
            let again = format!("cargo xtask bench --render {}", record.display());
            assert!(kept(PAGE) == Some(page), "{again}");
            assert!(kept(CHART) == chart, "{again}");
        }
    }

    #[test]
    fn a_run_is_kept_whole_under_its_date_and_machine() {
        let folder = tempfile::tempdir().expect("made");
        let old = crate::root().join("docs/bench/2026-11-28-avx512");
        let (kept, run) = keep_in(folder.path(), read(&old).expect("a record")).expect("kept");
        assert_eq!(run.name, format!("{}-avx512", machine::today()));
        assert_eq!(kept, folder.path().join(&run.name));
        for name in [RUN, PAGE, CHART] {
            let text = |folder: &Path| std::fs::read_to_string(folder.join(name)).expect("written");
            assert_eq!(text(&kept), text(&old).replace("2026-11-28-avx512", &run.name));
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("made").count(), 1, "nothing else is left there");
        let none = Run { rows: vec![], sweep: vec![], ..run };
        assert!(keep_in(folder.path(), none).is_err_and(|error| error.contains("nothing was measured")));
    }

    #[test]
    fn a_record_is_never_overwritten() {
        let folder = tempfile::tempdir().expect("made");
        assert_eq!(free_name(folder.path(), "2026-11-25-avx2"), "2026-11-25-avx2");
        std::fs::create_dir(folder.path().join("2026-11-25-avx2")).expect("made");
        assert_eq!(free_name(folder.path(), "2026-11-25-avx2"), "2026-11-25-avx2-2");
    }

    #[test]
    fn what_is_no_record_is_said_to_be_none() {
        let toml = crate::root().join("Cargo.toml");
        assert!(read(&toml).is_err_and(|error| error.contains("Cargo.toml is no record of the bench: ")));
        assert!(read(Path::new("no-such.json")).is_err_and(|error| error.contains("cannot read no-such.json")));
    }
}
