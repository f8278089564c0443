//! What happens between two steps: rows begin, end, rest and restart.

use super::Forward;
use crate::args::MaskedOutput;
use crate::float::Float;
use crate::sequence::step::MaskedCopy;

/// The states before a step, and their masked copies; rows of the plan's widths, place by place.
pub(super) struct States<T> {
    pub(super) h: *mut T,
    pub(super) c: *mut T,
    pub(super) copies: [MaskedCopy<T>; 4],
    pub(super) masks: usize,
}

impl<T: Float> Forward<'_, T> {
    /// All rows of this thread rest in their initial state, filled up with zeros.
    #[inline(always)]
    pub(super) unsafe fn initial(&self) {
        for ((to, [features, width]), state) in self.tensors().zip([self.sequence.h0, self.sequence.c0]) {
            for &b in &self.schedule.rows {
                // SAFETY: a row of the states that rest, which are those of this thread's rows.
                let to = unsafe { std::slice::from_raw_parts_mut(to.add(b * width), width) };
                to.fill(T::ZERO);
                if let Some(state) = state {
                    to[..features].copy_from_slice(&state[b * features..][..features]);
                }
            }
        }
        let rests = |&&b: &&usize| !self.sequence.counts(b, self.sequence.step(0));
        for &b in self.schedule.rows.iter().filter(rests) {
            // SAFETY: as for the caller.
            unsafe { self.fill(b, 0, std::ptr::null()) };
        }
    }

    /// From step `from`, or from none, to the next: rows whose steps are over for now leave `states`, those before the
    /// next step, with their outputs for the steps in which they rest; others join, and rows restart.
    #[inline(always)]
    pub(super) unsafe fn turn(&self, from: Option<usize>, states: &States<T>) {
        let schedule = self.schedule;
        let next = from.map_or(0, |s| s + 1);
        let to = (next < self.sequence.time).then_some(next);
        // SAFETY: places of the states and rows of those that rest; the caller's masks.
        unsafe {
            let tensors = || self.tensors().zip([states.h, states.c]);
            for (place, b) in schedule.others(from, to) {
                for ((resting, [_, width]), state) in tensors() {
                    std::ptr::copy_nonoverlapping(state.add(place * width), resting.add(b * width), width);
                }
                if !schedule.is_regular() {
                    self.fill(b, next, self.resting[0].add(b * self.plan.h_width));
                }
            }
            for (place, b) in schedule.others(to, from) {
                for ((resting, [_, width]), state) in tensors() {
                    std::ptr::copy_nonoverlapping(resting.add(b * width), state.add(place * width), width);
                }
                self.copy_masked(states, place, b);
            }
            for place in to.into_iter().flat_map(|s| schedule.resets(s)) {
                for ((_, [_, width]), state) in tensors() {
                    std::slice::from_raw_parts_mut(state.add(place * width), width).fill(T::ZERO);
                }
                self.copy_masked(states, place, schedule.row(next, place));
            }
        }
    }

    /// The masked copies of h at a place.
    #[inline(always)]
    unsafe fn copy_masked(&self, states: &States<T>, place: usize, b: usize) {
        let (h_features, at) = (self.plan.h_features, place * self.plan.h_width);
        for copy in &states.copies[..states.masks] {
            // SAFETY: as for the caller.
            unsafe {
                let mask = copy.mask.add((b - self.schedule.base()) * h_features);
                for u in 0..h_features {
                    *copy.h.add(at + u) = *states.h.add(at + u) * *mask.add(u);
                }
            }
        }
    }

    /// The outputs of row `b` at the steps that do not count, from step number `s` to the next one that does; `h` is
    /// null before the row's first step.
    #[inline(always)]
    unsafe fn fill(&self, b: usize, s: usize, h: *const T) {
        let (sequence, h_features) = (self.sequence, self.plan.h_features);
        let zero = h.is_null() || sequence.masked_output == MaskedOutput::Zero;
        if zero && sequence.zeroed {
            return;
        }
        for t in (s..sequence.time).map(|s| sequence.step(s)).take_while(|&t| !sequence.counts(b, t)) {
            // SAFETY: the caller's output; a row of a state.
            unsafe {
                let to = self.output.add(b * self.output_strides.0 + t * self.output_strides.1);
                match zero {
                    true => std::slice::from_raw_parts_mut(to, h_features).fill(T::ZERO),
                    false => std::ptr::copy_nonoverlapping(h, to, h_features),
                }
            }
        }
    }

    /// Copies the resting states to the caller's memory, unless `to` is null. A row has `features` numbers, and the next
    /// one begins `width` numbers later.
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

    /// Where the states of rows that rest are, as many as the cell has, each with its features and its rows' width.
    #[inline(always)]
    fn tensors(&self) -> impl Iterator<Item = (*mut T, [usize; 2])> {
        let sizes = [[self.plan.h_features, self.plan.h_width], [self.layer.d_hidden, self.plan.width]];
        self.resting.into_iter().zip(sizes).take(self.layer.cell.states())
    }
}
