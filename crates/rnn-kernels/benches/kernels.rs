//! Layers, with the floating-point operations of their products, beside what the machine could do at most.
//!
//! `cargo bench -p rnn-kernels [-- FILTER]`, for example `-- forward` or `-- "both.*lstm"`. An item is a floating-point
//! operation, so "240 Gitem/s" are 240 GFLOP/s; of generation an item is a character.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rnn_kernels::{
    Activation, Candidate, Cell, Counted, Dense, Exec, Gradients, Input, Isa, LayerWeights, Nonlinearity,
    OptionGradients, Output, OutputGradients, Sequence, Stepper, Strides, fma_peak,
};
use std::fmt;

const SHAPES: [[usize; 4]; 5] =
    [[50, 80, 128, 128], [128, 10, 55, 128], [1, 100, 128, 128], [64, 100, 512, 512], [32, 256, 256, 256]];

const CELLS: [(&str, Cell); 5] = [
    ("lstm", Cell::Lstm),
    ("gru", Cell::Gru { reset_after: true }),
    ("rnn", Cell::Rnn(Nonlinearity::Tanh)),
    ("mingru", Cell::MinGru(Candidate::Linear)),
    ("minlstm", Cell::MinLstm(Candidate::Linear)),
];

fn main() {
    let isa = Isa::best();
    println!("{isa:?}: at most {:.0} G floating-point operations a second and thread", fma_peak(isa));
    divan::main();
}

/// What a layer runs with.
#[derive(Clone, Copy)]
struct Case {
    cell: (&'static str, Cell),
    /// Batch, time, inputs, units.
    shape: [usize; 4],
    threads: usize,
    options: Options,
}

#[derive(Clone, Copy)]
struct Options {
    name: &'static str,
    /// Masks for all gates, or one a gate.
    per_gate: bool,
    recurrent_mask: bool,
    input_mask: bool,
    indices: bool,
    of_cell: OfCell,
    /// The lengths of so many rows of at most so many steps; all steps count without it.
    lengths: Option<fn(usize, usize) -> Vec<usize>>,
}

const PLAIN: Options = Options {
    name: "",
    per_gate: false,
    recurrent_mask: false,
    input_mask: false,
    indices: false,
    of_cell: OfCell::Nothing,
    lengths: None,
};

/// An option of the cell.
#[derive(Clone, Copy, PartialEq)]
enum OfCell {
    Nothing,
    LayerNorm,
    Peepholes,
    Clip,
    /// To half as many features as units.
    Projection,
    Gate(Activation),
}

/// One row as long as the input, in the midst of rows of 10 steps.
fn one_long(batch: usize, time: usize) -> Vec<usize> {
    (0..batch).map(|b| if b == batch / 3 { time } else { 10 }).collect()
}

/// Half of the longest in the mean, in no order.
fn half(batch: usize, time: usize) -> Vec<usize> {
    (0..batch).map(|b| (b * 19 % batch + 1) * time / batch).collect()
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [batch, time, d_input, d_hidden] = self.shape;
        write!(f, "{} {batch},{time},{d_input},{d_hidden}", self.cell.0)?;
        match self.options.name {
            "" => write!(f, " {} thr.", self.threads),
            name => write!(f, " {name}"),
        }
    }
}

impl Case {
    fn lengths(&self) -> Option<Vec<usize>> {
        self.options.lengths.map(|lengths| lengths(self.shape[0], self.shape[1]))
    }

    fn h_features(&self) -> usize {
        let d_hidden = self.shape[3];
        if self.options.of_cell == OfCell::Projection { d_hidden / 2 } else { d_hidden }
    }

    /// Of the products of forward at the steps that count; backward has twice as many.
    fn flop(&self) -> usize {
        let [batch, time, d_input, d_hidden] = self.shape;
        let d_input = if self.options.indices { 0 } else { d_input };
        let inner = d_input + if self.cell.1.has_w_hh() { self.h_features() } else { 0 };
        let projected = if self.options.of_cell == OfCell::Projection { self.h_features() } else { 0 };
        let steps = self.lengths().map_or(batch * time, |lengths| lengths.iter().sum());
        2 * steps * (inner * self.cell.1.gates() + projected) * d_hidden
    }
}

fn shapes() -> impl Iterator<Item = Case> {
    let cases = SHAPES.into_iter().flat_map(|shape| CELLS.map(|cell| (shape, cell)));
    cases.flat_map(|(shape, cell)| [1, 2].map(|threads| Case { cell, shape, threads, options: PLAIN }))
}

fn options() -> impl Iterator<Item = Case> {
    let options = [
        Options { name: "one recurrent mask", recurrent_mask: true, ..PLAIN },
        Options { name: "recurrent masks per gate", recurrent_mask: true, per_gate: true, ..PLAIN },
        Options { name: "one mask of each", recurrent_mask: true, input_mask: true, ..PLAIN },
        Options { name: "all masks per gate", recurrent_mask: true, input_mask: true, per_gate: true, ..PLAIN },
        Options { name: "indices", indices: true, ..PLAIN },
    ];
    let cases = SHAPES[..2].iter().flat_map(|&shape| CELLS[..2].iter().map(move |&cell| (shape, cell)));
    cases.flat_map(move |(shape, cell)| options.map(|options| Case { cell, shape, threads: 1, options }))
}

