//! What is stored as f16 against f32, with bounds that follow from how f16 rounds.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod common;

use common::cpu::case::{CELLS, Case, Counted};
use common::cpu::{assert_equal, naive};
use common::{case, client};
use cubecl::client::Client;
use fastrand::Rng;
use rnn_gpu::{Storage, cubecl};
use rnn_kernels::{Candidate, Cell, MaskedOutput};

/// The rounding error of f16: half of the last of its 11 digits, as a share of the number.
const U: f64 = 1.0 / 2048.0;

// The device is shared, and another test's launches would be counted: one test after the other, from here.
#[test]
fn half_storage() {
    let client = client();
    if !Storage::F16.is_on(&client) {
        let needs = rnn_gpu::Needs {
            cell: rnn_gpu::Cell::Lstm,
            d_hidden: 8,
            recurrent_masks: 0,
            peepholes: false,
            norm: false,
            storage: Storage::F16,
        };
        let refused = rnn_gpu::fits(&client, &needs);
        assert_eq!(refused, Err("the adapter has no 16-bit floats"));
        return;
    }
    numbers_of_f16_are_exact(&client);
    errors_are_those_of_the_roundings(&client);
    normalized_sums(&client);
    small_gates(&client);
    half_the_bytes_and_no_launch_more(&client);
}

/// The sequence, h and c: the results before the gradients.
const OUTPUTS: usize = 3;

/// What forward gives.
fn forward(client: &Client, case: &Case, storage: Storage) -> Vec<(&'static str, Vec<f64>)> {
    case::stored(client, case, storage).0.into_iter().take(OUTPUTS).collect()
}

/// Forward rounds `W_hh` and the input products alone: where f16 holds both, it gives the bits of f32, and where it does
/// not hold one of them, other bits.
fn numbers_of_f16_are_exact(client: &Client) {
    let mut random = Rng::with_seed(1);
    for cell in [Cell::Lstm, Cell::Gru { reset_after: true }] {
        let any = Case::plain(&mut random, cell, SHAPE);
        let exact = |values: &[f64], step: f64| values.iter().map(|x| (x / step).round() * step).collect();
        // Sums of multiples of 1/64, below 2; and multiples of 1/512, below 1.
        let [x, w_ih, w_hh] = [exact(&any.x, 0.125), exact(&any.w_ih, 0.125), exact(&any.w_hh, 1.0 / 512.0)];
        let same = |case: &Case| forward(client, case, Storage::F16) == forward(client, case, Storage::F32);
        let case = Case { x, w_ih, w_hh, ..any.clone() };
        assert!(same(&case), "{cell:?}");
        assert!(!same(&Case { x: any.x, ..case.clone() }), "{cell:?} does not store the input products as f16");
        assert!(!same(&Case { w_hh: any.w_hh, ..case }), "{cell:?} does not read W_hh as f16");
    }
}

/// Batch, time, inputs, units.
const SHAPE: [usize; 4] = [6, 5, 3, 7];

/// Forward rounds two numbers at a step: the input products and `W_hh`. A gradient also meets `W_hh` on the way back,
/// and each number that was saved: 3 + saved. Each is off by at most U of itself. The errors of all steps add up, at
/// worst without cancelling, and neither the cells, whose slopes are at most 1, nor these cases' `W_hh`, uniform within
/// ±1/√H, enlarge them on their way through the steps. So after T steps with n roundings a result is off by at most
/// `T·n·U` of the largest.
fn errors_are_those_of_the_roundings(client: &Client) {
    let mut random = Rng::with_seed(2);
    for (cell, round) in CELLS.into_iter().flat_map(|cell| (0..2).map(move |round| (cell, round))) {
        let shape = [random.usize(2..12), random.usize(2..7), random.usize(1..40), random.usize(8..20)];
        let mut case = Case::random(&mut random, cell, shape);
        let [batch, time, ..] = shape;
        case.resets.clear();
        case.ids.clear();
        case.reverse = round == 1;
        case.counted = match round {
            0 => Counted::Lengths((0..batch).map(|_| random.usize(0..=time)).collect()),
            _ => Counted::Mask((0..batch * time).map(|_| random.bool()).collect()),
        };
        case.masked_output = if random.bool() { MaskedOutput::Zero } else { MaskedOutput::Previous };
        let saved = match cell {
            Cell::Lstm => 6,
            Cell::Gru { reset_after: true } => 5,
            Cell::Gru { reset_after: false } | Cell::MinLstm(_) => 4,
            Cell::MinGru(_) => 3,
            _ => 2,
        };
        let [forward, backward] = [2, 3 + saved].map(|roundings| (time * roundings) as f64 * U);
        let what = format!("{cell:?}, round {round}, {time} steps");
        let (found, _) = case::stored(client, &case, Storage::F16);
        let (outputs, gradients) = found.split_at(OUTPUTS);
        let expected = naive::run(&case);
        assert_equal(&outputs.to_vec(), &expected[..OUTPUTS], forward, &what);
        assert_equal(&gradients.to_vec(), &expected[OUTPUTS..], backward, &what);
    }
}

