//! ```text
//! i = σ(… + p_i∘c)        f = σ(… + p_f∘c), or 1 − i        g = φ(…)
//! c' = f∘c + i∘g, held within the clip
//! o = σ(… + p_o∘c')        h' = o∘ψ(c')
//! ```

use super::{save, saved_at};
use crate::activation::{again as value_of, clipped, gradient, kept, unclipped, value};
use crate::args::Cell;
use crate::shape::Shape;
use crate::storage::read;
use cubecl::prelude::*;

/// How many peepholes a unit has: `p_i`, `p_f` and `p_o`.
pub(crate) const PEEPHOLES: usize = 3;

/// Reads those of a unit to the places from `first` on, in this order, if there are any.
#[cube]
pub(crate) fn read_peepholes(
    peepholes: &mut Array<f32>,
    p_i: &ComptimeOption<Box<[f32]>>,
    p_f: &ComptimeOption<Box<[f32]>>,
    p_o: &ComptimeOption<Box<[f32]>>,
    unit: usize,
    #[comptime] first: usize,
    #[comptime] shape: Shape,
) {
    if comptime!(shape.peepholes) {
        peepholes[first] = read(p_i, unit);
        peepholes[comptime!(first + 1)] = read(p_f, unit);
        peepholes[comptime!(first + 2)] = read(p_o, unit);
    }
}

/// Where g is among the gates; o is behind it.
fn g_at(shape: &Shape) -> usize {
    if shape.cell == Cell::LstmCoupled { 1 } else { 2 }
}

/// A sum with the peephole to it.
#[cube]
fn peep(sum: f32, peepholes: &Array<f32>, #[comptime] at: usize, c: f32, #[comptime] shape: Shape) -> f32 {
    if comptime!(shape.peepholes) { fma(peepholes[at], c, sum) } else { sum }
}

/// `(o, c')` from the sums of the gates of row `r`: gate g at `g·rows + r`. The unit's peepholes are those from `first`
/// on.
#[cube]
pub(crate) fn forward<N: Float>(
    sums: &Array<f32>,
    c: f32,
    peepholes: &Array<f32>,
    saved: &mut [N],
    at: usize,
    #[comptime] r: usize,
    #[comptime] first: usize,
    #[comptime] shape: Shape,
) -> (f32, f32) {
    let rows = comptime!(shape.rows);
    let coupled = comptime!(shape.cell == Cell::LstmCoupled);
    let g_at = comptime!(g_at(&shape));
    let (sigma, phi) = comptime!((shape.options.gate, shape.options.candidate));
    let i_sum = peep(sums[r], peepholes, first, c, shape);
    let i = value(i_sum, sigma);
    let mut f = 1.0f32 - i;
    save(saved, at, 0usize, kept(i_sum, i, sigma), shape);
    if !coupled {
        let f_sum = peep(sums[rows + r], peepholes, comptime!(first + 1), c, shape);
        f = value(f_sum, sigma);
        save(saved, at, 1usize, kept(f_sum, f, sigma), shape);
    }
    let g_sum = sums[comptime!(g_at * rows + r)];
    let g = value(g_sum, phi);
    let c_new = clipped(fma(f, c, i * g), comptime!(shape.options.clip));
    let o_sum = peep(sums[comptime!((g_at + 1) * rows + r)], peepholes, comptime!(first + 2), c_new, shape);
    let o = value(o_sum, sigma);
    save(saved, at, g_at, kept(g_sum, g, phi), shape);
    save(saved, at, comptime!(g_at + 1), kept(o_sum, o, sigma), shape);
    save(saved, at, comptime!(g_at + 2), c, shape);
    (o, c_new)
}

/// A step again, from what forward saved.
#[derive(CubeType, Clone, Copy)]
pub(crate) struct Step {
    pub i: f32,
    pub f: f32,
    pub g: f32,
    pub o: f32,
    pub c: f32,
    /// c' before the clip.
    pub c_free: f32,
    pub c_new: f32,
    i_saved: f32,
    f_saved: f32,
    g_saved: f32,
    o_saved: f32,
}