/// Options of the cell, beside the plain one.
fn cell_options() -> impl Iterator<Item = Case> {
    let (lstm, gru) = (CELLS[0], CELLS[1]);
    let gate = |name, activation| (lstm, Options { name, of_cell: OfCell::Gate(activation), ..PLAIN });
    let cases = [
        (lstm, Options { name: "plain", ..PLAIN }),
        (lstm, Options { name: "layer norm", of_cell: OfCell::LayerNorm, ..PLAIN }),
        (lstm, Options { name: "peepholes", of_cell: OfCell::Peepholes, ..PLAIN }),
        (lstm, Options { name: "clip", of_cell: OfCell::Clip, ..PLAIN }),
        (lstm, Options { name: "projected", of_cell: OfCell::Projection, ..PLAIN }),
        gate("hard sigmoid", Activation::HardSigmoid { slope: 0.2 }),
        gate("gelu", Activation::Gelu),
        (("coupled", Cell::LstmCoupled), Options { name: "plain", ..PLAIN }),
        (gru, Options { name: "plain", ..PLAIN }),
        (gru, Options { name: "layer norm", of_cell: OfCell::LayerNorm, ..PLAIN }),
    ];
    let shapes = [SHAPES[0], SHAPES[4]];
    shapes.into_iter().flat_map(move |shape| cases.map(|(cell, options)| Case { cell, shape, threads: 2, options }))
}

#[divan::bench(args = cell_options())]
fn both_of_cell(bencher: Bencher, case: &Case) {
    layer(bencher, case, true);
}

fn ragged_batches() -> impl Iterator<Item = Case> {
    let options = [
        Options { name: "padded", ..PLAIN },
        Options { name: "one long row", lengths: Some(one_long), ..PLAIN },
        Options { name: "half", lengths: Some(half), ..PLAIN },
    ];
    let cases = [[64, 2000, 128, 128], [64, 400, 128, 128], [50, 80, 128, 128]];
    let cases = cases.into_iter().flat_map(|shape| CELLS[..2].iter().map(move |&cell| (shape, cell)));
    cases.flat_map(move |(shape, cell)| options.map(|options| Case { cell, shape, threads: 2, options }))
}

#[divan::bench(args = ragged_batches())]
fn ragged(bencher: Bencher, case: &Case) {
    layer(bencher, case, true);
}

#[divan::bench(args = shapes())]
fn forward(bencher: Bencher, case: &Case) {
    layer(bencher, case, false);
}

#[divan::bench(args = shapes())]
fn both(bencher: Bencher, case: &Case) {
    layer(bencher, case, true);
}

#[divan::bench(args = options())]
fn both_with(bencher: Bencher, case: &Case) {
    layer(bencher, case, true);
}

