//! What the cases share: workers that stay warm, the programs, the peers, the progress bar, and the run's record so
//! far.

use crate::args::Args;
use crate::cases::corpus;
use crate::contestants::Engine;
use crate::contestants::programs::Programs;
use crate::contestants::protocol::Spec;
use crate::contestants::python::Peers;
use crate::contestants::worker::Worker;
use crate::load::wait_for_idle;
use crate::machine;
use crate::measure::{Busy, Contestant, Effort, measure};
use crate::records::row::Row;
use crate::records::run::{Idleness, Run};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A worker that several contestants of a row share.
pub type Shared = Rc<RefCell<Worker>>;

/// A run of the bench.
pub struct Bench<'a> {
    pub args: &'a Args,
    /// In rising order.
    pub threads: Vec<usize>,
    /// `target/bench`, for files that nobody keeps.
    pub folder: PathBuf,
    pub peers: Option<Peers>,
    pub progress: ProgressBar,
    /// What was measured so far.
    pub run: Run,
    /// The run folder of the last trained sentiment model, for the start-up case.
    pub trained_sentiment: Option<PathBuf>,
    busy: Busy,
    /// How long the rest of the run may still wait for an idle machine.
    patience: Duration,
    workers: BTreeMap<(Engine, usize), Shared>,
    programs: Option<Rc<Programs>>,
}

