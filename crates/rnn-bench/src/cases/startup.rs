//! `sentiment predict` of one review: from the start of the process to its end. The peers make the same model, load its
//! weights from a file and answer once; they need not read a vocabulary.

use super::{Case, corpus};
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::OURS;
use crate::contestants::python::Peer;
use crate::measure::{Contestant, Effort};
use crate::records::row::{Row, Unit};
use std::process::{Command, Stdio};
use std::time::Instant;

const REVIEW: &str = "What a wonderful film, I loved every minute of it.";

pub fn run(bench: &mut Bench) -> Result<(), String> {
    bench.progress.inc_length(1);
    let programs = bench.programs()?;
    let threads = bench.most_threads();
    bench.say("start-up");
    let run = match &bench.trained_sentiment {
        Some(run) => run.clone(),
        None => {
            // The lesson's model with as many words as there are.
            let data = match corpus::reviews(&bench.folder, true)? {
                Some(files) => files.data.map_or("sample".into(), |data| data.display().to_string()),
                None => "sample".into(),
            };
            let args = ["train", "--data", &data, "--preset", "lesson"];
            programs.run(&programs.sentiment, threads, args)?.run()?
        }
    };
    let run = run.display().to_string();
    let predict = |_| Ok(programs.run(&programs.sentiment, threads, ["predict", REVIEW, "--run", &run])?.seconds);
    let mut contestants = vec![Contestant::new(OURS, OURS, predict)];
    for engine in bench.engines(&[Engine::PyTorch, Engine::Keras]) {
        let (peer, file) = match engine {
            Engine::PyTorch => (Peer::PyTorch, "startup.pt"),
            _ => (Peer::Keras, "startup.weights.h5"),
        };
        let Some(peers) = &bench.peers else { continue };
        let file = bench.folder.join(file);
        let process = |what: &str| {
            let mut command = peers.command(peer)?;
            command.arg(what).arg(&file).env("OMP_NUM_THREADS", threads.to_string());
            Ok::<_, String>(command)
        };
        whole(&mut process("save")?)?;
        let mut load = process("load")?;
        load.stdin(Stdio::null());
        contestants.push(Contestant::new(engine.name(), engine.name(), move |_| whole(&mut load)));
    }
    let rounds = if bench.args.quick { 2 } else { 7 };
    let effort = Effort { least_rounds: rounds, most_rounds: rounds, warm: false, ..bench.effort() };
    let row = Row::new(Case::Startup, "sentiment predict, one review", threads, Unit::Seconds).headline(true);
    bench.measure(row, contestants, effort)
}

/// Seconds of the process from start to end.
fn whole(command: &mut Command) -> Result<f64, String> {
    let start = Instant::now();
    let output = command.output().map_err(|e| format!("cannot start {:?}: {e}", command.get_program()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{:?} failed: {}", command.get_program(), said.lines().last().unwrap_or_default()));
    }
    Ok(start.elapsed().as_secs_f64())
}
