//! Writing on: GRU of 128, 55 symbols, one sequence, the state carried, the most probable character each time, 1
//! thread.
//!
//! Ours is `chargen generate --carry-state`, which writes out every character; Keras predicts on the last ten, as in
//! the lesson.

use super::{Case, corpus};
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::OURS;
use crate::contestants::protocol::Spec;
use crate::measure::Contestant;
use crate::records::row::{Row, Unit};

const SYMBOLS: usize = 55;
const HIDDEN: usize = 128;
/// Seconds that one round of the program should take, without its start.
const ROUND: f64 = 0.3;

pub fn run(bench: &mut Bench) -> Result<(), String> {
    bench.progress.inc_length(1);
    let programs = bench.programs()?;
    bench.say("generation: training a model to write with");
    let text = corpus::symbols(&bench.folder)?.display().to_string();
    let train = ["train", "--data", &text, "--prepare", "none", "--preset", "lesson"];
    let trained = programs.run(&programs.chargen, 1, train)?;
    let symbols = trained.number("symbols")?;
    if symbols != SYMBOLS as f64 {
        return Err(format!("the text for generation has {symbols} symbols, not {SYMBOLS}"));
    }
    let run = trained.run()?.display().to_string();
    let write = |characters: u64| {
        let length = characters.to_string();
        let args = ["generate", "--run", &run, "--carry-state", "--length", &length, "--prime", "!"];
        programs.run(&programs.chargen, 1, args)?.number("seconds").map(|seconds| seconds / characters as f64)
    };
    bench.say("generation");
    let probed = write(1000)?;
    let characters = (ROUND / probed).clamp(1000.0, 1e6) as u64;
    let mut contestants = vec![Contestant::new(OURS, OURS, move |_| write(characters))];
    for engine in bench.engines(&[Engine::BurnNn, Engine::NumPy, Engine::PyTorch, Engine::Keras]) {
        let spec = |onednn| Spec::Generation { symbols: SYMBOLS, hidden: HIDDEN, onednn };
        contestants.extend(bench.contestants(engine, 1, spec)?);
    }
    let name = format!("GRU {HIDDEN}, {SYMBOLS} symbols, batch 1");
    let row = Row::new(Case::Generation, name, 1, Unit::SecondsPerCharacter).headline(true);
    bench.measure(row, contestants, bench.effort())
}
