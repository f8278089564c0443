//! A product of matrices, tile by tile: what the kernels that differ only in what they load and store share.
//!
//! A cube makes a square tile of the result. It loads the parts of both factors for `depth` terms into shared memory,
//! and each of its units adds them up for `each` rows and as many columns.

use cubecl::prelude::*;

/// The sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    /// Units of the cube along a side.
    pub side: usize,
    /// Rows, and columns, of a unit; they are `side` apart.
    pub each: usize,
    /// Terms at a time.
    pub depth: usize,
}

impl Tile {
    /// Rows, and columns, of the tile.
    pub fn size(&self) -> usize {
        self.side * self.each
    }

    /// From one term to the next in shared memory; odd, so that a column of it lies in different banks.
    pub fn stride(&self) -> usize {
        self.size() + 1
    }

    pub fn units(&self) -> usize {
        self.side * self.side
    }

    /// How many numbers of a factor a unit loads.
    pub fn loads(&self) -> usize {
        self.size() * self.depth / self.units()
    }

    pub fn dim(&self) -> CubeDim {
        CubeDim::new_2d(self.side as u32, self.side as u32)
    }

    /// Shared memory, in bytes.
    pub fn shared(&self) -> usize {
        2 * 4 * self.depth * self.stride()
    }

    /// How many tiles there are along `length`.
    pub fn over(&self, length: usize) -> u32 {
        length.div_ceil(self.size()).max(1) as u32
    }
}

/// Memory for one factor: term k of row, or column, m at `k·stride + m`.
#[cube]
pub(crate) fn factor(#[comptime] tile: Tile) -> Shared<[f32]> {
    Shared::<[f32]>::new_slice(comptime!(tile.depth * tile.stride()))
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

/// Term and row of the `i`-th number that a unit loads, where terms lie side by side in memory.
#[cube]
pub(crate) fn along_terms(#[comptime] i: usize, #[comptime] tile: Tile) -> (usize, usize) {
    let e = i * tile.units() + UNIT_POS as usize;
    (e % tile.depth, e / tile.depth)
}

/// The same where rows lie side by side.
#[cube]
pub(crate) fn along_rows(#[comptime] i: usize, #[comptime] tile: Tile) -> (usize, usize) {
    let e = i * tile.units() + UNIT_POS as usize;
    (e / tile.size(), e % tile.size())
}

/// Adds the terms in shared memory to the sums of a unit: row i, column j at `i·each + j`.
#[cube]
pub(crate) fn multiply(sums: &mut Array<f32>, a: &Shared<[f32]>, b: &Shared<[f32]>, #[comptime] tile: Tile) {
    let each = comptime!(tile.each);
    let mut row = Array::<f32>::new(each);
    let mut column = Array::<f32>::new(each);
    for k in 0..comptime!(tile.depth) {
        let at = k * tile.stride();
        #[unroll]
        for i in 0..each {
            row[i] = a[at + UNIT_POS_Y as usize + i * tile.side];
            column[i] = b[at + UNIT_POS_X as usize + i * tile.side];
        }
        #[unroll]
        for i in 0..each {
            #[unroll]
            for j in 0..each {
                sums[i * each + j] = fma(row[i], column[j], sums[i * each + j]);
            }
        }
    }
}
