//! The input product of a single row's later steps, done beside the recurrence of the steps before.
//!
//! At each step the recurrence of a single row reads all of `W_hh` and multiplies once with each weight: it waits for
//! the L2 cache while the multipliers rest. They take the next [`BESIDE`] rows of the input product meanwhile, in
//! pieces, one beside each panel.

use super::Forward;
use crate::args::Input;
use crate::float::Float;
use crate::simd::Simd;
use crate::tile::{BESIDE, Beside};
use std::ops::{Range, RangeInclusive};

/// Bytes of both packed weights for which this was found to pay: fewer come from the L1 cache in part, more do not stay
/// in the L2 cache.
const BYTES: RangeInclusive<usize> = 448 << 10..=832 << 10;

/// What is left of a chunk's input product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead<T> {
    steps: usize,
    panels: usize,
    /// The first panel of the rows that are next.
    product: Beside<T>,
    /// From a row of the packed weights to the next, and from a panel to the next.
    b_step: usize,
    b_panel: usize,
    /// From a panel of the chunk to the next.
    c_panel: usize,
    /// Columns of a piece, and pieces of a panel.
    columns: usize,
    pieces: usize,
    /// The piece beside the first panel that is visited.
    piece: usize,
}

impl<T: Float> Ahead<T> {
    /// How many steps are to be done before the first.
    pub(crate) fn start(&self) -> usize {
        self.steps % BESIDE + BESIDE
    }

    /// What is to be done beside step `s` of the chunk.
    pub(crate) fn beside(&self, s: usize) -> Option<Self> {
        let since = s.checked_sub(self.steps % BESIDE)?;
        let first = s - since % BESIDE + BESIDE;
        let Beside { a, a_row, c, c_step, .. } = self.product;
        let product =
            Beside { a: a.wrapping_add(first.wrapping_mul(a_row)), c: c.wrapping_add(first * c_step), ..self.product };
        (first < self.steps).then_some(Ahead { product, piece: since % BESIDE * self.panels, ..*self })
    }

    /// The piece beside the panel that is visited as number `visited`: some columns of x for one panel.
    #[inline(always)]
    pub(crate) fn piece(&self, visited: usize) -> Option<Beside<T>> {
        let (p, number) = ((self.piece + visited) / self.pieces, (self.piece + visited) % self.pieces);
        if p >= self.panels {
            return None;
        }
        let Beside { a, len, b, c0, c, c_step, .. } = self.product;
        let k = number * self.columns;
        let c = c.wrapping_add(p * self.c_panel);
        // The bias is a row of all panels.
        let bias = c0.wrapping_add(p * c_step);
        let (c0, c0_step) = if number == 0 { (bias, 0) } else { (c.cast_const(), c_step) };
        let (a, b) = (a.wrapping_add(k), b.wrapping_add(p * self.b_panel + k * self.b_step));
        Some(Beside { a, len: self.columns.min(len - k), b, c0, c0_step, c, ..self.product })
    }
}

impl<T: Float> Forward<'_, T> {
    /// What can be done ahead in a chunk: nothing unless there is one row at all of its steps, whose two products are one
    /// each and unmasked.
    #[inline(always)]
    pub(super) fn ahead<S: Simd<T = T>>(&self, panels: *mut T, steps: Range<usize>) -> Option<Ahead<T>> {
        let (plan, d_input, h_features) = (self.plan, self.layer.d_input, self.plan.h_features);
        let Input::Dense { values, strides } = self.sequence.input else { return None };
        let ([x], [h], [w_ih]) = (&plan.products.x[..], &plan.products.h[..], self.w_ih) else { return None };
        let vectors = x.width(plan.products.blocks);
        let width = vectors * S::LANES;
        let bytes = (d_input + h_features) * plan.panels * width * size_of::<T>();
        let pays = S::REGISTERS >= 32 && BYTES.contains(&bytes);
        let plain = x.mask.is_none() && h.mask.is_none() && h.width(plan.products.blocks) == vectors && vectors >= 3;
        // Each column of a piece has at least BESIDE of the row's columns beside it, and a panel has at most BESIDE
        // pieces, so that BESIDE steps do them all.
        let columns = h_features / BESIDE;
        let pieces = d_input.div_ceil(columns.max(1)).max(1);
        let columns = d_input.div_ceil(pieces);
        let single = || self.schedule.count(steps.start) == 1 && self.schedule.runs(steps.clone()).len() == 1;
        let other = !self.repeats.is_empty() || self.norm().is_some();
        if !pays || !plain || pieces > BESIDE || steps.len() < 2 * BESIDE || other || !single() {
            return None;
        }
        let (row, time) = (plan.row(), strides.time);
        let product = Beside {
            // Steps may go back from here.
            a: values
                .as_ptr()
                .wrapping_add(strides.at(self.schedule.row(steps.start, 0), self.sequence.step(steps.start))),
            a_row: if self.sequence.reverse { time.wrapping_neg() } else { time },
            len: d_input,
            share: h_features / columns.max(1),
            b: w_ih.as_ptr(),
            c0: self.bias[x.offset * S::LANES..].as_ptr(),
            c0_step: 0,
            c: panels.wrapping_add(x.offset * S::LANES),
            c_step: row,
        };
        let (b_step, b_panel, c_panel) = (width, d_input * width, steps.len() * row);
        Some(Ahead {
            steps: steps.len(),
            panels: plan.panels,
            product,
            b_step,
            b_panel,
            c_panel,
            columns,
            pieces,
            piece: 0,
        })
    }
}
