//! The kernels against plain loops over the equations, differentiated by a tape.

mod common;

use common::case::{ACTIVATIONS, ALL_CELLS, CELLS, Case, Counted, NORMALIZED};
use common::{check, kernel};
use fastrand::Rng;
use rnn_kernels::{Activation, Cell, Isa, Nonlinearity};

#[test]
fn plain_layers() {
    let mut random = Rng::with_seed(1);
    for cell in CELLS {
        let shapes = [[2, 3, 4, 5], [1, 1, 1, 1], [5, 4, 20, 17], [9, 7, 3, 33]];
        for &shape in &shapes[..if cfg!(miri) { 1 } else { 4 }] {
            check(&Case::plain(&mut random, cell, shape));
        }
    }
}

#[test]
fn every_hidden_size() {
    let mut random = Rng::with_seed(2);
    for cell in CELLS {
        for d_hidden in 1..=70 {
            let shape = [random.usize(1..6), random.usize(1..5), random.usize(1..20), d_hidden];
            check(&Case::random(&mut random, cell, shape));
        }
    }
}

#[test]
fn every_batch_size() {
    let mut random = Rng::with_seed(3);
    for cell in CELLS {
        // Miri is slow: one batch, large enough for two threads, with options drawn.
        for batch in if cfg!(miri) { 9..=9 } else { 1..=40 } {
            let most = if cfg!(miri) { 4 } else { 20 };
            let shape = [batch, random.usize(1..5), random.usize(1..most.min(12)), random.usize(1..most)];
            check(&Case::random(&mut random, cell, shape));
        }
    }
}

#[test]
fn every_input_size_and_option() {
    let mut random = Rng::with_seed(4);
    for cell in CELLS {
        for d_input in 1..=70 {
            let shape = [random.usize(1..8), random.usize(1..7), d_input, random.usize(1..12)];
            check(&Case::random(&mut random, cell, shape));
        }
    }
}

/// Weights of sizes at which a single row's input product is done beside its recurrence, in `f32` or in `f64`.
#[test]
fn single_rows() {
    if cfg!(miri) {
        return; // slow, and Miri has no instruction set with enough registers
    }
    let mut random = Rng::with_seed(5);
    for (cell, sizes) in CELLS.into_iter().zip([[190, 270], [189, 281], [93, 128], [107, 150], [107, 150]]) {
        for (round, d_hidden) in sizes.into_iter().flat_map(|size| (0..5).map(move |round| (round, size))) {
            let shape = [1, random.usize(6..22), random.usize(d_hidden * 7 / 8..=d_hidden), d_hidden];
            let mut case = Case::random(&mut random, cell, shape);
            if round < 4 {
                (case.indices, case.ids) = (Vec::new(), Vec::new());
                (case.input_masks, case.recurrent_masks) = (Vec::new(), Vec::new());
            }
            check(&case);
        }
    }
}

/// Backwards over rows that drop features, one step of which lies before the other in memory.
#[test]
fn dropped_features_backwards() {
    let mut random = Rng::with_seed(6);
    for cell in CELLS {
        for masks in [1, cell.gates()] {
            let mut case = Case::plain(&mut random, cell, [2, 4, 3, 2]);
            case.reverse = true;
            case.input_masks = (0..masks).map(|_| vec![0.0, 2.0, 2.0, 2.0, 0.0, 0.0]).collect();
            check(&case);
        }
    }
}

/// Enough work for two threads, each of which has masks of its own rows.
#[test]
fn dropped_features_on_two_threads() {
    if cfg!(miri) {
        return; // slow
    }
    let mut random = Rng::with_seed(7);
    for cell in CELLS {
        let [batch, time, d_input, d_hidden] = [12, 12, 48, 80];
        let mut case = Case::plain(&mut random, cell, [batch, time, d_input, d_hidden]);
        case.threads = 2;
        let mut masks = |width: usize| -> Vec<Vec<f64>> {
            let mut mask = || (0..batch * width).map(|_| if random.u8(0..4) == 0 { 0.0 } else { 1.25 }).collect();
            (0..cell.gates()).map(|_| mask()).collect()
        };
        case.input_masks = masks(d_input);
        case.set_recurrent_masks(masks(d_hidden));
        check(&case);
    }
}

/// Inputs that come again within a chunk of steps and in later ones, in all of the ways that products are made.
#[test]
fn inputs_that_come_again() {
    let mut random = Rng::with_seed(8);
    for (cell, masks) in CELLS.into_iter().flat_map(|cell| [(cell, 0), (cell, 1), (cell, cell.gates())]) {
        let shapes = [[3, 9, 5, 7], [12, 40, 20, 33]];
        for &shape in &shapes[..if cfg!(miri) { 1 } else { 2 }] {
            let [batch, time, d_input, d_hidden] = shape;
            let mut case = Case::plain(&mut random, cell, shape);
            case.repeat((0..batch * time).map(|_| random.u32(0..time as u32 / 2)).collect());
            case.threads = random.usize(1..3);
            case.reverse = random.bool();
            case.time_major = random.bool();
            // Of several values, so that what is dropped is not left out.
            let mut masks = |width: usize| -> Vec<Vec<f64>> {
                let mut mask = || (0..batch * width).map(|_| [0.0, 0.75, 1.5, 1.25][random.usize(0..4)]).collect();
                (0..masks).map(|_| mask()).collect()
            };
            case.input_masks = masks(d_input);
            case.set_recurrent_masks(masks(d_hidden));
            check(&case);
            case.counted = Counted::Mask((0..batch * time).map(|_| random.u8(0..4) > 0).collect());
            check(&case);
        }
    }
}

