//! How long forward and backward of an LSTM take: batch 50, 80 steps, 128 inputs, 128 units. A dev profile without
//! the lines that README gives is many times slower; `.ci/outside` runs this in a crate of its own without them.

use rnn_core::burn::tensor::{Device, Tensor};
use rnn_core::{Key, LstmConfig};
use std::time::{Duration, Instant};

fn main() {
    let device = Device::default();
    let lstm = LstmConfig::new(128, 128).init(Key::new(0), &device.clone().autodiff());
    let input = Tensor::<3>::ones([50, 80, 128], &device);
    let step = || {
        let start = Instant::now();
        let gradients = lstm.forward(input.clone()).last_hidden().sum().backward();
        drop(gradients);
        start.elapsed()
    };
    step(); // the first one starts the threads
    let (start, mut least) = (Instant::now(), Duration::MAX);
    while start.elapsed() < Duration::from_secs(1) {
        least = least.min(step());
    }
    println!("LSTM 50,80,128,128 forward and backward: {:.1} ms", least.as_secs_f64() * 1e3);
}
