//! A dense layer.

use super::CpuBackend;
use super::memory::Value;
use crate::Exec;
use crate::ops::graph::{self, Operand, Operation, OutputGrads, Outputs};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};
use rnn_kernels as kernels;
use std::marker::PhantomData;

/// `None` where the tensors lie elsewhere, do not fit together or are of another dtype than f32 and f64.
pub(crate) fn linear(exec: Exec, input: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<2>> {
    let [[rows, d_input], [d_weight, d_output]] = [input.dims(), weight.dims()];
    let dtype = input.dtype();
    let fits = d_weight == d_input && bias.dims() == [d_output] && weight.dtype() == dtype && bias.dtype() == dtype;
    let request = Request { exec, shape: [rows, d_input, d_output], input, weight, bias };
    if fits { on_any!(request) } else { None }
}

struct Request<'a> {
    exec: Exec,
    /// Rows, d_input, d_output.
    shape: [usize; 3],
    input: &'a Tensor<2>,
    weight: &'a Tensor<2>,
    bias: &'a Tensor<1>,
}

impl Request<'_> {
    fn on<B: CpuBackend>(&self) -> Option<Tensor<2>>
    where
        f32: Value<B>,
        f64: Value<B>,
    {
        let operands = [B::operand(self.input)?, B::operand(self.weight)?, B::operand(self.bias)?];
        match self.input.dtype() {
            DType::F32 => Some(self.run::<B, f32>(operands)),
            DType::F64 => Some(self.run::<B, f64>(operands)),
            _ => None,
        }
    }

    fn run<B: CpuBackend, T: Value<B>>(&self, operands: [Operand<B>; 3]) -> Tensor<2> {
        let [x, w, b] = operands.each_ref().map(|operand| B::contiguous(operand.primitive()));
        let operation = Linear { exec: self.exec, shape: self.shape, x, w, b, value: PhantomData::<T> };
        B::tensor(graph::run(operation, operands.each_ref().map(Some)).main)
    }
}

struct Linear<B: CpuBackend, T> {
    exec: Exec,
    shape: [usize; 3],
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    b: FloatTensor<B>,
    value: PhantomData<T>,
}

impl<B: CpuBackend, T: Value<B>> Operation<B, 3> for Linear<B, T> {
    /// How and of what shape; the input for the weight's gradient, and the weight for the input's.
    type Saved = (Exec, [usize; 3], [Option<FloatTensor<B>>; 2]);

    fn forward(self, [want_x, want_w, want_b]: [bool; 3]) -> (Outputs<FloatTensor<B>>, Option<Self::Saved>) {
        let Linear { exec, shape: shape @ [rows, _, d_output], x, w, b, .. } = self;
        let y = kernels::linear(exec, shape, T::slice(&x), T::slice(&w), T::slice(&b));
        let saved = (want_x || want_w || want_b).then(|| (exec, shape, [want_w.then_some(x), want_x.then_some(w)]));
        (Outputs { main: T::tensor(y, [rows, d_output]), others: Vec::new() }, saved)
    }

    fn backward(
        (exec, shape, saved): Self::Saved,
        grads: OutputGrads<FloatTensor<B>>,
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<B>>; 3] {
        let [rows, d_input, d_output] = shape;
        let d_y = B::contiguous(grads.main);
        let [x, w] = saved.each_ref().map(|tensor| tensor.as_ref().map(T::slice));
        let [d_x, d_w, d_b] = kernels::linear_backward(exec, shape, x, w, T::slice(&d_y), wanted[2]);
        [
            d_x.map(|values| T::tensor(values, [rows, d_input])),
            d_w.map(|values| T::tensor(values, [d_input, d_output])),
            d_b.map(|values| T::tensor(values, [d_output])),
        ]
    }
}
