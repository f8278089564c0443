//! The options of a cell as a kernel reads them.

use crate::args::{Activation, Cell, LayerWeights, Nonlinearity};
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::norm::Norm;
use crate::sequence::plan::Plan;
use crate::simd::Simd;

/// A learned vector of the cell's own, by its place in [`Extras::vectors`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Vector {
    PeepholeI,
    PeepholeF,
    PeepholeO,
    GammaC,
    BetaC,
}

impl Vector {
    pub(crate) const COUNT: usize = 5;
}

pub(crate) struct Extras<T> {
    pub(crate) cell: Cell,
    /// Whether any of what follows differs from the plain cell.
    pub(crate) has_options: bool,
    pub(crate) gate: Activation,
    pub(crate) candidate: Activation,
    pub(crate) hidden: Activation,
    pub(crate) clip: Option<T>,
    pub(crate) peepholes: bool,
    pub(crate) norm: Option<Norm<T>>,
    /// Whether h is projected.
    pub(crate) projects: bool,
    /// `[vector][width]`, zeros where there is none; empty if there are none at all.
    vectors: Buffer<T>,
    width: usize,
}

impl<T: Float> Extras<T> {
    /// Of a layer with this plan.
    pub(crate) fn new(layer: &LayerWeights<T>, plan: &Plan) -> Self {
        let width = plan.width;
        let options = &layer.options;
        let given = [options.p_i, options.p_f, options.p_o, options.gamma_c, options.beta_c];
        let mut vectors = take(if given.iter().any(Option::is_some) { Vector::COUNT * width } else { 0 });
        vectors.fill(T::ZERO);
        for (to, from) in vectors.chunks_exact_mut(width).zip(given) {
            if let Some(from) = from {
                to[..from.len()].copy_from_slice(from);
            }
        }
        let own = match layer.cell {
            Cell::Rnn(Nonlinearity::Relu) => Activation::Relu,
            _ => Activation::Tanh,
        };
        Extras {
            cell: layer.cell,
            has_options: layer.has_options(),
            gate: options.gate.unwrap_or(Activation::Sigmoid),
            candidate: options.candidate.unwrap_or(own),
            hidden: options.hidden.unwrap_or(Activation::Tanh),
            clip: options.clip.map(T::from_f64),
            peepholes: given[..3].iter().any(Option::is_some),
            norm: Norm::new(plan, layer),
            projects: options.w_hr.is_some(),
            vectors,
            width,
        }
    }

    /// Where the values of `vector` begin.
    #[inline(always)]
    pub(crate) fn vector(&self, vector: Vector) -> *const T {
        self.vectors.as_ptr().wrapping_add(vector as usize * self.width)
    }

    /// `x` held within the clip, if there is one.
    #[inline(always)]
    pub(crate) unsafe fn clipped<S: Simd<T = T>>(&self, x: S::V) -> S::V {
        let Some(clip) = self.clip else { return x };
        // SAFETY: the caller has the instruction set.
        unsafe { S::at_most(S::at_least(x, S::sub(S::zero(), S::splat(clip))), S::splat(clip)) }
    }

    /// The gradient of `x` from that of what is clipped of it: `d` where x is within the clip, zero elsewhere.
    #[inline(always)]
    pub(crate) unsafe fn unclipped<S: Simd<T = T>>(&self, x: S::V, d: S::V) -> S::V {
        let Some(clip) = self.clip else { return d };
        // SAFETY: the caller has the instruction set. On the clip counts as within: the addend is less than what x can
        // be beyond it.
        unsafe {
            let left = S::sub(S::splat(clip), S::abs(x));
            S::where_positive(S::add(left, S::splat(T::from_f64(1e-37))), d)
        }
    }

    /// The elements of all vectors.
    pub(crate) fn len(&self) -> usize {
        self.vectors.len()
    }
}
