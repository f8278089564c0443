//! The record's page in Markdown.

use super::run::{Idleness, Run};
use super::{RUN, sweep, table, targets};
use crate::load::ALLOWED;
use std::fmt::Write;

/// The page; `chart` is the picture's file name, if there is one.
pub fn text(run: &Run, chart: Option<&str>) -> String {
    let mut text = format!("# Bench of {}\n\n{}\n", run.name, about(run));
    for note in &run.notes {
        let _ = writeln!(text, "{note}\n");
    }
    let _ = writeln!(
        text,
        "Every figure is in [`{RUN}`]({RUN}); `cargo xtask bench --render docs/bench/{}` wrote this page from it.\n",
        run.name
    );
    if !run.rows.is_empty() {
        text += "Figures are medians over rounds in which all contestants took turns; a turn of short work begins with \
                 untimed calls. `PyTorch` is the faster of oneDNN on and off. Shapes are batch, time, inputs, units; \
                 numbers are f32. GFLOP/s count the matrix products alone.\n\n";
        if let Some(chart) = chart {
            let _ = writeln!(text, "![time and memory relative to ours]({chart})\n");
        }
    }
    if run.rows.iter().any(|row| row.headline && row.refused.is_none()) {
        let _ = writeln!(text, "## Summary\n\n{}", table::summary(&run.rows));
    }
    if let Some(targets) = targets::of(run) {
        let _ = writeln!(text, "## Targets\n\n{targets}");
    }
    for rows in run.rows.chunk_by(|a, b| a.case == b.case) {
        let _ = writeln!(text, "## {}\n\n{}", rows[0].case.title(), table::of_case(rows, &run.machine.fma_gflops));
    }
    if !run.sweep.is_empty() {
        let _ = writeln!(text, "## Sweep\n\n{}", sweep::text(&run.sweep));
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// The command, the machine, the versions.
fn about(run: &Run) -> String {
    let machine = &run.machine;
    let memory = machine.memory_gib.map(|gib| format!(", {gib} GiB")).unwrap_or_default();
    let peaks: Vec<String> = machine.fma_gflops.iter().map(|(n, peak)| format!("{peak:.0} on {n}")).collect();
    let versions = &run.versions;
    let peers = if run.peers.is_empty() { "none (without --peers)".into() } else { run.peers.join(", ") };
    let idleness = match run.idleness {
        Idleness::Checked => {
            format!("rows during which other work had more than {:.0} % of the cores have no figures", ALLOWED * 100.0)
        }
        Idleness::Ignored => "not checked (--anyway), so the figures are worth nothing".into(),
        Idleness::Unknown => "not checked, because this system does not report it".into(),
    };
    format!(
        "- Command: `{}`\n- Machine: {}, {} cores{memory}, {}, {}\n\
         - Peak of fused multiply-adds in f32, GFLOP/s by threads: {}\n\
         - Versions: commit {}, {}, burn {}, {} profile\n- Peers: {peers}\n- Idleness: {idleness}\n",
        run.command,
        machine.processor,
        machine.cores,
        machine.system,
        machine.instructions,
        peaks.join(", "),
        versions.commit,
        versions.rustc,
        versions.burn,
        versions.profile
    )
}
