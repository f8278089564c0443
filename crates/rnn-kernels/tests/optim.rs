//! The updates against plain loops over the formulas, at all instruction sets.

use fastrand::Rng;
use rnn_kernels::optim::{Adagrad, Adam, Decay, Epsilon, LazyRows, RmsProp, Sgd, Step};
use rnn_kernels::{Entry, Exec, Isa};

const RATE: f64 = 0.01;
const SCALE: f64 = 0.5;
const STEPS: u64 = 4;

/// What one number and its two companions become.
type Plain<'a> = &'a dyn Fn(u64, f64, f64, &mut [f64; 2]) -> f64;
/// The numbers of a step, from the rate and its number.
type At<'a> = &'a dyn Fn(f64, u64) -> Step;

fn check<T: Entry>(what: &str, plain: Plain, at: At, own: usize, tolerance: f64) {
    let mut random = Rng::with_seed(1);
    for n in [1, 3, 16, 37, 70_001] {
        let start: Vec<T> = (0..n).map(|_| T::from_f64(random.f64() - 0.5)).collect();
        let gradients: Vec<Vec<T>> =
            (0..STEPS).map(|_| (0..n).map(|_| T::from_f64(random.f64() - 0.5)).collect()).collect();
        let mut expected: Vec<(f64, [f64; 2])> = start.iter().map(|w| (w.to_f64(), [0.0; 2])).collect();
        for (t, g) in (1..).zip(&gradients) {
            for ((w, own), g) in expected.iter_mut().zip(g) {
                *w = plain(t, *w, g.to_f64() * SCALE, own);
            }
        }
        for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 2)]) {
            let (mut w, mut a, mut b) = (start.clone(), vec![T::ZERO; n], vec![T::ZERO; n]);
            for (t, g) in (1..).zip(&gradients) {
                let own = [&mut a[..if own > 0 { n } else { 0 }], &mut b[..if own > 1 { n } else { 0 }]];
                at(RATE, t).update(Exec { isa, threads }, SCALE, &mut w, g, own);
            }
            for (i, (w, (expected, _))) in w.iter().zip(&expected).enumerate() {
                let error = (w.to_f64() - expected).abs();
                assert!(error <= tolerance, "{what}: w[{i}] of {n} at {isa:?} is off by {error:e}");
            }
        }
    }
}

/// With `own` tensors of the optimizer's own.
fn both(what: &str, plain: Plain, at: At, own: usize) {
    check::<f32>(what, plain, at, own, 2e-7);
    check::<f64>(what, plain, at, own, 1e-14);
}

#[test]
fn adam() {
    for epsilon_at in [Epsilon::BesideRoot, Epsilon::Keras] {
        for decay in [Decay::None, Decay::Coupled(0.1), Decay::Decoupled(0.1)] {
            let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, epsilon_at, decay };
            let plain = |t: u64, w: f64, g: f64, [m, v]: &mut [f64; 2]| {
                let (w, g) = match decay {
                    Decay::None => (w, g),
                    Decay::Coupled(lambda) => (w, g + lambda * w),
                    Decay::Decoupled(lambda) => (w - RATE * lambda * w, g),
                };
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.99 * *v + 0.01 * g * g;
                let (first, second) = (1.0 - 0.9f64.powf(t as f64), 1.0 - 0.99f64.powf(t as f64));
                match epsilon_at {
                    Epsilon::BesideRoot => w - RATE * (*m / first) / ((*v / second).sqrt() + 1e-3),
                    Epsilon::Keras => w - RATE * second.sqrt() / first * *m / (v.sqrt() + 1e-3),
                }
            };
            both("Adam", &plain, &|rate, t| adam.at(rate, t), 2);
        }
    }
}

