//! `cargo xtask bench --gpu`: layers and the lessons' training steps on every adapter, ours beside burn-nn's layers,
//! which are plain tensor operations, and beside ours on the CPU; PyTorch on CUDA where it is. It needs no corpus: ids,
//! characters and labels are random, which changes no amount of work.
//!
//! All take turns in one process, the least of several turns counts, and the launches are counted.

mod adapters;
mod layers;
mod lessons;
mod model;
mod torch;

use adapters::Adapter;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Measures and prints; `quick` measures the lessons' shapes alone, with fewer turns. `only` names an adapter.
///
/// # Errors
/// No adapter.
pub fn run(quick: bool, only: Option<&str>) -> Result<(), String> {
    let adapters = Adapter::found(only)?;
    let torch = torch::Torch::find();
    println!("## Devices\n");
    for Adapter { name, about, .. } in &adapters {
        println!("- {name}: {about}");
    }
    match &torch {
        Some(torch) => println!("- {}\n", torch.about),
        None => println!("- no PyTorch with CUDA: `python3` has none here\n"),
    }
    let effort = Effort { turns: if quick { 3 } else { 5 }, budget: Duration::from_secs(if quick { 4 } else { 12 }) };
    layers::run(&adapters, torch.as_ref(), quick, effort)?;
    lessons::run(&adapters, torch.as_ref(), effort)
}

/// How long a row may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// At most.
    turns: usize,
    /// No turn begins after this time.
    budget: Duration,
}

/// Makes calls and gives the seconds of one; it waits for the device at the end.
pub(crate) type Timed<'a> = Box<dyn FnMut(usize) -> Result<f64, String> + 'a>;

/// One who takes part: its column, and how it is called.
pub(crate) type Contestant<'a> = (String, Timed<'a>);

/// A call shorter than this is repeated within a turn.
const SHORTEST: f64 = 0.05;

/// The least seconds of a call of each contestant, who take turns.
pub(crate) fn measure(contestants: &mut [Contestant], effort: Effort) -> Result<Vec<f64>, String> {
    let mut calls = Vec::new();
    for (_, timed) in contestants.iter_mut() {
        // The first call compiles kernels.
        timed(1)?;
        let once = timed(1)?;
        calls.push((SHORTEST / once).ceil().clamp(1.0, 1000.0) as usize);
    }
    let start = Instant::now();
    let mut least = vec![f64::INFINITY; contestants.len()];
    for turn in 0..effort.turns {
        if turn > 0 && start.elapsed() > effort.budget {
            break;
        }
        for (((_, timed), calls), least) in contestants.iter_mut().zip(&calls).zip(&mut least) {
            *least = least.min(timed(*calls)?);
        }
    }
    Ok(least)
}

/// Kernels that a call launches.
pub(crate) fn launched(timed: &mut Timed) -> Result<usize, String> {
    let (result, kernels): (_, BTreeMap<&str, usize>) = rnn_core::gpu::launches(|| timed(1));
    result?;
    Ok(kernels.values().sum())
}

/// `1.23 ms`.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "–".into(),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// The columns of a table: the row's name, then for each adapter ours, burn-nn's, our share of it and the launches of
/// both, then the others.
pub(crate) fn head(adapters: &[Adapter], others: &[&str]) -> String {
    let mut columns = vec!["".to_string()];
    for Adapter { name, .. } in adapters {
        columns.extend([
            format!("{name}: ours"),
            "launches".into(),
            "plain tensor operations".into(),
            "launches".into(),
            "ours ÷ plain".into(),
        ]);
    }
    columns.extend(others.iter().map(|other| other.to_string()));
    format!("| {} |\n|---|{}", columns.join(" | "), "---:|".repeat(columns.len() - 1))
}
