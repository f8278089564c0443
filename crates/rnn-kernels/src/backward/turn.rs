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
        let (d_hidden, width) = (self.layer.d_hidden, self.plan.width);
        for (to, grad) in
            self.resting.into_iter().zip([self.d_output.h, self.d_output.c]).take(self.layer.cell.states())
        {
            for &b in &self.schedule.rows {
                // SAFETY: a row of those that rest, which are those of this thread's rows.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(b * width), width) };
                to.fill(T::ZERO);
                if let Some(grad) = grad {
                    to[..d_hidden].copy_from_slice(&grad[b * d_hidden..][..d_hidden]);
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
        let (schedule, width) = (self.schedule, self.plan.width);
        let place_of = |place: usize| place * width..(place + 1) * width;
        for place in after.into_iter().flat_map(|s| schedule.resets(s)) {
            scratch.d_h[place_of(place)].fill(T::ZERO);
            if self.layer.cell.states() > 1 {
                scratch.d_c[place_of(place)].fill(T::ZERO);
            }
        }
        let mut states = [&mut scratch.d_h[..], &mut scratch.d_c[..]];
        for (place, b) in schedule.others(after, before) {
            for (resting, state) in self.resting.iter().zip(&states).take(self.layer.cell.states()) {
                // SAFETY: a row of those that rest, which is this thread's.
                unsafe {
                    std::ptr::copy_nonoverlapping(state[place_of(place)].as_ptr(), resting.add(b * width), width)
                };
            }
        }
        for (place, b) in schedule.others(before, after) {
            for (resting, state) in self.resting.iter().zip(&mut states).take(self.layer.cell.states()) {
                let to = &mut state[place_of(place)];
                // SAFETY: as above.
                unsafe { std::ptr::copy_nonoverlapping(resting.add(b * width), to.as_mut_ptr(), width) };
            }
            if self.sequence.masked_output == MaskedOutput::Previous && !schedule.is_regular() {
                self.add_outputs(&mut states[0][place_of(place)], b, before.map_or(0, |s| s + 1));
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
            let gradients = &gradients[strides.at(b, t)..][..self.layer.d_hidden];
            d_h.iter_mut().zip(gradients).for_each(|(d_h, &gradient)| *d_h += gradient);
        }
    }

    /// The gradients that rest to the caller's memory, if they are wanted.
    #[inline(always)]
    pub(super) unsafe fn last(&self, to: *mut T, from: *const T) {
        if to.is_null() {
            return;
        }
        let d_hidden = self.layer.d_hidden;
        for &b in &self.schedule.rows {
            // SAFETY: the caller's `[batch, d_hidden]`, in which these rows are this thread's.
            unsafe { std::ptr::copy_nonoverlapping(from.add(b * self.plan.width), to.add(b * d_hidden), d_hidden) };
        }
    }
}