/// A norm divides the errors of what it normalises by the standard deviation σ of that; an LSTM has two norms in
/// series. For one step, with the least σ of both products.
fn normalized_sums(client: &Client) {
    let [batch, time, d_input, d_hidden] = [6, 1, 3, 24];
    let mut random = Rng::with_seed(4);
    let mut case = Case::plain(&mut random, Cell::Lstm, [batch, time, d_input, d_hidden]);
    case.normalize(&mut random);
    let deviation = |row: &[f64], weights: &[f64]| {
        let width = 4 * d_hidden;
        let product = |j: usize| row.iter().enumerate().map(|(k, x)| x * weights[k * width + j]).sum::<f64>();
        let products: Vec<f64> = (0..width).map(product).collect();
        let mean = products.iter().sum::<f64>() / width as f64;
        (products.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64).sqrt()
    };
    let of_x = case.x.chunks(d_input).map(|row| deviation(row, &case.w_ih));
    let of_h = case.h0.chunks(d_hidden).map(|row| deviation(row, &case.w_hh));
    let least = of_x.chain(of_h).fold(f64::INFINITY, f64::min);
    let (found, _) = case::stored(client, &case, Storage::F16);
    let saved = 6 + 4;
    assert_equal(&found, &naive::run(&case), (3 + saved) as f64 * U / least.powi(2), &format!("σ = {least}"));
}

/// Gates that are too small for f16, whose quotient is not.
fn small_gates(client: &Client) {
    let mut random = Rng::with_seed(5);
    let mut case = Case::plain(&mut random, Cell::MinLstm(Candidate::Linear), SHAPE);
    let [_, time, _, d_hidden] = SHAPE;
    case.b_ih[..2 * d_hidden].iter_mut().for_each(|bias| *bias -= 20.0);
    // A gate's sum is off by U of 20 where it is stored, and so is its logarithm.
    let bound = (time * (3 + 4)) as f64 * 21.0 * U;
    assert_equal(&case::stored(client, &case, Storage::F16).0, &naive::run(&case), bound, "small gates");
}

/// The option really stores f16, and launches no more than f32.
fn half_the_bytes_and_no_launch_more(client: &Client) {
    let mut random = Rng::with_seed(3);
    let mut case = Case::plain(&mut random, Cell::Lstm, SHAPE);
    let launches =
        |case: &Case, storage| -> usize { rnn_gpu::launches(|| case::stored(client, case, storage)).1.values().sum() };
    assert_eq!(launches(&case, Storage::F32), 3 + 4);
    assert_eq!(launches(&case, Storage::F16), 3 + 4);
    let [batch, time, d_input, d_hidden] = SHAPE;
    let numbers = (batch * time * 6 * d_hidden) as u64;
    assert_eq!(case::stored(client, &case, Storage::F32).1, 4 * numbers);
    assert_eq!(case::stored(client, &case, Storage::F16).1, 2 * numbers);
    case.indices = (0..batch * time).map(|i| (i % d_input) as u32).collect();
    assert_eq!(launches(&case, Storage::F16), 2 + 4, "symbols");
}
