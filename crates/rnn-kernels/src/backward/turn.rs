//! What happens between two steps, from the later to the earlier one: the gradients of rows that begin, end, rest and
//! restart.

use super::{Backward, Scratch};
use crate::args::MaskedOutput;
use crate::float::Float;

impl<T: Float> Backward<'_, T> {
    /// All rows of this thread rest with the gradients of their last states, filled up with zeros; the input's gradient
    /// is zero at steps that do not count.
    #[inline(always)]
    pub(super) unsafe fn initial(&self) {
        for ((to, [features, width]), grad) in self.tensors().zip([self.d_output.h, self.d_output.c]) {
            for &b in &self.schedule.rows {
                // SAFETY: a row of those that rest, which are those of this thread's rows.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(b * width), width) };
                to.fill(T::ZERO);
                if let Some(grad) = grad {
                    to[..features].copy_from_slice(&grad[b * features..][..features]);
                }
            }
        }
        if self.d_input.is_null() || self.sequence.zeroed || self.schedule.is_regular() {
            return;
        }
        for &b in &self.schedule.rows {
            for t in (0..self.sequence.time).filter(|&t| !self.sequence.counts(b, t)) {
                // SAFETY: a row of the input's gradient.
                unsafe { self.d_input.add(self.d_input_strides.at(b, t)).write_bytes(0, self.layer.d_input) };
            }
        }
    }

    /// From the step `after`, or from none, to the one before it, or to none: the gradients of the states before the
    /// later step become those of the states after the earlier one.
    #[inline(always)]
    pub(super) unsafe fn turn(&self, scratch: &mut Scratch<T>, after: Option<usize>, before: Option<usize>) {
        let schedule = self.schedule;
        let place_of = |place: usize, width: usize| place * width..(place + 1) * width;
        let mut states = [&mut scratch.d_h[..], &mut scratch.d_c[..]];
        for place in after.into_iter().flat_map(|s| schedule.resets(s)) {
            for ((_, [_, width]), state) in self.tensors().zip(&mut states) {
                state[place_of(place, width)].fill(T::ZERO);
            }
        }
        for (place, b) in schedule.others(after, before) {
            for ((resting, [_, width]), state) in self.tensors().zip(&states) {
                let from = state[place_of(place, width)].as_ptr();
                // SAFETY: a row of those that rest, which is this thread's.
                unsafe { std::ptr::copy_nonoverlapping(from, resting.add(b * width), width) };
            }
        }
        for (place, b) in schedule.others(before, after) {
            for ((resting, [_, width]), state) in self.tensors().zip(&mut states) {
                let to = state[place_of(place, width)].as_mut_ptr();
                // SAFETY: as above.
                unsafe { std::ptr::copy_nonoverlapping(resting.add(b * width), to, width) };
            }
            if self.sequence.masked_output == MaskedOutput::Previous && !schedule.is_regular() {
                let d_h = &mut states[0][place_of(place, self.plan.h_width)];
                self.add_outputs(d_h, b, before.map_or(0, |s| s + 1));
            }
        }
    }

    /// Adds the gradients of the outputs that repeat h of row `b`: those from step number `s` to the next one that
    /// counts.
    fn add_outputs(&self, d_h: &mut [T], b: usize, s: usize) {
        let Some((gradients, strides)) = self.d_output.sequence else { return };
        let sequence = self.sequence;
        let rests = |s: &usize| !sequence.counts(b, sequence.step(*s));
        let end = (s..sequence.time).take_while(rests).last().map_or(s, |last| last + 1);
        for t in (s..end).rev().map(|s| sequence.step(s)) {
            let gradients = &gradients[strides.at(b, t)..][..self.plan.h_features];
            d_h.iter_mut().zip(gradients).for_each(|(d_h, &gradient)| *d_h += gradient);
        }
    }

    /// Copies the resting gradients to the caller's memory, unless `to` is null. A row has `features` numbers, and the
    /// next one begins `width` numbers later.
    #[inline(always)]
    pub(super) unsafe fn last(&self, to: *mut T, from: *const T, [features, width]: [usize; 2]) {
        if to.is_null() {
            return;
        }
        for &b in &self.schedule.rows {
            // SAFETY: the caller's `[batch, features]`, in which these rows are this thread's.
            unsafe { std::ptr::copy_nonoverlapping(from.add(b * width), to.add(b * features), features) };
        }
    }

    /// Where the gradients of rows that rest are, as many as the cell has states, each with its features and its rows'
    /// width.
    #[inline(always)]
    fn tensors(&self) -> impl Iterator<Item = (*mut T, [usize; 2])> + use<T> {
        let sizes = [[self.plan.h_features, self.plan.h_width], [self.layer.d_hidden, self.plan.width]];
        self.resting.into_iter().zip(sizes).take(self.layer.cell.states())
    }
}