#[test]
fn rmsprop() {
    for (epsilon_at, momentum) in [(Epsilon::BesideRoot, 0.0), (Epsilon::Keras, 0.0), (Epsilon::BesideRoot, 0.9)] {
        let rmsprop = RmsProp { rho: 0.9, epsilon: 1e-3, epsilon_at, momentum, decay: Decay::None };
        let plain = |_: u64, w: f64, g: f64, [v, b]: &mut [f64; 2]| {
            *v = 0.9 * *v + 0.1 * g * g;
            let below = match epsilon_at {
                Epsilon::BesideRoot => v.sqrt() + 1e-3,
                Epsilon::Keras => (*v + 1e-3).sqrt(),
            };
            *b = momentum * *b + g / below;
            w - RATE * *b
        };
        both("RMSprop", &plain, &|rate, _| rmsprop.at(rate), if momentum == 0.0 { 1 } else { 2 });
    }
}

#[test]
fn sgd() {
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        let sgd = Sgd { momentum, nesterov, decay: Decay::Coupled(0.1) };
        let plain = |_: u64, w: f64, g: f64, [b, _]: &mut [f64; 2]| {
            let g = g + 0.1 * w;
            *b = momentum * *b + g;
            w - RATE * if nesterov { g + momentum * *b } else { *b }
        };
        both("SGD", &plain, &|rate, _| sgd.at(rate), usize::from(momentum > 0.0));
    }
}

#[test]
fn adagrad() {
    for epsilon_at in [Epsilon::BesideRoot, Epsilon::Keras] {
        let adagrad = Adagrad { epsilon: 1e-3, epsilon_at, decay: Decay::None };
        let plain = |_: u64, w: f64, g: f64, [s, _]: &mut [f64; 2]| {
            *s += g * g;
            w - RATE * g / if epsilon_at == Epsilon::Keras { (*s + 1e-3).sqrt() } else { s.sqrt() + 1e-3 }
        };
        both("Adagrad", &plain, &|rate, _| adagrad.at(rate), 1);
    }
}

/// Rows that catch up have the bits of a table that is updated as a whole, between the steps and after them.
fn lazy<T: Entry>(start: f64, at: At) {
    let (n, d) = if cfg!(miri) { (7, 5) } else { (90, 150) };
    for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 3)]) {
        let exec = Exec { isa, threads };
        let mut random = Rng::with_seed(2);
        let table: Vec<T> = (0..n * d).map(|_| T::from_f64(random.f64() - 0.5)).collect();
        let mut lazy = LazyRows::new(table.clone(), d, start);
        let (mut w, mut a, mut b) = (table, vec![T::from_f64(start); n * d], vec![T::from_f64(start); n * d]);
        for t in 1..=40 {
            // The last rows are never named, and some steps name none.
            let mut ids: Vec<usize> = (0..n - 2).collect();
            random.shuffle(&mut ids);
            ids.truncate(random.usize(0..6));
            let grads: Vec<T> = (0..ids.len() * d).map(|_| T::from_f64(random.f64() - 0.5)).collect();
            let mut dense = vec![T::ZERO; n * d];
            for (id, grad) in ids.iter().zip(grads.chunks(d)) {
                dense[id * d..][..d].copy_from_slice(grad);
            }
            let rate = RATE / t as f64;
            if t % 3 == 0 {
                let rows: Vec<T> = ids.iter().flat_map(|id| w[id * d..][..d].to_vec()).collect();
                assert!(lazy.rows(exec, &ids) == rows, "at step {t}, {isa:?}");
            }
            lazy.step(exec, at(rate, t), &ids, &grads);
            at(rate, t).update(exec, 1.0, &mut w, &dense, [&mut a, &mut b]);
            if t == 20 {
                assert!(lazy.table(exec) == w, "after half of the steps, {isa:?}");
            }
        }
        assert!(lazy.table(exec) == w, "after all steps, {isa:?}");
    }
}

