//! One step of the recurrence.

use super::ahead::Ahead;
use crate::cell::{Kernel, with_kernel};
use crate::float::Float;
use crate::pool::Buffer;
use crate::sequence::plan::Plan;
use crate::sequence::step::Step;
use crate::simd::{Op, Simd};
use crate::tile::{Beside, Cut, RowProduct, Tile, max_rows, multiply_as, multiply_row};
use std::marker::PhantomData;
use std::ops::Range;

/// One step of the recurrence.
#[derive(Clone, Copy)]
pub(crate) struct Advance<'a, T> {
    pub(crate) plan: &'a Plan,
    /// The right factor of each product, packed.
    pub(crate) w_hh: &'a [Buffer<T>],
    /// The rows, at least one.
    pub(crate) batch: usize,
    /// The number of the step.
    pub(crate) s: usize,
    pub(crate) step: &'a Step<'a, T>,
    /// The left factor of each product.
    pub(crate) left: &'a [*const T; 4],
    /// Done beside the step of a single row.
    pub(crate) ahead: Option<&'a Ahead<T>>,
}

/// One step of the recurrence: products into the panels, then the cell, tile by tile.
///
/// # Safety
/// The machine must have the instruction set; everything must be sized by the plan.
#[inline(always)]
pub(crate) unsafe fn advance<S: Simd>(advance: Advance<S::T>) {
    #[inline(always)]
    unsafe fn call<S: Simd, K: Kernel>(advance: Advance<S::T>) {
        // SAFETY: as for the caller.
        unsafe { S::call(AdvanceWith { advance, kernel: PhantomData::<K> }) }
    }
    // SAFETY: as for the caller.
    unsafe { with_kernel!(advance.step.extras, call::<S>(advance)) }
}

/// A step of one cell, in a function of its own: the driver around it stands once for all cells.
struct AdvanceWith<'a, T, K> {
    advance: Advance<'a, T>,
    kernel: PhantomData<K>,
}

impl<T: Float, K: Kernel> Op<T> for AdvanceWith<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let Advance { plan, w_hh, batch, s, step, left, ahead } = self.advance;
        let (products, blocks, row) = (&plan.products.h, plan.products.blocks, plan.row());
        let in_order = |visited: usize| to_and_fro(s, visited, plan.panels);
        if let ([product], 1) = (&products[..], batch)
            && product.width(blocks) >= 3
        {
            for (visited, p) in (0..plan.panels).map(in_order).enumerate() {
                // SAFETY: as below.
                unsafe {
                    let width = product.width(blocks);
                    let row = RowProduct {
                        a: left[0],
                        len: step.h_features,
                        b: w_hh[0].as_ptr().add(p * step.h_features * width * S::LANES),
                        c: step.panel_row(p, 0).add(product.offset * S::LANES),
                        in_order: plan.in_order,
                    };
                    let single = Single { row, width, beside: None, step, p, kernel: PhantomData::<K> };
                    match ahead.and_then(|ahead| ahead.piece(visited)) {
                        Some(beside) => S::call(Single { beside: Some(&beside), ..single }),
                        None => S::call(single),
                    }
                }
            }
            return;
        }
        let resets = products.iter().any(|product| product.reset);
        for reset in [false, true] {
            if reset && !resets {
                break;
            }
            let now = || products.iter().enumerate().filter(move |(_, product)| product.reset == reset);
            let widest = now().map(|(_, product)| product.width(blocks)).max().unwrap_or(1);
            let cut = Cut::new(batch, max_rows(S::REGISTERS, widest));
            for p in (0..plan.panels).map(in_order) {
                for tile in 0..cut.tiles {
                    let (from, to) = (cut.start(tile), cut.start(tile + 1));
                    // SAFETY: rows of the state; the packed weights and panels as the plan has them.
                    unsafe {
                        for (i, product) in now() {
                            let width = product.width(blocks);
                            let c = step.panel_row(p, from).add(product.offset * S::LANES);
                            let b = w_hh[i].as_ptr().add(p * step.h_features * width * S::LANES);
                            let tile = step_tile::<S>(step, left[i], b, width, from..to, (c, row), (c, row));
                            multiply_as::<S>(&tile, plan.in_order);
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
}

/// The product of some rows of h, or of what stands for it in `left`, and of a panel's packed weights `b`, added to `c0`: the
/// sums go to `c`. Both have the distance from a row to the next beside them.
#[inline(always)]
pub(super) fn step_tile<S: Simd>(
    step: &Step<S::T>,
    left: *const S::T,
    b: *const S::T,
    width: usize,
    rows: Range<usize>,
    (c0, c0_step): (*const S::T, usize),
    (c, c_step): (*mut S::T, usize),
) -> Tile<S::T> {
    Tile {
        rows: rows.len(),
        width,
        a: left.wrapping_add(rows.start * step.h_width),
        a_row: step.h_width,
        a_rows: std::ptr::null(),
        a_step: 1,
        blocks: 1,
        len: step.h_features,
        a_block: 0,
        b,
        b_step: width * S::LANES,
        c0,
        c0_step,
        c,
        c_step,
    }
}

/// Which of `count` is visited as number `i` of step `s`: the weights that one step used last are still in the L1 cache
/// when the next begins.
#[inline(always)]
fn to_and_fro(s: usize, i: usize, count: usize) -> usize {
    if s.is_multiple_of(2) { i } else { count - 1 - i }
}

/// A panel of a single row, from sums to the new state, in a function of its own: at one row what surrounds a product
/// takes as long as the product.
struct Single<'a, T, K> {
    row: RowProduct<T>,
    width: usize,
    beside: Option<&'a Beside<T>>,
    step: &'a Step<'a, T>,
    p: usize,
    kernel: PhantomData<K>,
}

impl<T: Float, K: Kernel> Op<T> for Single<'_, T, K> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        // SAFETY: the caller's row, panel and step.
        unsafe {
            match self.width {
                3 => multiply_row::<S, 3>(&self.row, self.beside),
                4 => multiply_row::<S, 4>(&self.row, self.beside),
                width => unreachable!("a row of {width} vectors"),
            }
            K::finish::<S>(self.step, self.p, 0, 1);
        }
    }
}
