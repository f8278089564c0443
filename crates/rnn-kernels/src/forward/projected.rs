//! The projection of h: a step's last product.

use crate::sequence::plan::Plan;
use crate::sequence::step::Step;
use crate::simd::Simd;
use crate::tile::{Matrices, multiply_matrices};

/// `h' = m·W_hr` for the step's `batch` rows, whose m = o∘ψ(c') the cell has left in `shown`; then all that happens to h.
/// `w_hr` is packed as [`projection`](crate::sequence::pack::projection) does.
///
/// # Safety
/// The machine must have the instruction set; everything must be sized by the plan.
#[inline(always)]
pub(crate) unsafe fn project<S: Simd>(plan: &Plan, w_hr: &[S::T], batch: usize, step: &Step<S::T>) {
    // SAFETY: rows of m and of h; packed weights of whole vectors.
    unsafe {
        let product = Matrices {
            shape: [batch, step.d_hidden, step.h_features],
            a: step.shown,
            a_row: step.width,
            a_step: 1,
            b: w_hr.as_ptr(),
            b_row: None,
            c: step.h_new,
            c_row: step.h_width,
            adds: false,
        };
        multiply_matrices::<S>(&product, plan.in_order);
        for (row, u) in (0..batch).flat_map(|row| (0..step.h_features).step_by(S::LANES).map(move |u| (row, u))) {
            step.settle_h::<S>(row, u, S::load(step.h_new.add(row * step.h_width + u)));
        }
    }
}
