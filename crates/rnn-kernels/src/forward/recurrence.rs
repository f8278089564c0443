//! One step of the recurrence.

use super::ahead::Ahead;
use crate::cell::{Kernel, PANEL};
use crate::float::Float;
use crate::plan::Plan;
use crate::pool::Buffer;
use crate::simd::{Op, Simd};
use crate::step::Step;
use crate::tile::{Beside, Cut, Row, Tile, max_rows, multiply, multiply_row};
use std::marker::PhantomData;

/// One step of the recurrence for `batch` rows: products into the panels, then the cell, tile by tile. `left` has the left
/// factor of each part of the product, `w_hh` the right one, packed. `ahead` is done beside the step of a single row.
#[inline(always)]
pub(crate) unsafe fn advance<S: Simd, K: Kernel>(
    plan: &Plan,
    w_hh: &[Buffer<S::T>],
    batch: usize,
    s: usize,
    step: &Step<S::T>,
    left: &[*const S::T; 4],
    ahead: Option<&Ahead<S::T>>,
) {
    let parts = &plan.products.h;
    if batch == 1
        && K::H_VECTORS > 0
        && let [part] = &parts[..]
    {
        for visited in 0..plan.panels {
            let p = to_and_fro(s, visited, plan.panels);
            // SAFETY: as below.
            unsafe {
                let row = Row {
                    a: left[0],
                    len: step.d_hidden,
                    b: w_hh[0].as_ptr().add(p * step.d_hidden * K::H_VECTORS * S::LANES),
                    c: step.panel_row::<S>(p, 0).add(part.offset * S::LANES),
                };
                let single = Single { row, beside: None, step, p, kernel: PhantomData::<K> };
                match ahead.and_then(|ahead| ahead.piece::<S>(visited)) {
                    Some(beside) => S::call(Single { beside: Some(&beside), ..single }),
                    None => S::call(single),
                }
            }
        }
        return;
    }
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
            let group = groups.panels(to_and_fro(s, group, groups.count()));
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

/// Which of `count` is visited as number `i` of step `s`: the weights that one step used last are still in the L1 cache when
/// the next begins.
#[inline(always)]
fn to_and_fro(s: usize, i: usize, count: usize) -> usize {
    if s.is_multiple_of(2) { i } else { count - 1 - i }
}

/// A panel of a single row, from sums to the new state, in a function of its own: at one row what surrounds a product
/// takes as long as the product.
struct Single<'a, T, K> {
    row: Row<T>,
    beside: Option<&'a Beside<T>>,
    step: &'a Step<T>,
    p: usize,
    kernel: PhantomData<K>,
}

impl<T: Float, K: Kernel> Op<T> for Single<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        // SAFETY: the caller's row, panel and step.
        unsafe {
            match K::H_VECTORS {
                3 => multiply_row::<S, 3>(&self.row, self.beside),
                4 => multiply_row::<S, 4>(&self.row, self.beside),
                vectors => unreachable!("one product for {vectors} vectors"),
            }
            K::finish::<S>(self.step, self.p, 0, 1);
        }
    }
}