impl<'a> Bench<'a> {
    pub fn new(args: &'a Args) -> Result<Self, String> {
        let folder = folder()?;
        let available = std::thread::available_parallelism().map_or(1, |n| n.get());
        let mut threads: Vec<usize> = args.threads.iter().map(|&n| n as usize).filter(|&n| n <= available).collect();
        threads.sort_unstable();
        threads.dedup();
        if threads.is_empty() {
            return Err(format!("--threads: this machine has only {available}"));
        }
        for n in args.threads.iter().filter(|&&n| n as usize > available) {
            eprintln!("{n} threads are left out: this machine has {available}");
        }
        let _ = std::fs::remove_file(folder.join("workers.log")); // the last run's, if there is one
        let peers = if args.peers { Some(Peers::open(&folder, &args.python)?) } else { None };
        let progress = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}") {
            progress.set_style(style.progress_chars("=> "));
        }
        progress.enable_steady_tick(Duration::from_secs(1));
        if !args.anyway {
            let _ = wait_for_idle(Duration::from_secs(5)); // rows look for themselves
        }
        let idleness = match (args.anyway, cfg!(target_os = "linux")) {
            (true, _) => Idleness::Ignored,
            (false, true) => Idleness::Checked,
            (false, false) => Idleness::Unknown,
        };
        let run = Run {
            name: String::new(),
            command: ["cargo xtask bench".to_string()]
                .into_iter()
                .chain(std::env::args().skip(1))
                .collect::<Vec<_>>()
                .join(" "),
            machine: machine::describe(&threads),
            versions: machine::versions(),
            peers: peers.as_ref().map_or(vec![], Peers::versions),
            idleness,
            notes: vec![],
            rows: vec![],
            sweep: vec![],
        };
        Ok(Self {
            args,
            threads,
            folder,
            peers,
            progress,
            run,
            trained_sentiment: None,
            busy: if args.anyway { Busy::Ignore } else { Busy::Refuse(Duration::ZERO) },
            patience: Duration::from_secs(if args.quick { 15 } else { 180 }),
            workers: BTreeMap::new(),
            programs: None,
        })
    }

    /// The largest number of threads.
    pub fn most_threads(&self) -> usize {
        self.threads.last().copied().unwrap_or(1)
    }

    /// For work that is short enough to be called many times.
    pub fn effort(&self) -> Effort {
        let (least_rounds, budget) = if self.args.quick { (3, 0.7) } else { (5, 8.0) };
        Effort { least_rounds, budget: Duration::from_secs_f64(budget), most_rounds: 101, warm: true }
    }

    /// For work that takes seconds.
    pub fn effort_of_epochs(&self) -> Effort {
        let rounds = if self.args.quick { 1 } else { 3 };
        Effort { least_rounds: rounds, budget: Duration::ZERO, most_rounds: rounds, warm: false }
    }

    /// Those of `engines` that take part: ours and burn-nn always, the others with `--peers`.
    pub fn engines(&self, engines: &[Engine]) -> Vec<Engine> {
        let has = |peer| self.peers.as_ref().is_some_and(|peers| peers.has(peer));
        engines.iter().copied().filter(|engine| engine.peer().is_none_or(has)).collect()
    }

    /// A new worker.
    pub fn start(&self, engine: Engine, threads: usize) -> Result<Worker, String> {
        let mut command = match (engine.peer(), &self.peers) {
            (None, _) => {
                let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
                command.args(["worker", engine.name()]);
                command
            }
            (Some(peer), Some(peers)) => peers.command(peer)?,
            (Some(_), None) => return Err(format!("{} is there with --peers only", engine.name())),
        };
        Worker::start(engine.name(), &mut command, threads, &self.folder.join("workers.log"))
    }

    /// The worker that is kept for all rows.
    pub fn worker(&mut self, engine: Engine, threads: usize) -> Result<Shared, String> {
        if let Some(worker) = self.workers.get(&(engine, threads)) {
            return Ok(worker.clone());
        }
        let worker = Rc::new(RefCell::new(self.start(engine, threads)?));
        self.workers.insert((engine, threads), worker.clone());
        Ok(worker)
    }

    /// The variants in which an engine takes part: PyTorch with oneDNN and without.
    pub fn contestants(
        &mut self,
        engine: Engine,
        threads: usize,
        spec: impl Fn(bool) -> Spec,
    ) -> Result<Vec<Contestant<'static>>, String> {
        let worker = self.worker(engine, threads)?;
        let variants: &[bool] = if engine == Engine::PyTorch { &[true, false] } else { &[true] };
        variants
            .iter()
            .map(|&onednn| {
                let name = engine.name().to_string() + if onednn { "" } else { ", without oneDNN" };
                let (worker, slot) = (worker.clone(), worker.borrow_mut().prepare(spec(onednn))?);
                Ok(Contestant::new(name, engine.name(), move |calls| worker.borrow_mut().run(slot, calls)))
            })
            .collect()
    }

    /// Measures a row and keeps it.
    pub fn measure(&mut self, row: Row, contestants: Vec<Contestant>, effort: Effort) -> Result<(), String> {
        let busy = self.busy();
        let start = Instant::now();
        let row = measure(row, contestants, effort, busy)?;
        if row.series.is_empty() {
            self.waited(start.elapsed());
        }
        self.keep(row);
        for worker in self.workers.values() {
            worker.borrow_mut().clear()?;
        }
        Ok(())
    }

    /// How long to wait for an idle machine now: a part of the patience that is left for the whole run.
    pub fn busy(&self) -> Busy {
        match self.busy {
            Busy::Refuse(_) => Busy::Refuse(self.patience.min(Duration::from_secs(20))),
            Busy::Ignore => Busy::Ignore,
        }
    }

    /// Takes `waited` from the patience that is left.
    pub fn waited(&mut self, waited: Duration) {
        self.patience = self.patience.saturating_sub(waited);
    }

    /// Adds a row to the run.
    pub fn keep(&mut self, row: Row) {
        self.progress.inc(1);
        self.run.rows.push(row);
    }

    /// Shows what is measured now.
    pub fn say(&self, what: impl Into<String>) {
        self.progress.set_message(what.into());
    }

    /// Prints on stdout, above the progress bar.
    pub fn print(&self, text: &str) {
        self.progress.suspend(|| println!("{text}"));
    }

    /// The programs, built on first use.
    pub fn programs(&mut self) -> Result<Rc<Programs>, String> {
        if let Some(programs) = &self.programs {
            return Ok(programs.clone());
        }
        self.say("building sentiment and chargen");
        let programs = Rc::new(Programs::build(&self.folder, corpus::datasets())?);
        self.programs = Some(programs.clone());
        Ok(programs)
    }
}

/// `target/bench`: this program lies in `target/PROFILE`.
fn folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = program.parent().and_then(Path::parent).ok_or("this program lies in no target folder")?;
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    Ok(folder)
}
