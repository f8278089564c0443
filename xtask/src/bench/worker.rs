//! The other end of the pipe for our own layers and for burn-nn's: `xtask bench-worker rnn-core|burn-nn`, which the
//! bench starts by itself.

use super::child::peak_of;
use super::spec::{Answer, Request, Spec};
use super::tasks::{generation, layer, lesson};
use std::collections::HashMap;
use std::io::{BufRead, Write};

/// Which layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Ours
    RnnCore,
    /// Burn's own
    BurnNn,
}

/// So many calls; seconds of all of them.
pub type Task = Box<dyn FnMut(u64) -> f64>;

/// Times `calls` of `work`.
pub fn timed(mut work: impl FnMut() + 'static) -> Task {
    Box::new(move |calls| {
        let start = std::time::Instant::now();
        for _ in 0..calls {
            work();
        }
        start.elapsed().as_secs_f64()
    })
}

/// Answers until stdin ends.
pub fn serve(engine: Engine) -> Result<(), String> {
    let mut slots: HashMap<usize, Task> = HashMap::new();
    let mut stdout = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let answer = serde_json::from_str(&line)
            .map_err(|e| e.to_string())
            .and_then(|request| answer(engine, request, &mut slots))
            .unwrap_or_else(|error| Answer { error: Some(error), ..Answer::default() });
        let said = serde_json::to_string(&answer).map_err(|e| e.to_string())?;
        writeln!(stdout, "{said}").and_then(|()| stdout.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn answer(engine: Engine, request: Request, slots: &mut HashMap<usize, Task>) -> Result<Answer, String> {
    match request {
        Request::Prepare { slot, spec } => {
            slots.insert(slot, prepare(engine, spec)?);
        }
        Request::Run { slot, calls } => {
            let task = slots.get_mut(&slot).ok_or("nothing is prepared there")?;
            return Ok(Answer { seconds: Some(task(calls)), ..Answer::default() });
        }
        Request::Clear => slots.clear(),
        Request::Rss => return Ok(Answer { mb: peak_of("self"), ..Answer::default() }),
    }
    Ok(Answer::default())
}

fn prepare(engine: Engine, spec: Spec) -> Result<Task, String> {
    Ok(match (engine, spec) {
        (_, Spec::Layer(shape)) => layer::passes(engine, shape),
        (_, Spec::Step { cell, input, hidden, .. }) => layer::steps(engine, cell, input, hidden),
        (Engine::BurnNn, Spec::Sentiment(reviews)) => lesson::sentiment(&reviews),
        (Engine::BurnNn, Spec::Chargen(text)) => lesson::chargen(&text),
        (Engine::BurnNn, Spec::Generation { symbols, hidden, .. }) => generation::characters(symbols, hidden),
        (Engine::RnnCore, _) => return Err("the programs themselves are timed for that".into()),
        (Engine::BurnNn, Spec::Evaluation(_)) => return Err("burn-nn's evaluation is not timed".into()),
    })
}
