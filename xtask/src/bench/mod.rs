//! `cargo xtask bench`: our layers and programs beside burn-nn's layers and, with `--peers`, beside PyTorch, Keras and
//! NumPy; all in turn in one run, because a machine's speed drifts.

mod chart;
mod child;
mod context;
mod corpus;
mod jobs;
mod load;
mod machine;
mod measure;
mod programs;
mod python;
mod record;
mod reread;
mod row;
mod spec;
mod stats;
mod sweep;
mod table;
mod targets;
mod tasks;
pub mod worker;

use clap::ValueEnum;
use context::Bench;
use std::path::PathBuf;

/// What `cargo xtask bench` may be told.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Fewer rows, and a tenth of each corpus: done within 3 minutes after the build
    #[arg(long)]
    quick: bool,
    /// Only these jobs, separated by commas
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Job>,
    /// Compare with PyTorch, Keras and NumPy too, in a Python environment that is made for it
    #[arg(long)]
    peers: bool,
    /// Take PyTorch, Keras or NumPy from this virtual environment instead; may be given more than once
    #[arg(long, value_name = "DIR", requires = "peers")]
    python: Vec<PathBuf>,
    /// Numbers of threads for the layers, separated by commas; the programs use the largest
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2",
        value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Vec<u64>,
    /// Also the sweep: time 10 to 2000 and batch 1 to 512
    #[arg(long)]
    sweep: bool,
    /// Write docs/bench/DATE.md and DATE.svg
    #[arg(long)]
    record: bool,
    /// Measure on a busy machine too; the figures are worth nothing, so they cannot be recorded
    #[arg(long, conflicts_with = "record")]
    anyway: bool,
    /// Measure nothing: show what the project wants beside what this record has
    #[arg(long, value_name = "docs/bench/DATE.md", exclusive = true)]
    targets: Option<PathBuf>,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Job {
    /// Five shapes, three cells, forward, and forward and backward
    Layers,
    /// The lesson's LSTM on IMDb: an epoch, the evaluation, peak memory
    Sentiment,
    /// The lesson's GRU on Alice: an epoch, peak memory
    Chargen,
    /// Writing on, character by character
    Generation,
    /// One step of one row
    Latency,
    /// `sentiment predict` of one review, the whole process
    Startup,
    /// Cost over time and batch
    Sweep,
}

impl Job {
    /// The table's title.
    pub fn title(self) -> &'static str {
        match self {
            Job::Layers => "Layers",
            Job::Sentiment => "Sentiment",
            Job::Chargen => "Chargen",
            Job::Generation => "Generation",
            Job::Latency => "Latency of one step",
            Job::Startup => "Start-up",
            Job::Sweep => "Sweep",
        }
    }
}

/// Runs the chosen jobs.
pub fn run(args: &BenchArgs) -> Result<(), String> {
    if let Some(record) = &args.targets {
        let (rows, peaks) = reread::read(record)?;
        print!("{}", targets::of(&rows, &peaks).ok_or("no target is of what this record has")?);
        return Ok(());
    }
    let chosen = |job: &Job| match args.only.is_empty() {
        true => *job != Job::Sweep || args.sweep,
        false => args.only.contains(job) || (*job == Job::Sweep && args.sweep),
    };
    let jobs: Vec<Job> = Job::value_variants().iter().copied().filter(chosen).collect();
    let mut bench = Bench::new(args)?;
    for job in jobs {
        let from = bench.rows.len();
        match job {
            Job::Layers => jobs::layers::run(&mut bench)?,
            Job::Sentiment => jobs::sentiment::run(&mut bench)?,
            Job::Chargen => jobs::chargen::run(&mut bench)?,
            Job::Generation => jobs::generation::run(&mut bench)?,
            Job::Latency => jobs::latency::run(&mut bench)?,
            Job::Startup => jobs::startup::run(&mut bench)?,
            Job::Sweep => {
                sweep::run(&mut bench)?;
                continue;
            }
        }
        bench.print(&format!("## {}\n\n{}", job.title(), table::of_job(&bench.rows[from..], &bench.peaks)));
    }
    bench.progress.finish_and_clear();
    if bench.rows.iter().any(|row| row.headline && row.refused.is_none()) {
        println!("## For the README\n\n{}", table::readme(&bench.rows));
    }
    if let Some(targets) = targets::of(&bench.rows, &bench.peaks) {
        println!("## Targets\n\n{targets}");
    }
    if args.record { record::write(&bench) } else { Ok(()) }
}
