//! How far back each cell learns to recall: sequences of random symbols, and after the last step the first symbol is
//! asked for. The lesson says that a plain RNN works on 3 or 4 elements. Without an argument two lengths; the whole
//! table: `cargo run --example memory full > docs/memory.md`

use rnn_core::burn::module::Module;
use rnn_core::burn::nn::{Linear, loss::CrossEntropyLossConfig};
use rnn_core::burn::optim::{AdamConfig, GradientsParams};
use rnn_core::burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::{AnyConfig, AnyRecurrent, CellKind, Key, Preset};

const SYMBOLS: usize = 8;
const D_HIDDEN: usize = 32;

/// A tuple of modules is a module.
type Model = (AnyRecurrent, Linear);

fn logits((layer, output): &Model, input: Tensor<3>) -> Tensor<2> {
    output.forward(layer.forward(input).last_hidden())
}

/// Random symbols, one-hot, `[rows, length, SYMBOLS]`, and the first of each row.
fn batch(rows: usize, length: usize, key: Key, device: &Device) -> (Tensor<3>, Tensor<1, Int>) {
    let symbols: Vec<i64> = key.uniforms(rows * length).map(|u| (u * SYMBOLS as f64) as i64).collect();
    let symbols: Tensor<2, Int> = Tensor::from_data(TensorData::new(symbols, [rows, length]), device);
    (symbols.clone().one_hot(SYMBOLS).float(), symbols.slice_dim(1, 0..1).squeeze_dim(1))
}

/// Trains a new model and tests it on 500 other sequences. `open` starts gates so that the state lasts for `length`
/// steps.
fn accuracy(cell: CellKind, preset: Preset, open: bool, length: usize, steps: u64) -> f32 {
    let (device, tracking) = (Device::default(), Device::default().autodiff());
    let config = AnyConfig::of_kind(cell, SYMBOLS, D_HIDDEN).with_preset(preset);
    let mut layer = config.init(Key::new(0), &tracking);
    let keep = (length as f64).ln();
    let gates = match cell {
        CellKind::Rnn => vec![],
        CellKind::Gru => vec![(1, keep)],
        CellKind::Lstm => vec![(0, -keep), (1, keep)],
        // Of the two that the table leaves out.
        CellKind::MinGru => vec![(0, -keep)],
        CellKind::MinLstm => vec![(0, -keep), (1, keep)],
    };
    let weights = &mut layer.layers[0];
    for (gate, value) in gates.into_iter().filter(|_| open) {
        let set = |bias: Tensor<1>| bias.slice_fill(gate * D_HIDDEN..(gate + 1) * D_HIDDEN, value).detach();
        weights.bias_ih = weights.bias_ih.take().map(|bias| bias.map(|bias| set(bias).require_grad()));
    }
    let mut model = (layer, Preset::Keras.linear(D_HIDDEN, SYMBOLS, Key::new(1), &tracking));
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    for step in 0..steps {
        let (input, first) = batch(32, length, Key::new(2).child(step), &device);
        let loss = cross_entropy.forward(logits(&model, input), first);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.005, model, gradients);
    }
    let (input, first) = batch(500, length, Key::new(3), &device);
    let found = logits(&model.valid(), input).argmax(1).squeeze_dim::<1>(1);
    found.equal(first).float().mean().into_scalar()
}

fn main() {
    let full = std::env::args().nth(1).is_some_and(|arg| arg == "full");
    let (lengths, steps): (&[usize], _) = if full { (&[2, 5, 10, 20, 50, 100, 200], 1000) } else { (&[2, 20], 400) };
    let (k, p) = (Preset::Keras, Preset::Pytorch);
    let (rnn, lstm, gru) = (CellKind::Rnn, CellKind::Lstm, CellKind::Gru);
    let cases = [(rnn, p, false), (rnn, k, false), (gru, k, false), (lstm, k, false), (gru, k, true), (lstm, k, true)];
    print!(include_str!("pages/memory.md"), steps = steps);
    for &length in lengths {
        let right = cases.map(|(cell, preset, open)| accuracy(cell, preset, open, length, steps));
        println!("| {length} | {} |", right.map(|right| format!("{right:.3}")).join(" | "));
        // What the text says of this length: learned, not learned, or nothing, where rounding decides.
        let (yes, no) = (Some(true), Some(false));
        let said = match length {
            ..=5 => [yes; 6],
            10 => [None, yes, yes, yes, yes, yes],
            20 => [None, yes, no, no, yes, yes],
            50 => [no, no, no, no, yes, yes],
            100 => [no, no, no, no, None, no],
            _ => [no; 6],
        };
        assert!(right.iter().zip(said).all(|(&right, said)| said.is_none_or(|said| said == (right > 0.9))));
    }
    print!("{}", if full { include_str!("pages/memory-full.md") } else { "" });
}
