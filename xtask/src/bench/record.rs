//! The dated record: `docs/bench/DATE.md` and its chart `DATE.svg`, each written whole or not at all.

use super::context::Bench;
use super::row::Row;
use super::{chart, machine, table, targets};
use std::fmt::Write;
use std::path::Path;

/// Writes both and says where.
pub fn write(bench: &Bench) -> Result<(), String> {
    let measured = bench.rows.iter().any(|row| row.refused.is_none());
    if !measured && bench.sweep.is_none() {
        return Err("nothing was measured, so there is nothing to record; wait until the machine is idle".into());
    }
    let folder = crate::root().join("docs/bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let name = free_name(&folder, &machine::today());
    let chart = chart::draw(&bench.rows);
    let svg = chart.as_ref().map(|_| format!("{name}.svg"));
    replace(&folder.join(format!("{name}.md")), &text(bench, &name, svg.as_deref()))?;
    let chart_is_there = chart.is_some();
    if let (Some(chart), Some(svg)) = (chart, svg) {
        replace(&folder.join(svg), &chart)?;
    }
    let is_whole = measured && bench.args.only.is_empty() && bench.args.peers && !bench.args.quick;
    if is_whole {
        let path = crate::root().join("README.md");
        let readme = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let picture =
            if chart_is_there { format!("![time relative to ours](docs/bench/{name}.svg)\n\n") } else { String::new() };
        let said = format!(
            "{}\n{picture}`docs/bench/{name}.md` has the machine and every figure.\n",
            table::readme(&bench.rows)
        );
        match fill(&readme, &said) {
            Some(filled) => replace(&path, &filled)?,
            None => eprintln!("README.md has no place for the table: it lacks {} … {END}", BEGIN.trim()),
        }
    }
    eprintln!("record: {}", folder.join(format!("{name}.md")).display());
    Ok(())
}

/// The README's table stands between these.
const BEGIN: &str = "<!-- bench -->\n";
const END: &str = "<!-- end of bench -->";

/// `readme` with `text` between the marks.
fn fill(readme: &str, text: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, text, END, after].concat())
}

/// The date, or with a number where there is a record of that day.
fn free_name(folder: &Path, date: &str) -> String {
    let is_free = |name: &String| !folder.join(format!("{name}.md")).exists();
    let later = (2..).map(|n| format!("{date}-{n}"));
    std::iter::once(date.to_string()).chain(later).find(is_free).unwrap_or_default()
}

fn replace(path: &Path, text: &str) -> Result<(), String> {
    let temporary = path.with_extension("tmp");
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary); // it may not be there
        format!("cannot write {}: {e}", path.display())
    })
}

fn text(bench: &Bench, name: &str, svg: Option<&str>) -> String {
    let mut text = format!("# Bench of {name}\n\n");
    let args: Vec<String> = std::env::args().skip(2).collect();
    let peaks: Vec<String> = bench.peaks.iter().map(|(n, peak)| format!("{peak:.0} on {n}")).collect();
    let peers = bench.peers.as_ref().map_or("none (without --peers)".into(), |peers| peers.versions());
    let _ = writeln!(
        text,
        "- Command: `cargo xtask bench {}`\n- Machine: {}\n- FMA peak, f32, GFLOP/s by threads: {}\n- Versions: {}\n\
         - Peers: {peers}\n- Idleness: {}\n",
        args.join(" "),
        machine::describe(),
        peaks.join(", "),
        machine::versions(),
        bench.idleness(),
    );
    if !bench.rows.is_empty() {
        text += "Medians of rounds in which all took turns; a turn of short work begins with calls off the clock. `PyTorch` is \
                 the faster of oneDNN on and off. Shapes are batch, time, inputs, units; f32. GFLOP/s count the matrix products \
                 alone.\n\n";
        if let Some(svg) = svg {
            let _ = writeln!(text, "![time and memory relative to ours]({svg})\n");
        }
        let _ = writeln!(text, "## For the README\n\n{}", table::readme(&bench.rows));
    }
    if let Some(targets) = targets::of(&bench.rows, &bench.peaks) {
        let _ = writeln!(text, "## Targets\n\n{targets}");
    }
    for rows in bench.rows.chunk_by(|a, b| a.job == b.job) {
        let _ = writeln!(text, "## {}\n\n{}", rows[0].job, table::of_job(rows, &bench.peaks));
    }
    if let Some(sweep) = &bench.sweep {
        let _ = writeln!(
            text,
            "## Sweep\n\nForward and backward; each point is the median of its calls, in a process of its own.\n\n{sweep}"
        );
    }
    if bench.rows.is_empty() {
        return text;
    }
    text += "## Raw figures\n\nSeconds, or MB for memory, in the order of the rounds.\n\n```text\n";
    for row in bench.rows.iter().filter(|row| row.refused.is_none()) {
        text += &raw(row);
    }
    text + "```\n"
}

fn raw(row: &Row) -> String {
    let mut text = format!("{}: {}, threads {}\n", row.job, row.name, row.threads);
    for series in &row.series {
        let figures: Vec<String> = series.figures.iter().map(|figure| significant(*figure)).collect();
        let _ = writeln!(text, "  {}: {}", series.name, figures.join(" "));
    }
    text
}

/// Five significant digits.
fn significant(value: f64) -> String {
    if !value.is_normal() {
        return value.to_string();
    }
    let digits = (4 - value.abs().log10().floor() as i64).max(0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_figures_have_five_digits() {
        assert_eq!(significant(0.012345678), "0.012346");
        assert_eq!(significant(4.1e-6), "0.0000041000");
        assert_eq!(significant(842.345), "842.35");
        assert_eq!(significant(f64::NAN), "NaN");
    }

    #[test]
    fn the_readme_has_the_place() {
        let readme = include_str!("../../../README.md");
        let filled = fill(readme, "| table |\n").expect("the marks");
        assert!(filled.contains("<!-- bench -->\n| table |\n<!-- end of bench -->"));
        assert_eq!(fill("nothing", "x"), None);
    }

    #[test]
    fn a_record_is_never_overwritten() {
        let folder = std::env::temp_dir().join(format!("xtask-record-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("made");
        assert_eq!(free_name(&folder, "2026-11-25"), "2026-11-25");
        replace(&folder.join("2026-11-25.md"), "x").expect("written");
        assert_eq!(free_name(&folder, "2026-11-25"), "2026-11-25-2");
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
