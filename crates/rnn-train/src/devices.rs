//! Mini-batches on several devices at a time, on the worker threads of burn-train.
//!
//! burn-train's own loop for several devices sums gradients in the order in which they arrive. Here they come back in
//! the order of the mini-batches, so that the training has the same bits as one that accumulates the gradients of as
//! many mini-batches on one device.

use crate::TrainError;
use crate::batches::Order;
use crate::figures::StepOutput;
use crate::task::{Batch, Task};
use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, ExecutionError};
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use std::collections::VecDeque;

/// A worker thread for each device.
pub(crate) struct Devices<M: Task> {
    /// Without autodiff; the first one has the optimizer.
    devices: Vec<Device>,
    workers: MultiDevicesTrainStep<Replica<M>>,
    /// Training steps that were made and not yet taken.
    made: VecDeque<TrainOutput<StepOutput>>,
}

impl<M: Task> Devices<M> {
    pub fn new(devices: &[Device]) -> Self {
        let devices: Vec<Device> = devices.iter().map(|device| device.clone().inner()).collect();
        Self { workers: MultiDevicesTrainStep::new(&devices), devices, made: VecDeque::new() }
    }

    /// The training step on the mini-batch `step`, counted from 0 in its epoch. With it the other devices make the steps
    /// on the next mini-batches, of the `most` that `model` is to see before it is updated.
    ///
    /// # Errors
    /// As [`steps`](Self::steps).
    pub fn next(
        &mut self,
        model: &M,
        order: &Order<Batch<M>>,
        step: usize,
        most: usize,
    ) -> Result<TrainOutput<StepOutput>, TrainError> {
        if self.made.is_empty() {
            let devices = self.devices.iter().take(most);
            let batches = devices.enumerate().map(|(place, device)| order.batch(step + place, device)).collect();
            self.made = self.steps(model, batches)?.into();
        }
        self.made.pop_front().ok_or_else(|| TrainError::Burn("no device made a training step".into()))
    }

    /// The training steps on `batches`, one for each device from the first on, each on its device. They are in the order
    /// of `batches`, with gradients on the first device.
    ///
    /// # Errors
    /// A step that panics, such as for want of memory.
    fn steps(&self, model: &M, batches: Vec<Batch<M>>) -> Result<Vec<TrainOutput<StepOutput>>, TrainError> {
        let mut batches = batches.into_iter().enumerate();
        let mut loaders: Vec<Box<dyn DataLoaderIterator<(usize, Batch<M>)>>> =
            self.devices.iter().map(|_| Box::new(Single(batches.next())) as _).collect();
        let (mut outputs, _) = self
            .workers
            .step(&mut loaders, &Replica { model: model.clone() })
            .map_err(|error| TrainError::Burn(error.to_string()))?;
        outputs.sort_by_key(|output| output.output.item.place);
        let on_first = |(place, output): (usize, TrainOutput<Numbered>)| {
            let TrainOutput { mut grads, item } = output;
            if self.devices[place] != self.devices[0] {
                grads = grads.to_device(&self.devices[0], model);
            }
            TrainOutput { grads, item: item.output }
        };
        Ok(outputs.into_iter().map(|output| output.output).enumerate().map(on_first).collect())
    }
}

/// A model whose mini-batches are numbered: the workers answer in any order.
#[derive(Module, Debug)]
struct Replica<M: Module + ModuleDisplay> {
    model: M,
}

/// What the mini-batch with the number `place` gave.
struct Numbered {
    place: usize,
    output: StepOutput,
}

impl ItemLazy for Numbered {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(Self { output: self.output.sync()?, ..self })
    }
}

impl<M: Task> TrainStep for Replica<M> {
    type Input = (usize, Batch<M>);
    type Output = Numbered;

    fn step(&self, (place, batch): Self::Input) -> TrainOutput<Numbered> {
        let TrainOutput { grads, item } = TrainStep::step(&self.model, batch);
        TrainOutput { grads, item: Numbered { place, output: item } }
    }
}

/// burn-train asks for it; validation goes another way.
impl<M: Task> InferenceStep for Replica<M> {
    type Input = Batch<M>;
    type Output = StepOutput;

    fn step(&self, batch: Batch<M>) -> StepOutput {
        InferenceStep::step(&self.model, batch)
    }
}

/// One mini-batch, or none for a device that has nothing to do.
struct Single<B>(Option<B>);

impl<B> Iterator for Single<B> {
    type Item = Result<B, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl<B> DataLoaderIterator<B> for Single<B> {
    fn progress(&self) -> Progress {
        Progress::new(0, 0, None)
    }
}
