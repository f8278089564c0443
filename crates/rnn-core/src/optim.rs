//! Optimizers whose update is one pass over memory, and clipping of the norm of all gradients together.
//!
//! They stand behind Burn's own [`Optimizer`] and go wherever one of Burn's goes. On a CPU a tensor operation costs a
//! pass over memory, and an embedding's millions of weights make an optimizer out of tensor operations a good part of
//! a training step. Here the update is a kernel where the tensors are f32 on `flex` or a GPU (one launch for each), and tensor operations
//! elsewhere.
//! A table of which a step names few rows need not be gone over at all: [`LazyTable`], with the features `flex` and
//! `ndarray`.
//!
//! A step panics, as a programmer's error, on settings outside their range (β, ρ and momentum in `[0, 1)`, ε and
//! weight decay not below 0) and on a gradient or a state of another shape than the parameter.
//!
//! ```
//! use rnn_core::optim::Adam;
//! use rnn_core::burn::optim::ModuleOptimizer;
//!
//! let optimizer = ModuleOptimizer::from(Adam::PYTORCH);
//! ```

mod clip;
#[cfg(feature = "kernels")]
mod lazy;
mod rules;
mod update;

pub use clip::clip_grad_norm;
#[cfg(feature = "kernels")]
pub(crate) use lazy::named_rows;
pub use lazy::{LazyTable, Moments, Rows, rows_gradient};
pub use rules::{Adagrad, Adam, RmsProp, Sgd};

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

/// What an optimizer remembers of one parameter.
#[derive(Clone)]
pub struct State<const D: usize> {
    /// Steps made.
    time: usize,
    /// Tensors of the parameter's shape, such as the moments.
    slots: Vec<Tensor<D>>,
}

impl<const D: usize> RecordState for State<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", (self.time as u64).into());
        for (number, slot) in self.slots.iter().enumerate() {
            out.push_tensor(prefix, &format!("slot.{number}"), slot.clone().into_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let time: u64 = src.take_scalar(prefix, "time")?.try_into().ok()?;
        let slots = (0..).map_while(|number: usize| src.take_tensor(prefix, &format!("slot.{number}")));
        let slots = slots.map(|data| Tensor::from_data(data, device)).collect();
        Some(Self { time: usize::try_from(time).ok()?, slots })
    }
}

/// How a parameter is updated; `S` tensors of its shape are remembered.
trait Rule<const S: usize>: Clone + Send + Sync + 'static {
    /// Where what is remembered starts.
    const START: f64 = 0.0;

    /// The new weights and what is remembered, at the `time`-th step, counted from 1, in tensor operations.
    fn update<const D: usize>(
        &self,
        rate: f64,
        time: usize,
        weights: Tensor<D>,
        grads: Tensor<D>,
        slots: [Tensor<D>; S],
    ) -> (Tensor<D>, [Tensor<D>; S]);

    /// # Panics
    /// On settings that make no sense.
    fn check(&self);

    /// The kernel's numbers for the same step.
    #[cfg(feature = "kernels")]
    fn at(&self, rate: f64, time: usize) -> rnn_kernels::optim::Step;

    /// The numbers of the GPU's kernel for the same step.
    #[cfg(feature = "gpu")]
    fn launched(&self, rate: f64, time: usize) -> rnn_gpu::optim::Step;

    /// One step of a whole parameter.
    fn step_tensor<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<State<D>>,
    ) -> (Tensor<D>, Option<State<D>>) {
        let (time, slots) = match state {
            Some(State { time, slots }) => (time, <[Tensor<D>; S]>::try_from(slots).ok()),
            None => (0, None),
        };
        let start = || Tensor::full(tensor.dims(), Self::START, (&tensor.device(), tensor.dtype()));
        let slots = slots.unwrap_or_else(|| std::array::from_fn(|_| start()));
        let shape = tensor.dims();
        assert!(grad.dims() == shape, "the gradient is {:?}, but the parameter is {shape:?}", grad.dims());
        for slot in &slots {
            assert!(
                slot.dims() == shape,
                "the optimizer's state is of {:?}, but the parameter is {shape:?}",
                slot.dims()
            );
        }
        self.check();
        let time = time + 1;
        let (tensor, slots) = update::apply(self, rate, time, tensor, grad, slots);
        (tensor, Some(State { time, slots: slots.into() }))
    }
}

/// Burn's trait for a rule.
macro_rules! optimizer {
    ($($rule:ty)*) => {$(
        impl Optimizer for $rule {
            type State<const D: usize> = State<D>;

            fn step<const D: usize>(
                &self,
                rate: LearningRate,
                tensor: Tensor<D>,
                grad: Tensor<D>,
                state: Option<State<D>>,
            ) -> (Tensor<D>, Option<State<D>>) {
                self.step_tensor(rate, tensor, grad, state)
            }

            fn to_device<const D: usize>(state: State<D>, device: &Device) -> State<D> {
                let State { time, slots } = state;
                State { time, slots: slots.into_iter().map(|slot| slot.to_device(device)).collect() }
            }
        }
    )*};
}
optimizer!(Adam RmsProp Sgd Adagrad);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use burn::optim::ModuleOptimizer;
    use burn::tensor::TensorData;

    const SHAPE: [usize; 2] = [130, 170];

    fn random(key: u64) -> Tensor<2> {
        let values: Vec<f32> = Key::new(key).normals(SHAPE[0] * SHAPE[1]).map(|x| x as f32).collect();
        Tensor::from_data(TensorData::new(values, SHAPE), &Device::default())
    }

    /// Three steps in one pass over memory equal three steps of tensor operations.
    fn check<const S: usize, R: Rule<S>>(rule: R) {
        let (mut fused, mut plain) = (random(0), random(0));
        let mut state = None;
        let mut slots = std::array::from_fn(|_| Tensor::full(SHAPE, R::START, &Device::default()));
        for time in 1..=3 {
            let grad = random(time as u64) * 0.01;
            // Not contiguous, as gradients of transposed weights are.
            let grad = grad.reshape([SHAPE[1], SHAPE[0]]).transpose();
            (fused, state) = rule.step_tensor(0.1, fused, grad.clone(), state);
            (plain, slots) = rule.update(0.1, time, plain, grad, slots);
            let error: f32 = (fused.clone() - plain.clone()).abs().max().into_scalar();
            assert!(error < 1e-5, "{error}");
        }
    }

    #[test]
    fn one_pass_equals_tensor_operations() {
        check(Adam::KERAS);
        check(Adam { weight_decay: 0.01, ..Adam::PYTORCH });
        check(RmsProp { momentum: 0.9, ..RmsProp::KERAS });
        check(RmsProp::PYTORCH);
        check(Sgd { momentum: 0.9, nesterov: true });
        check(Adagrad);
    }

    #[test]
    fn a_state_survives_its_record() {
        let state = Adam::PYTORCH.step(0.1, random(0), random(1), None).1.expect("a state");
        let mut sink = StateSink::default();
        state.state_flatten("p", &mut sink);
        let mut source = StateSource::new(sink.scalars.into_iter().collect());
        sink.tensors.into_iter().for_each(|(name, data)| source.insert_tensor(name, data));
        let back = State::<2>::state_unflatten("p", &mut source, &Device::default()).expect("complete");
        assert_eq!(back.time, 1);
        assert_eq!(back.slots.len(), 2);
        for (a, b) in state.slots.iter().zip(&back.slots) {
            assert_eq!(a.clone().into_data(), b.clone().into_data());
        }
        // It is Burn's optimizer.
        let _ = ModuleOptimizer::from(Sgd { momentum: 0.9, nesterov: false });
    }
}
