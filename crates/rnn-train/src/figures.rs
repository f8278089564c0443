//! The figures of a step: the loss, and others by name.

use burn::tensor::{ExecutionError, Float, Tensor, Transaction};
use burn::train::ItemLazy;
use burn::train::metric::Adaptor;
use serde::{Deserialize, Serialize};

/// A figure of a task, such as its accuracy. The loss is not one of them; every task has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Its name in results, such as `accuracy`.
    pub name: &'static str,
    /// Whether a higher value is better.
    pub higher_is_better: bool,
}

/// The name of the loss among the figures.
pub const LOSS: Figure = Figure { name: "loss", higher_is_better: false };

/// The figures of one mini-batch.
#[derive(Debug)]
pub struct StepOutput {
    /// The number of items in the mini-batch.
    pub items: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// On the device, one value each: the mean loss, then each figure's sum over the items.
    Device(Vec<Tensor<1>>),
    /// The sums over the items, the loss first.
    Sums(Vec<f64>),
}

impl StepOutput {
    /// The mean loss of `items` items, and for each of [`Task::FIGURES`](crate::Task::FIGURES), in order, its sum over
    /// the items. Each tensor has one value, which is read from the device only when it is shown.
    pub fn new(items: usize, loss: Tensor<1>, figures: impl IntoIterator<Item = Tensor<1>>) -> Self {
        Self { items, values: Values::Device(std::iter::once(loss).chain(figures).collect()) }
    }

    /// From sums that were already read.
    pub(crate) fn of_sums(items: usize, sums: Vec<f64>) -> Self {
        Self { items, values: Values::Sums(sums) }
    }

    /// The sums over the items, the loss first.
    pub(crate) fn into_sums(self) -> Vec<f64> {
        self.sums_of(|tensor| f64::from(tensor.into_scalar::<f32>()))
    }

    /// The same, of which `read` reads each value that is still on the device, in order.
    fn sums_of(self, mut read: impl FnMut(Tensor<1>) -> f64) -> Vec<f64> {
        let items = self.items as f64;
        match self.values {
            Values::Sums(sums) => sums,
            Values::Device(tensors) => {
                // The loss is a mean, the others are sums.
                let factors = std::iter::once(items).chain(std::iter::repeat(1.0));
                tensors.into_iter().zip(factors).map(|(tensor, factor)| read(tensor) * factor).collect()
            }
        }
    }

    /// The values that are still on the device.
    fn waiting(&self) -> &[Tensor<1>] {
        match &self.values {
            Values::Device(tensors) => tensors,
            Values::Sums(_) => &[],
        }
    }
}

impl ItemLazy for StepOutput {
    /// Reads values that are still on the device.
    fn sync(self) -> Result<Self, ExecutionError> {
        let items = self.items;
        Ok(Self::of_sums(items, self.into_sums()))
    }
}

/// The input of burn-train's metrics: the sums over the items of a step, and the number of items.
#[derive(Debug, Clone)]
pub struct Sums {
    pub(crate) items: usize,
    pub(crate) sums: Vec<f64>,
}

impl Adaptor<Sums> for StepOutput {
    fn adapt(&self) -> Sums {
        match &self.values {
            Values::Sums(sums) => Sums { items: self.items, sums: sums.clone() },
            // burn-train calls `sync` before it adapts.
            Values::Device(_) => Sums { items: 0, sums: Vec::new() },
        }
    }
}

/// Sums over the steps of an epoch. Values stay on the device until they are read.
#[derive(Debug, Default)]
pub struct Totals {
    waiting: Vec<StepOutput>,
    read: TotalsRead,
}

/// The part of [`Totals`] that was read; saved in a checkpoint.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TotalsRead {
    pub items: u64,
    #[serde(with = "crate::exact::list")]
    pub sums: Vec<f64>,
}

impl Totals {
    /// Adds a step.
    pub fn add(&mut self, output: StepOutput) {
        self.waiting.push(output);
    }

    /// The means over all items so far, the loss first; NaN without items.
    pub fn means(&mut self) -> Vec<f64> {
        let read = self.read_all();
        read.sums.iter().map(|sum| sum / read.items as f64).collect()
    }

    /// Reads the values that are still on the device, those of one device all at once: each read by itself would wait
    /// for the device again.
    pub(crate) fn read_all(&mut self) -> &TotalsRead {
        let waiting = std::mem::take(&mut self.waiting);
        let inner = |tensor: Tensor<1>| if tensor.is_autodiff() { tensor.inner() } else { tensor };
        let tensors: Vec<Tensor<1>> = waiting.iter().flat_map(StepOutput::waiting).cloned().map(inner).collect();
        let is_alone = tensors.iter().map(Tensor::device).collect::<Vec<_>>().windows(2).all(|pair| pair[0] == pair[1]);
        let mut values = match is_alone {
            true => tensors.into_iter().fold(Transaction::default(), Transaction::register::<1, Float>).execute(),
            false => tensors.into_iter().map(Tensor::into_data).collect(),
        }
        .into_iter();
        for output in waiting {
            self.read.items += output.items as u64;
            let sums = output.sums_of(|_| values.next().and_then(|data| data.iter::<f64>().next()).unwrap_or(f64::NAN));
            self.read.sums.resize(sums.len(), 0.0);
            self.read.sums.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        &self.read
    }

    /// The part that was read.
    pub(crate) fn read(&self) -> &TotalsRead {
        &self.read
    }

    pub(crate) fn restore(read: TotalsRead) -> Self {
        Self { waiting: Vec::new(), read }
    }
}

/// The figures of one pass over a data set: means over its items.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// The mean loss.
    #[serde(with = "crate::exact")]
    pub loss: f64,
    /// The task's figures, in the order of [`Task::FIGURES`](crate::Task::FIGURES).
    #[serde(with = "crate::exact::list")]
    pub others: Vec<f64>,
}

impl Figures {
    pub(crate) fn of(totals: &mut Totals) -> Self {
        let means = totals.means();
        Self { loss: means.first().copied().unwrap_or(f64::NAN), others: means.get(1..).unwrap_or_default().to_vec() }
    }
}
