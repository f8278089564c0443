//! Mini-batches whose items are a function of the seed, the epoch and the step.

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use rnn_core::Key;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes a mini-batch of the items with these indices, at a step counted from 0 over all epochs, on a device.
type Make<B> = Arc<dyn Fn(&[usize], u64, &Device) -> B + Send + Sync>;

/// `items` items in mini-batches of `batch`. The last one of an epoch may be smaller.
pub struct Batches<B> {
    items: usize,
    batch: usize,
    shuffle: Option<Key>,
    device: Device,
    make: Make<B>,
}

impl<B> Clone for Batches<B> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone(), device: self.device.clone(), ..*self }
    }
}

impl<B> Batches<B> {
    /// Mini-batches on `device`, which `make` builds from item indices, the number of the step, counted from 0 over all
    /// epochs, and the device: a training on several devices asks for another one. With a key each epoch has its own
    /// random permutation; without one the items keep their order.
    ///
    /// # Panics
    /// If there are 2³² items or more.
    pub fn new(
        items: usize,
        batch: usize,
        shuffle: Option<Key>,
        device: &Device,
        make: impl Fn(&[usize], u64, &Device) -> B + Send + Sync + 'static,
    ) -> Self {
        assert!(u32::try_from(items).is_ok(), "{items} items");
        Self { items, batch: batch.max(1), shuffle, device: device.clone(), make: Arc::new(make) }
    }

    /// Batches of the same kind without items.
    pub(crate) fn none(&self) -> Self {
        Self { items: 0, ..self.clone() }
    }

    /// The device that mini-batches are made on.
    pub(crate) fn device(&self) -> &Device {
        &self.device
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
        let order = self.order(epoch);
        (from..self.steps()).map(move |step| order.batch(step, &self.device))
    }

    /// The order of the items in `epoch`, counted from 0.
    pub(crate) fn order(&self, epoch: usize) -> Order<'_, B> {
        let order = self.shuffle.map(|key| key.child(epoch as u64).shuffled((0..self.items as u32).collect()));
        Order { batches: self, first: epoch as u64 * self.steps() as u64, order }
    }

    /// The range of a step in an epoch's order.
    fn range(&self, step: usize) -> Range<usize> {
        step * self.batch..self.items.min((step + 1) * self.batch)
    }
}

/// The order of the items in an epoch.
pub(crate) struct Order<'a, B> {
    batches: &'a Batches<B>,
    /// The epoch's first step, counted over all epochs.
    first: u64,
    /// 4 bytes per item: for a long text the order is half of the memory that training needs.
    order: Option<Vec<u32>>,
}

impl<B> Order<'_, B> {
    /// The mini-batch of `step`, counted from 0 in the epoch, on `device`.
    pub fn batch(&self, step: usize, device: &Device) -> B {
        let range = self.batches.range(step);
        let items: Vec<usize> = match &self.order {
            Some(order) => order[range].iter().map(|&item| item as usize).collect(),
            None => range.collect(),
        };
        (self.batches.make)(&items, self.first + step as u64, device)
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

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<B>> {
        let batches = Batches { device: device.clone(), ..self.batches.clone() };
        Arc::new(Self::new(batches, self.epoch.load(Ordering::Relaxed)))
    }

    /// The items `start..end` only: the share of one device of several.
    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B>> {
        let make = self.batches.make.clone();
        let shifted = move |indices: &[usize], step, device: &Device| {
            let indices: Vec<usize> = indices.iter().map(|i| i + start).collect();
            make(&indices, step, device)
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
        let device = Device::default();
        Batches::new(10, 4, Some(Key::new(1)), &device, |indices: &[usize], step, _: &Device| (indices.to_vec(), step))
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
