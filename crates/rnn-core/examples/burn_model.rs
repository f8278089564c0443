//! A recurrent layer in a model of Burn: an LSTM and a linear layer learn to tell three waveforms apart.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::{Key, Lstm, LstmConfig, Preset};
use std::f64::consts::TAU;

/// Recurrent layers are modules: their parameters are trained and saved with those of the model.
#[derive(Module, Debug)]
struct Classifier {
    lstm: Lstm,
    output: Linear,
}

#[derive(Debug)]
struct ClassifierConfig {
    lstm: LstmConfig,
    classes: usize,
}

impl ClassifierConfig {
    fn init(&self, key: Key, device: &Device) -> Classifier {
        Classifier {
            lstm: self.lstm.init(key.child(0), device),
            output: Preset::Keras.linear(self.lstm.d_output(), self.classes, key.child(1), device),
        }
    }
}

impl Classifier {
    /// `[batch, time, d_input]` to `[batch, classes]`: the state after the last step says which class.
    fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let output = self.lstm.forward(input);
        self.output.forward(output.state.hidden())
    }
}

/// Sines, squares and sawtooths of random phase and frequency, with noise, 30 steps each, and which each is.
fn batch(rows: usize, key: Key, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let (mut random, mut noise) = (key.child(0).uniforms(2 * rows), key.child(1).normals(30 * rows));
    let mut values = Vec::with_capacity(30 * rows);
    for row in 0..rows {
        let mut next = || random.next().unwrap_or_default();
        let (phase, frequency) = (next(), 0.06 + 0.08 * next());
        for t in 0..30 {
            let cycle = (phase + frequency * f64::from(t)).fract();
            let wave = [(TAU * cycle).sin(), if cycle < 0.5 { 1.0 } else { -1.0 }, 2.0 * cycle - 1.0];
            values.push(wave[row % 3] + 0.1 * noise.next().unwrap_or_default());
        }
    }
    let classes: Vec<i64> = (0..rows as i64).map(|row| row % 3).collect();
    let input = Tensor::from_data(TensorData::new(values, [rows, 30, 1]), device);
    (input, Tensor::from_data(TensorData::new(classes, [rows]), device))
}

fn main() {
    let device = Device::default();
    let config = ClassifierConfig { lstm: LstmConfig::new(1, 24), classes: 3 };
    let mut model = config.init(Key::new(0), &device.clone().autodiff()); // parameters that track gradients
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    for step in 0..300 {
        let (input, classes) = batch(48, Key::new(1).child(step), &device);
        let loss = cross_entropy.forward(model.forward(input), classes);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
    // `valid` gives the model without tracking; the waves are others than those it was trained on.
    let (input, classes) = batch(300, Key::new(2), &device);
    let found = model.valid().forward(input).argmax(1).squeeze_dim::<1>(1);
    let right: f32 = found.equal(classes).float().mean().into_scalar();
    println!("{} parameters; {:.1} % of 300 new waves recognised", model.num_params(), 100.0 * right);
    assert!(right > 0.95);
}
