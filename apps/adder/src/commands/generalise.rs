//! `adder generalise`: how far a network that learned short additions gets with longer ones.

use crate::commands::ask::Trained;
use crate::commands::train::{PROGRAM, fresh, train};
use crate::config::{Keys, RunConfig, TrainArgs};
use crate::data::{random_pairs, sum};
use crate::model::{BITS, Model, ModelConfig};
use burn::tensor::Device;
use rnn_harness::run_dir::RunDir;
use rnn_harness::{Failure, json_line, print_line, say, whole, write_file};
use rnn_plot::{Axis, Line, LineChart, Panel, Scale};
use serde::Serialize;
use std::path::PathBuf;

/// Bits of the operands that are added.
const LENGTHS: [u32; 4] = [8, 16, 32, 64];

/// Trains an rnn, an lstm and a gru (or the cell of --cell) and lets it add longer numbers than it has seen; or takes trained runs.
#[derive(Debug, clap::Args)]
pub struct GeneraliseArgs {
    /// Run folder to test instead of training; may be given several times
    #[arg(long, value_name = "DIR")]
    run: Vec<PathBuf>,
    /// Random additions of each length
    #[arg(long, default_value_t = 10_000, value_parser = whole::<u64>(1..=10_000_000))]
    trials: u64,
    /// Also draw the table as a chart
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    train: TrainArgs,
}

/// How one network did.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    run: String,
    /// Bits of the longest operands it learned from.
    learned: u32,
    /// How many sums of each length were right.
    right: Vec<usize>,
}

#[derive(Debug, Serialize)]
struct Table<'a> {
    bits: [u32; 4],
    trials: usize,
    networks: &'a [Row],
}

/// Trains or loads the networks, tests them, prints the table.
pub fn generalise(args: &GeneraliseArgs) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let trials = args.trials as usize;
    let (mut session, saved) = args.train.session.begin::<RunConfig>(PROGRAM)?;
    if saved.is_some() {
        return Err(Failure::input("generalise does not resume; train with --resume, then generalise --run DIR"));
    }
    for path in &args.run {
        let device = &session.device.device;
        let trained = Trained::load(RunDir::open(PROGRAM, Some(path))?, device)?;
        rows.push(row(&trained.config, &trained.model, path.display().to_string(), trials, device));
    }
    if args.run.is_empty() {
        let cells = args.train.cells();
        if cells.len() > 1 && args.train.session.is_named() {
            return Err(Failure::input("--name is for one run, but each cell has a run of its own; add --cell"));
        }
        for cell in cells {
            let mut config = args.train.config_of(Some(cell), &session)?;
            config.training.device = session.decide(&config.training.plan, |device| fresh(&config, device))?;
            let (metrics, model) = train(&config, &session)?;
            rows.push(row(&config, &model, metrics.run, trials, &session.device.device));
        }
    }
    println!("right sums of {trials} random additions that no training saw, by the bits of the operands:");
    println!("{:<24}{}", "", LENGTHS.map(|bits| format!("{bits:>9}")).concat());
    for row in &rows {
        let right: String = row.right.iter().map(|right| format!("{right:>9}")).collect();
        print_line!("{:<24}{right}", row.name);
    }
    if let Some(path) = &args.svg {
        write_file(path, chart(&rows, trials).svg().as_bytes())?;
        print_line!("chart: {}", path.display());
    }
    if session.json {
        json_line(&Table { bits: LENGTHS, trials, networks: &rows })?;
    }
    Ok(())
}

fn row(config: &RunConfig, model: &Model, run: String, trials: usize, device: &Device) -> Row {
    let longest = config.lengths.map_or(config.model.bits, |lengths| lengths.to);
    let keys = Keys::new(config.training.seed);
    let right = LENGTHS.iter().map(|&operand| {
        let bits = operand + 1;
        say!("{}: adding numbers of {operand} bits", config.model.cell);
        let batch = ModelConfig { bits, ..config.model.clone() }.check_batch();
        let pairs = random_pairs(bits, trials, keys.trials.child(bits.into()));
        let sums = pairs.chunks(batch).flat_map(|pairs| model.add(pairs, bits, device));
        sums.zip(&pairs).filter(|(answer, pair)| *answer == sum(**pair)).count()
    });
    let right = right.collect();
    debug_assert!(u64::from(LENGTHS[3]) < *BITS.end());
    let name = format!("{} {}, sums to {longest} bits", config.model.cell, config.model.hidden);
    Row { name, run, learned: longest - 1, right }
}

fn chart(rows: &[Row], trials: usize) -> LineChart {
    let lines = rows.iter().map(|row| {
        let points = LENGTHS.iter().zip(&row.right);
        Line::new(&row.name, points.map(|(&bits, &right)| (bits.into(), 100.0 * right as f64 / trials as f64)))
    });
    LineChart {
        title: "Additions of longer numbers than those of the training".into(),
        x: Axis {
            label: "bits of the operands".into(),
            scale: Scale::Log,
            ticks: LENGTHS.map(|bits| (bits.into(), bits.to_string())).into(),
            ..Axis::default()
        },
        // Where every sum is right the axis ends at 100, too.
        y: Axis { label: "right sums, %".into(), covers: Some([90.0, 100.0]), ..Axis::default() },
        panels: vec![Panel { title: String::new(), lines: lines.collect() }],
    }
}
