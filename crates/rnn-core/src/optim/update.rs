//! One step of a rule: on its kernel where the tensors lie in this process' memory or a GPU's, else in tensor operations.

use super::Rule;
use burn::tensor::Tensor;

pub(super) fn apply<const D: usize, const S: usize>(
    rule: &impl Rule<S>,
    rate: f64,
    time: usize,
    weights: Tensor<D>,
    grads: Tensor<D>,
    slots: [Tensor<D>; S],
) -> (Tensor<D>, [Tensor<D>; S]) {
    #[cfg(feature = "flex")]
    if let Some(parameter) = flex::Parameter::new(&weights, &grads, &slots) {
        // With no other owner they are changed in place.
        drop((weights, slots));
        return parameter.step(rule, rate, time);
    }
    #[cfg(feature = "gpu")]
    if let Some(parameter) = gpu::Parameter::new(&weights, &grads, &slots) {
        drop((weights, slots));
        return parameter.step(rule.launched(rate, time));
    }
    rule.update(rate, time, weights, grads, slots)
}

#[cfg(feature = "gpu")]
mod gpu {
    use super::*;
    use crate::ops::gpu::{buffer, direct, dispatched, own, reachable};
    use burn::backend::Cube;
    use burn::backend::tensor::FloatTensor;
    use burn::tensor::DType;
    use rnn_gpu::Buffer;
    use rnn_gpu::optim::Step;

    pub(super) struct Parameter<const S: usize> {
        weights: FloatTensor<Cube>,
        grads: FloatTensor<Cube>,
        slots: [FloatTensor<Cube>; S],
    }

    impl<const S: usize> Parameter<S> {
        /// `None` where one of them is not f32, or elsewhere.
        pub(super) fn new<const D: usize>(
            weights: &Tensor<D>,
            grads: &Tensor<D>,
            slots: &[Tensor<D>; S],
        ) -> Option<Self> {
            let there = |tensor: &Tensor<D>| match tensor.dtype() {
                DType::F32 => tensor.clone().try_into_primitive::<Cube>().ok(),
                _ => None,
            };
            reachable().ok()?;
            let slots: Vec<FloatTensor<Cube>> = slots.iter().map(there).collect::<Option<_>>()?;
            Some(Self { weights: there(weights)?, grads: there(grads)?, slots: slots.try_into().ok()? })
        }

        /// In one launch, in place where nobody else has the memory.
        pub(super) fn step<const D: usize>(self, step: Step) -> (Tensor<D>, [Tensor<D>; S]) {
            let here = |tensor| own(direct(tensor));
            let (weights, slots) = (here(self.weights), self.slots.map(here));
            let buffers: Vec<Buffer> = slots.iter().map(buffer).collect();
            let buffers: Vec<&Buffer> = buffers.iter().collect();
            step.update(&weights.client, &buffer(&weights), &buffer(&direct(self.grads)), &buffers);
            let tensor = |tensor| Tensor::from_primitive::<Cube>(dispatched(tensor));
            (tensor(weights), slots.map(tensor))
        }
    }
}

#[cfg(feature = "flex")]
mod flex {
    use super::*;
    use crate::Exec;
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::tensor::DType;

    pub(super) struct Parameter<const S: usize> {
        weights: FlexTensor,
        grads: FlexTensor,
        slots: [FlexTensor; S],
    }

    impl<const S: usize> Parameter<S> {
        /// `None` where one of them is not f32, or elsewhere.
        pub(super) fn new<const D: usize>(
            weights: &Tensor<D>,
            grads: &Tensor<D>,
            slots: &[Tensor<D>; S],
        ) -> Option<Self> {
            let here = |tensor: &Tensor<D>| match tensor.dtype() {
                DType::F32 => tensor.clone().try_into_primitive::<Flex>().ok().map(|tensor| tensor.to_contiguous()),
                _ => None,
            };
            let slots: Vec<FlexTensor> = slots.iter().map(here).collect::<Option<_>>()?;
            Some(Self { weights: here(weights)?, grads: here(grads)?, slots: slots.try_into().ok()? })
        }

        pub(super) fn step<const D: usize>(
            mut self,
            rule: &impl Rule<S>,
            rate: f64,
            time: usize,
        ) -> (Tensor<D>, [Tensor<D>; S]) {
            let grads = self.grads.as_slice::<f32>().unwrap_or_default();
            let mut slots = self.slots.iter_mut().map(|slot| slot.storage_mut::<f32>());
            let own = [slots.next().unwrap_or_default(), slots.next().unwrap_or_default()];
            let weights = self.weights.storage_mut::<f32>();
            rule.at(rate, time).update(Exec::default(), 1.0, weights, grads, own);
            (Tensor::from_primitive::<Flex>(self.weights), self.slots.map(Tensor::from_primitive::<Flex>))
        }
    }
}