#[cube]
pub(crate) fn again<N: Float>(saved: &[N], at: usize, #[comptime] shape: Shape) -> Step {
    let coupled = comptime!(shape.cell == Cell::LstmCoupled);
    let g_at = comptime!(g_at(&shape));
    let (sigma, phi) = comptime!((shape.options.gate, shape.options.candidate));
    let i_saved = saved_at(saved, at, 0usize, shape);
    let g_saved = saved_at(saved, at, g_at, shape);
    let o_saved = saved_at(saved, at, comptime!(g_at + 1), shape);
    let c = saved_at(saved, at, comptime!(g_at + 2), shape);
    let (i, g, o) = (value_of(i_saved, sigma), value_of(g_saved, phi), value_of(o_saved, sigma));
    let mut f = 1.0f32 - i;
    let mut f_saved = 0.0f32;
    if !coupled {
        f_saved = saved_at(saved, at, 1usize, shape);
        f = value_of(f_saved, sigma);
    }
    let c_free = fma(f, c, i * g);
    let c_new = clipped(c_free, comptime!(shape.options.clip));
    Step { i, f, g, o, c, c_free, c_new, i_saved, f_saved, g_saved, o_saved }
}

/// From the gradient of h' to those of o's sum and of what goes into ψ, which is `shown`.
#[cube]
pub(crate) fn through_output(step: &Step, shown: f32, d_h: f32, #[comptime] shape: Shape) -> (f32, f32) {
    let (sigma, psi) = comptime!((shape.options.gate, shape.options.hidden));
    let y = value(shown, psi);
    (gradient(step.o_saved, d_h * y, sigma), gradient(kept(shown, y, psi), d_h * step.o, psi))
}

/// From the gradients of o's sum and c' to those of all sums, in `deltas`, and that of c; `stays` is what zoneout adds to
/// the latter. Those of the peepholes are added to `d_peepholes`.
#[cube]
pub(crate) fn through_state(
    deltas: &mut Array<f32>,
    step: &Step,
    d_o: f32,
    d_c: f32,
    stays: f32,
    peepholes: &Array<f32>,
    d_peepholes: &mut Array<f32>,
    #[comptime] first: usize,
    #[comptime] shape: Shape,
) -> f32 {
    let coupled = comptime!(shape.cell == Cell::LstmCoupled);
    let g_at = comptime!(g_at(&shape));
    let (sigma, phi) = comptime!((shape.options.gate, shape.options.candidate));
    let mut d_new = d_c;
    if comptime!(shape.peepholes) {
        d_new = fma(d_o, peepholes[comptime!(first + 2)], d_new);
    }
    d_new = unclipped(step.c_free, d_new, comptime!(shape.options.clip));
    let mut d_i = d_new * step.g;
    if coupled {
        d_i = d_new * (step.g - step.c);
    }
    let d_i = gradient(step.i_saved, d_i, sigma);
    deltas[0] = d_i;
    deltas[g_at] = gradient(step.g_saved, d_new * step.i, phi);
    deltas[comptime!(g_at + 1)] = d_o;
    let mut d_f = 0.0f32;
    if !coupled {
        d_f = gradient(step.f_saved, d_new * step.c, sigma);
        deltas[1] = d_f;
    }
    let mut d_old = fma(d_new, step.f, stays);
    if comptime!(shape.peepholes) {
        let (of_i, of_f, of_o) = comptime!((first, first + 1, first + 2));
        d_peepholes[of_i] = fma(d_i, step.c, d_peepholes[of_i]);
        d_peepholes[of_f] = fma(d_f, step.c, d_peepholes[of_f]);
        d_peepholes[of_o] = fma(d_o, step.c_new, d_peepholes[of_o]);
        d_old = fma(d_i, peepholes[of_i], fma(d_f, peepholes[of_f], d_old));
    }
    d_old
}