/// Chunks of steps that have nothing new, and inputs that are in some chunks and not in others.
#[test]
fn inputs_that_come_again_in_later_chunks() {
    if cfg!(miri) {
        return; // slow
    }
    let mut random = Rng::with_seed(9);
    for cell in CELLS {
        let time = if cell.gates() == 1 { 400 } else { 130 };
        let mut case = Case::plain(&mut random, cell, [5, time, 2, 70]);
        case.forget_fast();
        let old_or_rare = |random: &mut Rng| if random.u8(0..40) == 0 { random.u32(0..9) } else { random.u32(0..2) };
        case.repeat((0..5 * time).map(|_| old_or_rare(&mut random)).collect());
        check(&case);
    }
}

/// The gradient of all steps with the same input stands at the one that is done first, if enough inputs come again.
#[test]
fn a_repeated_input_has_its_gradient_once() {
    let [batch, time, d_input] = [4, 16, 3];
    // A relu may have no gradient at all.
    let cells = CELLS.into_iter().filter(|cell| *cell != Cell::Rnn(Nonlinearity::Relu));
    for (cell, reverse) in cells.flat_map(|cell| [(cell, false), (cell, true)]) {
        let mut case = Case::plain(&mut Rng::with_seed(10), cell, [batch, time, d_input, 5]);
        case.reverse = reverse;
        for repeated in [0, 1, 2, 8] {
            // In each row the first so many inputs come again.
            let id = |t: usize| (if t < time - repeated { t } else { t - (time - repeated) }) as u32;
            case.repeat((0..batch).flat_map(|_| (0..time).map(id)).collect());
            for isa in Isa::available() {
                let results = [kernel::run::<f32>(&case, isa), kernel::run::<f64>(&case, isa)];
                for d_x in results.iter().flatten().filter(|(name, _)| *name == "d_x").map(|(_, d_x)| d_x) {
                    for (at, d_x) in d_x.chunks_exact(d_input).enumerate() {
                        let t = at % time;
                        let old = if reverse { t < repeated } else { t >= time - repeated };
                        let zero = d_x.iter().all(|x| x.to_bits() == 0);
                        assert_eq!(zero, repeated > 1 && old, "{cell:?} {isa:?} {repeated} at {at}: {d_x:?}");
                    }
                }
            }
        }
    }
}

/// Each activation in each place where the cell has one.
#[test]
fn every_activation() {
    let mut random = Rng::with_seed(11);
    for cell in ALL_CELLS {
        for f in ACTIVATIONS {
            let mut case = Case::plain(&mut random, cell, [3, 4, 3, 19]);
            (case.options.gate, case.options.candidate) = (Some(f), Some(f));
            case.options.hidden = cell.has_cell_state().then_some(f);
            check(&case);
        }
    }
}

/// Options of the cell together, and with everything that a sequence may have.
#[test]
fn options_together() {
    let mut random = Rng::with_seed(12);
    for cell in ALL_CELLS.into_iter().flat_map(|cell| [cell; if cfg!(miri) { 1 } else { 60 }]) {
        let shape = [random.usize(1..9), random.usize(1..6), random.usize(1..20), random.usize(1..70)];
        let mut case = Case::random(&mut random, cell, shape);
        case.draw_options(&mut random);
        check(&case);
    }
}

/// Layer normalisation of rows of every width, whose last vector may be full or not.
#[test]
fn normalized_layers() {
    let mut random = Rng::with_seed(14);
    for cell in NORMALIZED {
        for d_hidden in if cfg!(miri) { 4..=4 } else { 4..=36 } {
            let mut case = Case::plain(&mut random, cell, [3, 3, 5, d_hidden]);
            case.normalize(&mut random);
            check(&case);
        }
    }
}

/// A projection to every width, alone and with all that happens to h between two steps.
#[test]
fn projected_layers() {
    let mut random = Rng::with_seed(15);
    for cell in [Cell::Lstm, Cell::LstmCoupled] {
        for h_features in if cfg!(miri) { 4..=4 } else { 1..=70 } {
            let shape = [random.usize(1..9), random.usize(1..6), random.usize(1..20), [70, 51, 32][random.usize(0..3)]];
            let mut case = Case::plain(&mut random, cell, shape);
            case.project(&mut random, h_features.min(shape[3]));
            check(&case);
            let mut case = Case::random(&mut random, cell, shape);
            case.project(&mut random, h_features.min(shape[3]));
            check(&case);
        }
    }
}

/// On two threads, whose gradients of the cell's own vectors are added, and in several chunks of steps.
#[test]
fn options_on_two_threads() {
    if cfg!(miri) {
        return; // slow
    }
    let mut random = Rng::with_seed(13);
    for cell in ALL_CELLS {
        let mut case = Case::plain(&mut random, cell, [12, 80, 20, 80]);
        case.threads = 2;
        case.forget_fast();
        case.normalize(&mut random);
        // So that gradients do not grow from step to step.
        case.options.norm_hh.iter_mut().for_each(|gain| *gain *= 0.25);
        case.options.candidate = Some(Activation::Softsign);
        case.options.gate = Some(Activation::HardSigmoid { slope: 0.2 });
        case.options.clip = Some(0.5);
        if cell.has_cell_state() {
            case.project(&mut random, 24);
        }
        check(&case);
    }
}
