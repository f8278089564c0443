//! One layer, forward and backward.

use super::adapters::Adapter;
use super::torch::Torch;
use super::{Contestant, Effort, Timed, duration, head, launched, measure};
use crate::contestants::burn_nn;
use crate::contestants::protocol::Cell;
use burn::tensor::{Device, Tensor, TensorData};
use rnn_core::{ForwardArgs, GruConfig, Key, LstmConfig, MinGruConfig, MinLstmConfig, RnnConfig};
use std::time::Instant;

/// Batch, time, inputs, units: the lessons' first.
const SHAPES: [[usize; 4]; 5] =
    [[50, 80, 128, 128], [128, 10, 55, 128], [64, 100, 256, 256], [64, 100, 512, 512], [64, 100, 1024, 1024]];
/// How many of them are the lessons'.
const OF_THE_LESSONS: usize = 2;
/// The others are beyond a device in software: a call of plain tensor operations takes minutes.
const IN_SOFTWARE: &str = "software";

/// One row.
#[derive(Debug, Clone, Copy)]
struct Layer {
    cell: Cell,
    shape: [usize; 4],
    backward: bool,
    /// Rows of 1 to all steps, half of them on average.
    ragged: bool,
    /// Whether ours stores the largest buffers as f16.
    half: bool,
}

pub fn run(adapters: &[Adapter], torch: Option<&Torch>, quick: bool, effort: Effort) -> Result<(), String> {
    let mut rows = Vec::new();
    let half = adapters.iter().all(|adapter| rnn_core::gpu::stores_half(&adapter.device));
    for (number, shape) in SHAPES.into_iter().enumerate() {
        let is_lesson = number < OF_THE_LESSONS;
        let all_in_software = adapters.iter().all(|adapter| adapter.about.contains(IN_SOFTWARE));
        if !is_lesson && (quick || all_in_software) {
            continue;
        }
        let cells: &[Cell] =
            if quick || !is_lesson { &[Cell::Lstm, Cell::Gru] } else { &[Cell::Lstm, Cell::Gru, Cell::Rnn] };
        for &cell in cells {
            rows.push(Layer { cell, shape, backward: true, ragged: false, half: false });
        }
        let lstm = Layer { cell: Cell::Lstm, shape, backward: true, ragged: false, half: false };
        rows.push(Layer { backward: false, ..lstm });
        rows.push(Layer { ragged: true, ..lstm });
        if half {
            rows.push(Layer { half, ..lstm });
            rows.push(Layer { cell: Cell::Gru, half, ..lstm });
            rows.push(Layer { backward: false, half, ..lstm });
        }
    }
    println!("## Layers: batch, time, inputs, units\n");
    if !half {
        println!("No rows are stored as f16: not every adapter has 16-bit floats.\n");
    }
    println!("{}", head(adapters, &["ours on flex", "PyTorch, cuda"]));
    for row in rows {
        println!("{}", measured(row, adapters, torch, effort)?);
    }
    println!();
    Ok(())
}

/// A row of the table.
fn measured(row: Layer, adapters: &[Adapter], torch: Option<&Torch>, effort: Effort) -> Result<String, String> {
    let Layer { cell, shape: [batch, time, input, hidden], backward, ragged, half } = row;
    let mut contestants: Vec<Contestant> = Vec::new();
    let mut launches = Vec::new();
    for adapter in adapters {
        for mut timed in [ours(row, &adapter.device), plain(row, &adapter.device)] {
            timed(1)?;
            launches.push(launched(&mut timed)?);
            contestants.push((adapter.name.clone(), timed));
        }
    }
    contestants.push(("flex".into(), ours(row, &Device::flex())));
    let figures = measure(&mut contestants, effort)?;
    let pass = if backward { "forward+backward" } else { "forward" };
    let lengths = if ragged { ", half of the steps are padding" } else { "" };
    let stored = if half { ", ours stored as f16" } else { "" };
    let mut cells = vec![format!("{} {batch},{time},{input},{hidden} {pass}{lengths}{stored}", cell.name())];
    for (pair, count) in figures.chunks_exact(2).zip(launches.chunks_exact(2)) {
        let (ours, plain) = (pair[0], pair[1]);
        cells.extend([duration(ours), count[0].to_string(), duration(plain), count[1].to_string()]);
        cells.push(format!("{:.3}", ours / plain));
    }
    cells.push(duration(figures.last().copied().unwrap_or(f64::NAN)));
    let theirs = torch.map(|torch| torch.layer(cell.name(), row.shape, backward, ragged)).transpose()?;
    cells.push(theirs.map_or_else(|| "–".into(), duration));
    Ok(format!("| {} |", cells.join(" | ")))
}

/// The steps of each row: as long as the batch's longest, or spread evenly from 1 up.
fn lengths([batch, time, ..]: [usize; 4]) -> Vec<usize> {
    (0..batch).map(|row| 1 + row * (time - 1) / (batch - 1).max(1)).collect()
}

fn input(row: Layer, device: &Device) -> Tensor<3> {
    let [batch, time, input, _] = row.shape;
    let values: Vec<f32> = Key::new(1).normals(batch * time * input).map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, [batch, time, input]), device)
}

fn ours(row: Layer, device: &Device) -> Timed<'static> {
    let [_, _, d_input, d_hidden] = row.shape;
    let lengths = if row.ragged { Some(lengths(row.shape)) } else { None };
    // They differ in the type of their state alone.
    macro_rules! pass {
        ($config:ident) => {{
            let on = if row.backward { device.clone().autodiff() } else { device.clone() };
            let layer = $config::new(d_input, d_hidden).with_half_storage(row.half).init(Key::new(0), &on);
            calls(row, device, move |x| {
                let args =
                    lengths.as_deref().map_or(ForwardArgs::default(), |l| ForwardArgs::default().with_lengths(l));
                layer.forward_with(x, args).sequence
            })
        }};
    }
    match row.cell {
        Cell::Lstm => pass!(LstmConfig),
        Cell::Gru => pass!(GruConfig),
        Cell::Rnn => pass!(RnnConfig),
        Cell::MinGru => pass!(MinGruConfig),
        Cell::MinLstm => pass!(MinLstmConfig),
    }
}

/// burn-nn's; it has no lengths and runs over all steps.
fn plain(row: Layer, device: &Device) -> Timed<'static> {
    let [_, _, d_input, d_hidden] = row.shape;
    let on = if row.backward { device.clone().autodiff() } else { device.clone() };
    calls(row, device, burn_nn::forward(row.cell, d_input, d_hidden, &on))
}

fn calls(row: Layer, device: &Device, forward: impl Fn(Tensor<3>) -> Tensor<3> + 'static) -> Timed<'static> {
    let (x, device) = (input(row, device), device.clone());
    Box::new(move |count| {
        let start = Instant::now();
        for _ in 0..count {
            match row.backward {
                true => drop(forward(x.clone().autodiff().require_grad()).sum().backward()),
                false => drop(forward(x.clone())),
            }
        }
        device.sync().map_err(|error| error.to_string())?;
        Ok(start.elapsed().as_secs_f64() / count as f64)
    })
}
