//! Cross-entropy.

use super::CpuBackend;
use super::memory::Value;
use crate::Exec;
use crate::ops::graph::{self, Operand, Operation, OutputGrads, Outputs};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Int, Tensor};
use rnn_kernels as kernels;
use std::marker::PhantomData;

/// `None` where the tensors lie elsewhere, there are no rows, or the logits are of another dtype than f32 and f64.
pub(crate) fn cross_entropy(exec: Exec, logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    if logits.dims()[0] == 0 || targets.dims()[0] != logits.dims()[0] {
        return None;
    }
    on_any!(Request { exec, logits, targets })
}

struct Request<'a> {
    exec: Exec,
    logits: &'a Tensor<2>,
    targets: &'a Tensor<1, Int>,
}

impl Request<'_> {
    fn on<B: CpuBackend>(&self) -> Option<Tensor<1>>
    where
        f32: Value<B>,
        f64: Value<B>,
    {
        let logits = B::operand(self.logits)?;
        match self.logits.dtype() {
            DType::F32 => Some(self.run::<B, f32>(logits)),
            DType::F64 => Some(self.run::<B, f64>(logits)),
            _ => None,
        }
    }

    fn run<B: CpuBackend, T: Value<B>>(&self, logits: Operand<B>) -> Tensor<1> {
        let shape @ [_, classes] = self.logits.dims();
        let target = |(row, target): (usize, i64)| {
            let class = usize::try_from(target).ok().filter(|&class| class < classes);
            class.unwrap_or_else(|| panic!("target {target} of row {row}: there are {classes} classes"))
        };
        let targets = self.targets.to_data().iter::<i64>().enumerate().map(target).collect();
        let values = B::contiguous(logits.primitive());
        let operation = CrossEntropy { exec: self.exec, shape, logits: values, targets, value: PhantomData::<T> };
        B::tensor(graph::run(operation, [Some(&logits)]).main)
    }
}

struct CrossEntropy<B: CpuBackend, T> {
    exec: Exec,
    /// Rows, classes.
    shape: [usize; 2],
    logits: FloatTensor<B>,
    targets: Vec<usize>,
    value: PhantomData<T>,
}

impl<B: CpuBackend, T: Value<B>> Operation<B, 1> for CrossEntropy<B, T> {
    /// The gradient of the loss.
    type Saved = FloatTensor<B>;

    fn forward(self, [wanted]: [bool; 1]) -> (Outputs<FloatTensor<B>>, Option<Self::Saved>) {
        let (loss, gradient) = kernels::cross_entropy(self.exec, T::slice(&self.logits), &self.targets, wanted);
        let gradient = gradient.map(|values| T::tensor(values, self.shape));
        (Outputs { main: T::tensor(vec![loss], [1]), others: Vec::new() }, gradient)
    }

    fn backward(
        gradient: Self::Saved,
        grads: OutputGrads<FloatTensor<B>>,
        _: [bool; 1],
    ) -> [Option<FloatTensor<B>>; 1] {
        let factor = T::slice(&B::contiguous(grads.main))[0];
        [Some(match factor == T::ONE {
            true => gradient,
            false => B::float_mul_scalar(gradient, factor.to_f64().into()),
        })]
    }
}
