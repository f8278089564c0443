//! The projection of h backward: from the gradient of h to that of m = o∘ψ(c'), and the gradient of `W_hr`.

use super::{Backward, Scratch};
use crate::float::Float;
use crate::sequence::step::BackStep;
use crate::simd::Simd;
use crate::tile::{Matrices, multiply_matrices};

impl<T: Float> Backward<'_, T> {
    /// The gradients of h of the step's `batch` rows, which are the chunk's rows from `q` on: what goes past the step to
    /// the old h, that of m·W_hr, and of it that of m.
    #[inline(always)]
    pub(super) unsafe fn unproject<S: Simd<T = T>>(
        &self,
        scratch: &mut Scratch<T>,
        step: &BackStep<T>,
        batch: usize,
        q: usize,
    ) {
        let (h_features, h_width) = (step.h_features, step.h_width);
        let d_projected = scratch.d_projected[q * h_width..].as_mut_ptr();
        for (row, u) in (0..batch).flat_map(|row| (0..h_features).step_by(S::LANES).map(move |u| (row, u))) {
            // SAFETY: rows of h, which are whole vectors.
            unsafe {
                let Some(d_h) = step.arriving_h::<S>(row, u) else { continue };
                S::store(step.d_h.add(row * h_width + u), d_h.old);
                S::store(d_projected.add(row * h_width + u), d_h.new);
            }
        }
        let product = Matrices {
            shape: [batch, h_features, step.d_hidden],
            a: d_projected,
            a_row: h_width,
            a_step: 1,
            b: self.w_hr.as_ptr(),
            b_row: None,
            c: scratch.d_m.as_mut_ptr(),
            c_row: step.width,
            adds: false,
        };
        // SAFETY: rows of h and of m, packed weights of whole vectors.
        unsafe { multiply_matrices::<S>(&product, self.plan.in_order) };
    }

    /// Adds `mᵀ·d(m·W_hr)` of a chunk's `rows` rows to the sums of the gradient of `W_hr`, if it is wanted; `first` starts
    /// them.
    #[inline(always)]
    pub(super) unsafe fn projection_sums<S: Simd<T = T>>(&mut self, scratch: &Scratch<T>, rows: usize, first: bool) {
        if self.sums.w_hr.is_empty() {
            return;
        }
        let plan = self.plan;
        let product = Matrices {
            shape: [self.layer.d_hidden, rows, plan.h_features],
            a: scratch.m.as_ptr(),
            a_row: 1,
            a_step: plan.width,
            b: scratch.d_projected.as_ptr(),
            b_row: Some(plan.h_width),
            c: self.sums.w_hr.as_mut_ptr(),
            c_row: plan.h_width,
            adds: !first,
        };
        // SAFETY: the chunk's rows of m and of the gradients of m·W_hr; the sums have rows of the width of h.
        unsafe { multiply_matrices::<S>(&product, false) };
    }
}
