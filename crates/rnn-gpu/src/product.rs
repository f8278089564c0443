//! The product of a step: numbers of shared memory with a matrix that is packed for it.
//!
//! A load costs most where it is least wanted: on a GPU a wide one as much as a narrow one, and an adapter in software
//! loads lane by lane. So whatever a product reads, it reads four numbers at once.

use crate::launch::{CUBE, cubes};
use crate::shape::Shape;
use crate::weights::side_by_side;
use crate::{Buffer, storage::Storage};
use cubecl::client::Client;
use cubecl::prelude::*;

/// Numbers that are read at once.
pub(crate) const WIDE: usize = 4;
/// So many numbers as a vector.
pub(crate) type Wide = Const<WIDE>;
/// The terms of a packed matrix are filled up with zeros to a multiple of this number.
pub(crate) const TERMS: usize = 8;

/// A matrix whose rows are the terms of a product, where it lies in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix {
    /// How many groups of terms there are; the terms of a group are padded by themselves.
    pub groups: usize,
    /// The terms of a group.
    pub terms: usize,
    pub columns: usize,
    /// Numbers from a term to the next.
    pub term_stride: usize,
    /// Numbers from a column to the next.
    pub column_stride: usize,
}

impl Matrix {
    /// A copy in which [`WIDE`] terms of a column lie side by side, stored as `N`, which is `storage`; and the `masks`
    /// one after the other in one buffer. One launch.
    pub fn pack<N: Float>(
        self,
        client: &Client,
        storage: Storage,
        matrix: &Buffer,
        masks: &[Buffer],
    ) -> (Buffer, Option<Buffer>) {
        let Matrix { groups, terms, columns, term_stride, column_stride } = self;
        let padded = terms.next_multiple_of(TERMS);
        let out = Buffer::stored(client, storage, groups * padded * columns);
        let several = if masks.len() > 1 { masks } else { &[] };
        let mask_len = several.first().map_or(0, Buffer::len);
        let joined = Buffer::empty(client, several.len() * mask_len);
        let mask = |i| several.get(i).map(Buffer::arg).into();
        // SAFETY: the kernel reads within the matrix and the masks, and writes within the two buffers made above.
        unsafe {
            pack::launch_unchecked::<N>(
                client,
                cubes((out.len() / WIDE).max(mask_len)),
                CubeDim::new_1d(CUBE),
                matrix.arg(),
                mask(0),
                mask(1),
                mask(2),
                mask(3),
                out.arg_of(WIDE),
                joined.arg(),
                (out.len() / WIDE) as u32,
                mask_len as u32,
                terms as u32,
                padded as u32,
                columns as u32,
                term_stride as u32,
                column_stride as u32,
            )
        }
        (out, if several.is_empty() { masks.first().cloned() } else { Some(joined) })
    }
}

#[allow(clippy::too_many_arguments, reason = "a kernel's numbers")]
#[cube(launch_unchecked)]
fn pack<N: Float>(
    matrix: &[f32],
    first_mask: ComptimeOption<Box<[f32]>>,
    second_mask: ComptimeOption<Box<[f32]>>,
    third_mask: ComptimeOption<Box<[f32]>>,
    fourth_mask: ComptimeOption<Box<[f32]>>,
    out: &mut [Vector<N, Wide>],
    joined: &mut [f32],
    len: u32,
    mask_len: u32,
    terms: u32,
    padded: u32,
    columns: u32,
    term_stride: u32,
    column_stride: u32,
) {
    let at = ABSOLUTE_POS;
    if at < len as usize {
        let column = at % columns as usize;
        let first = at / columns as usize * WIDE;
        let group = first / padded as usize;
        let mut wide = Vector::<N, Wide>::empty();
        #[unroll]
        for i in 0..WIDE {
            let term = first % padded as usize + i;
            let mut value = 0.0f32;
            if term < terms as usize {
                let from = (group * terms as usize + term) * term_stride as usize;
                value = matrix[from + column * column_stride as usize];
            }
            wide.insert(i, N::cast_from(value));
        }
        out[at] = wide;
    }
    let mask_len = mask_len as usize;
    side_by_side(&first_mask, joined, 0usize.runtime(), at, mask_len);
    side_by_side(&second_mask, joined, mask_len, at, mask_len);
    side_by_side(&third_mask, joined, 2 * mask_len, at, mask_len);
    side_by_side(&fourth_mask, joined, 3 * mask_len, at, mask_len);
}

/// `sums[first + c, r] += Σₖ terms[from + k, r]·w[w_from + k, columns[c]]` for the rows r of the cube and `count`
/// columns; k goes over the terms of `groups` groups, always in the same order.
///
/// `terms` has the rows of a term side by side. Where a plane is as narrow as a CPU's vectors, each of its lanes loads
/// another term, and hands it to the others.
#[allow(clippy::too_many_arguments, reason = "what a kernel's parts share")]
#[cube]
pub(crate) fn product<N: Float, L: Size>(
    sums: &mut Array<f32>,
    terms: &Shared<[Vector<f32, L>]>,
    from: usize,
    w: &[Vector<N, Wide>],
    w_from: usize,
    columns: &Array<usize>,
    #[comptime] width: usize,
    #[comptime] first: usize,
    #[comptime] count: usize,
    #[comptime] groups: usize,
    #[comptime] shape: Shape,
) {
    let rows = comptime!(shape.rows);
    let line = comptime!(shape.line());
    let lines = comptime!(shape.lines());
    let lanes = comptime!(shape.lanes);
    let block = comptime!(lanes.max(WIDE));
    for b in 0..comptime!(groups * shape.terms() / block) {
        let at = from + b * block;
        let mut mine = Array::<Vector<f32, L>>::new(lines);
        if comptime!(lanes > 1) {
            #[unroll]
            for i in 0..lines {
                mine[i] = terms[(at + UNIT_POS_PLANE as usize) * lines + i];
            }
        }
        for part in 0..comptime!(block / WIDE) {
            let row = (w_from + b * block) / WIDE + part;
            let mut weights = Array::<Vector<f32, Wide>>::new(count);
            #[unroll]
            for c in 0..count {
                weights[c] = Vector::<f32, Wide>::cast_from(w[row * width + columns[c]]);
            }
            #[unroll]
            for k in 0..WIDE {
                #[unroll]
                for i in 0..lines {
                    let term = if comptime!(lanes > 1) {
                        plane_shuffle(mine[i], (part * WIDE + k) as u32)
                    } else {
                        terms[(at + part * WIDE + k) * lines + i]
                    };
                    #[unroll]
                    for c in 0..count {
                        #[unroll]
                        for r in 0..line {
                            let sum = comptime!((first + c) * rows + i * line + r);
                            sums[sum] = fma(term.extract(r), weights[c].extract(k), sums[sum]);
                        }
                    }
                }
            }
        }
    }
}

/// Puts the numbers of a term, one for each row, into shared memory.
#[cube]
pub(crate) fn put<L: Size>(
    terms: &mut Shared<[Vector<f32, L>]>,
    term: usize,
    values: &Array<f32>,
    #[comptime] shape: Shape,
) {
    let line = comptime!(shape.line());
    #[unroll]
    for i in 0..comptime!(shape.lines()) {
        let mut rows = Vector::<f32, L>::empty();
        #[unroll]
        for r in 0..line {
            rows.insert(r, values[i * line + r]);
        }
        terms[term * comptime!(shape.lines()) + i] = rows;
    }
}
