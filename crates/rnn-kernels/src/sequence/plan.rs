//! How a layer's work on a sequence is laid out: panels, chunks of steps, rows per thread. Forward and backward of the
//! same sequence have the same plan.

use crate::args::{Counted, Input, LayerWeights, Sequence};
use crate::exec::Exec;
use crate::float::Float;
use crate::sequence::products::Products;
use crate::sequence::schedule::counted;
use crate::simd::{lanes, registers};

/// Bytes of panels that a chunk of steps may have: what backward reads several times should stay in the L2 cache.
const CHUNK_BYTES: usize = 1 << 19;
/// But at least so many rows, which the sums of the weights' gradients are read and written for.
const CHUNK_ROWS: usize = 128;
/// Of fewer steps in a chunk, a row of the batch has too few rows for a tile.
pub(crate) const TILE_STEPS: usize = 3;
/// A thread has at least so many rows of the batch, which a step's products share the weights for; a single one where
/// only the input is multiplied, whose steps share them.
const ROWS_PER_THREAD: usize = 4;
/// Below so many multiplications a second thread costs more than it does; Miri is to see the second thread.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 20 };

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) exec: Exec,
    pub(crate) lanes: usize,
    pub(crate) products: Products,
    /// The number of panels.
    pub(crate) panels: usize,
    /// Elements of a row of c, and of what else has a number for each unit, filled up to whole panels.
    pub(crate) width: usize,
    /// Those of a row of h: the same, or where h is projected its features filled up to whole vectors.
    pub(crate) h_width: usize,
    /// The features of h.
    pub(crate) h_features: usize,
    /// At least 1.
    pub(crate) threads: usize,
    /// Whether each product is summed in order, so that the bits of a row depend on no other row: with lengths or a
    /// mask. Without them small tiles take turns between several sums.
    pub(crate) in_order: bool,
}

impl Plan {
    pub(crate) fn new<T: Float>(exec: Exec, layer: &LayerWeights<T>, sequence: &Sequence<T>) -> Self {
        let lanes = lanes::<T>(exec.isa);
        let products = Products::for_layer(layer, sequence, layer.d_hidden.div_ceil(lanes));
        let units = products.blocks * lanes;
        let panels = layer.d_hidden.div_ceil(units);
        let &Sequence { batch, time, .. } = sequence;
        let (width, h_features) = (panels * units, layer.h_features());
        let h_width = if layer.options.w_hr.is_some() { h_features.next_multiple_of(lanes) } else { width };
        let d_input = if let Input::Dense { .. } = sequence.input { layer.d_input } else { 0 };
        let in_order = !matches!(sequence.counted, Counted::All);
        let steps = if in_order { (0..batch).map(|b| counted(sequence, b)).sum() } else { batch * time };
        let work = steps * (d_input + h_features) * layer.cell.gates() * layer.d_hidden;
        let rows = if products.h.is_empty() { 1 } else { ROWS_PER_THREAD };
        let threads = if work < SMALL { 1 } else { exec.threads.min(batch / rows).max(1) };
        Plan { exec, lanes, products, panels, width, h_width, h_features, threads, in_order }
    }

    /// Whether a chunk of `rows` packed rows is to take the next step, with which it has `more`. Elements have so many
    /// bytes.
    pub(crate) fn takes_more(&self, element: usize, rows: usize, more: usize) -> bool {
        rows < CHUNK_ROWS || more * self.panel_elements() * element <= CHUNK_BYTES
    }

    /// What the input's masks multiply by all that they keep, if a row's steps are multiplied together to leave out
    /// what they drop: nothing if there are no masks, if they multiply by different numbers, or if a chunk has too few
    /// steps for a tile.
    ///
    /// Nor where registers are few: tiles are small there, and to look up what is kept costs more than a fifth of the
    /// product, which is what dropout commonly drops. But for f64, where speed matters less, so that all machines test
    /// both ways.
    pub(crate) fn scale<T: Float>(&self, sequence: &Sequence<T>) -> Option<T> {
        if registers::<T>(self.exec.isa) < 32 && size_of::<T>() < size_of::<f64>() {
            return None;
        }
        let masks = sequence.input_masks;
        let scale = *masks.iter().find_map(|mask| mask.iter().find(|&&m| m != T::ZERO))?;
        let same = |mask: &[T]| mask.iter().fold(true, |same, &m| same & ((m == T::ZERO) | (m == scale)));
        // With lengths or a mask chunks are made as long as that.
        let rows = sequence.batch.div_ceil(self.threads);
        let few = (1..TILE_STEPS).any(|steps| !self.takes_more(size_of::<T>(), steps * rows, (steps + 1) * rows));
        let whole = scale > T::ZERO
            && scale.to_f64().is_finite()
            && (self.in_order || sequence.time >= TILE_STEPS && !few)
            && masks.iter().all(|mask| same(mask));
        whole.then_some(scale)
    }

    /// Elements of a panel's row.
    #[inline(always)]
    pub(crate) fn row(&self) -> usize {
        self.products.vectors * self.lanes
    }

    /// Elements of the panels of one step and row.
    pub(crate) fn panel_elements(&self) -> usize {
        self.panels * self.row()
    }
}
