//! `h' = φ(…)`, held within the clip.

use super::{save, saved_at};
use crate::activation::{again, clipped, gradient, kept, unclipped, value};
use crate::shape::Shape;
use cubecl::prelude::*;

/// h'.
#[cube]
pub(crate) fn forward<N: Float>(sum: f32, saved: &mut [N], at: usize, #[comptime] shape: Shape) -> f32 {
    let phi = comptime!(shape.options.candidate);
    let new = value(sum, phi);
    save(saved, at, 0usize, kept(sum, new, phi), shape);
    clipped(new, comptime!(shape.options.clip))
}

/// From the gradient of h' to that of the sum.
#[cube]
pub(crate) fn backward<N: Float>(d_h: f32, saved: &[N], at: usize, #[comptime] shape: Shape) -> f32 {
    let phi = comptime!(shape.options.candidate);
    let kept = saved_at(saved, at, 0usize, shape);
    gradient(kept, unclipped(again(kept, phi), d_h, comptime!(shape.options.clip)), phi)
}
