//! Writing on with burn-nn's GRU: one-hot, one step, dense, argmax, for each character.

use crate::contestants::serve::{Task, timed};
use burn::nn::{LinearConfig, gru};
use burn::tensor::{Device, Tensor};

/// One character per call, the state carried.
pub fn characters(symbols: usize, d_hidden: usize) -> Task {
    let cpu = Device::flex();
    let dense = LinearConfig::new(d_hidden, symbols).init(&cpu);
    let eye = Tensor::<2>::eye(symbols, &cpu);
    let row = move |symbol: usize| eye.clone().slice_dim(0, symbol..symbol + 1);
    let argmax = |logits: Tensor<2>| {
        let logits: Vec<f32> = logits.into_data().iter().collect();
        (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
    };
    let mut symbol = 0;
    let layer = gru::GruConfig::new(symbols, d_hidden, true).init(&cpu);
    let mut carried: Option<Tensor<2>> = None;
    timed(move || {
        let h = layer.forward(row(symbol).unsqueeze_dim(1), carried.take()).squeeze_dim::<2>(1);
        symbol = argmax(dense.forward(h.clone()));
        carried = Some(h);
    })
}
