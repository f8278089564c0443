//! Milliseconds per layer and call, with the arithmetic that this is, beside the machine's peak.
//!
//! `cargo run --release -p rnn-kernels --example speed [seconds per figure] [cell or shape to look for]`
//!
//! Each figure is the least of many calls: other programs only ever add to it.

use rnn_kernels::{
    Cell, Dense, Gradients, Input, Layer, Level, Machine, Nonlinearity, Output, OutputGradients, Sequence, Stepper,
    Strides, fma_peak,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SHAPES: [[usize; 4]; 5] =
    [[50, 80, 128, 128], [128, 10, 55, 128], [1, 100, 128, 128], [64, 100, 512, 512], [32, 256, 256, 256]];

fn least(budget: Duration, mut call: impl FnMut()) -> f64 {
    call();
    let (start, mut least) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < budget {
        let call_start = Instant::now();
        call();
        least = least.min(call_start.elapsed().as_secs_f64());
    }
    least
}

const CELLS: [(&str, Cell); 3] =
    [("lstm", Cell::Lstm), ("gru", Cell::Gru { reset_after: true }), ("rnn", Cell::Rnn(Nonlinearity::Tanh))];

const PLAIN: Options = Options { threads: 1, masks: 0, input_masks: 0, indices: false };

fn main() {
    let mut arguments = std::env::args().skip(1);
    let budget = Duration::from_secs_f64(arguments.next().and_then(|s| s.parse().ok()).unwrap_or(0.5));
    let filter = arguments.next().unwrap_or_default();
    println!("{:?}, {:.0} GFLOP/s of FMA per thread", Level::best(), fma_peak(Level::best()));
    if "generation".contains(&filter) {
        steps(budget);
    }
    println!(
        "{:<18}{:<6}{:>8}{:>12}{:>9}{:>12}{:>9}",
        "shape", "cell", "threads", "forward ms", "GFLOP/s", "both ms", "GFLOP/s"
    );
    let name_of = |shape: [usize; 4]| shape.map(|n| n.to_string()).join(",");
    for (shape, (name, cell)) in SHAPES.into_iter().flat_map(|shape| CELLS.map(|cell| (shape, cell))) {
        let label = name_of(shape);
        for threads in [1, 2] {
            if format!("{label} {name}").contains(&filter) {
                let [forward, both] = layer(cell, shape, Options { threads, ..PLAIN }, budget);
                let [batch, time, d_input, d_hidden] = shape;
                let gflop = 2e-9 * (batch * time * (d_input + d_hidden) * cell.gates() * d_hidden) as f64;
                println!(
                    "{label:<18}{name:<6}{threads:>8}{:>12.3}{:>9.0}{:>12.3}{:>9.0}",
                    forward * 1e3,
                    gflop / forward,
                    both * 1e3,
                    3.0 * gflop / both
                );
            }
        }
    }
    println!("\n1 thread, with options: forward ms, both ms");
    for (shape, (name, cell)) in SHAPES[..2].iter().flat_map(|&shape| CELLS[..2].iter().map(move |&cell| (shape, cell)))
    {
        let gates = cell.gates();
        for (what, options) in [
            ("plain", PLAIN),
            ("one recurrent mask", Options { masks: 1, ..PLAIN }),
            ("recurrent masks per gate", Options { masks: gates, ..PLAIN }),
            ("one mask of each", Options { masks: 1, input_masks: 1, ..PLAIN }),
            ("all masks per gate", Options { masks: gates, input_masks: gates, ..PLAIN }),
            ("indices", Options { indices: true, ..PLAIN }),
        ] {
            let label = format!("{} {name} {what}", name_of(shape));
            if label.contains(&filter) || filter == "options" {
                let [forward, both] = layer(cell, shape, options, budget);
                println!("{label:<52}{:>8.3}{:>9.3}", forward * 1e3, both * 1e3);
            }
        }
    }
}

/// Generation: a layer of 128 units over 55 symbols, the scores of the next symbol, the best of them.
fn steps(budget: Duration) {
    const STEPS: usize = 1000;
    let (d_input, d_hidden) = (55, 128);
    let mut random = fastrand::Rng::with_seed(1);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    for (name, cell) in CELLS {
        let width = cell.gates() * d_hidden;
        let (w_ih, w_hh) = (numbers(d_input * width), numbers(d_hidden * width));
        let (b_ih, b_hh) = (numbers(width), numbers(width));
        let layer = Layer { cell, d_input, d_hidden, w_ih: &w_ih, w_hh: &w_hh, b_ih: Some(&b_ih), b_hh: Some(&b_hh) };
        let mut stepper = Stepper::new(Level::best(), &layer);
        let dense = Dense::new(Level::best(), [d_hidden, d_input], &numbers(d_hidden * d_input), None);
        let mut scores = vec![0.0; d_input];
        let mut symbol = 0;
        let seconds = least(budget, || {
            for _ in 0..STEPS {
                dense.apply(stepper.step_index(symbol), &mut scores);
                symbol = (0..d_input).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
            }
        });
        println!("{name:<6}generation, 128 units, 55 symbols: {:>10.0} steps/s", STEPS as f64 / seconds);
    }
}

/// What a layer runs with beside its shape.
#[derive(Clone, Copy)]
struct Options {
    threads: usize,
    /// Recurrent masks.
    masks: usize,
    /// Input masks.
    input_masks: usize,
    indices: bool,
}

/// Seconds of forward, and of forward and backward.
fn layer(cell: Cell, [batch, time, d_input, d_hidden]: [usize; 4], options: Options, budget: Duration) -> [f64; 2] {
    let mut random = fastrand::Rng::with_seed(1);
    let symbols: Vec<u32> = (0..batch * time).map(|_| random.u32(0..d_input as u32)).collect();
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    let width = cell.gates() * d_hidden;
    let (w_ih, w_hh, b_ih, b_hh) =
        (numbers(d_input * width), numbers(d_hidden * width), numbers(width), numbers(width));
    let layer = Layer { cell, d_input, d_hidden, w_ih: &w_ih, w_hh: &w_hh, b_ih: Some(&b_ih), b_hh: Some(&b_hh) };
    let x = numbers(batch * time * d_input);
    let input = match options.indices {
        true => Input::Indices { values: &symbols, strides: Strides::batch_major(time, 1) },
        false => Input::Dense { values: &x, strides: Strides::batch_major(time, d_input) },
    };
    let (mask, input_mask) = (numbers(batch * d_hidden), numbers(batch * d_input));
    let sequence = Sequence {
        recurrent_masks: &vec![&mask[..]; options.masks],
        input_masks: &vec![&input_mask[..]; options.input_masks],
        ..Sequence::new(batch, time, input)
    };
    let machine = Machine { threads: options.threads, ..Machine::default() };
    let strides = Strides::batch_major(time, d_hidden);
    let mut out = vec![0.0; batch * time * d_hidden];
    let mut h = vec![0.0; batch * d_hidden];

    let forward = least(budget, || {
        let output = Output { sequence: &mut out, strides, h: Some(&mut h), c: None };
        rnn_kernels::forward(machine, &layer, &sequence, output);
        black_box(&out);
    });
    let d_out = numbers(batch * time * d_hidden);
    let (mut d_x, mut d_w_ih, mut d_w_hh) = (x.clone(), w_ih.clone(), w_hh.clone());
    let (mut d_b_ih, mut d_b_hh) = (b_ih.clone(), b_hh.clone());
    let both = least(budget, || {
        let output = Output { sequence: &mut out, strides, h: Some(&mut h), c: None };
        let saved = rnn_kernels::forward_saving(machine, &layer, &sequence, output);
        let given = OutputGradients { sequence: Some((&d_out, strides)), h: None, c: None };
        let d_input_rows = (&mut d_x[..], Strides::batch_major(time, d_input));
        let wanted = Gradients {
            input: (!options.indices).then_some(d_input_rows),
            w_ih: Some(&mut d_w_ih),
            w_hh: Some(&mut d_w_hh),
            b_ih: Some(&mut d_b_ih),
            b_hh: Some(&mut d_b_hh),
            h0: None,
            c0: None,
        };
        rnn_kernels::backward(&layer, &sequence, &saved, given, wanted);
        black_box((&d_x, &d_w_ih, &d_w_hh));
    });
    [forward, both]
}
