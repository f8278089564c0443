//! Infinite values and NaN: they come out where the plain loops have them, and nowhere else. Vectors and tiles that
//! units, features or classes do not fill are filled up with zeros, of which an infinite factor makes NaN.

mod common;

use common::case::{CELLS, Case, Counted, Results, Zoneout};
use common::{kernel, naive};
use fastrand::Rng;
use rnn_kernels::optim::{Adagrad, Adam, Decay, Epsilon, LazyRows, RmsProp, Sgd, Step};
use rnn_kernels::{Cell, Dense, Entry, Exec, Isa, LayerWeights, Stepper};
use rnn_kernels::{cross_entropy, embed, embed_backward, linear, linear_backward};

const SPECIAL: [f64; 3] = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
/// Fewer than the lanes of any instruction set, as many, more, and several panels.
const UNITS: [usize; 13] = [1, 2, 3, 5, 8, 13, 15, 16, 17, 24, 31, 33, 70];

fn units() -> &'static [usize] {
    if cfg!(miri) { &UNITS[2..4] } else { &UNITS }
}

fn finite(values: &[f64]) -> Vec<bool> {
    values.iter().map(|x| x.is_finite()).collect()
}

/// Both element types at all instruction sets are finite where the plain loops are. Gives whether all of W_hh's
/// gradient is.
fn check(case: &Case, what: &str) {
    let expected = naive::run(case);
    for isa in Isa::available() {
        let compare = |mut results: Results, element: &str| {
            for ((name, found), expected) in results.iter_mut().zip(&expected) {
                if *name == "d_x" {
                    case.add_repeats(found);
                }
                let Case { cell, batch, time, d_input, d_hidden, .. } = case;
                assert_eq!(
                    finite(found),
                    finite(&expected.values),
                    "{name} of {cell:?} [{batch} {time} {d_input} {d_hidden}] at {isa:?} in {element}: {what}"
                );
            }
        };
        compare(kernel::run::<f32>(case, isa), "f32");
        compare(kernel::run::<f64>(case, isa), "f64");
    }
}

#[test]
fn inputs_at_every_position_of_a_row() {
    let mut random = Rng::with_seed(1);
    for (cell, &d_hidden) in CELLS.into_iter().flat_map(|cell| units().iter().map(move |h| (cell, h))) {
        let [batch, time, d_input] = [5, 3, 4];
        let clean = Case::plain(&mut random, cell, [batch, time, d_input, d_hidden]);
        for (k, x) in (0..d_input).flat_map(|k| SPECIAL.map(|x| (k, x))) {
            let mut case = clean.clone();
            let row = random.usize(0..batch * time);
            case.x[row * d_input + k] = x;
            check(&case, &format!("{x} in x at {row}, {k}"));
        }
    }
}

