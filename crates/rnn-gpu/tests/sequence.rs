//! The kernels against plain loops over the equations, differentiated by a tape.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod common;

use common::cpu::case::{ACTIVATIONS, ALL_CELLS, CELLS, Case, Counted, NORMALIZED};
use common::{case, check, client};
use fastrand::Rng;
use rnn_kernels::{Candidate, Cell, MaskedOutput};

// The device is shared, and another test's launches would be counted: one test after the other, from here.
#[test]
fn the_kernels() {
    plain_layers();
    calls();
    every_activation();
    options();
    norms();
    many_units();
    padding_may_hold_anything();
    launches();
}

fn plain_layers() {
    let (client, mut random) = (client(), Rng::with_seed(1));
    for cell in [Cell::Lstm, Cell::MinGru(Candidate::Linear)] {
        check(&client, &Case::plain(&mut random, cell, [1, 1, 1, 1]));
    }
    for cell in CELLS {
        // Sizes that no vector divides, and sizes that are read four numbers at once.
        for shape in [[19, 7, 20, 33], [9, 5, 12, 20]] {
            check(&client, &Case::plain(&mut random, cell, shape));
        }
    }
}

/// Masks, directions, resets, zoneout and what else a call has.
fn calls() {
    let (client, mut random) = (client(), Rng::with_seed(2));
    for (cell, round) in CELLS.into_iter().flat_map(|cell| (0..3).map(move |round| (cell, round))) {
        let shape = [random.usize(1..12), random.usize(1..7), random.usize(1..70), random.usize(1..20)];
        let mut case = Case::random(&mut random, cell, shape);
        let [batch, time, ..] = shape;
        // Every step has its own gradient, whatever its id.
        case.ids.clear();
        if random.bool() {
            case.resets = (0..batch * time).map(|_| random.u8(0..3) == 0).collect();
        }
        // Rows that stop, and rows with holes, in either direction.
        case.counted = match round {
            0 => Counted::Lengths((0..batch).map(|_| random.usize(0..=time)).collect()),
            1 => Counted::Mask((0..batch * time).map(|_| random.bool()).collect()),
            _ => case.counted,
        };
        check(&client, &case);
    }
}

/// Each as σ or as φ, and many as ψ.
fn every_activation() {
    let (client, mut random) = (client(), Rng::with_seed(6));
    for i in (0..ACTIVATIONS.len()).step_by(2) {
        let mut case = Case::plain(&mut random, Cell::Lstm, [5, 4, 3, 12]);
        let other = |steps: usize| Some(ACTIVATIONS[(i + steps) % ACTIVATIONS.len()]);
        (case.options.gate, case.options.candidate, case.options.hidden) = (other(0), other(5), other(9));
        check(&client, &case);
    }
}

/// Options of the cells, together and with those of calls.
fn options() {
    let (client, mut random) = (client(), Rng::with_seed(7));
    for (cell, _) in ALL_CELLS.into_iter().flat_map(|cell| (0..2).map(move |round| (cell, round))) {
        let shape = [random.usize(1..12), random.usize(1..7), random.usize(1..20), random.usize(1..40)];
        let mut case = Case::random(&mut random, cell, shape);
        case.ids.clear();
        case.draw_functions(&mut random);
        check(&client, &case);
    }
}

/// Layer normalisation alone, and with all else.
fn norms() {
    let (client, mut random) = (client(), Rng::with_seed(8));
    for (i, cell) in NORMALIZED.into_iter().enumerate() {
        let shape = [random.usize(1..12), random.usize(1..6), random.usize(1..20), random.usize(16..40)];
        let mut case = match i % 3 {
            2 => Case::plain(&mut random, cell, shape),
            _ => Case::random(&mut random, cell, shape),
        };
        case.ids.clear();
        if i % 3 == 1 && cell.has_w_hh() {
            case.draw_functions(&mut random);
        }
        case.normalize(&mut random);
        check(&client, &case);
    }
}

/// More units than a cube has.
fn many_units() {
    let (client, mut random) = (client(), Rng::with_seed(3));
    for cell in [Cell::Lstm, Cell::Gru { reset_after: false }, Cell::MinLstm(Candidate::Linear)] {
        check(&client, &Case::plain(&mut random, cell, [3, 2, 4, 300]));
    }
    let mut case = Case::plain(&mut random, Cell::Lstm, [3, 2, 4, 300]);
    case.normalize(&mut random);
    check(&client, &case);
}

fn padding_may_hold_anything() {
    let (client, mut random) = (client(), Rng::with_seed(4));
    let [batch, time, d_input, d_hidden] = [6, 5, 3, 7];
    for masked_output in [MaskedOutput::Zero, MaskedOutput::Previous] {
        let mut clean = Case::plain(&mut random, Cell::Lstm, [batch, time, d_input, d_hidden]);
        // Row 3 has no steps at all.
        clean.counted = Counted::Lengths(vec![5, 2, 1, 0, 4, 3]);
        clean.masked_output = masked_output;
        clean.input_masks = vec![vec![1.25; batch * d_input]];
        let mut case = clean.clone();
        for (i, x) in case.x.iter_mut().enumerate() {
            if !clean.counts(i / d_input / time, i / d_input % time) {
                *x = f64::NAN;
            }
        }
        if masked_output == MaskedOutput::Zero {
            for (i, d) in case.d_sequence.iter_mut().enumerate() {
                if !clean.counts(i / d_hidden / time, i / d_hidden % time) {
                    *d = f64::NAN;
                }
            }
        }
        assert_eq!(case::run(&client, &case), case::run(&client, &clean), "{masked_output:?}");
    }
}

/// Forward in three launches, whatever masks h has, and backward in four; in three and five with peepholes, in four and
/// eight with layer normalisation, in two and three of a minGRU.
fn launches() {
    let (client, mut random) = (client(), Rng::with_seed(5));
    let shape = [6, 5, 3, 7];
    let mut case = Case::plain(&mut random, Cell::Lstm, shape);
    let launches = |case: &Case| -> usize { rnn_gpu::launches(|| case::run(&client, case)).1.values().sum() };
    assert_eq!(launches(&case), 3 + 4, "an LSTM");
    let normalized = {
        let mut case = case.clone();
        case.normalize(&mut random);
        case
    };
    assert_eq!(launches(&normalized), 4 + 8, "with layer normalisation");
    let peepholes = {
        let mut case = case.clone();
        let vector = vec![0.5; 7];
        (case.options.p_i, case.options.p_f, case.options.p_o) = (vector.clone(), vector.clone(), vector);
        case
    };
    assert_eq!(launches(&peepholes), 3 + 5, "with peepholes");
    case.counted = Counted::Lengths(vec![5, 2, 1, 0, 4, 3]);
    assert_eq!(launches(&case), 3 + 4, "with lengths");
    case.resets = vec![true; 6 * 5];
    assert_eq!(launches(&case), 3 + 4, "with resets");
    case.recurrent_masks = vec![vec![1.25; 6 * 7]; 4];
    assert_eq!(launches(&case), 3 + 4, "with masks for each gate");
    assert_eq!(launches(&Case::plain(&mut random, Cell::MinGru(Candidate::Linear), shape)), 2 + 3, "a minGRU");
}
