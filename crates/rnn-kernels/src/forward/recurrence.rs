//! One step of the recurrence.

use crate::cell::{Kernel, PANEL};
use crate::plan::Plan;
use crate::pool::Buffer;
use crate::simd::Simd;
use crate::step::Step;
use crate::tile::{Cut, Tile, max_rows, multiply};

/// One step of the recurrence for `batch` rows: products into the panels, then the cell, tile by tile. `left` has the left
/// factor of each part of the product, `w_hh` the right one, packed.
#[inline(always)]
pub(crate) unsafe fn advance<S: Simd, K: Kernel>(
    plan: &Plan,
    w_hh: &[Buffer<S::T>],
    batch: usize,
    s: usize,
    step: &Step<S::T>,
    left: &[*const S::T; 4],
) {
    let parts = &plan.products.h;
    let resets = parts.iter().any(|part| part.reset);
    for reset in [false, true] {
        if reset && !resets {
            break;
        }
        let now = || parts.iter().enumerate().filter(move |(_, part)| part.reset == reset);
        let most = now().map(|(_, part)| max_rows(S::REGISTERS, part.width(K::BLOCKS))).min().unwrap_or(1);
        let cut = Cut::new(batch, most);
        for p in 0..plan.panels {
            // To and fro: the weights that one step used last are still in the L1 cache when the next begins.
            let p = if s.is_multiple_of(2) { p } else { plan.panels - 1 - p };
            for tile in 0..cut.tiles {
                let (from, to) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the state; the packed weights and panels as the plan has them.
                unsafe {
                    for (i, part) in now() {
                        let width = part.width(K::BLOCKS);
                        let c = step.panel_row::<S>(p, from).add(part.offset * S::LANES);
                        multiply::<S>(&Tile {
                            rows: to - from,
                            width,
                            a: left[i].add(from * step.width),
                            a_row: step.width,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: 1,
                            len: step.d_hidden,
                            a_block: 0,
                            b: w_hh[i].as_ptr().add(p * step.d_hidden * width * S::LANES),
                            b_step: width * S::LANES,
                            c0: c,
                            c0_step: PANEL * S::LANES,
                            c,
                            c_step: PANEL * S::LANES,
                        });
                    }
                    if resets && !reset {
                        K::reset::<S>(step, p, from, to);
                    } else {
                        K::finish::<S>(step, p, from, to);
                    }
                }
            }
        }
    }
}
