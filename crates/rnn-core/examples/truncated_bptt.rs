//! Truncated backpropagation through time: a long sequence is cut into windows, the state goes on from window to window
//! without its history, and starts again at zero in a row whose document ended.
//!
//! A document is 80 steps long. Its first step shows a random level, the others zero; the level is to be told at each
//! step. Gradients reach back 10 steps at most, yet the level is known in the document's eighth window.

use rnn_core::burn::module::Module;
use rnn_core::burn::nn::Linear;
use rnn_core::burn::optim::{AdamConfig, GradientsParams};
use rnn_core::burn::tensor::{Device, Tensor, TensorData};
use rnn_core::{ForwardArgs, Gru, GruConfig, HiddenState, Key, Preset, States};

const ROWS: usize = 16;
const TIME: usize = 320;
const DOCUMENT: usize = 80;
const WINDOW: usize = 10;

#[derive(Module, Debug)]
struct Model {
    gru: Gru,
    output: Linear,
}

impl Model {
    /// The mean squared error of one window, and the state after it.
    fn loss(&self, window: Tensor<3>, state: States<HiddenState>) -> (Tensor<1>, States<HiddenState>) {
        let (input, target) = (window.clone().slice_dim(2, 0..2), window.slice_dim(2, 2..3));
        let output = self.gru.forward_with(input, ForwardArgs::default().with_state(state));
        ((self.output.forward(output.sequence) - target).square().mean(), output.state)
    }
}

/// Whether a document begins at step `t` of `row`: all do at 0, and then in an eighth of the rows at each tenth step.
fn begins(row: usize, t: usize) -> bool {
    t == 0 || (t + row * WINDOW).is_multiple_of(DOCUMENT)
}

/// Documents one after another, `[ROWS, TIME, 3]`: whether one begins, the level that is shown, the level to be told.
fn stream(key: Key, device: &Device) -> Tensor<3> {
    let mut level = 0.0;
    let step = |(i, new): (usize, f64)| {
        let begins = begins(i / TIME, i % TIME);
        level = if begins { 2.0 * new - 1.0 } else { level };
        if begins { [1.0, level, level] } else { [0.0, 0.0, level] }
    };
    let values: Vec<f64> = key.uniforms(ROWS * TIME).enumerate().flat_map(step).collect();
    Tensor::from_data(TensorData::new(values, [ROWS, TIME, 3]), device)
}

fn main() {
    let device = Device::default();
    let tracking = device.clone().autodiff();
    let gru = GruConfig::new(2, 16).init(Key::new(0), &tracking);
    let mut model = Model { gru, output: Preset::Keras.linear(16, 1, Key::new(1), &tracking) };
    let mut optimizer = AdamConfig::new().init();
    let zero = || States::from(HiddenState { hidden: Tensor::zeros([ROWS, 16], &device) });
    let (mut first, mut last) = (0.0, 0.0);
    for epoch in 0..20 {
        let (mut state, mut sum) = (zero(), 0.0);
        for (number, window) in model.gru.windows(stream(Key::new(2).child(epoch), &device), WINDOW).enumerate() {
            let ended: Vec<bool> = (0..ROWS).map(|row| begins(row, number * WINDOW)).collect();
            let (loss, after) = model.loss(window, state.reset(&ended));
            sum += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.01, model, gradients);
            state = after.detach();
        }
        last = sum / (TIME / WINDOW) as f32;
        first = if epoch == 0 { last } else { first };
        println!("epoch {epoch}: loss {last:.4}");
    }
    // The same without what was carried: only a document's first window can know its level.
    let blank = model
        .gru
        .windows(stream(Key::new(3), &device), WINDOW)
        .map(|window| model.loss(window, zero()).0.into_scalar::<f32>());
    let blank = blank.sum::<f32>() / (TIME / WINDOW) as f32;
    println!("with a zero state in each window: loss {blank:.4}");
    assert!(last < first / 5.0 && last < blank / 5.0);
}
