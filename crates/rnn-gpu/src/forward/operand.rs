//! What the recurrent product reads in shared memory, and the product.

use crate::plan::NONE;
use crate::product::{Wide, product, put};
use crate::rows::unit_of;
use crate::shape::Shape;
use crate::storage::read;
use cubecl::prelude::*;

/// Adds to `sums` the products of h, or of r∘h, in shared memory with the columns of `count` gates from `first` on.
#[cube]
pub(crate) fn gates<N: Float, L: Size>(
    sums: &mut Array<f32>,
    operand: &Shared<[Vector<f32, L>]>,
    w_hh: &[Vector<N, Wide>],
    j: usize,
    #[comptime] first: usize,
    #[comptime] count: usize,
    #[comptime] per_gate: bool,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let width = comptime!(shape.cell.gates() * shape.d_hidden);
    // Gates that read the same h are one product.
    let products = comptime!(if per_gate { count } else { 1 });
    let together = comptime!(if per_gate { 1 } else { count });
    #[unroll]
    for i in 0..products {
        let gate = comptime!(first + i);
        let from = comptime!(if per_gate { gate * shape.terms() } else { 0 });
        let mut columns = Array::<usize>::new(together);
        #[unroll]
        for c in 0..together {
            columns[c] = (gate + c) * d + j;
        }
        product(sums, operand, from.runtime(), w_hh, 0usize.runtime(), &columns, width, gate, together, 1usize, shape);
    }
}

/// Puts h with its dropout where the product finds it.
#[cube]
pub(crate) fn publish<L: Size>(
    operand: &mut Shared<[Vector<f32, L>]>,
    h: &Array<f32>,
    row: &Array<u32>,
    masks: &ComptimeOption<Box<[f32]>>,
    batch: usize,
    unit: usize,
    #[comptime] shape: Shape,
) {
    let d = comptime!(shape.d_hidden);
    let rows = comptime!(shape.rows);
    #[unroll]
    for u in 0..comptime!(shape.chunks()) {
        let j = u * shape.units + unit;
        if j < comptime!(shape.terms()) {
            #[unroll]
            for m in 0..comptime!(shape.operands()) {
                let mut values = Array::<f32>::new(rows);
                #[unroll]
                for r in 0..rows {
                    let mut value = h[u * rows + r];
                    if comptime!(shape.masks > 0) {
                        let b = select(row[r] == NONE, 0u32, row[r]) as usize;
                        value *= read(masks, (m * batch + b) * d + unit_of(u, unit, shape));
                    }
                    values[r] = select(j < d, value, 0.0f32);
                }
                put(operand, m * comptime!(shape.terms()) + j, &values, shape);
            }
        }
    }
}
