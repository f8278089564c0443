//! One layer: five shapes, three cells, forward, and forward and backward, on one thread and on more.

use super::Case;
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Cell, Layer, Spec};
use crate::records::row::{Row, Unit};

/// Batch, time, inputs, units. The first is the sentiment lesson's, the second the character lesson's.
const SHAPES: [[usize; 4]; 5] =
    [[50, 80, 128, 128], [128, 10, 55, 128], [1, 100, 128, 128], [64, 100, 512, 512], [32, 256, 256, 256]];
/// How many of them stand in the summary.
const OF_THE_LESSONS: usize = 2;

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let mut rows = Vec::new();
    for (number, [batch, time, input, hidden]) in SHAPES.into_iter().enumerate() {
        let is_single = batch == 1;
        for backward in [false, true] {
            for cell in Cell::ALL {
                for threads in bench.threads.clone() {
                    let layer = Layer { cell, batch, time, input, hidden, backward, onednn: true };
                    let of_lesson = number < OF_THE_LESSONS && backward && threads == bench.most_threads();
                    let single = is_single && !backward && threads == bench.threads[0];
                    if !bench.args.quick || of_lesson || single {
                        rows.push((layer, threads, of_lesson || single));
                    }
                }
            }
        }
    }
    bench.progress.inc_length(rows.len() as u64);
    for (layer, threads, headline) in rows {
        let Layer { cell, batch, time, input, hidden, backward, .. } = layer;
        let pass = if backward { "forward+backward" } else { "forward" };
        let name = format!("{} {batch},{time},{input},{hidden} {pass}", cell.name());
        bench.say(format!("{name}, {threads} threads"));
        let row = Row::new(Case::Layers, name, threads, Unit::Seconds).flop(layer.flop()).headline(headline);
        let mut contestants = Vec::new();
        for engine in bench.engines(&[Engine::RnnCore, Engine::BurnNn, Engine::PyTorch]) {
            contestants.extend(bench.contestants(engine, threads, |onednn| Spec::Layer(Layer { onednn, ..layer }))?);
        }
        bench.measure(row, contestants, bench.effort())?;
    }
    Ok(())
}
