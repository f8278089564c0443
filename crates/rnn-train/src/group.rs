//! The gradients of several mini-batches for one update.

use crate::parameters::scaled;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};

/// Accumulates the gradients of several mini-batches for one update: their mean over all items.
pub(crate) struct Group<M> {
    of: usize,
    gradients: GradientsAccumulator<M>,
    batches: usize,
    items: usize,
}

impl<M: Module> Group<M> {
    pub fn new(of: usize) -> Self {
        Self { of, gradients: GradientsAccumulator::new(), batches: 0, items: 0 }
    }

    /// The number of mini-batches until the update.
    pub fn missing(&self) -> usize {
        self.of.max(1) - self.batches
    }

    /// Adds a mini-batch; returns the gradients of the update after enough mini-batches or after the last one.
    pub fn add(&mut self, model: &M, grads: GradientsParams, items: usize, is_last: bool) -> Option<GradientsParams> {
        if self.of <= 1 {
            return Some(grads);
        }
        self.gradients.accumulate(model, scaled(model, grads, items as f64));
        self.batches += 1;
        self.items += items;
        if self.batches < self.of && !is_last {
            return None;
        }
        let grads = scaled(model, self.gradients.grads(), 1.0 / self.items as f64);
        (self.batches, self.items) = (0, 0);
        Some(grads)
    }
}
