//! Which steps of a batch count, in the order in which the layer goes over them.

use crate::args::{Counted, MaskedOutput, Sequence};
use std::ops::Range;

/// What a step is for one row of the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    Counted,
    /// Masked: the state passes unchanged, and the output is zero.
    MaskedZero,
    /// Masked: the state passes unchanged, and the output is h.
    MaskedPrevious,
}

impl StepKind {
    /// Those from element `at` of the list on; null for an empty list, which says that all steps count.
    pub(crate) fn at(kinds: &[StepKind], at: usize) -> *const StepKind {
        if kinds.is_empty() { std::ptr::null() } else { kinds[at..].as_ptr() }
    }
}

/// The kinds of all steps of the rows `part` of the batch, `[step][row]`; empty where all count.
pub(crate) fn step_kinds<T>(sequence: &Sequence<T>, part: Range<usize>) -> Vec<StepKind> {
    if matches!(sequence.counted, Counted::All) {
        return Vec::new();
    }
    let mut started = vec![false; part.len()];
    let mut kinds = Vec::with_capacity(sequence.time * part.len());
    for s in 0..sequence.time {
        for (b, started) in part.clone().zip(&mut started) {
            let counted = sequence.counts(b, sequence.step(s));
            kinds.push(match counted {
                true => StepKind::Counted,
                false if *started && sequence.masked_output == MaskedOutput::Previous => StepKind::MaskedPrevious,
                false => StepKind::MaskedZero,
            });
            *started |= counted;
        }
    }
    kinds
}
