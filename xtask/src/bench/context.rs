//! What all jobs share: workers that stay warm, the programs, the peers, the progress bar, and the rows so far.

use super::BenchArgs;
use super::child::Worker;
use super::load::{ALLOWED, wait_for_idle};
use super::measure::{Busy, Contestant, Effort, measure};
use super::programs::Programs;
use super::python::{Peer, Peers};
use super::row::{OURS, Row};
use super::spec::Spec;
use super::{corpus, machine};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Who measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    RnnCore,
    BurnNn,
    PyTorch,
    Keras,
    NumPy,
}

impl Engine {
    /// The table's column.
    pub fn column(self) -> &'static str {
        match self {
            Engine::RnnCore => OURS,
            Engine::BurnNn => "burn-nn",
            Engine::PyTorch => "PyTorch",
            Engine::Keras => "Keras",
            Engine::NumPy => "NumPy",
        }
    }

    fn peer(self) -> Option<Peer> {
        match self {
            Engine::RnnCore | Engine::BurnNn => None,
            Engine::PyTorch => Some(Peer::PyTorch),
            Engine::Keras => Some(Peer::Keras),
            Engine::NumPy => Some(Peer::NumPy),
        }
    }
}

/// A worker that several contestants of a row share.
pub type Shared = Rc<RefCell<Worker>>;

/// A run of the bench.
pub struct Bench<'a> {
    pub args: &'a BenchArgs,
    /// In rising order.
    pub threads: Vec<usize>,
    /// For files that no one keeps.
    pub folder: PathBuf,
    pub peers: Option<Peers>,
    pub progress: ProgressBar,
    pub rows: Vec<Row>,
    /// GFLOP/s of FMA by number of threads.
    pub peaks: BTreeMap<usize, f64>,
    /// The sweep's tables, if there was one.
    pub sweep: Option<String>,
    /// Run folders of trained models, kept for the jobs that want one.
    pub trained_sentiment: Option<PathBuf>,
    busy: Busy,
    /// Seconds of waiting for an idle machine that are left.
    patience: Duration,
    workers: BTreeMap<(Engine, usize), Shared>,
    programs: Option<Rc<Programs>>,
}

impl<'a> Bench<'a> {
    pub fn new(args: &'a BenchArgs) -> Result<Self, String> {
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
        let _ = std::fs::remove_file(folder.join("workers.log")); // that of the last run, if there is one
        let peers = if args.peers { Some(Peers::open(&folder, &args.python)?) } else { None };
        let progress = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}") {
            progress.set_style(style.progress_chars("=> "));
        }
        progress.enable_steady_tick(Duration::from_secs(1));
        if !args.anyway {
            let _ = wait_for_idle(Duration::from_secs(5)); // rows look for themselves
        }
        let peaks = threads.iter().map(|&n| (n, machine::fma_peak(n))).collect();
        Ok(Self {
            args,
            threads,
            folder,
            peers,
            progress,
            rows: Vec::new(),
            peaks,
            sweep: None,
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

    /// The ones asked for of `engines`: ours and burn-nn always.
    pub fn engines(&self, engines: &[Engine]) -> Vec<Engine> {
        let has = |peer| self.peers.as_ref().is_some_and(|peers| peers.has(peer));
        engines.iter().copied().filter(|engine| engine.peer().is_none_or(has)).collect()
    }

    /// A new worker.
    pub fn start(&self, engine: Engine, threads: usize) -> Result<Worker, String> {
        let mut command = match (engine.peer(), &self.peers) {
            (None, _) => {
                let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
                command.args(["bench-worker", engine.column()]);
                command
            }
            (Some(peer), Some(peers)) => peers.command(peer)?,
            (Some(_), None) => return Err(format!("{} is there with --peers only", engine.column())),
        };
        Worker::start(engine.column(), &mut command, threads, &self.folder.join("workers.log"))
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
                let name = engine.column().to_string() + if onednn { "" } else { ", without oneDNN" };
                let (worker, slot) = (worker.clone(), worker.borrow_mut().prepare(spec(onednn))?);
                Ok(Contestant::new(name, engine.column(), move |calls| worker.borrow_mut().run(slot, calls)))
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

    /// How a busy machine is met: waiting takes from what patience is left for the whole run.
    pub fn busy(&self) -> Busy {
        match self.busy {
            Busy::Refuse(_) => Busy::Refuse(self.patience.min(Duration::from_secs(20))),
            Busy::Ignore => Busy::Ignore,
        }
    }

    pub fn waited(&mut self, waited: Duration) {
        self.patience = self.patience.saturating_sub(waited);
    }

    pub fn keep(&mut self, row: Row) {
        self.progress.inc(1);
        self.rows.push(row);
    }

    /// Says what is measured now.
    pub fn say(&self, what: impl Into<String>) {
        self.progress.set_message(what.into());
    }

    /// Prints on stdout without hurting the bar.
    pub fn print(&self, text: &str) {
        self.progress.suspend(|| println!("{text}"));
    }

    /// The programs, built the first time.
    pub fn programs(&mut self) -> Result<Rc<Programs>, String> {
        if let Some(programs) = &self.programs {
            return Ok(programs.clone());
        }
        self.say("building sentiment and chargen");
        let programs = Rc::new(Programs::build(&self.folder, corpus::datasets())?);
        self.programs = Some(programs.clone());
        Ok(programs)
    }

    /// One line about how idle the machine had to be.
    pub fn idleness(&self) -> String {
        match (self.busy, cfg!(target_os = "linux")) {
            (Busy::Ignore, _) => "Not checked (--anyway): worth nothing.".into(),
            (_, false) => "Not checked: this system does not tell.".into(),
            _ => format!("Rows where other work had more than {:.0} % of the cores are left out.", ALLOWED * 100.0),
        }
    }
}

/// `target/bench`, beside the folder of this program's profile.
fn folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let target = program.parent().and_then(Path::parent).ok_or("this program lies in no target folder")?;
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    Ok(folder)
}
