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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let budget = Duration::from_secs_f64(arguments.next().and_then(|s| s.parse().ok()).unwrap_or(0.5));
    let filter = arguments.next().unwrap_or_default();
    let peak = fma_peak(Level::best());
    println!("{:?}, {peak:.0} GFLOP/s of FMA per thread", Level::best());
    if "generation".contains(&filter) {
        steps(budget);
    }
    println!(
        "{:<18}{:<6}{:>8}{:>12}{:>9}{:>12}{:>9}",
        "shape", "cell", "threads", "forward ms", "GFLOP/s", "both ms", "GFLOP/s"
    );
    for shape in SHAPES {
        for (name, cell) in
            [("lstm", Cell::Lstm), ("gru", Cell::Gru { reset_after: true }), ("rnn", Cell::Rnn(Nonlinearity::Tanh))]
        {
            for threads in [1, 2] {
                let label = shape.map(|n| n.to_string()).join(",");
                if format!("{label} {name}").contains(&filter) {
                    layer(&label, name, cell, shape, threads, budget);
                }
            }
        }
    }
}

/// Generation: GRU of 128 units over 55 symbols, the scores of the next symbol, the best of them.
fn steps(budget: Duration) {
    const STEPS: usize = 1000;
    let (d_input, d_hidden) = (55, 128);
    let mut random = fastrand::Rng::with_seed(1);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    for (name, cell) in
        [("lstm", Cell::Lstm), ("gru", Cell::Gru { reset_after: true }), ("rnn", Cell::Rnn(Nonlinearity::Tanh))]
    {
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

fn layer(
    label: &str,
    name: &str,
    cell: Cell,
    [batch, time, d_input, d_hidden]: [usize; 4],
    threads: usize,
    budget: Duration,
) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    let width = cell.gates() * d_hidden;
    let (w_ih, w_hh, b_ih, b_hh) =
        (numbers(d_input * width), numbers(d_hidden * width), numbers(width), numbers(width));
    let layer = Layer { cell, d_input, d_hidden, w_ih: &w_ih, w_hh: &w_hh, b_ih: Some(&b_ih), b_hh: Some(&b_hh) };
    let x = numbers(batch * time * d_input);
    let input = Input::Dense { values: &x, strides: Strides::batch_major(time, d_input) };
    let sequence = Sequence::new(batch, time, input);
    let machine = Machine { threads, ..Machine::default() };
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
        let wanted = Gradients {
            input: Some((&mut d_x, Strides::batch_major(time, d_input))),
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
    let gflop = 2e-9 * (batch * time * (d_input + d_hidden) * width) as f64;
    println!(
        "{label:<18}{name:<6}{threads:>8}{:>12.3}{:>9.0}{:>12.3}{:>9.0}",
        forward * 1e3,
        gflop / forward,
        both * 1e3,
        3.0 * gflop / both
    );
}
