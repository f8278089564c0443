//! A rule over all elements of a parameter.

use super::Rule;
use burn::tensor::Tensor;
use std::ops::{Add, Div, Mul, Sub};

/// What a rule computes with: single elements, or whole tensors.
pub(super) trait Number:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn times(self, factor: f64) -> Self;
    fn plus(self, term: f64) -> Self;
    fn sqrt(self) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn times(self, factor: f64) -> Self {
        self * factor as f32
    }

    #[inline(always)]
    fn plus(self, term: f64) -> Self {
        self + term as f32
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
}

impl<const D: usize> Number for Tensor<D> {
    fn times(self, factor: f64) -> Self {
        self * factor
    }

    fn plus(self, term: f64) -> Self {
        self + term
    }

    fn sqrt(self) -> Self {
        Tensor::sqrt(self)
    }
}

/// One step of `rule`.
pub(super) fn apply<const D: usize, const S: usize>(
    rule: &impl Rule<S>,
    rate: f64,
    time: usize,
    weights: Tensor<D>,
    grads: Tensor<D>,
    slots: [Tensor<D>; S],
) -> (Tensor<D>, [Tensor<D>; S]) {
    #[cfg(feature = "flex")]
    if let Some(parameter) = flex::Parameter::of(weights.clone(), &grads, &slots) {
        drop(slots);
        return parameter.step(rule, rate, time);
    }
    rule.update(rate, time, weights, grads, slots)
}

/// In one pass over the memory of the default CPU backend.
#[cfg(feature = "flex")]
mod flex {
    use super::*;
    use burn::backend::Flex;
    use burn::backend::flex::FlexTensor;
    use burn::tensor::{DType, TensorData};
    use rayon::prelude::*;

    /// Elements in a piece of work: few enough to lie in the cache together.
    const PIECE: usize = 8192;

    pub(super) struct Parameter<const S: usize> {
        weights: FlexTensor,
        grads: FlexTensor,
        slots: [FlexTensor; S],
    }

    impl<const S: usize> Parameter<S> {
        /// `None` where one of them is not f32, or elsewhere.
        pub(super) fn of<const D: usize>(
            weights: Tensor<D>,
            grads: &Tensor<D>,
            slots: &[Tensor<D>; S],
        ) -> Option<Self> {
            let here = |tensor: Tensor<D>| match tensor.dtype() {
                DType::F32 => tensor.try_into_primitive::<Flex>().ok().map(|tensor| tensor.to_contiguous()),
                _ => None,
            };
            let slots: Vec<FlexTensor> = slots.iter().map(|slot| here(slot.clone())).collect::<Option<_>>()?;
            Some(Self { weights: here(weights)?, grads: here(grads.clone())?, slots: slots.try_into().ok()? })
        }

        pub(super) fn step<const D: usize>(
            mut self,
            rule: &impl Rule<S>,
            rate: f64,
            time: usize,
        ) -> (Tensor<D>, [Tensor<D>; S]) {
            let shape = self.weights.layout().shape().clone();
            let old: &[f32] = self.weights.as_slice().unwrap_or_default();
            let grads: &[f32] = self.grads.as_slice().unwrap_or_default();
            let mut new = vec![0.0; old.len()];
            // The moments are changed in place where nobody else has them.
            let mut slots = self.slots.each_mut().map(|slot| slot.storage_mut::<f32>().chunks_mut(PIECE));
            let pieces = new.chunks_mut(PIECE).zip(old.chunks(PIECE)).zip(grads.chunks(PIECE));
            let mut pieces: Vec<Piece<S>> = pieces
                .map(|((new, old), grads)| {
                    let slots = slots.each_mut().map(|pieces| pieces.next().unwrap_or_default());
                    Piece { new, old, grads, slots }
                })
                .collect();
            match pieces.len() {
                1 => pieces[0].update(rule, rate, time),
                _ => pieces.par_iter_mut().for_each(|piece| piece.update(rule, rate, time)),
            }
            drop(pieces);
            let new = FlexTensor::from_data(TensorData::new(new, shape));
            (Tensor::from_primitive::<Flex>(new), self.slots.map(Tensor::from_primitive::<Flex>))
        }
    }

    struct Piece<'a, const S: usize> {
        new: &'a mut [f32],
        old: &'a [f32],
        grads: &'a [f32],
        slots: [&'a mut [f32]; S],
    }

    impl<const S: usize> Piece<'_, S> {
        fn update(&mut self, rule: &impl Rule<S>, rate: f64, time: usize) {
            // Slices of one length let the compiler leave out the checks and work on vectors.
            let n = self.new.len();
            let (new, old, grads) = (&mut self.new[..n], &self.old[..n], &self.grads[..n]);
            let slots = self.slots.each_mut().map(|slot| &mut slot[..n]);
            for i in 0..n {
                let before = std::array::from_fn(|slot| slots[slot][i]);
                let (weight, after) = rule.update(rate, time, old[i], grads[i], before);
                new[i] = weight;
                for slot in 0..S {
                    slots[slot][i] = after[slot];
                }
            }
        }
    }
}