#[test]
fn rows_that_catch_up_have_the_same_bits() {
    fn both(start: f64, at: At) {
        lazy::<f32>(start, at);
        lazy::<f64>(start, at);
    }
    for (epsilon_at, decay) in [
        (Epsilon::BesideRoot, Decay::None),
        (Epsilon::Keras, Decay::None),
        (Epsilon::Keras, Decay::Coupled(0.1)),
        (Epsilon::BesideRoot, Decay::Decoupled(0.1)),
    ] {
        let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, epsilon_at, decay };
        both(0.0, &|rate, t| adam.at(rate, t));
        let adagrad = Adagrad { epsilon: 1e-3, epsilon_at, decay };
        both(0.1, &|rate, _| adagrad.at(rate));
        for momentum in [0.0, 0.9] {
            let rmsprop = RmsProp { rho: 0.9, epsilon: 1e-3, epsilon_at, momentum, decay };
            both(0.0, &|rate, _| rmsprop.at(rate));
            let sgd = Sgd { momentum, nesterov: true, decay };
            both(0.0, &|rate, _| sgd.at(rate));
        }
    }
}

/// Without ε, a row that was never named has 0/0, and so has it if it catches up.
#[test]
fn without_epsilon_no_row_rests() {
    let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 0.0, epsilon_at: Epsilon::Keras, decay: Decay::None };
    let mut lazy = LazyRows::new(vec![1.0f32; 6], 3, 0.0);
    lazy.step(Exec::default(), adam.at(RATE, 1), &[1], &[1.0; 3]);
    let table = lazy.table(Exec::default());
    assert!(table[..3].iter().all(|w| w.is_nan()) && table[3..].iter().all(|w| w.is_finite()), "{table:?}");
}

/// The optimizer's own numbers may start from anything.
#[test]
fn rows_that_start_from_something_move() {
    let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, epsilon_at: Epsilon::Keras, decay: Decay::None };
    let exec = Exec::default();
    let mut lazy = LazyRows::new(vec![1.0f32; 4], 2, 0.1);
    lazy.step(exec, adam.at(RATE, 1), &[1], &[0.5; 2]);
    let (mut w, mut m, mut v) = ([1.0; 4], [0.1; 4], [0.1; 4]);
    adam.at(RATE, 1).update(exec, 1.0, &mut w, &[0.0, 0.0, 0.5, 0.5], [&mut m, &mut v]);
    assert_eq!(lazy.rows(exec, &[0, 1]), w);
}

#[test]
#[should_panic(expected = "row 1 stands twice")]
fn a_row_cannot_be_named_twice() {
    let sgd = Sgd { momentum: 0.0, nesterov: false, decay: Decay::None };
    LazyRows::new(vec![1.0f32; 6], 3, 0.0).step(Exec::default(), sgd.at(RATE), &[1, 0, 1], &[1.0; 9]);
}

#[test]
#[should_panic(expected = "row 2 is not below 2")]
fn a_row_beyond_the_table_is_refused() {
    LazyRows::new(vec![1.0f32; 6], 3, 0.0).rows(Exec::default(), &[0, 2]);
}

/// More steps than may wait.
#[test]
fn a_row_that_is_never_read_keeps_up() {
    let adam = Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-3, epsilon_at: Epsilon::Keras, decay: Decay::None };
    let (exec, steps) = (Exec::default(), if cfg!(miri) { 12 } else { 5000 });
    let mut lazy = LazyRows::new(vec![1.0f32; 4], 2, 0.0);
    let (mut w, mut m, mut v) = ([1.0; 4], [0.0; 4], [0.0; 4]);
    for t in 1..=steps {
        let g = if t == 1 { [0.5, -0.5, 0.0, 0.0] } else { [0.0, 0.0, 0.1, t as f32] };
        let (row, grads) = if t == 1 { (0, &g[..2]) } else { (1, &g[2..]) };
        lazy.step(exec, adam.at(RATE, t), &[row], grads);
        adam.at(RATE, t).update(exec, 1.0, &mut w, &g, [&mut m, &mut v]);
    }
    assert_eq!(lazy.table(exec), w);
}
