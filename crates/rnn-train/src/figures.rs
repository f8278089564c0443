//! What a step measures: the loss, and any figures by name.

use burn::tensor::{ExecutionError, Tensor};
use burn::train::ItemLazy;
use burn::train::metric::Adaptor;
use serde::{Deserialize, Serialize};

/// A figure of a task, such as its accuracy. The loss is always there and is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// Its name, as results give it: `accuracy`.
    pub name: &'static str,
    /// Whether more of it is better.
    pub higher_is_better: bool,
}

/// The name of the loss among the figures.
pub const LOSS: Figure = Figure { name: "loss", higher_is_better: false };

/// What a step measured over the items of its mini-batch.
#[derive(Debug)]
pub struct StepOutput {
    /// Items in the mini-batch.
    pub items: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// The mean loss, then each figure's sum over the items: one value each, still on the device.
    Device(Vec<Tensor<1>>),
    /// The sums over the items, the loss first.
    Sums(Vec<f64>),
}

impl StepOutput {
    /// The mean loss of `items` items and the sums over them of the task's figures, in the order of
    /// [`Task::FIGURES`](crate::Task::FIGURES). Each tensor has one value. They are read off the device when they are shown.
    pub fn new(items: usize, loss: Tensor<1>, figures: impl IntoIterator<Item = Tensor<1>>) -> Self {
        Self { items, values: Values::Device(std::iter::once(loss).chain(figures).collect()) }
    }

    /// From sums that were read before.
    pub(crate) fn of_sums(items: usize, sums: Vec<f64>) -> Self {
        Self { items, values: Values::Sums(sums) }
    }

    /// The sums over the items, the loss first.
    pub(crate) fn into_sums(self) -> Vec<f64> {
        let items = self.items as f64;
        match self.values {
            Values::Sums(sums) => sums,
            Values::Device(tensors) => {
                // The loss is a mean.
                let factors = std::iter::once(items).chain(std::iter::repeat(1.0));
                tensors.into_iter().zip(factors).map(|(x, factor)| f64::from(x.into_scalar::<f32>()) * factor).collect()
            }
        }
    }
}

impl ItemLazy for StepOutput {
    /// Reads what is still on the device.
    fn sync(self) -> Result<Self, ExecutionError> {
        let items = self.items;
        Ok(Self::of_sums(items, self.into_sums()))
    }
}

/// What burn-train's metrics are given: the sums over the items of a step, and how many items there are.
#[derive(Debug, Clone)]
pub struct Sums {
    pub(crate) items: usize,
    pub(crate) sums: Vec<f64>,
}

impl Adaptor<Sums> for StepOutput {
    fn adapt(&self) -> Sums {
        match &self.values {
            Values::Sums(sums) => Sums { items: self.items, sums: sums.clone() },
            // burn-train adapts what `sync` gave.
            Values::Device(_) => Sums { items: 0, sums: Vec::new() },
        }
    }
}

/// Sums over the steps of an epoch. Steps wait on the device until somebody reads them.
#[derive(Debug, Default)]
pub struct Totals {
    waiting: Vec<StepOutput>,
    read: TotalsRead,
}

/// The part of [`Totals`] that was read; a checkpoint has it.
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

    /// The means so far over all items, the loss first; NaN where there were none.
    pub fn means(&mut self) -> Vec<f64> {
        let read = self.read_all();
        read.sums.iter().map(|sum| sum / read.items as f64).collect()
    }

    /// Reads what waits.
    pub(crate) fn read_all(&mut self) -> &TotalsRead {
        for output in self.waiting.drain(..) {
            self.read.items += output.items as u64;
            let sums = output.into_sums();
            self.read.sums.resize(sums.len(), 0.0);
            self.read.sums.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
        &self.read
    }

    pub(crate) fn restore(read: TotalsRead) -> Self {
        Self { waiting: Vec::new(), read }
    }
}

/// The figures of one pass over some data: means over its items.
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
