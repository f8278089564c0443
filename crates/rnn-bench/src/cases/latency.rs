//! One step of one sequence, the state carried: the wait per input of a program that gets its inputs one at a time.

use super::Case;
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{Cell, Spec};
use crate::records::row::{Row, Unit};

const WIDTH: usize = 128;

pub fn run(bench: &mut Bench) -> Result<(), String> {
    bench.progress.inc_length(Cell::ALL.len() as u64);
    for cell in Cell::ALL {
        let name = format!("{} 1,1,{WIDTH},{WIDTH} step", cell.name());
        bench.say(name.clone());
        let mut contestants = Vec::new();
        for engine in bench.engines(&[Engine::RnnCore, Engine::BurnNn, Engine::PyTorch]) {
            let spec = |onednn| Spec::Step { cell, input: WIDTH, hidden: WIDTH, onednn };
            contestants.extend(bench.contestants(engine, 1, spec)?);
        }
        let row = Row::new(Case::Latency, name, 1, Unit::Seconds).headline(true);
        bench.measure(row, contestants, bench.effort())?;
    }
    Ok(())
}
