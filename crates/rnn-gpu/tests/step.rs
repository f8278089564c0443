//! What surrounds the recurrent layers in a training step, against the CPU's kernels: optimizers, losses, embeddings.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

#[path = "common/client.rs"]
mod device;

use cubecl::client::Client;
use rnn_gpu::{Buffer, cubecl, embedding::Named, loss, optim::Step};
use rnn_kernels::optim::{Adagrad, Adam, Decay, Epsilon, RmsProp, Sgd, Step as CpuStep};
use rnn_kernels::{self as kernels, Exec};

fn random(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

/// `max|a − b| ≤ 1e-5·max|b|`.
fn near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let error = found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(error <= 1e-5 * largest && found.iter().all(|x| x.is_finite()), "{what}: {error} of {largest}");
}

/// Three steps of 1000 weights: more than one cube, and no multiple of its units.
fn steps(client: &Client, what: &str, start: f32, step: impl Fn(u64) -> (Step, CpuStep)) {
    const N: usize = 1000;
    let slots = step(1).0.slots();
    let (mut w, mut own) = (random(0, N), vec![vec![start; N]; slots]);
    let weights = Buffer::from_f32(client, &w);
    let buffers: Vec<Buffer> = own.iter().map(|slot| Buffer::from_f32(client, slot)).collect();
    for t in 1..=3 {
        let g = random(t, N);
        let (ours, theirs) = step(t);
        ours.update(client, &weights, &Buffer::from_f32(client, &g), &buffers.iter().collect::<Vec<_>>());
        let mut own = own.iter_mut().map(Vec::as_mut_slice);
        let own = [own.next().unwrap_or_default(), own.next().unwrap_or_default()];
        theirs.update(Exec::default(), 1.0, &mut w, &g, own);
    }
    near(what, &weights.read_f32(client), &w);
    for (ours, theirs) in buffers.iter().zip(&own) {
        near(what, &ours.read_f32(client), theirs);
    }
}

#[test]
fn optimizers_are_those_of_the_cpu() {
    let client = device::client();
    let rate = 1e-2;
    for epsilon_at in [Epsilon::BesideRoot, Epsilon::Keras] {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-7);
        let adam = Adam { beta1, beta2, epsilon, epsilon_at, decay: Decay::Decoupled(0.01) };
        steps(&client, "adam", 0.0, |t| {
            let (first, second) = (1.0 - beta1.powi(t as i32), (1.0 - beta2.powi(t as i32)).sqrt());
            let (corrected, root) = match epsilon_at {
                Epsilon::BesideRoot => (rate / first, 1.0 / second),
                Epsilon::Keras => (rate * second / first, 1.0),
            };
            let [beta_1, rest_1, beta_2, rest_2] = [beta1, 1.0 - beta1, beta2, 1.0 - beta2].map(|x| x as f32);
            let [rate, root, epsilon, decay] = [corrected, root, epsilon, 1.0 - rate * 0.01].map(|x| x as f32);
            (Step::Adam { beta_1, rest_1, beta_2, rest_2, rate, root, epsilon, decay }, adam.at(1e-2, t))
        });
        let (inside, beside) = if epsilon_at == Epsilon::Keras { (1e-7, 0.0) } else { (0.0, 1e-7) };
        let rms = RmsProp { rho: 0.9, epsilon: 1e-7, epsilon_at, momentum: 0.5, decay: Decay::None };
        steps(&client, "rmsprop", 0.0, |_| {
            let step = Step::RmsProp { rho: 0.9, rest: 0.1, inside, beside, momentum: 0.5, rate: 1e-2 };
            (step, rms.at(rate))
        });
    }
    for nesterov in [false, true] {
        let sgd = Sgd { momentum: 0.9, nesterov, decay: Decay::None };
        steps(&client, "sgd", 0.0, |_| (Step::Sgd { momentum: 0.9, nesterov, rate: 1e-2 }, sgd.at(rate)));
    }
    let adagrad = Adagrad { epsilon: 1e-7, epsilon_at: Epsilon::Keras, decay: Decay::None };
    steps(&client, "adagrad", 0.1, |_| (Step::Adagrad { epsilon: 1e-7, rate: 1e-2 }, adagrad.at(rate)));
}

/// Class numbers as the device has them.
fn targets(client: &Client, targets: &[usize]) -> Buffer {
    Buffer::from_u32(client, &targets.iter().map(|&target| target as u32).collect::<Vec<_>>())
}

#[test]
fn cross_entropy_is_that_of_the_cpu() {
    let client = device::client();
    // Fewer classes than units of a cube, as many, more; one row.
    for [rows, classes] in [[128, 55], [3, 64], [1, 1], [7, 1000]] {
        let x: Vec<f32> = random(1, rows * classes).iter().map(|x| x * 20.0).collect();
        let wanted: Vec<usize> = (0..rows).map(|row| (row * 31) % classes).collect();
        let (expected, slopes) = kernels::cross_entropy(Exec::default(), &x, &wanted, true);
        let (logits, targets) = (Buffer::from_f32(&client, &x), targets(&client, &wanted));
        let (found, gradient) = loss::cross_entropy(&client, [rows, classes], &logits, &targets, true);
        let found = found.read_f32(&client);
        assert!((found[0] - expected).abs() <= 1e-5 * expected.abs().max(1e-3), "{found:?} {expected}");
        near("slopes", &gradient.expect("wanted").read_f32(&client), &slopes.expect("wanted"));
        let (alone, none) = loss::cross_entropy(&client, [rows, classes], &logits, &targets, false);
        assert!(none.is_none() && alone.read_f32(&client) == found);
    }
}

#[test]
fn binary_cross_entropy_is_the_formula() {
    let client = device::client();
    let n = 300;
    // Far out too, where exp(−|x|) is 0.
    let x: Vec<f32> = random(2, n).iter().map(|x| x * 200.0).collect();
    let wanted: Vec<usize> = (0..n).map(|i| i % 2).collect();
    let of = |x: f32, target: usize| {
        let (x, target) = (f64::from(x), target as f64);
        let loss = (-x.abs()).exp().ln_1p() + x.max(0.0) - target * x;
        (loss / n as f64, ((1.0 / (1.0 + (-x).exp()) - target) / n as f64) as f32)
    };
    let (losses, slopes): (Vec<f64>, Vec<f32>) = x.iter().zip(&wanted).map(|(&x, &target)| of(x, target)).unzip();
    let (logits, targets) = (Buffer::from_f32(&client, &x), targets(&client, &wanted));
    let (found, gradient) = loss::binary_cross_entropy(&client, &logits, &targets, true);
    near("loss", &found.read_f32(&client), &[losses.iter().sum::<f64>() as f32]);
    near("slopes", &gradient.expect("wanted").read_f32(&client), &slopes);
}

#[test]
fn an_embedding_and_its_gradient_are_those_of_the_cpu() {
    let client = device::client();
    let (n, d) = (300, 5);
    let table = random(3, n * d);
    // Some rows often, most never; the order of the sum is the same, so the numbers are.
    let ids: Vec<u32> = random(4, 400).iter().map(|u| (u * u * 40.0) as u32).collect();
    let places: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
    let named = Named::new(&client, n, &ids);
    let rows = named.rows(&client, &Buffer::from_f32(&client, &table), d).read_f32(&client);
    assert_eq!(rows, kernels::embed(Exec::default(), &table, d, &places));
    let grads = random(5, ids.len() * d);
    let found = named.gradient(&client, &Buffer::from_f32(&client, &grads), d).read_f32(&client);
    assert_eq!(found, kernels::embed_backward(Exec::default(), &grads, [n, d], &places));
}
