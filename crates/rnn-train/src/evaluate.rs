//! The figures of a model over a data set.

use crate::batches::Batches;
use crate::figures::{Figures, StepOutput, Totals};
use burn::train::InferenceStep;
use std::time::{Duration, Instant};

/// The progress of an evaluation.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The number of items so far.
    pub items: usize,
    /// The number of items in all mini-batches.
    pub of: usize,
    /// The figures so far.
    pub totals: &'a mut Totals,
}

/// The time between two calls of `seen`.
const SEEN_EVERY: Duration = Duration::from_millis(100);

/// The figures of `model` over all of `batches`, in order. Calls `seen` after the first mini-batch, after the last one
/// and every tenth of a second; if it returns `false`, the evaluation stops and returns `None`.
pub fn evaluate<M>(model: &M, batches: &Batches<M::Input>, mut seen: impl FnMut(Seen) -> bool) -> Option<Figures>
where
    M: InferenceStep<Output = StepOutput>,
{
    let mut totals = Totals::default();
    let mut items = 0;
    let mut last: Option<Instant> = None;
    rnn_core::evaluation(batches.items(), || {
        for batch in batches.epoch(0, 0) {
            let output = model.step(batch);
            items += output.items;
            totals.add(output);
            if items == batches.items() || last.is_none_or(|last| last.elapsed() >= SEEN_EVERY) {
                last = Some(Instant::now());
                if !seen(Seen { items, of: batches.items(), totals: &mut totals }) {
                    return None;
                }
            }
        }
        Some(Figures::of(&mut totals))
    })
}