type Field = (&'static str, fn(&mut Case) -> &mut Vec<f64>);

/// All that a layer is given.
const FIELDS: [Field; 9] = [
    ("W_ih", |case| &mut case.w_ih),
    ("W_hh", |case| &mut case.w_hh),
    ("b_ih", |case| &mut case.b_ih),
    ("b_hh", |case| &mut case.b_hh),
    ("h0", |case| &mut case.h0),
    ("c0", |case| &mut case.c0),
    ("the gradient of the output", |case| &mut case.d_sequence),
    ("the gradient of h", |case| &mut case.d_h),
    ("the gradient of c", |case| &mut case.d_c),
];

#[test]
fn everything_else_that_a_layer_is_given() {
    let mut random = Rng::with_seed(2);
    for (cell, &d_hidden) in CELLS.into_iter().flat_map(|cell| units().iter().map(move |h| (cell, h))) {
        let clean = Case::plain(&mut random, cell, [3, 3, 2, d_hidden]);
        for ((name, field), x) in FIELDS.into_iter().flat_map(|field| SPECIAL.map(|x| (field, x))) {
            let mut case = clean.clone();
            let values = field(&mut case);
            if values.is_empty() {
                continue;
            }
            let at = random.usize(0..values.len());
            values[at] = x;
            check(&case, &format!("{x} in {name} at {at}"));
        }
    }
}

/// Masks of any factors, zoneout, lengths and repeated inputs. A feature that a mask drops may be left out, so none is
/// dropped.
#[test]
fn under_options_too() {
    let mut random = Rng::with_seed(3);
    let rounds = if cfg!(miri) { 1 } else { 12 };
    for (cell, &d_hidden) in CELLS.into_iter().flat_map(|cell| units().iter().map(move |h| (cell, h))) {
        for round in 0..rounds {
            let mut case = Case::random(&mut random, cell, [4, 5, 3, d_hidden]);
            case.indices.clear();
            if cell.has_cell_state() && round % 2 == 1 {
                case.project(&mut random, d_hidden.div_ceil(2));
            }
            for mask in case.input_masks.iter_mut().flatten() {
                *mask = if *mask == 0.0 { 1.25 } else { *mask };
            }
            let x = SPECIAL[round % 3];
            let what = match round % 4 {
                0 if !case.recurrent_masks.is_empty() => {
                    let which = random.usize(0..case.recurrent_masks.len());
                    let at = random.usize(0..case.recurrent_masks[which].len());
                    case.recurrent_masks[which][at] = x;
                    "a recurrent mask"
                }
                1 if !case.input_masks.is_empty() => {
                    let which = random.usize(0..case.input_masks.len());
                    let at = random.usize(0..case.input_masks[which].len());
                    case.input_masks[which][at] = x;
                    "an input mask"
                }
                2 if round < 6 => {
                    let at = random.usize(0..case.h0.len());
                    case.h0[at] = x;
                    "h0"
                }
                2 => {
                    let at = random.usize(0..case.w_ih.len());
                    case.w_ih[at] = x;
                    "W_ih"
                }
                3 if round < 6 && cell.has_w_hh() => {
                    let at = random.usize(0..case.w_hh.len());
                    case.w_hh[at] = x;
                    "W_hh"
                }
                _ => {
                    // All steps with this input have it.
                    let at = random.usize(0..case.x.len());
                    case.x[at] = x;
                    if !case.ids.is_empty() {
                        let ids = case.ids.clone();
                        let first = ids.iter().position(|id| *id == ids[at / 3]).expect("itself");
                        case.x[first * 3 + at % 3] = x;
                        case.repeat(ids);
                    }
                    "x"
                }
            };
            let zoneout = [&case.zoneout_h, &case.zoneout_c].map(|zoneout| *zoneout != Zoneout::Off);
            let what = format!("{x} in {what}, {zoneout:?} {:?} {:?}", case.ids, case.counted);
            check(&case, &what);
        }
    }
}

/// Rows that rest may have anything for their input, whatever the units.
#[test]
fn a_row_that_rests_gives_nothing() {
    let mut random = Rng::with_seed(4);
    for (cell, &d_hidden) in CELLS.into_iter().flat_map(|cell| units().iter().map(move |h| (cell, h))) {
        let [batch, time, d_input] = [4, 3, 3];
        let mut case = Case::plain(&mut random, cell, [batch, time, d_input, d_hidden]);
        case.counted = Counted::Lengths(vec![3, 0, 1, 2]);
        for (i, x) in case.x.clone().iter().enumerate() {
            let counts = case.counts(i / d_input / time, i / d_input % time);
            case.x[i] = if counts { *x } else { SPECIAL[i % 3] };
        }
        for isa in Isa::available() {
            let results = [kernel::run::<f32>(&case, isa), kernel::run::<f64>(&case, isa)];
            for (name, values) in results.iter().flatten() {
                assert!(values.iter().all(|x| x.is_finite()), "{name} of {cell:?} {d_hidden} at {isa:?}");
            }
        }
    }
}

/// Two threads, several chunks of steps, and a single row whose input product is done beside its recurrence.
#[test]
fn large_layers_too() {
    if cfg!(miri) {
        return; // slow
    }
    let mut random = Rng::with_seed(5);
    for (cell, sizes) in CELLS.into_iter().zip([[190, 270], [189, 281], [93, 130], [107, 150], [107, 150]]) {
        let single = sizes.map(|d_hidden| [1, 9, d_hidden * 9 / 10, d_hidden]);
        for shape in single.into_iter().chain([[8, 40, 5, 77]]) {
            let mut case = Case::plain(&mut random, cell, shape);
            case.threads = 2;
            case.forget_fast();
            let at = random.usize(0..case.x.len());
            case.x[at] = f64::INFINITY;
            check(&case, &format!("infinity in x at {at}"));
        }
    }
}

/// What the stepper has done with NaN is forgotten with the state.
#[test]
fn a_stepper_forgets() {
    let mut random = Rng::with_seed(6);
    for (cell, d_hidden) in CELLS.into_iter().flat_map(|cell| [1, 5, 17, 40].map(move |h| (cell, h))) {
        let case = Case::plain(&mut random, cell, [1, 1, 3, d_hidden]);
        let layer = LayerWeights {
            cell,
            d_input: 3,
            d_hidden,
            w_ih: &case.w_ih,
            w_hh: &case.w_hh,
            b_ih: Some(&case.b_ih),
            b_hh: cell.has_w_hh().then_some(&case.b_hh[..]),
            options: rnn_kernels::Options::default(),
        };
        for isa in Isa::available() {
            let mut stepper = Stepper::new(isa, &layer);
            let clean: Vec<Vec<f64>> = (0..4).map(|_| stepper.step(&case.x).to_vec()).collect();
            for (k, x) in (0..3).flat_map(|k| SPECIAL.map(|x| (k, x))) {
                let mut poisoned = case.x.clone();
                poisoned[k] = x;
                stepper.step(&poisoned);
                stepper.step(&poisoned);
                if x.is_nan() {
                    assert!(stepper.h().iter().all(|h| h.is_nan()), "{cell:?} {d_hidden} at {isa:?}");
                }
                stepper.reset();
                for clean in &clean {
                    assert_eq!(stepper.step(&case.x), clean, "{cell:?} {d_hidden} at {isa:?}");
                }
            }
        }
    }
}

fn execs() -> impl Iterator<Item = Exec> {
    let threads = if cfg!(miri) { 1..2 } else { 1..3 };
    Isa::available().into_iter().flat_map(move |isa| threads.clone().map(move |threads| Exec { isa, threads }))
}

fn numbers<T: Entry>(random: &mut Rng, n: usize) -> Vec<T> {
    (0..n).map(|_| T::from_f64(random.f64() - 0.5)).collect()
}

fn of<T: Entry>(values: &[T]) -> Vec<bool> {
    values.iter().map(|x| x.to_f64().is_finite()).collect()
}

fn dense<T: Entry>(random: &mut Rng, [rows, d_input, d_output]: [usize; 3]) {
    let shape = [rows, d_input, d_output];
    for (which, special) in (0..4).flat_map(|which| SPECIAL.map(|x| (which, T::from_f64(x)))) {
        let mut given: [Vec<T>; 4] =
            [rows * d_input, d_input * d_output, d_output, rows * d_output].map(|n| numbers(random, n));
        let at = random.usize(0..given[which].len());
        given[which][at] = special;
        let [x, w, b, d_y] = &given;
        // The plain loops, in which infinities may meet and make NaN as everywhere.
        let sum = |terms: &mut dyn Iterator<Item = f64>| terms.sum::<f64>().is_finite();
        let (xs, ws, ds) = (
            |m: usize, k: usize| x[m * d_input + k].to_f64(),
            |k: usize, j: usize| w[k * d_output + j].to_f64(),
            |m: usize, j: usize| d_y[m * d_output + j].to_f64(),
        );
        let pairs = |a: usize, b: usize| (0..a).flat_map(move |i| (0..b).map(move |j| (i, j)));
        let y: Vec<bool> = pairs(rows, d_output)
            .map(|(m, j)| sum(&mut (0..d_input).map(|k| xs(m, k) * ws(k, j)).chain([b[j].to_f64()])))
            .collect();
        let d_x: Vec<bool> =
            pairs(rows, d_input).map(|(m, k)| sum(&mut (0..d_output).map(|j| ds(m, j) * ws(k, j)))).collect();
        let d_w: Vec<bool> =
            pairs(d_input, d_output).map(|(k, j)| sum(&mut (0..rows).map(|m| xs(m, k) * ds(m, j)))).collect();
        let d_b: Vec<bool> = (0..d_output).map(|j| sum(&mut (0..rows).map(|m| ds(m, j)))).collect();
        for exec in execs() {
            let what = format!("{} of number {which} at {at}, {shape:?}, {exec:?}", special.to_f64());
            assert_eq!(of(&linear(exec, shape, x, w, b)), y, "y: {what}");
            let gradients = linear_backward(exec, shape, Some(x), Some(w), d_y, true).map(|g| of(&g.expect("wanted")));
            assert_eq!(gradients, [d_x.clone(), d_w.clone(), d_b.clone()], "{what}");
            let mut one = vec![T::ZERO; d_output];
            Dense::new(exec.isa, [d_input, d_output], w, Some(b)).apply(&x[..d_input], &mut one);
            assert_eq!(of(&one), y[..d_output], "one row: {what}");
        }
    }
}

#[test]
fn dense_layers() {
    let mut random = Rng::with_seed(7);
    let shapes = [[3, 2, 5], [1, 1, 1], [7, 13, 17], [10, 33, 70], [9, 70, 16]];
    for &shape in &shapes[..if cfg!(miri) { 1 } else { 5 }] {
        dense::<f32>(&mut random, shape);
        dense::<f64>(&mut random, shape);
    }
}

/// A row of logits whose softmax is not there has no gradient that is; the other rows keep theirs.
#[test]
fn cross_entropies() {
    let mut random = Rng::with_seed(8);
    for (classes, x) in [1, 3, 16, 17, 55].into_iter().flat_map(|classes| SPECIAL.map(|x| (classes, x))) {
        let rows = 4;
        for at in (0..classes).map(|class| 2 * classes + class) {
            let mut logits: Vec<f32> = numbers(&mut random, rows * classes);
            logits[at] = x as f32;
            let targets: Vec<usize> = (0..rows).map(|_| random.usize(0..classes)).collect();
            // −∞ is a class that is not chosen; where it is the only one, or the target, that shows.
            let none = x != f64::NEG_INFINITY || classes == 1;
            for exec in execs() {
                let (loss, gradient) = cross_entropy(exec, &logits, &targets, true);
                let told = none || targets[2] == at % classes;
                assert_eq!(loss.is_finite(), !told, "{x} at {at} of {classes}, {exec:?}");
                let expected: Vec<bool> = (0..rows * classes).map(|i| !(none && i / classes == 2)).collect();
                assert_eq!(of(&gradient.expect("wanted")), expected, "{x} at {at} of {classes}, {exec:?}");
            }
        }
    }
}

/// A row of the table that nobody names may hold anything, and no gradient goes to another row than its own.
#[test]
fn embeddings() {
    let mut random = Rng::with_seed(9);
    for (d, x) in [1, 3, 16, 17, 40].into_iter().flat_map(|d| SPECIAL.map(|x| (d, x as f32))) {
        let ids = [0, 3, 1, 3];
        let (mut table, mut grads): (Vec<f32>, Vec<f32>) = (numbers(&mut random, 5 * d), numbers(&mut random, 4 * d));
        table[2 * d..3 * d].fill(x);
        let k = random.usize(0..d);
        grads[d + k] = x;
        for exec in execs() {
            assert!(embed(exec, &table, d, &ids).iter().all(|x| x.is_finite()));
            let expected: Vec<bool> = (0..5 * d).map(|i| i != 3 * d + k).collect();
            assert_eq!(of(&embed_backward(exec, &grads, [5, d], &ids)), expected, "{x} at {k} of {d}");
        }
    }
}

/// The numbers of the optimizers touch nothing but their own place, whole and row by row.
#[test]
fn optimizers() {
    let (decay, epsilon_at) = (Decay::Coupled(0.1), Epsilon::BesideRoot);
    let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, epsilon_at, decay };
    let rmsprop = RmsProp { rho: 0.9, epsilon: 1e-3, epsilon_at, momentum: 0.9, decay };
    let (sgd, adagrad) = (Sgd { momentum: 0.9, nesterov: true, decay }, Adagrad { epsilon: 1e-3, epsilon_at, decay });
    let rules: [&dyn Fn(u64) -> Step; 4] =
        [&|t| adam.at(0.01, t), &|_| rmsprop.at(0.01), &|_| sgd.at(0.01), &|_| adagrad.at(0.01)];
    let mut random = Rng::with_seed(10);
    for (rule, n) in rules.into_iter().flat_map(|rule| [1, 5, 16, 37].map(|n| (rule, n))) {
        for (x, exec) in SPECIAL.into_iter().flat_map(|x| execs().map(move |exec| (x, exec))) {
            let start: Vec<f32> = numbers(&mut random, 3 * n);
            let at = random.usize(0..n);
            let (mut w, mut a, mut b) = (start.clone(), vec![0.0; 3 * n], vec![0.0; 3 * n]);
            let mut lazy = LazyRows::new(start, n, 0.0);
            for t in 1..4 {
                let mut grads: Vec<f32> = numbers(&mut random, n);
                grads[at] = if t == 1 { x as f32 } else { 0.0 };
                let mut dense = vec![0.0; 3 * n];
                dense[n..2 * n].copy_from_slice(&grads);
                rule(t).update(exec, 1.0, &mut w, &dense, [&mut a, &mut b]);
                lazy.step(exec, rule(t), &[1], &grads);
            }
            let expected: Vec<bool> = (0..3 * n).map(|i| i != n + at).collect();
            assert_eq!(of(&w), expected, "{x} at {at} of {n}, {exec:?}");
            assert_eq!(of(lazy.table(exec)), expected, "{x} at {at} of {n}, {exec:?}, row by row");
        }
    }
}

/// One infinite input makes one row of the gradient of W_ih not finite, as in PyTorch, and no other gradient of a
/// weight.
#[test]
fn an_infinite_input_is_one_row_of_a_gradient() {
    let mut random = Rng::with_seed(11);
    for (cell, &d_hidden) in
        [Cell::Lstm, CELLS[3], CELLS[4]].into_iter().flat_map(|c| units().iter().map(move |h| (c, h)))
    {
        let mut case = Case::plain(&mut random, cell, [5, 4, 3, d_hidden]);
        case.x[(2 * 4 + 1) * 3 + 1] = f64::INFINITY;
        for isa in Isa::available() {
            for (name, values) in kernel::run::<f32>(&case, isa) {
                let row = cell.gates() * d_hidden;
                let expected: Vec<bool> = (0..values.len()).map(|i| name != "d_w_ih" || i / row != 1).collect();
                assert_eq!(finite(&values), expected, "{name} of {cell:?} {d_hidden} at {isa:?}");
            }
        }
    }
}
