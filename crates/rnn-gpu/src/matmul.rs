//! A product of matrices, tile by tile: what the kernels that differ only in what they load and store share.
//!
//! A cube makes a tile of the result. It loads the parts of both factors for `depth` terms into shared memory, where
//! four neighbouring rows, or columns, of a term are one vector, and each of its units adds up the products for several
//! rows and columns.

use crate::product::{WIDE, Wide};
use cubecl::prelude::*;

/// Along one side of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Side {
    /// Units of the cube.
    pub units: usize,
    /// Rows, or columns, of a unit: [`WIDE`] are neighbours, the next are `units` times as many further on.
    pub each: usize,
}

impl Side {
    /// Rows, or columns, of the tile.
    pub fn size(&self) -> usize {
        self.units * self.each
    }

    /// How many vectors of a term belong to a unit.
    pub fn lines(&self) -> usize {
        self.each / WIDE
    }

    /// Vectors from one term to the next in shared memory; odd, so that a column of it lies in different banks.
    pub fn stride(&self) -> usize {
        self.size() / WIDE + 1
    }

    /// How many tiles there are along `length`.
    pub fn over(&self, length: usize) -> u32 {
        length.div_ceil(self.size()).max(1) as u32
    }
}

/// The sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    /// The units are the cube's second coordinate.
    pub rows: Side,
    /// The units are the cube's first coordinate.
    pub columns: Side,
    /// Terms at a time.
    pub depth: usize,
    /// How many lanes of a plane, which are neighbours along the columns, hand each other their rows; or 1.
    pub lanes: usize,
    /// How many neighbours along the gates are loaded, or stored, at once: 1 or [`WIDE`].
    pub wide: usize,
    /// How many neighbouring features of x, and of its gradient.
    pub features: usize,
}

impl Tile {
    pub fn units(&self) -> usize {
        self.rows.units * self.columns.units
    }

    /// How often a unit loads a block of a side that has `terms` terms.
    pub fn loads(&self, side: Side, terms: usize) -> usize {
        (self.depth / terms * side.size() / WIDE).div_ceil(self.units())
    }

    pub fn dim(&self) -> CubeDim {
        CubeDim::new_2d(self.columns.units as u32, self.rows.units as u32)
    }

    /// Shared memory, in bytes.
    pub fn shared(&self) -> usize {
        4 * WIDE * self.depth * (self.rows.stride() + self.columns.stride())
    }
}

#[cube]
pub(crate) fn factor(#[comptime] side: Side, #[comptime] tile: Tile) -> Shared<[Vector<f32, Wide>]> {
    Shared::<[Vector<f32, Wide>]>::new_slice(comptime!(tile.depth * side.stride()))
}

/// Sums of zero.
#[cube]
pub(crate) fn zeros(#[comptime] count: usize) -> Array<f32> {
    let mut sums = Array::<f32>::new(count);
    #[unroll]
    for i in 0..count {
        sums[i] = 0.0f32;
    }
    sums
}

/// The first term and the first of [`WIDE`] rows of the `i`-th block that a unit loads, where terms lie side by side in
/// memory: `wide` terms of each row. Beyond the last block the term is `depth`.
#[cube]
pub(crate) fn along_terms(
    #[comptime] i: usize,
    #[comptime] wide: usize,
    #[comptime] side: Side,
    #[comptime] tile: Tile,
) -> (usize, usize) {
    let e = i * tile.units() + UNIT_POS as usize;
    let across = comptime!(tile.depth / wide);
    let inside = e < comptime!(across * side.size() / WIDE);
    (select(inside, e % across * wide, tile.depth), e / across * WIDE)
}

/// The same where rows lie side by side: [`WIDE`] rows of one term.
#[cube]
pub(crate) fn along_rows(#[comptime] i: usize, #[comptime] side: Side, #[comptime] tile: Tile) -> (usize, usize) {
    let e = i * tile.units() + UNIT_POS as usize;
    let across = comptime!(side.size() / WIDE);
    let inside = e < comptime!(tile.depth * across);
    (select(inside, e / across, tile.depth), e % across * WIDE)
}

