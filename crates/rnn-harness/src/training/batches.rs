//! Batches in an order that the seed and the epoch fix.

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use rnn_core::Key;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes a batch of the items with these indices; the number is the step, counted from 0 over all epochs.
type Make<B> = Arc<dyn Fn(&[usize], u64) -> B + Send + Sync>;

/// `items` items in batches of `batch`, shuffled anew each epoch. The last batch of an epoch may be smaller.
pub struct Batches<B> {
    items: usize,
    batch: usize,
    shuffle: Option<Key>,
    epoch: AtomicUsize,
    make: Make<B>,
}

impl<B> Batches<B> {
    /// Batches that `make` makes of item indices and the step's number. With a key the order is a permutation drawn
    /// from it, another each epoch; without one it is the items' own.
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
        Self { items, batch: batch.max(1), shuffle, epoch: AtomicUsize::new(0), make: Arc::new(make) }
    }

    /// Items in an epoch.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Steps in an epoch.
    pub fn steps(&self) -> usize {
        self.items.div_ceil(self.batch)
    }

    /// All batches once, in the items' own order.
    pub fn in_order(&self) -> impl Iterator<Item = B> {
        let order: Vec<usize> = (0..self.items).collect();
        (0..self.steps()).map(move |step| {
            let end = self.items.min((step + 1) * self.batch);
            (self.make)(&order[step * self.batch..end], step as u64)
        })
    }

    /// The same without items.
    pub(super) fn empty(&self) -> Self {
        self.over(0)
    }

    fn over(&self, items: usize) -> Self {
        Self {
            items,
            batch: self.batch,
            shuffle: self.shuffle,
            epoch: AtomicUsize::new(self.epoch.load(Ordering::Relaxed)),
            make: self.make.clone(),
        }
    }
}

impl<B: Send + 'static> DataLoader<B> for Batches<B> {
    /// The next epoch.
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<B> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        let items: Vec<u32> = (0..self.items as u32).collect();
        let order = match self.shuffle {
            Some(key) => key.child(epoch as u64).shuffled(items),
            None => items,
        };
        Box::new(Epoch { batches: self, first_step: (epoch * self.steps()) as u64, order, done: 0 })
    }

    fn num_items(&self) -> usize {
        self.items
    }

    /// The batches are made where `make` makes them.
    fn to_device(&self, _: &Device) -> Arc<dyn DataLoader<B>> {
        Arc::new(self.over(self.items))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<B>> {
        let mut part = self.over(end - start);
        let make = self.make.clone();
        part.make = Arc::new(move |indices, step| {
            let shifted: Vec<usize> = indices.iter().map(|i| i + start).collect();
            make(&shifted, step)
        });
        Arc::new(part)
    }
}

struct Epoch<'a, B> {
    batches: &'a Batches<B>,
    /// Of a long text this is half of what a training takes: 4 bytes for each item.
    order: Vec<u32>,
    first_step: u64,
    done: usize,
}

impl<B> Iterator for Epoch<'_, B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.order[self.done..];
        if rest.is_empty() {
            return None;
        }
        let step = self.first_step + (self.done / self.batches.batch) as u64;
        let indices: Vec<usize> = rest.iter().take(self.batches.batch).map(|&i| i as usize).collect();
        self.done += indices.len();
        Some(Ok((self.batches.make)(&indices, step)))
    }
}

impl<B> DataLoaderIterator<B> for Epoch<'_, B> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.order.len(), Some("items".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(batches: &Batches<(Vec<usize>, u64)>) -> Vec<(Vec<usize>, u64)> {
        batches.iter().map(|b| b.expect("no dataset can fail")).collect()
    }

    #[test]
    fn each_epoch_has_every_item_once_in_another_order_that_the_seed_fixes() {
        let make = || Batches::new(10, 4, Some(Key::new(1)), |i: &[usize], s| (i.to_vec(), s));
        let batches = make();
        let (first, second) = (epoch(&batches), epoch(&batches));
        assert_eq!(first.iter().map(|(i, _)| i.len()).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(second.iter().map(|(_, s)| *s).collect::<Vec<_>>(), [3, 4, 5]);
        for run in [&first, &second] {
            let mut all: Vec<usize> = run.iter().flat_map(|(i, _)| i.clone()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(first[0].0, second[0].0);
        let again = make();
        assert_eq!((first, second), (epoch(&again), epoch(&again)));
    }
}
