//! One step of one row, the state carried: what a program waits for that gets its input bit by bit.

use crate::bench::Job;
use crate::bench::context::{Bench, Engine};
use crate::bench::row::{Row, Unit};
use crate::bench::spec::{Cell, Spec};

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
        let row = Row::new(Job::Latency.title(), name, 1, Unit::Time).headline(true);
        bench.measure(row, contestants, bench.effort())?;
    }
    Ok(())
}
