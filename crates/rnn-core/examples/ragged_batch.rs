//! Rows of different lengths in one batch: each gives what it gives alone.

use rnn_core::burn::tensor::{Device, Tensor, TensorData};
use rnn_core::{Direction, ForwardArgs, GruConfig, Key};

fn main() {
    let device = Device::default();
    let gru = GruConfig::new(2, 3).with_direction(Direction::Bidirectional).init(Key::new(0), &device);
    let rows = [vec![0.1, 0.2, 0.3], vec![0.4, 0.5, 0.6, 0.7, 0.8], vec![0.9]];
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let time = 5;

    // Each step has two features: the value and its square; padding is at the end, of any value.
    let padded = |row: &Vec<f64>| -> Vec<f64> {
        let value = |t: usize| row.get(t).copied().unwrap_or(9.0);
        (0..time).flat_map(|t| [value(t), value(t) * value(t)]).collect()
    };
    let values: Vec<f64> = rows.iter().flat_map(padded).collect();
    let batch = Tensor::<3>::from_data(TensorData::new(values, [rows.len(), time, 2]), &device);
    let together = gru.forward_with(batch.clone(), ForwardArgs::default().with_lengths(&lengths));

    for (row, length) in lengths.into_iter().enumerate() {
        let alone = gru.forward(batch.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..length));
        let ours = together.sequence.clone().slice_dim(0, row..row + 1).slice_dim(1, 0..length);
        let difference: f32 = (ours - alone.sequence).abs().max().into_scalar();
        println!("row {row}, {length} steps: differs from the row alone by {difference:e}");
        assert!(difference < 1e-6);
    }
}
