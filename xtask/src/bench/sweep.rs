//! Time 10 to 2,000 and batch 1 to 512, forward and backward, at 128 inputs and units: seconds a step and bytes, to show
//! that both grow linearly. Each point has a process of its own, whose peak of memory is that point's.

use super::context::{Bench, Engine};
use super::load::Watch;
use super::measure::{refused_after, refused_before};
use super::row::Unit;
use super::spec::{Cell, Layer, Spec};
use super::stats::median;
use std::fmt::Write;

const TIMES: [usize; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];
const BATCHES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const WIDTH: usize = 128;
const BATCH: usize = 32;
const TIME: usize = 50;
/// A point takes at least so many calls, and so long that a few ticks of the system's own work are not much of it.
const CALLS: usize = 5;
const SECONDS: f64 = 0.4;

struct Point {
    layer: Layer,
    seconds: f64,
    mb: Option<f64>,
}

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let cells: &[Cell] = if bench.args.quick { &[Cell::Lstm] } else { &Cell::ALL };
    bench.progress.inc_length((cells.len() * (TIMES.len() + BATCHES.len())) as u64);
    let mut text = String::new();
    let mut measured = 0;
    for &cell in cells {
        let layer =
            |batch, time| Layer { cell, batch, time, input: WIDTH, hidden: WIDTH, backward: true, onednn: true };
        let over_time = TIMES.map(|time| layer(BATCH, time));
        let over_batch = BATCHES.map(|batch| layer(batch, TIME));
        for (over, layers) in [("time", &over_time[..]), ("batch", &over_batch[..])] {
            let (table, points) = series(bench, layers)?;
            measured += points;
            let _ = writeln!(text, "### {} over {over}\n\n{table}", cell.name());
        }
    }
    bench.print(&format!("## Sweep\n\n{text}"));
    bench.sweep = (measured > 0).then_some(text);
    Ok(())
}

/// Measures all `layers`; a table, and how many points of it were measured. Bytes are the growth of the peak since the first,
/// for each step of a row more.
fn series(bench: &mut Bench, layers: &[Layer]) -> Result<(String, usize), String> {
    let mut table = String::from(
        "| batch, time | a call | a step of a row | peak MB | bytes for each further step of a row |\n\
         |---|---:|---:|---:|---:|\n",
    );
    let mut measured = 0;
    let mut first: Option<(f64, f64)> = None;
    for &layer in layers {
        let Layer { cell, batch, time, .. } = layer;
        bench.say(format!("sweep: {} {batch},{time}", cell.name()));
        if let Some(refused) = refused_before(bench.busy()) {
            let _ = writeln!(table, "| {batch}, {time} | {refused} | | | |");
            bench.progress.inc(1);
            continue;
        }
        let watch = Watch::start();
        let Point { layer, seconds, mb } = point(bench, layer)?;
        if let Some(refused) = refused_after(&watch, &[], bench.busy()) {
            let _ = writeln!(table, "| {batch}, {time} | {refused} | | | |");
            bench.progress.inc(1);
            continue;
        }
        measured += 1;
        let steps = (layer.batch * layer.time) as f64;
        let bytes = match (mb, first) {
            (Some(mb), Some((steps_then, mb_then))) => {
                format!("{:.0}", (mb - mb_then) * 1024.0 * 1024.0 / (steps - steps_then))
            }
            _ => String::new(),
        };
        first = first.or(mb.map(|mb| (steps, mb)));
        let mb = mb.map_or("not measured".into(), |mb| format!("{mb:.1}"));
        let (call, step) = (Unit::Time.show(seconds), Unit::Time.show(seconds / steps));
        let _ = writeln!(table, "| {batch}, {time} | {call} | {step} | {mb} | {bytes} |");
        bench.progress.inc(1);
    }
    Ok((table, measured))
}

fn point(bench: &Bench, layer: Layer) -> Result<Point, String> {
    let mut worker = bench.start(Engine::RnnCore, bench.most_threads())?;
    let slot = worker.prepare(Spec::Layer(layer))?;
    worker.run(slot, 2)?;
    let mut seconds = Vec::new();
    while seconds.len() < CALLS || seconds.iter().sum::<f64>() < SECONDS {
        seconds.push(worker.run(slot, 1)?);
    }
    Ok(Point { layer, seconds: median(&seconds), mb: worker.peak_mb()? })
}