/// Forward, or forward and backward.
fn layer(bencher: Bencher, case: &Case, backward: bool) {
    let Case { cell: (_, cell), shape: [batch, time, d_input, d_hidden], threads, options } = *case;
    let h_features = case.h_features();
    let mut random = fastrand::Rng::with_seed(1);
    let symbols: Vec<u32> = (0..batch * time).map(|_| random.u32(0..d_input as u32)).collect();
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    let width = cell.gates() * d_hidden;
    let recurs = usize::from(cell.has_w_hh());
    let (w_ih, w_hh, b_ih, b_hh) =
        (numbers(d_input * width), numbers(recurs * h_features * width), numbers(width), numbers(recurs * width));
    let b = cell.has_w_hh().then_some(&b_hh[..]);
    let (gains, vector, w_hr) = (vec![1.0; width], numbers(d_hidden), numbers(d_hidden * h_features));
    let mut of_cell = rnn_kernels::Options::default();
    match options.of_cell {
        OfCell::Nothing => {}
        OfCell::LayerNorm => {
            (of_cell.norm_ih, of_cell.norm_hh) = (Some(&gains[..]), Some(&gains[..]));
            let of_c = cell.has_cell_state().then_some(&vector[..]);
            (of_cell.gamma_c, of_cell.beta_c) = (of_c, of_c);
        }
        OfCell::Peepholes => {
            (of_cell.p_i, of_cell.p_f, of_cell.p_o) = (Some(&vector[..]), Some(&vector[..]), Some(&vector[..]));
        }
        OfCell::Clip => of_cell.clip = Some(1.0),
        OfCell::Projection => of_cell.w_hr = Some(&w_hr),
        OfCell::Gate(activation) => of_cell.gate = Some(activation),
    }
    let layer = LayerWeights {
        cell,
        d_input,
        d_hidden,
        w_ih: &w_ih,
        w_hh: &w_hh,
        b_ih: Some(&b_ih),
        b_hh: b,
        options: of_cell,
    };
    let x = numbers(batch * time * d_input);
    let input = match options.indices {
        true => Input::Indices { values: &symbols, strides: Strides::batch_major(time, 1) },
        false => Input::Dense { values: &x, strides: Strides::batch_major(time, d_input) },
    };
    let (mask, input_mask) = (numbers(batch * h_features), numbers(batch * d_input));
    let masks = |wanted: bool| usize::from(wanted) * if options.per_gate { cell.gates() } else { 1 };
    let lengths = case.lengths();
    let sequence = Sequence {
        counted: lengths.as_ref().map_or(Counted::All, |lengths| Counted::Lengths(lengths)),
        zeroed: true,
        recurrent_masks: &vec![&mask[..]; masks(options.recurrent_mask)],
        input_masks: &vec![&input_mask[..]; masks(options.input_mask)],
        ..Sequence::new(batch, time, input)
    };
    let exec = Exec { threads, ..Exec::default() };
    let strides = Strides::batch_major(time, h_features);
    let mut out = vec![0.0; batch * time * h_features];
    let mut h = vec![0.0; batch * h_features];

    if !backward {
        bencher.counter(ItemsCount::new(case.flop())).bench_local(|| {
            let output = Output { sequence: &mut out, strides, h: Some(&mut h), c: None };
            rnn_kernels::forward(exec, &layer, &sequence, output);
            black_box(&out);
        });
        return;
    }
    let d_out = numbers(batch * time * h_features);
    let (mut d_x, mut d_w_ih, mut d_w_hh) = (vec![0.0; x.len()], w_ih.clone(), w_hh.clone());
    let (mut d_b_ih, mut d_b_hh) = (b_ih.clone(), b_hh.clone());
    let learned = [of_cell.p_i, of_cell.p_f, of_cell.p_o, of_cell.norm_ih, of_cell.norm_hh, of_cell.gamma_c];
    let mut d_learned = learned.map(|given| given.map(<[f32]>::to_vec));
    let [mut d_beta, mut d_w_hr] = [of_cell.beta_c, of_cell.w_hr].map(|given| given.map(<[f32]>::to_vec));
    bencher.counter(ItemsCount::new(3 * case.flop())).bench_local(|| {
        let output = Output { sequence: &mut out, strides, h: Some(&mut h), c: None };
        let saved = rnn_kernels::forward_saving(exec, &layer, &sequence, output);
        let given = OutputGradients { sequence: Some((&d_out, strides)), h: None, c: None };
        let [p_i, p_f, p_o, norm_ih, norm_hh, gamma_c] = d_learned.each_mut().map(Option::as_deref_mut);
        let (beta_c, w_hr) = (d_beta.as_deref_mut(), d_w_hr.as_deref_mut());
        let wanted = Gradients {
            options: OptionGradients { p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr },
            input: (!options.indices).then_some((&mut d_x[..], Strides::batch_major(time, d_input))),
            w_ih: Some(&mut d_w_ih),
            w_hh: cell.has_w_hh().then_some(&mut d_w_hh[..]),
            b_ih: Some(&mut d_b_ih),
            b_hh: cell.has_w_hh().then_some(&mut d_b_hh[..]),
            ..Gradients::default()
        };
        rnn_kernels::backward(&layer, &sequence, &saved, given, wanted);
        black_box((&d_x, &d_w_ih, &d_w_hh));
    });
}

/// A layer of 128 units over 55 symbols, the scores of the next symbol, the best of them.
#[divan::bench(args = CELLS.map(|cell| cell.0))]
fn generation(bencher: Bencher, name: &str) {
    const CHARACTERS: usize = 1000;
    let (d_input, d_hidden) = (55, 128);
    let cell = CELLS.into_iter().find(|cell| cell.0 == name).map_or(Cell::Lstm, |cell| cell.1);
    let mut random = fastrand::Rng::with_seed(1);
    let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.f32() * 0.2 - 0.1).collect() };
    let width = cell.gates() * d_hidden;
    let recurs = usize::from(cell.has_w_hh());
    let (w_ih, w_hh, b_ih, b_hh) =
        (numbers(d_input * width), numbers(recurs * d_hidden * width), numbers(width), numbers(recurs * width));
    let b = cell.has_w_hh().then_some(&b_hh[..]);
    let layer = LayerWeights {
        cell,
        d_input,
        d_hidden,
        w_ih: &w_ih,
        w_hh: &w_hh,
        b_ih: Some(&b_ih),
        b_hh: b,
        options: rnn_kernels::Options::default(),
    };
    let mut stepper = Stepper::new(Isa::best(), &layer);
    let dense = Dense::new(Isa::best(), [d_hidden, d_input], &numbers(d_hidden * d_input), None);
    let mut scores = vec![0.0; d_input];
    let mut symbol = 0;
    bencher.counter(ItemsCount::new(CHARACTERS)).bench_local(|| {
        for _ in 0..CHARACTERS {
            dense.apply(stepper.step_index(symbol), &mut scores);
            symbol = (0..d_input).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        }
        black_box(symbol)
    });
}
