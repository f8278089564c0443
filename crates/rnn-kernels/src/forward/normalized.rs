//! Layer normalisation forward. A row's sums must be there before they can be normalised, so a step is its products,
//! then the rows, then the cell, in place of tile by tile.

use super::Forward;
use super::recurrence::step_tile;
use crate::cell::{Any, Kernel, show};
use crate::float::Float;
use crate::pool::Buffer;
use crate::sequence::norm::{Norm, STATS, Stat};
use crate::sequence::plan::Plan;
use crate::sequence::step::Step;
use crate::simd::Simd;
use crate::tile::{Cut, max_rows, multiply_as};

/// `b + γ_ih∘norm(x·W_ih)` from `x·W_ih`, for `rows` rows of panels; x̂ goes to `hats`, which are laid out as these are.
///
/// # Safety
/// The rows must be there, and the bias of a row of all panels.
#[inline(always)]
pub(crate) unsafe fn normalize_inputs<S: Simd>(
    norm: &Norm<S::T>,
    plan: &Plan,
    bias: *const S::T,
    [panels, hats, stats]: [*mut S::T; 3],
    rows: usize,
) {
    let (row, panel) = (plan.row(), rows * plan.row());
    for q in 0..rows {
        // SAFETY: as for the caller.
        unsafe {
            let (sums, hat) = (panels.add(q * row), hats.add(q * row));
            *stats.add(q * STATS + Stat::X as usize) = norm.x.normalize::<S>(sums, hat, Some(bias), sums, panel);
            for &[p, at] in &norm.not_x {
                S::store(sums.add(p * panel + at), S::load(bias.add(p * row + at)));
            }
        }
    }
}

/// As [`advance`](super::advance), with normalised products; they start from `zeros`.
///
/// # Safety
/// As for it.
#[inline(always)]
pub(crate) unsafe fn advance_normalized<S: Simd>(
    plan: &Plan,
    norm: &Norm<S::T>,
    w_hh: &[Buffer<S::T>],
    batch: usize,
    step: &Step<S::T>,
    left: &[*const S::T; 4],
    zeros: *const S::T,
) {
    let (products, blocks, row) = (&plan.products.h, plan.products.blocks, plan.row());
    for (reset, group) in [false, true].into_iter().zip(&norm.h) {
        if reset && group.is_none() {
            break;
        }
        for (i, product) in products.iter().enumerate().filter(|(_, product)| product.reset == reset) {
            let width = product.width(blocks);
            let cut = Cut::new(batch, max_rows(S::REGISTERS, width));
            for (p, tile) in (0..plan.panels).flat_map(|p| (0..cut.tiles).map(move |tile| (p, tile))) {
                let (from, to) = (cut.start(tile), cut.start(tile + 1));
                // SAFETY: rows of the state; the packed weights and panels as the plan has them.
                unsafe {
                    let b = w_hh[i].as_ptr().add(p * step.h_features * width * S::LANES);
                    let c = step.hats.add(p * step.panel + from * row + product.offset * S::LANES);
                    let tile = step_tile::<S>(step, left[i], b, width, from..to, (zeros, 0), (c, row));
                    multiply_as::<S>(&tile, plan.in_order);
                }
            }
        }
        let stat = if reset { Stat::Reset } else { Stat::H };
        for (m, group) in group.iter().flat_map(|group| (0..batch).map(move |m| (m, group))) {
            // SAFETY: a row of the panels and of what is laid out as they are.
            unsafe {
                let hat = step.hats.add(m * row);
                let sums = step.panels.add(m * row);
                *step.stats.add(m * STATS + stat as usize) = group.normalize::<S>(hat, hat, None, sums, step.panel);
            }
        }
        let more = !reset && norm.h[1].is_some();
        for p in 0..plan.panels {
            // SAFETY: as for the caller.
            unsafe { if more { Any::reset::<S>(step, p, 0, batch) } else { Any::finish::<S>(step, p, 0, batch) } }
        }
    }
    if step.extras.cell.has_cell_state() {
        for m in 0..batch {
            // SAFETY: as for the caller.
            unsafe { show::<S>(step, m) };
        }
    }
}

impl<T: Float> Forward<'_, T> {
    /// The normalisation, if the layer has one.
    #[inline(always)]
    pub(super) fn norm(&self) -> Option<&Norm<T>> {
        self.extras.norm.as_ref()
    }
}
