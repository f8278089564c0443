//! Recurrent weights as int8: symmetric, with a scale for each output channel (one row of a matrix, PyTorch's way
//! round, which is one gate of one unit).
//!
//! ```text
//! s_r = max_c |w_rc| / 127     q_rc = round(w_rc / s_r)     w_rc ≈ s_r·q_rc
//! ```
//! Biases and the other layers stay as they are.

use crate::Matrix;
use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use rnn_core::AnyRecurrent;

/// A matrix of int8.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    /// q, row by row.
    pub values: Vec<i8>,
    /// s of each row; 1 for a row of zeros.
    pub scales: Vec<f32>,
}

impl Quantized {
    /// `matrix` rounded.
    pub fn of(matrix: &Matrix) -> Self {
        let mut quantized = Self { values: Vec::with_capacity(matrix.values.len()), scales: Vec::new() };
        for row in matrix.values.chunks_exact(matrix.columns.max(1)) {
            let largest = row.iter().fold(0.0_f32, |largest, w| largest.max(w.abs()));
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            quantized.values.extend(row.iter().map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8));
            quantized.scales.push(scale);
        }
        quantized
    }

    /// The numbers that these stand for.
    pub fn dequantized(&self) -> Matrix {
        let (rows, columns) = (self.scales.len(), self.values.len() / self.scales.len().max(1));
        let value = |(index, &q): (usize, &i8)| f32::from(q) * self.scales[index / columns];
        Matrix { rows, columns, values: self.values.iter().enumerate().map(value).collect() }
    }
}

/// `layer` with the weights that its int8 weights stand for, to measure what the rounding costs.
pub fn rounded(mut layer: AnyRecurrent) -> AnyRecurrent {
    for weights in &mut layer.layers {
        for param in std::iter::once(&mut weights.weight_ih).chain(&mut weights.weight_hh) {
            let old = param.val();
            let matrix = Quantized::of(&Matrix::of(old.clone().transpose())).dequantized().transposed();
            let data = TensorData::new(matrix.values, [matrix.rows, matrix.columns]);
            *param = Param::initialized(param.id, Tensor::from_data(data, &old.device()));
        }
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_scale_of_its_largest_number() {
        let matrix = Matrix { rows: 3, columns: 2, values: vec![1.27, -0.634, 0.0, 0.0, -254.0, 1.0] };
        let quantized = Quantized::of(&matrix);
        assert_eq!(quantized.values, [127, -63, 0, 0, -127, 1]);
        assert_eq!(quantized.scales[1..], [1.0, 2.0]);
        let back = quantized.dequantized();
        for (row, scale) in [0, 1, 2].into_iter().zip(&quantized.scales) {
            for column in 0..2 {
                let error = (back.values[2 * row + column] - matrix.values[2 * row + column]).abs();
                assert!(error <= scale / 2.0 * 1.0001, "{row} {column} {error}");
            }
        }
    }
}