/// Puts a block of [`along_terms`] into shared memory: a vector of terms for each row.
#[cube]
pub(crate) fn put_terms<V: Size>(
    memory: &mut Shared<[Vector<f32, Wide>]>,
    k: usize,
    m: usize,
    block: &Array<Vector<f32, V>>,
    #[comptime] wide: usize,
    #[comptime] side: Side,
    #[comptime] tile: Tile,
) {
    if k < tile.depth {
        #[unroll]
        for term in 0..wide {
            let mut line = Vector::<f32, Wide>::empty();
            #[unroll]
            for row in 0..WIDE {
                line.insert(row, block[row].extract(term));
            }
            memory[(k + term) * side.stride() + m / WIDE] = line;
        }
    }
}

/// Puts a block of [`along_rows`] into shared memory: the rows in vectors.
#[cube]
pub(crate) fn put_rows<V: Size>(
    memory: &mut Shared<[Vector<f32, Wide>]>,
    k: usize,
    m: usize,
    block: &Array<Vector<f32, V>>,
    #[comptime] wide: usize,
    #[comptime] side: Side,
    #[comptime] tile: Tile,
) {
    if k < tile.depth {
        let mut line = Vector::<f32, Wide>::empty();
        #[unroll]
        for row in 0..WIDE {
            line.insert(row, block[row / wide].extract(comptime!(row % wide)));
        }
        memory[k * side.stride() + m / WIDE] = line;
    }
}

/// Row `i` of a unit in the tile, or column `i`: `unit` is its position along that side.
#[cube]
pub(crate) fn at(#[comptime] i: usize, unit: u32, #[comptime] side: Side) -> usize {
    (unit as usize + comptime!(i / WIDE * side.units)) * WIDE + comptime!(i % WIDE)
}

/// The sums of row `i` and of the columns from `j` on, as a vector of `V`.
#[cube]
pub(crate) fn part<V: Size>(
    sums: &Array<f32>,
    #[comptime] i: usize,
    #[comptime] j: usize,
    #[comptime] wide: usize,
    #[comptime] tile: Tile,
) -> Vector<f32, V> {
    let mut part = Vector::<f32, V>::empty();
    #[unroll]
    for v in 0..wide {
        part.insert(v, sums[comptime!(i * tile.columns.each + j + v)]);
    }
    part
}

/// Adds the terms in shared memory to the sums of a unit: row i, column j at `i·each + j`. With `totals` there is a row
/// more, of the sums of the columns themselves.
#[cube]
pub(crate) fn multiply(
    sums: &mut Array<f32>,
    a: &Shared<[Vector<f32, Wide>]>,
    b: &Shared<[Vector<f32, Wide>]>,
    #[comptime] totals: bool,
    #[comptime] tile: Tile,
) {
    let lines = comptime!(tile.rows.lines());
    let each = comptime!(tile.columns.each);
    let alone = comptime!(tile.lanes == 1);
    // A plane loads several terms at once, a lane one vector of one of them.
    let held = comptime!(if alone { 1 } else { tile.lanes / lines });
    for block in 0..comptime!(tile.depth / held) {
        let first = block * held;
        let mut mine = Vector::<f32, Wide>::empty();
        if !alone {
            let lane = UNIT_POS_X as usize % tile.lanes;
            let line = UNIT_POS_Y as usize + lane % lines * tile.rows.units;
            mine = a[(first + lane / lines) * tile.rows.stride() + line];
        }
        #[unroll]
        for term in 0..held {
            let k = first + term;
            let mut column = Array::<Vector<f32, Wide>>::new(comptime!(tile.columns.lines()));
            #[unroll]
            for c in 0..comptime!(tile.columns.lines()) {
                column[c] = b[k * tile.columns.stride() + UNIT_POS_X as usize + c * tile.columns.units];
                #[unroll]
                for j in 0..comptime!(if totals { WIDE } else { 0 }) {
                    sums[comptime!((tile.rows.each * tile.columns.lines() + c) * WIDE + j)] += column[c].extract(j);
                }
            }
            #[unroll]
            for r in 0..lines {
                let row = if alone {
                    a[k * tile.rows.stride() + UNIT_POS_Y as usize + r * tile.rows.units]
                } else {
                    plane_shuffle(mine, comptime!((term * lines + r) as u32))
                };
                #[unroll]
                for c in 0..comptime!(tile.columns.lines()) {
                    #[unroll]
                    for i in 0..WIDE {
                        #[unroll]
                        for j in 0..WIDE {
                            let sum = comptime!((r * WIDE + i) * each + c * WIDE + j);
                            sums[sum] = fma(row.extract(i), column[c].extract(j), sums[sum]);
                        }
                    }
                }
            }
        }
    }
}
