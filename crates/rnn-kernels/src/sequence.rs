//! What forward and backward of a layer share: how the work is laid out in panels and chunks, the words for it, and
//! what forward saves for backward.

pub(crate) mod extras;
pub(crate) mod norm;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod products;
pub(crate) mod repeats;
pub(crate) mod rows;
pub(crate) mod schedule;
pub(crate) mod step;

use crate::args::Cell;
use crate::float::Float;
use crate::pool::Buffer;
use plan::Plan;
use repeats::Repeats;
use schedule::Schedule;

/// What backward needs of forward, in the order in which it is read. Its memory goes back to the pool when it is
/// dropped.
pub struct Saved<T> {
    pub(crate) plan: Plan,
    pub(crate) cell: Cell,
    pub(crate) options: bool,
    /// Batch, time, d_hidden, h_features.
    pub(crate) shape: [usize; 4],
    pub(crate) parts: Vec<SavedPart<T>>,
}

/// What is saved for the rows of one thread.
pub(crate) struct SavedPart<T> {
    pub(crate) schedule: Schedule,
    /// Chunk by chunk, `[panel][packed row]`.
    pub(crate) panels: Buffer<T>,
    /// Before the step of each packed row.
    pub(crate) h: Buffer<T>,
    pub(crate) c: Buffer<T>,
    /// With layer normalisation the normalised `x·W_ih` and `h·W_hh`, laid out as the panels are, and the statistics of
    /// each row.
    pub(crate) hats: [Buffer<T>; 2],
    pub(crate) stats: Buffer<T>,
    pub(crate) repeats: Repeats,
}

impl<T: Float> Saved<T> {
    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        let elements = self.parts.iter().map(|part| {
            let hats = part.hats[0].len() + part.hats[1].len() + part.stats.len();
            part.panels.len() + part.h.len() + part.c.len() + hats
        });
        let repeats = self.parts.iter().map(|part| part.repeats.bytes());
        elements.sum::<usize>() * size_of::<T>() + repeats.sum::<usize>()
    }
}

impl<T> std::fmt::Debug for Saved<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}
