//! The options of the cells, forward and backward, beside the plain cell, beside the same layer step by step, which a
//! probe asks for, and beside PyTorch where it has the option: what an option costs, and what the kernels save.

use super::Case;
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Cell, CellOption, Layer, Optional, Spec};
use crate::measure::Contestant;
use crate::records::row::{Row, Unit};

/// Batch, time, inputs, units.
const SHAPES: [[usize; 4]; 2] = [[50, 80, 128, 128], [32, 256, 256, 256]];
/// The columns of our plain layer, and of the layer step by step.
const PLAIN: &str = "ours, plain";
const STEPS: &str = "ours, step by step";

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let threads = bench.most_threads();
    let of_lstm = CellOption::ALL.map(|option| (Cell::Lstm, option));
    let rows: Vec<_> = of_lstm.into_iter().chain([(Cell::Gru, CellOption::LayerNorm)]).collect();
    let rows: Vec<_> = SHAPES.into_iter().flat_map(|shape| rows.iter().map(move |&row| (shape, row))).collect();
    bench.progress.inc_length(rows.len() as u64);
    for ([batch, time, input, hidden], (cell, option)) in rows {
        let layer = Layer { cell, batch, time, input, hidden, backward: true, onednn: true };
        let name = format!("{} {}, {batch},{time},{input},{hidden} forward+backward", cell.name(), option.name());
        bench.say(format!("{name}, {threads} threads"));
        let spec = |steps| Spec::Optional(Optional { layer, option, steps });
        let mut contestants = bench.contestants(Engine::RnnCore, threads, |_| spec(false))?;
        for (column, spec) in [(PLAIN, Spec::Layer(layer)), (STEPS, spec(true))] {
            let others = bench.contestants(Engine::RnnCore, threads, |_| spec.clone())?;
            contestants.extend(others.into_iter().map(|other| Contestant { name: column.into(), column, ..other }));
        }
        if option == CellOption::Projection {
            for engine in bench.engines(&[Engine::PyTorch]) {
                let spec = |onednn| Spec::Optional(Optional { layer: Layer { onednn, ..layer }, option, steps: false });
                contestants.extend(bench.contestants(engine, threads, spec)?);
            }
        }
        bench.measure(Row::new(Case::Options, name, threads, Unit::Seconds), contestants, bench.effort())?;
    }
    Ok(())
}
