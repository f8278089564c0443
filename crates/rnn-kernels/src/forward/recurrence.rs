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
        // Parts that are done at the same time are of the same width.
        let Some((_, part)) = now().next() else { continue };
        let (together, groups) = (part.width(K::BLOCKS), part.groups(K::BLOCKS, plan.panels));
        for group in 0..groups.count() {
            // To and fro: the weights that one step used last are still in the L1 cache when the next begins.
            let group = groups.panels(if s.is_multiple_of(2) { group } else { groups.count() - 1 - group });
            let (p, width) = (group.start, group.len() * together);
            let cut = Cut::new(batch, max_rows(S::REGISTERS, width));
            for tile in 0..cut.tiles {
                let (from, to) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the state; the packed weights and panels as the plan has them.
                unsafe {
                    for (i, part) in now() {
                        let c = step.panel_row::<S>(p, from).add(part.offset * S::LANES);
                        multiply::<S>(&Tile {
                            rows: to - from,
                            width,
                            together,
                            a: left[i].add(from * step.width),
                            a_row: step.width,
                            a_rows: std::ptr::null(),
                            a_step: 1,
                            blocks: 1,
                            len: step.d_hidden,
                            a_block: 0,
                            b: w_hh[i].as_ptr().add(p * step.d_hidden * together * S::LANES),
                            b_step: width * S::LANES,
                            b_panel: 0,
                            c0: c,
                            c0_step: PANEL * S::LANES,
                            c0_panel: step.panel,
                            c,
                            c_step: PANEL * S::LANES,
                            c_panel: step.panel,
                        });
                    }
                    for p in group.clone() {
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
}
