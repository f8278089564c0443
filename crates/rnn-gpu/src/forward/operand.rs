//! What the recurrent product reads in shared memory, and the product.

use crate::plan::NONE;
use crate::shape::Shape;
use crate::storage::{load, read};
use cubecl::prelude::*;

/// Adds to `sums` the products of h, or of r∘h, in shared memory with the columns of `count` gates from `first` on.
#[cube]
pub(crate) fn product<N: Float>(
    sums: &mut Array<f32>,
    operand: &Shared<[f32]>,
    w_hh: &[N],
    j: usize,
    #[comptime] first: usize,
    #[comptime] count: usize,
    #[comptime] per_gate: bool,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    let width = comptime!(shape.cell.gates() * shape.d_hidden);
    for k in 0..d {
        let mut h = Array::<f32>::new(rows);
        #[unroll]
        for r in 0..rows {
            h[r] = operand[k * rows + r];
        }
        #[unroll]
        for i in 0..count {
            let gate = comptime!(first + i);
            let w = load(w_hh, k * width + gate * d + j);
            #[unroll]
            for r in 0..rows {
                if comptime!(per_gate && gate > 0) {
                    h[r] = operand[(gate * d + k) * rows + r];
                }
                sums[gate * rows + r] = fma(h[r], w, sums[gate * rows + r]);
            }
        }
    }
}

/// Puts h with its dropout where the product finds it.
#[cube]
pub(crate) fn publish(
    operand: &mut Shared<[f32]>,
    h: &Array<f32>,
    row: &Array<u32>,
    masks: &ComptimeOption<Box<[f32]>>,
    masks_at: usize,
    batch: usize,
    unit: usize,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = u * shape.units + unit;
        if j < d {
            #[unroll]
            for r in 0..rows {
                #[unroll]
                for m in 0..comptime!(shape.operands()) {
                    let mut value = h[u * rows + r];
                    if comptime!(shape.masks > 0) {
                        let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                        value *= read(masks, masks_at + (m * batch + b) * d + j);
                    }
                    operand[(m * d + j) * rows + r] = value;
                }
            }
        }
    }
}
