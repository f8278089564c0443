//! The options of `cargo xtask bench`, and the order of a run: measure the cases, show the targets, keep the record.

use crate::bench::Bench;
use crate::cases::Case;
use crate::records::{self, table, targets};
use clap::ValueEnum;
use std::path::PathBuf;

/// The options that a measurement on GPUs does not have.
const NOT_ON_GPUS: [&str; 9] = ["only", "peers", "python", "threads", "sweep", "record", "anyway", "targets", "render"];
/// The options that say how to measure.
const MEASURING: [&str; 8] = ["quick", "only", "peers", "python", "threads", "sweep", "record", "anyway"];

/// What `cargo xtask bench` accepts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Fewer rows, and a tenth of each corpus: done within 3 minutes after the build
    #[arg(long)]
    pub quick: bool,
    /// Only these cases, separated by commas
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<Case>,
    /// Compare with PyTorch, Keras and NumPy too, in a Python environment that is made for it
    #[arg(long)]
    pub peers: bool,
    /// Take PyTorch, Keras or NumPy from this virtual environment instead; may be given more than once
    #[arg(long, value_name = "DIR", requires = "peers")]
    pub python: Vec<PathBuf>,
    /// Numbers of threads for the layers, separated by commas; the programs use the largest
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2",
        value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: Vec<u64>,
    /// Also the sweep: time 10 to 2000 and batch 1 to 512
    #[arg(long)]
    pub sweep: bool,
    /// Keep the run: write docs/bench/DATE-MACHINE with run.json, README.md and chart.svg
    #[arg(long)]
    pub record: bool,
    /// Measure on a busy machine too; such figures cannot be recorded
    #[arg(long, conflicts_with = "record")]
    pub anyway: bool,
    /// Measure on GPUs instead: layers and the lessons' training steps on every adapter, ours beside plain tensor
    /// operations, beside ours on flex, and beside PyTorch where python3 has it with CUDA
    #[arg(long, conflicts_with_all = NOT_ON_GPUS)]
    pub gpu: bool,
    /// Only this adapter, such as wgpu:0
    #[arg(long, value_name = "NAME", requires = "gpu")]
    pub adapter: Option<String>,
    /// Measure nothing: compare this record with the project's targets
    #[arg(long, value_name = "docs/bench/NAME/run.json", conflicts_with_all = MEASURING)]
    pub targets: Option<PathBuf>,
    /// Measure nothing: write README.md and chart.svg of this record again from its run.json
    #[arg(long, value_name = "docs/bench/NAME", conflicts_with_all = MEASURING, conflicts_with = "targets")]
    pub render: Option<PathBuf>,
}

impl Args {
    /// Measures the chosen cases, or does what one of the other options says.
    ///
    /// # Errors
    /// One line for the person who typed the command.
    pub fn run(&self) -> Result<(), String> {
        if let Some(record) = &self.targets {
            let run = records::read(record)?;
            print!("{}", targets::of(&run).ok_or("no target is about what this record has")?);
            return Ok(());
        }
        if let Some(record) = &self.render {
            return records::render(record);
        }
        if self.gpu {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            return crate::gpu::run(self.quick, self.adapter.as_deref());
            #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
            return Err("--gpu needs one of the features wgpu, vulkan and cuda: cargo xtask bench --gpu".into());
        }
        let mut bench = Bench::new(self)?;
        for case in self.cases() {
            let from = bench.run.rows.len();
            case.measure(&mut bench)?;
            let rows = &bench.run.rows[from..];
            if !rows.is_empty() {
                let peaks = &bench.run.machine.fma_gflops;
                bench.print(&format!("## {}\n\n{}", case.title(), table::of_case(rows, peaks)));
            }
        }
        bench.progress.finish_and_clear();
        if bench.run.rows.iter().any(|row| row.headline && row.refused.is_none()) {
            println!("## Summary\n\n{}", table::summary(&bench.run.rows));
        }
        if let Some(targets) = targets::of(&bench.run) {
            println!("## Targets\n\n{targets}");
        }
        if self.record { records::keep(bench.run) } else { Ok(()) }
    }

    /// In the order of the enum. The sweep takes long, so it is never there by default.
    fn cases(&self) -> Vec<Case> {
        let is_chosen = |case: &Case| match self.only.is_empty() {
            true => *case != Case::Sweep || self.sweep,
            false => self.only.contains(case) || (*case == Case::Sweep && self.sweep),
        };
        Case::value_variants().iter().copied().filter(is_chosen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, Command, FromArgMatches};

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        let command = Args::augment_args(Command::new("bench").no_binary_name(true));
        Args::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    #[test]
    fn the_sweep_is_measured_only_when_it_is_asked_for() {
        let cases = |args: &[&str]| parse(args).expect("right").cases();
        let all = Case::value_variants();
        assert!(!cases(&[]).contains(&Case::Sweep) && cases(&[]).len() == all.len() - 1);
        assert_eq!(cases(&["--sweep"]), all);
        assert_eq!(cases(&["--only", "startup,layers"]), [Case::Layers, Case::Startup]);
        assert_eq!(cases(&["--only", "sweep"]), [Case::Sweep]);
        assert_eq!(cases(&["--only", "latency", "--sweep"]), [Case::Latency, Case::Sweep]);
    }

    #[test]
    fn options_that_measure_nothing_stand_alone() {
        for alone in ["--targets", "--render"] {
            parse(&[alone, "x"]).expect("right");
            assert!(parse(&[alone, "x", "--quick"]).is_err() && parse(&[alone, "x", "--threads", "1"]).is_err());
        }
        assert!(parse(&["--targets", "x", "--render", "x"]).is_err());
        assert!(parse(&["--record", "--anyway"]).is_err() && parse(&["--python", "x"]).is_err());
    }
}
