//! ```text
//! r = σ(…)        z = σ(…)        n = φ(n_x + r∘n_h), or φ(n_x + (r∘h)·W_hn + b_hn)
//! h' = (1−z)∘n + z∘h, held within the clip
//! ```

use super::{save, saved_at};
use crate::activation::{again, clipped, gradient, kept, unclipped, value};
use crate::shape::Shape;
use cubecl::prelude::*;

/// `(r, z)` from their sums, of row `r`.
#[cube]
pub(crate) fn gates<N: Float>(
    sums: &Array<f32>,
    saved: &mut [N],
    at: usize,
    is_saved: bool,
    #[comptime] r: usize,
    #[comptime] shape: Shape,
) -> (f32, f32) {
    let sigma = comptime!(shape.options.gate);
    let (r_sum, z_sum) = (sums[r], sums[comptime!(shape.rows + r)]);
    let (reset, z) = (value(r_sum, sigma), value(z_sum, sigma));
    if is_saved {
        save(saved, at, 0usize, kept(r_sum, reset, sigma), shape);
        save(saved, at, 1usize, kept(z_sum, z, sigma), shape);
    }
    (reset, z)
}

/// h' from z and the sum of n.
#[cube]
pub(crate) fn forward<N: Float>(
    z: f32,
    n_sum: f32,
    h: f32,
    saved: &mut [N],
    at: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let phi = comptime!(shape.options.candidate);
    let n = value(n_sum, phi);
    save(saved, at, 2usize, kept(n_sum, n, phi), shape);
    clipped(fma(z, h - n, n), comptime!(shape.options.clip))
}

/// From the gradient of h' to those of the sums of z and n, in `deltas`, and that of h by way of z; `stays` is what
/// zoneout adds to the latter.
#[cube]
pub(crate) fn backward<N: Float>(
    deltas: &mut Array<f32>,
    d_h: f32,
    stays: f32,
    saved: &[N],
    at: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let (sigma, phi) = comptime!((shape.options.gate, shape.options.candidate));
    let z_saved = saved_at(saved, at, 1usize, shape);
    let n_saved = saved_at(saved, at, 2usize, shape);
    let h = saved_at(saved, at, comptime!(shape.saved() - 1), shape);
    let (z, n) = (again(z_saved, sigma), again(n_saved, phi));
    let d_new = unclipped(fma(z, h - n, n), d_h, comptime!(shape.options.clip));
    deltas[1] = gradient(z_saved, d_new * (h - n), sigma);
    deltas[2] = gradient(n_saved, d_new * (1.0f32 - z), phi);
    fma(d_new, z, stays)
}

/// From the gradient of the sum of n to those of r's sum and of `n_h`, where the reset gate acts on the latter.
#[cube]
pub(crate) fn reset_after<N: Float>(deltas: &mut Array<f32>, saved: &[N], at: usize, #[comptime] shape: Shape) {
    let sigma = comptime!(shape.options.gate);
    let r_saved = saved_at(saved, at, 0usize, shape);
    deltas[3] = deltas[2] * again(r_saved, sigma);
    deltas[0] = gradient(r_saved, deltas[2] * saved_at(saved, at, 3usize, shape), sigma);
}

/// From the gradient of `r∘h` to that of r's sum, and r.
#[cube]
pub(crate) fn reset_before<N: Float>(d_reset: f32, saved: &[N], at: usize, #[comptime] shape: Shape) -> (f32, f32) {
    let sigma = comptime!(shape.options.gate);
    let r_saved = saved_at(saved, at, 0usize, shape);
    let h = saved_at(saved, at, comptime!(shape.saved() - 1), shape);
    (gradient(r_saved, d_reset * h, sigma), again(r_saved, sigma))
}
