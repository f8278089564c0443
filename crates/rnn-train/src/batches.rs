//! Mini-batches whose items are a function of the seed, the epoch and the step.

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use rnn_core::Key;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes a mini-batch of the items with these indices, at a step counted from 0 over all epochs.
type Make<B> = Arc<dyn Fn(&[usize], u64) -> B + Send + Sync>;

/// `items` items in mini-batches of `batch`. The last one of an epoch may be smaller.
pub struct Batches<B> {
    items: usize,
    batch: usize,
    shuffle: Option<Key>,
    make: Make<B>,
}

impl<B> Clone for Batches<B> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), ..*self }
    }
}

impl<B> Batches<B> {
    /// Mini-batches that `make` builds from item indices and the number of the step, counted from 0 over all epochs.
    /// With a key each epoch has its own random permutation; without one the items keep their order.
    ///
    /// # Panics
    /// If there are 2³² items or more.
    pub fn new(
        items: usize,
        batch: usize,
        shuffle: Option<Key>,
        make: impl Fn(&[usize], u64) -> B + Send + Sync + 'static,
    ) -> Self {
        assert!(u32::try_from(items).is_ok(), "{items} items");
        Self { items, batch: batch.max(1), shuffle, make: Arc::new(make) }
    }

    /// Batches of the same kind without items.
    pub(crate) fn none(&self) -> Self {
        Self { items: 0, ..self.clone() }
    }

    /// Items in an epoch.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Items in a mini-batch, except in the last one.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Steps in an epoch.
    pub fn steps(&self) -> usize {
        self.items.div_ceil(self.batch)
    }

    /// Items in the first `steps` steps of an epoch.
    pub(crate) fn items_in(&self, steps: usize) -> usize {
        self.items.min(steps.saturating_mul(self.batch))
    }

    /// The mini-batches of `epoch`, counted from 0, starting at its step `from`. Calls do not influence each other.
    pub fn epoch(&self, epoch: usize, from: usize) -> impl Iterator<Item = B> + '_ {
        // 4 bytes per item: for a long text the order is half of the memory that training needs.
        let order: Option<Vec<u32>> =
            self.shuffle.map(|key| key.child(epoch as u64).shuffled((0..self.items as u32).collect()));
        let first = epoch as u64 * self.steps() as u64;
        (from..self.steps()).map(move |step| {
            let range = self.range(step);
            let items: Vec<usize> = match &order {
                Some(order) => order[range].iter().map(|&item| item as usize).collect(),
                None => range.collect(),
            };
            (self.make)(&items, first + step as u64)
        })
    }

    /// The range of a step in an epoch's order.
    fn range(&self, step: usize) -> Range<usize> {
        step * self.batch..self.items.min((step + 1) * self.batch)
    }
}

/// Batches as burn-train's own loops use them: each call of `iter` is the next epoch.
pub(crate) struct Loader<B> {
    batches: Batches<B>,
    epoch: AtomicUsize,
}

impl<B> Loader<B> {
    pub fn new(batches: Batches<B>, first_epoch: usize) -> Self {
        Self { batches, epoch: AtomicUsize::new(first_epoch) }
    }
}

impl<B: Send + 'static> DataLoader<B> for Loader<B> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<B> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let inner = Box::new(self.batches.epoch(epoch, 0));
        Box::new(Epoch { batches: &self.batches, inner, steps: 0 })
    }

    fn num_items(&self) -> usize {
        self.batches.items
    }

    /// `make` decides the device of the mini-batches.
    fn to_device(&self, _: &Device) -> Arc<dyn DataLoader<B>> {
        Arc::new(Self::new(self.batches.clone(), self.epoch.load(Ordering::Relaxed)))
    }

    /// The items `start..end` only: the share of one device of several.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B>> {
        let make = self.batches.make.clone();
        let shifted = move |indices: &[usize], step| {
            let indices: Vec<usize> = indices.iter().map(|i| i + start).collect();
            make(&indices, step)
        };
        let part = Batches { items: end - start, make: Arc::new(shifted), ..self.batches.clone() };
        Arc::new(Self::new(part, self.epoch.load(Ordering::Relaxed)))
    }
}

struct Epoch<'a, B> {
    batches: &'a Batches<B>,
    inner: Box<dyn Iterator<Item = B> + 'a>,
    steps: usize,
}

impl<B> Iterator for Epoch<'_, B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next()?;
        self.steps += 1;
        Some(Ok(batch))
    }
}

impl<B> DataLoaderIterator<B> for Epoch<'_, B> {
    fn progress(&self) -> Progress {
        Progress::new(self.batches.items_in(self.steps), self.batches.items, Some("items".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seen = (Vec<usize>, u64);

    fn batches() -> Batches<Seen> {
        Batches::new(10, 4, Some(Key::new(1)), |indices: &[usize], step| (indices.to_vec(), step))
    }

    #[test]
    fn an_epoch_has_every_item_once_in_an_order_of_its_own() {
        let batches = batches();
        let epoch = |epoch| batches.epoch(epoch, 0).collect::<Vec<Seen>>();
        let (first, second) = (epoch(0), epoch(1));
        assert_eq!(first.iter().map(|(items, _)| items.len()).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(second.iter().map(|(_, step)| *step).collect::<Vec<_>>(), [3, 4, 5]);
        for epoch in [&first, &second] {
            let mut all: Vec<usize> = epoch.iter().flat_map(|(items, _)| items.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(first[0].0, second[0].0);
    }

    #[test]
    fn an_epoch_can_begin_anywhere() {
        let batches = batches();
        let whole: Vec<Seen> = batches.epoch(3, 0).collect();
        for from in 0..=3 {
            assert_eq!(batches.epoch(3, from).collect::<Vec<Seen>>(), whole[from..]);
        }
    }

    #[test]
    fn a_loader_gives_the_same_epochs() {
        let batches = batches();
        let loader = Loader::new(batches.clone(), 1);
        for epoch in [1, 2] {
            let loaded: Vec<Seen> = loader.iter().map(|batch| batch.expect("no dataset can fail")).collect();
            assert_eq!(loaded, batches.epoch(epoch, 0).collect::<Vec<Seen>>());
        }
        let part: Vec<Seen> = loader.slice(4, 10).iter().map(|batch| batch.expect("a batch")).collect();
        let mut items: Vec<usize> = part.into_iter().flat_map(|(items, _)| items).collect();
        items.sort_unstable();
        assert_eq!(items, (4..10).collect::<Vec<_>>());
    }
}
