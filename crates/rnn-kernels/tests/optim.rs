//! The updates against plain loops over the formulas, at all levels.

use fastrand::Rng;
use rnn_kernels::optim::{Adagrad, Adam, Decay, Epsilon, RmsProp, Sgd, Update};
use rnn_kernels::{Float, Level, Machine};

const RATE: f64 = 0.01;
const SCALE: f64 = 0.5;
const STEPS: u64 = 4;

/// What one number and its two companions become.
type Plain<'a> = &'a dyn Fn(u64, f64, f64, &mut [f64; 2]) -> f64;
/// The kernel's: step, w, g and the two tensors.
type Kernel<'a, T> = &'a dyn Fn(Update, u64, &mut [T], &[T], &mut [T], &mut [T]);

fn check<T: Float>(what: &str, plain: Plain, kernel: Kernel<T>, tolerance: f64) {
    let mut random = Rng::with_seed(1);
    for n in [1, 3, 16, 37, 70_001] {
        let start: Vec<T> = (0..n).map(|_| T::of(random.f64() - 0.5)).collect();
        let gradients: Vec<Vec<T>> = (0..STEPS).map(|_| (0..n).map(|_| T::of(random.f64() - 0.5)).collect()).collect();
        let mut expected: Vec<(f64, [f64; 2])> = start.iter().map(|w| (w.wide(), [0.0; 2])).collect();
        for (t, g) in (1..).zip(&gradients) {
            for ((w, own), g) in expected.iter_mut().zip(g) {
                *w = plain(t, *w, g.wide() * SCALE, own);
            }
        }
        for (level, threads) in Level::available().into_iter().flat_map(|level| [(level, 1), (level, 2)]) {
            let update = Update { machine: Machine { level, threads }, rate: RATE, scale: SCALE };
            let (mut w, mut a, mut b) = (start.clone(), vec![T::ZERO; n], vec![T::ZERO; n]);
            for (t, g) in (1..).zip(&gradients) {
                kernel(update, t, &mut w, g, &mut a, &mut b);
            }
            for (i, (w, (expected, _))) in w.iter().zip(&expected).enumerate() {
                let error = (w.wide() - expected).abs();
                assert!(error <= tolerance, "{what}: w[{i}] of {n} at {level:?} is off by {error:e}");
            }
        }
    }
}

fn both(what: &str, plain: Plain, single: Kernel<f32>, double: Kernel<f64>) {
    check(what, plain, single, 2e-7);
    check(what, plain, double, 1e-14);
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
            both(
                "Adam",
                &plain,
                &|update, t, w, g, m, v| adam.update(update, t, w, g, m, v),
                &|update, t, w, g, m, v| adam.update(update, t, w, g, m, v),
            );
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
        both(
            "RMSprop",
            &plain,
            &|update, _, w, g, v, b| rmsprop.update(update, w, g, v, if momentum == 0.0 { &mut [] } else { b }),
            &|update, _, w, g, v, b| rmsprop.update(update, w, g, v, b),
        );
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
        both(
            "SGD",
            &plain,
            &|update, _, w, g, b, _| sgd.update(update, w, g, if momentum == 0.0 { &mut [] } else { b }),
            &|update, _, w, g, b, _| sgd.update(update, w, g, b),
        );
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
        both("Adagrad", &plain, &|update, _, w, g, s, _| adagrad.update(update, w, g, s), &|update, _, w, g, s, _| {
            adagrad.update(update, w, g, s)
        });
    }
}
