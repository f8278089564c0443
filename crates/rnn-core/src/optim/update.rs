//! A rule over all elements of a parameter.

use super::Rule;
use burn::tensor::Tensor;
use std::ops::{Add, Div, Mul, Sub};

/// What a rule computes with: a few elements, or whole tensors.
pub(super) trait Number:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn times(self, factor: f64) -> Self;
    fn plus(self, term: f64) -> Self;
    fn sqrt(self) -> Self;
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
pub(super) fn apply<const D: usize, const S: usize, R: Rule<S>>(
    rule: &R,
    scalars: R::Scalars,
    weights: Tensor<D>,
    grads: Tensor<D>,
    slots: [Tensor<D>; S],
) -> (Tensor<D>, [Tensor<D>; S]) {
    #[cfg(feature = "flex")]
    if let Some(parameter) = flex::Parameter::of(weights.clone(), &grads, &slots) {
        drop(slots);
        return parameter.step(rule, scalars);
    }
    rule.update(scalars, weights, grads, slots)
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

        pub(super) fn step<const D: usize, R: Rule<S>>(
            mut self,
            rule: &R,
            scalars: R::Scalars,
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
                1 => pieces[0].update(rule, scalars),
                _ => pieces.par_iter_mut().for_each(|piece| piece.update(rule, scalars)),
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
        fn update<R: Rule<S>>(&mut self, rule: &R, scalars: R::Scalars) {
            for at in (0..self.new.len()).step_by(LANES) {
                let end = self.new.len().min(at + LANES);
                let slots = self.slots.each_ref().map(|slot| Lanes::load(&slot[at..end]));
                let (weights, grads) = (Lanes::load(&self.old[at..end]), Lanes::load(&self.grads[at..end]));
                let (weights, slots) = rule.update(scalars, weights, grads, slots);
                weights.store(&mut self.new[at..end]);
                for (slot, now) in self.slots.iter_mut().zip(slots) {
                    now.store(&mut slot[at..end]);
                }
            }
        }
    }

    const LANES: usize = 16;

    /// Elements that are computed together, on vectors.
    #[derive(Clone, Copy)]
    struct Lanes([f32; LANES]);

    impl Lanes {
        #[inline(always)]
        fn load(values: &[f32]) -> Self {
            match values.try_into() {
                Ok(lanes) => Self(lanes),
                Err(_) => {
                    let mut lanes = [0.0; LANES];
                    lanes[..values.len()].copy_from_slice(values);
                    Self(lanes)
                }
            }
        }

        #[inline(always)]
        fn store(self, values: &mut [f32]) {
            match <&mut [f32; LANES]>::try_from(&mut *values) {
                Ok(lanes) => *lanes = self.0,
                Err(_) => values.copy_from_slice(&self.0[..values.len()]),
            }
        }

        #[inline(always)]
        fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
            Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
        }
    }

    macro_rules! operator {
        ($($trait:ident $name:ident $op:tt)*) => {$(
            impl $trait for Lanes {
                type Output = Self;
                #[inline(always)]
                fn $name(self, other: Self) -> Self {
                    self.with(other, |a, b| a $op b)
                }
            }
        )*};
    }
    operator!(Add add + Sub sub - Mul mul * Div div /);

    impl Number for Lanes {
        #[inline(always)]
        fn times(self, factor: f64) -> Self {
            let factor = factor as f32;
            Self(self.0.map(|x| x * factor))
        }

        #[inline(always)]
        fn plus(self, term: f64) -> Self {
            let term = term as f32;
            Self(self.0.map(|x| x + term))
        }

        #[inline(always)]
        fn sqrt(self) -> Self {
            Self(self.0.map(f32::sqrt))
        }
    }
}
