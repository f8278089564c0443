//! The cells without recurrent weights beside our GRU of the same size, which is their contestant: what leaving out the
//! product of h saves.

use super::Case;
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Cell, Layer, Spec};
use crate::measure::Contestant;
use crate::records::row::{Row, Unit};

/// Batch, time, inputs, units.
const SHAPES: [[usize; 4]; 3] = [[50, 80, 128, 128], [32, 256, 256, 256], [1, 1000, 128, 128]];
/// The column of our GRU.
const GRU: &str = "our GRU";

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let threads = bench.most_threads();
    let passes = SHAPES.into_iter().flat_map(|shape| [false, true].map(|backward| (shape, backward)));
    let rows: Vec<_> = passes.flat_map(|pass| [Cell::MinGru, Cell::MinLstm].map(|cell| (pass, cell))).collect();
    bench.progress.inc_length(rows.len() as u64);
    for (([batch, time, input, hidden], backward), cell) in rows {
        let layer = |cell| Layer { cell, batch, time, input, hidden, backward, onednn: true };
        let pass = if backward { "forward+backward" } else { "forward" };
        let name = format!("{} {batch},{time},{input},{hidden} {pass}", cell.name());
        bench.say(format!("{name}, {threads} threads"));
        let row = Row::new(Case::Minimal, name, threads, Unit::Seconds).flop(layer(cell).flop());
        let mut contestants = bench.contestants(Engine::RnnCore, threads, |_| Spec::Layer(layer(cell)))?;
        let gru = bench.contestants(Engine::RnnCore, threads, |_| Spec::Layer(layer(Cell::Gru)))?;
        contestants.extend(gru.into_iter().map(|gru| Contestant { name: GRU.into(), column: GRU, ..gru }));
        bench.measure(row, contestants, bench.effort())?;
    }
    Ok(())
}
