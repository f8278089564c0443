//! Sizes of launches.

use cubecl::prelude::CubeCount;

/// Units in a cube where each unit has work of its own: WebGPU's floor.
pub(crate) const CUBE: u32 = 256;
/// Cubes in one dimension: WebGPU's floor.
const MOST: u32 = 65_535;

/// Cubes of [`CUBE`] units, at least `units` units in all.
pub(crate) fn cubes(units: usize) -> CubeCount {
    rows(units.div_ceil(CUBE as usize))
}

/// At least `rows` cubes; a kernel reads its own number off `CUBE_POS`.
pub(crate) fn rows(rows: usize) -> CubeCount {
    let cubes = u32::try_from(rows.max(1)).unwrap_or_else(|_| panic!("{rows} cubes in one launch"));
    let wide = cubes.min(MOST);
    CubeCount::Static(wide, cubes.div_ceil(wide), 1)
}
