//! The projection of h: a step's last product.

use crate::float::Float;
use crate::sequence::plan::Plan;
use crate::sequence::step::Step;
use crate::simd::Simd;
use crate::tile::{Cut, Tile, WIDTH, max_rows, multiply_as};

/// `h' = m·W_hr` for the step's `batch` rows, whose m = o∘ψ(c') the cell has left in `shown`; then all that happens to h.
/// `w_hr` is packed as [`projection`](crate::sequence::pack::projection) does.
///
/// # Safety
/// The machine must have the instruction set; everything must be sized by the plan.
#[inline(always)]
pub(crate) unsafe fn project<S: Simd>(plan: &Plan, w_hr: &[S::T], batch: usize, step: &Step<S::T>) {
    let vectors = step.h_features.div_ceil(S::LANES);
    // As many elements as the widest tile at any instruction set.
    let zeros = [S::T::ZERO; WIDTH * 16];
    for group in 0..vectors.div_ceil(WIDTH) {
        let first = group * WIDTH * S::LANES;
        let width = (vectors - group * WIDTH).min(WIDTH);
        let cut = Cut::new(batch, max_rows(S::REGISTERS, width));
        for tile in 0..cut.tiles {
            let (from, to) = (cut.start(tile), cut.start(tile + 1));
            // SAFETY: rows of m and of h; packed weights of whole vectors.
            unsafe {
                multiply_as::<S>(
                    &Tile {
                        rows: to - from,
                        width,
                        a: step.shown.cast_const().add(from * step.width),
                        a_row: step.width,
                        a_rows: std::ptr::null(),
                        a_step: 1,
                        blocks: 1,
                        len: step.d_hidden,
                        a_block: 0,
                        b: w_hr.as_ptr().add(first * step.d_hidden),
                        b_step: width * S::LANES,
                        c0: zeros.as_ptr(),
                        c0_step: 0,
                        c: step.h_new.add(from * step.h_width + first),
                        c_step: step.h_width,
                    },
                    plan.in_order,
                );
                for (row, v) in (from..to).flat_map(|row| (0..width).map(move |v| (row, v))) {
                    let u = first + v * S::LANES;
                    step.settle_h::<S>(row, u, S::load(step.h_new.add(row * step.h_width + u)));
                }
            }
        }
    }
}
