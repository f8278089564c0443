//! Time 10 to 2,000 and batch 1 to 512, forward and backward, at 128 inputs and units: seconds and bytes per step, to
//! show that both grow linearly. Each point has a process of its own, whose peak of memory is that point's.

use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Cell, Layer, Spec};
use crate::load::Watch;
use crate::measure::{refused_after, refused_before};
use crate::records::sweep::{Curve, Over, Point, text};
use crate::stats::{median, significant};

const TIMES: [usize; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];
const BATCHES: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
const WIDTH: usize = 128;
const BATCH: usize = 32;
const TIME: usize = 50;
/// A point takes at least this many calls,
const CALLS: usize = 5;
/// and at least this long: the system's own work is then a small part of it.
const SECONDS: f64 = 0.4;

/// Measures all points.
pub fn run(bench: &mut Bench) -> Result<(), String> {
    let cells: &[Cell] = if bench.args.quick { &[Cell::Lstm] } else { &Cell::ALL };
    bench.progress.inc_length((cells.len() * (TIMES.len() + BATCHES.len())) as u64);
    for &cell in cells {
        let over_time = TIMES.map(|time| (BATCH, time));
        let over_batch = BATCHES.map(|batch| (batch, TIME));
        for (over, shapes) in [(Over::Time, &over_time[..]), (Over::Batch, &over_batch[..])] {
            let points =
                shapes.iter().map(|&(batch, time)| point(bench, cell, batch, time)).collect::<Result<_, _>>()?;
            bench.run.sweep.push(Curve { cell, over, points });
        }
    }
    bench.print(&format!("## Sweep\n\n{}", text(&bench.run.sweep)));
    Ok(())
}

fn point(bench: &mut Bench, cell: Cell, batch: usize, time: usize) -> Result<Point, String> {
    bench.say(format!("sweep: {} {batch},{time}", cell.name()));
    bench.progress.inc(1);
    let point = Point { batch, time, seconds: None, megabytes: None, refused: None };
    if let Some(refused) = refused_before(bench.busy()) {
        return Ok(Point { refused: Some(refused), ..point });
    }
    let watch = Watch::start();
    let layer = Layer { cell, batch, time, input: WIDTH, hidden: WIDTH, backward: true, onednn: true };
    let mut worker = bench.start(Engine::RnnCore, bench.most_threads())?;
    let slot = worker.prepare(Spec::Layer(layer))?;
    worker.run(slot, 2)?;
    let mut seconds = Vec::new();
    while seconds.len() < CALLS || seconds.iter().sum::<f64>() < SECONDS {
        seconds.push(worker.run(slot, 1)?);
    }
    let megabytes = worker.peak_mb()?;
    Ok(match refused_after(&watch, &[], bench.busy()) {
        Some(refused) => Point { refused: Some(refused), ..point },
        None => Point { seconds: Some(significant(median(&seconds))), megabytes, ..point },
    })
}
