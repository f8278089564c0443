//! Adagrad as Keras has it; Burn's starts its sum at 0 and has ε outside the root.

use burn::optim::{LearningRate, Optimizer, RecordState};
use burn::tensor::{Device, Tensor};

/// Where the sum of squares starts.
const INITIAL_SUM: f64 = 0.1;
const EPSILON: f64 = 1e-7;

/// `a ← a + g²`, `w ← w − lr·g/√(a + ε)` (Duchi, Hazan and Singer, 2011), from `a = 0.1`.
#[derive(Debug, Clone, Copy)]
pub struct Adagrad;

/// The sum of squared gradients of one parameter.
#[derive(RecordState, Clone)]
pub struct AdagradState<const D: usize> {
    sum: Tensor<D>,
}

impl Optimizer for Adagrad {
    type State<const D: usize> = AdagradState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdagradState<D>>,
    ) -> (Tensor<D>, Option<AdagradState<D>>) {
        let square = grad.clone().square();
        let sum = match state {
            Some(state) => state.sum + square,
            None => square + INITIAL_SUM,
        };
        let step = grad / (sum.clone() + EPSILON).sqrt();
        (tensor - step * rate, Some(AdagradState { sum }))
    }

    fn to_device<const D: usize>(state: AdagradState<D>, device: &Device) -> AdagradState<D> {
        AdagradState { sum: state.sum.to_device(device) }
    }
}
