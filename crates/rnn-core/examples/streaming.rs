//! One step at a time: a signal comes in sample by sample, the state is carried on, and memory does not grow.

use rnn_core::burn::tensor::{Device, Tensor};
use rnn_core::{Key, LstmConfig};

fn main() {
    let device = Device::default();
    let lstm = LstmConfig::new(1, 8).with_num_layers(2).init(Key::new(0), &device);
    let signal: Vec<f32> = (0..50).map(|t| (0.3 * t as f32).sin()).collect();

    let mut state = None;
    for &sample in &signal {
        let input = Tensor::<2>::from_floats([[sample]], &device); // [batch, d_input]
        state = Some(lstm.step(input, state));
    }
    let stepwise = state.expect("the signal is not empty").hidden();

    let whole = Tensor::<1>::from_floats(signal.as_slice(), &device).reshape([1, 50, 1]);
    let at_once = lstm.forward(whole).state.hidden();
    let difference: f32 = (stepwise - at_once).abs().max().into_scalar();
    println!("50 samples one by one and all at once differ by {difference:e}");
    assert!(difference < 1e-6);
}
