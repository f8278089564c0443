//! A lesson's epoch: our program and the peers' loops in turn, each peer in a fresh process, whose peak of memory is
//! then that of this epoch.

use super::Case;
use crate::bench::{Bench, Shared};
use crate::contestants::programs::Finished;
use crate::contestants::protocol::Spec;
use crate::contestants::{Engine, OURS};
use crate::measure::{Contestant, measure, refused_before};
use crate::records::row::{Row, Series, Unit};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// One way in which a peer does the epoch.
pub struct Variant {
    pub engine: Engine,
    pub name: String,
    pub column: &'static str,
    pub spec: Spec,
    /// Calls that make an epoch: 1, or the number of steps where a call is a step.
    pub calls: u64,
    /// How many of them are run; the others are assumed to be as fast.
    pub run: u64,
}

impl Variant {
    /// A whole epoch.
    pub fn whole(engine: Engine, note: &str, spec: Spec) -> Self {
        let name = engine.name().to_string() + note;
        Self { engine, name, column: engine.name(), spec, calls: 1, run: 1 }
    }

    /// burn-nn's: the mean of a few steps, times the number of steps in an epoch.
    pub fn burn_nn(steps: usize, spec: Spec, quick: bool) -> Self {
        let (calls, run) = (steps as u64, if quick { 4 } else { 12 }.min(steps as u64));
        let name = format!("{}, {calls} times the mean of {run} steps", Engine::BurnNn.name());
        Self { engine: Engine::BurnNn, name, column: Engine::BurnNn.name(), spec, calls, run }
    }

    /// The same without oneDNN.
    pub fn without_onednn(engine: Engine, spec: Spec) -> Self {
        Self::whole(engine, ", without oneDNN", spec)
    }
}

/// What one row of a lesson is.
pub struct Lesson<'a> {
    pub row: Row,
    /// Figures of our program's JSON other than `train_seconds`, with the row that each fills and the peers'
    /// variants.
    pub also: Vec<(&'static str, Row, Vec<Variant>)>,
    pub memory: Row,
    pub ours: Program<'a>,
    /// Another way of ours, with its column.
    pub beside: Option<(&'static str, Program<'a>)>,
    pub variants: Vec<Variant>,
}

/// A run of our program.
pub type Program<'a> = Box<dyn Fn() -> Result<Finished, String> + 'a>;

/// Measures the epoch, the further figures and the peaks of memory. Returns our last run.
pub fn run(bench: &mut Bench, lesson: Lesson) -> Result<Option<Finished>, String> {
    let Lesson { row, also, memory, ours, beside, variants } = lesson;
    let threads = row.threads;
    let start = Instant::now();
    if let Some(why) = refused_before(bench.busy()) {
        bench.waited(start.elapsed());
        for row in [row].into_iter().chain(also.into_iter().map(|(_, row, _)| row)).chain([memory]) {
            bench.keep(row.refuse(&why));
        }
        return Ok(None);
    }
    // An engine's first variant has its own process, whose peak of memory is then that of one epoch.
    let mut workers: Vec<((Engine, bool), Shared)> = Vec::new();
    let last: RefCell<Vec<Finished>> = RefCell::default();
    let mut contestants = vec![Contestant::new(OURS, OURS, |_| {
        let finished = ours()?;
        let seconds = finished.number("train_seconds");
        last.borrow_mut().push(finished);
        seconds
    })];
    if let Some((column, program)) = &beside {
        contestants.push(Contestant::new(*column, column, |_| program()?.number("train_seconds")));
    }
    let of_training = contestants.len() + variants.len();
    let (keys, also): (Vec<_>, Vec<_>) =
        also.into_iter().map(|(key, row, variants)| ((key, row, variants.len()), variants)).unzip();
    for variant in variants.into_iter().chain(also.into_iter().flatten()) {
        let is_there = |of: (Engine, bool)| workers.iter().find(|(there, _)| *there == of);
        let is_first = is_there((variant.engine, true)).is_none();
        let worker = match is_there((variant.engine, false)) {
            Some((_, worker)) => worker.clone(),
            None => {
                let worker = Rc::new(RefCell::new(bench.start(variant.engine, threads)?));
                workers.push(((variant.engine, is_first), worker.clone()));
                worker
            }
        };
        contestants.push(contestant(worker, variant)?);
    }
    let mut row = measure(row, contestants, bench.effort_of_epochs(), bench.busy())?;
    let mut peaks = Vec::new();
    for ((engine, _), worker) in workers.iter().filter(|((_, is_first), _)| *is_first) {
        peaks.push((*engine, worker.borrow_mut().peak_mb()?));
    }
    drop(workers);
    let runs = last.take();
    let mut others = row.series.split_off(of_training.min(row.series.len())).into_iter();
    let refused = row.refused.clone();
    bench.keep(row);

    for (key, mut row, count) in keys {
        let figures = runs.iter().map(|run| run.number(key)).collect::<Result<Vec<_>, _>>()?;
        row.series = vec![Series::new(OURS, OURS, figures)];
        row.series.extend(others.by_ref().take(count));
        row.refused = refused.clone();
        bench.keep(row);
    }

    let ours: Option<Vec<f64>> = runs.iter().map(|run| run.peak_mb).collect();
    let memory = match (ours, refused) {
        (_, Some(why)) if runs.is_empty() => memory.refuse(why),
        (None, _) => memory.refuse("not measured: this system does not report a process' peak of memory"),
        (Some(ours), _) => {
            let mut memory = memory;
            let rounds = ours.len();
            memory.series.push(Series::new(OURS, OURS, ours));
            for (engine, peak) in peaks.into_iter().filter(|(engine, _)| *engine != Engine::BurnNn) {
                memory.series.extend(peak.map(|peak| Series::new(engine.name(), engine.name(), vec![peak; rounds])));
            }
            memory
        }
    };
    bench.keep(memory);
    Ok(runs.into_iter().last())
}

/// The peak of resident memory, as a row.
pub fn memory(case: Case, name: &str, threads: usize) -> Row {
    Row::new(case, format!("{name}, peak memory"), threads, Unit::Megabytes).headline(true)
}

fn contestant(worker: Shared, variant: Variant) -> Result<Contestant<'static>, String> {
    let Variant { name, column, spec, calls, run, .. } = variant;
    let slot = worker.borrow_mut().prepare(spec)?;
    Ok(Contestant::new(name, column, move |_| Ok(worker.borrow_mut().run(slot, run)? * calls as f64)))
}
