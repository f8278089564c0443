//! Cells whose gates depend on the input alone: `h' = h + k∘(n − h)`, with n = φ(…).
//!
//! ```text
//! minGRU:  z = σ(…)                    k = z
//! minLSTM: i = σ(…)    f = σ(…)        k = i/(f + i)
//! ```

use super::{save, saved_at};
use crate::activation::{again, gradient, kept, sigmoid, value};
use crate::args::Cell;
use crate::shape::Shape;
use cubecl::prelude::*;

/// h' from the sums of the gates.
#[cube]
pub(crate) fn forward<N: Float>(
    sums: &Array<f32>,
    h: f32,
    saved: &mut [N],
    at: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let phi = comptime!(shape.options.candidate);
    let candidate = comptime!(shape.cell.gates() - 1);
    // Their sums, as small gates may both be zero where they are stored in 16 bits, and k is their quotient.
    #[unroll]
    for gate in 0..candidate {
        save(saved, at, gate, sums[gate], shape);
    }
    let first = sigmoid(sums[0]);
    let mut k = first;
    if comptime!(shape.cell == Cell::MinLstm) {
        k = first / (sigmoid(sums[1]) + first);
    }
    let n = value(sums[candidate], phi);
    save(saved, at, candidate, kept(sums[candidate], n, phi), shape);
    save(saved, at, comptime!(candidate + 1), h, shape);
    fma(k, n - h, h)
}

/// From the gradient of h' to those of the sums, in `deltas`, and that of h; `stays` is what zoneout adds to the latter.
#[cube]
pub(crate) fn backward<N: Float>(
    deltas: &mut Array<f32>,
    d_h: f32,
    stays: f32,
    saved: &[N],
    at: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let phi = comptime!(shape.options.candidate);
    let candidate = comptime!(shape.cell.gates() - 1);
    let first = sigmoid(saved_at(saved, at, 0usize, shape));
    let n_saved = saved_at(saved, at, candidate, shape);
    let h = saved_at(saved, at, comptime!(candidate + 1), shape);
    let d_k = d_h * (again(n_saved, phi) - h);
    let mut k = first;
    if comptime!(shape.cell == Cell::MinLstm) {
        // ∂k/∂ln i = k·(1−k) = −∂k/∂ln f, and the derivative of ln σ(x) is 1 − σ(x).
        let f = sigmoid(saved_at(saved, at, 1usize, shape));
        k = first / (f + first);
        let d = d_k * k * (1.0f32 - k);
        deltas[0] = d * (1.0f32 - first);
        deltas[1] = d * (f - 1.0f32);
    } else {
        deltas[0] = d_k * first * (1.0f32 - first);
    }
    deltas[candidate] = gradient(n_saved, d_h * k, phi);
    fma(d_h, 1.0f32 - k, stays)
}
