//! What stands behind a layer: a dense layer and the loss.

use super::backend::{Cpu, Value};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor};
use burn::tensor::{DType, Int, Tensor};
use rnn_kernels::{self as kernels, Machine};
use std::marker::PhantomData;

/// `None` where the tensors lie elsewhere, do not fit together or are of another dtype than f32 and f64.
pub(crate) fn linear(input: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<2>> {
    let [[rows, d_input], [d_weight, d_output]] = [input.dims(), weight.dims()];
    let call = LinearCall { shape: [rows, d_input, d_output], input, weight, bias };
    let dtype = input.dtype();
    let fits = d_weight == d_input && bias.dims() == [d_output] && weight.dtype() == dtype && bias.dtype() == dtype;
    match dtype {
        DType::F32 if fits => on_any!(call, f32),
        DType::F64 if fits => on_any!(call, f64),
        _ => None,
    }
}

struct LinearCall<'a> {
    shape: [usize; 3],
    input: &'a Tensor<2>,
    weight: &'a Tensor<2>,
    bias: &'a Tensor<1>,
}

impl LinearCall<'_> {
    fn on<B: Cpu, T: Value<B>>(&self) -> Option<Tensor<2>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, NoCheckpointing>>,
    {
        type Ad<B> = Autodiff<B, NoCheckpointing>;
        let &Self { shape, input, weight, bias } = self;
        if ![input.is_autodiff(), weight.is_autodiff(), bias.is_autodiff()].contains(&true) {
            let input = B::contiguous(input.clone().try_into_primitive::<B>().ok()?);
            let weight = B::contiguous(weight.clone().try_into_primitive::<B>().ok()?);
            let bias = B::contiguous(bias.clone().try_into_primitive::<B>().ok()?);
            return Some(Tensor::from_primitive::<B>(forward::<B, T>(shape, &input, &weight, &bias)));
        }
        let input = input.clone().try_into_primitive::<Ad<B>>().ok()?;
        let weight = weight.clone().try_into_primitive::<Ad<B>>().ok()?;
        let bias = bias.clone().try_into_primitive::<Ad<B>>().ok()?;
        let values = [&input, &weight, &bias].map(|tensor| B::contiguous(tensor.primitive().clone()));
        let [x, w, b] = &values;
        let output = forward::<B, T>(shape, x, w, b);
        let nodes = [input.node(), weight.node(), bias.node()];
        let prep = LinearNode::<T>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
        Some(Tensor::from_primitive::<Ad<B>>(match prep {
            OpsKind::Tracked(prep) => prep.finish((shape, x.clone(), w.clone()), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }))
    }
}

fn forward<B: Cpu, T: Value<B>>(
    shape @ [rows, _, d_output]: [usize; 3],
    input: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
) -> FloatTensor<B> {
    let output = kernels::linear(Machine::default(), shape, T::slice(input), T::slice(weight), T::slice(bias));
    T::tensor(output, [rows, d_output])
}

#[derive(Debug)]
struct LinearNode<T>(PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, 3> for LinearNode<T> {
    /// The shape, the input and the weight.
    type State = ([usize; 3], FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = B::contiguous(grads.consume::<B>(&ops.node));
        let (shape @ [rows, d_input, d_output], input, weight) = ops.state;
        let wanted = [0, 1, 2].map(|i| ops.parents[i].is_some());
        let (input, weight) = (T::slice(&input), T::slice(&weight));
        let made = kernels::linear_backward(Machine::default(), shape, input, weight, T::slice(&grad), wanted);
        let [d_input_made, d_weight, d_bias] = made;
        let d_input = d_input_made.map(|values| T::tensor(values, [rows, d_input]));
        let d_weight = d_weight.map(|values| T::tensor(values, [shape[1], d_output]));
        let d_bias = d_bias.map(|values| T::tensor(values, [d_output]));
        for (parent, gradient) in ops.parents.into_iter().zip([d_input, d_weight, d_bias]) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// `None` where the tensors lie elsewhere, there are no rows, or the logits are of another dtype than f32 and f64.
pub(crate) fn cross_entropy(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let call = LossCall { logits, targets };
    if logits.dims()[0] == 0 || targets.dims()[0] != logits.dims()[0] {
        return None;
    }
    match logits.dtype() {
        DType::F32 => on_any!(call, f32),
        DType::F64 => on_any!(call, f64),
        _ => None,
    }
}

struct LossCall<'a> {
    logits: &'a Tensor<2>,
    targets: &'a Tensor<1, Int>,
}

impl LossCall<'_> {
    fn on<B: Cpu, T: Value<B>>(&self) -> Option<Tensor<1>>
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, NoCheckpointing>>,
    {
        type Ad<B> = Autodiff<B, NoCheckpointing>;
        if !self.logits.is_autodiff() {
            let logits = B::contiguous(self.logits.clone().try_into_primitive::<B>().ok()?);
            return Some(Tensor::from_primitive::<B>(self.of::<B, T>(&logits, false).0));
        }
        let logits = self.logits.clone().try_into_primitive::<Ad<B>>().ok()?;
        let (loss, gradient) = self.of::<B, T>(&B::contiguous(logits.primitive().clone()), true);
        let prep = LossNode::<T>(PhantomData).prepare::<NoCheckpointing>([logits.node()]).compute_bound().stateful();
        Some(Tensor::from_primitive::<Ad<B>>(match (prep, gradient) {
            (OpsKind::Tracked(prep), Some(gradient)) => prep.finish(gradient, loss),
            (OpsKind::Tracked(_), None) => unreachable!("it is wanted"),
            (OpsKind::UnTracked(prep), _) => prep.finish(loss),
        }))
    }

    fn of<B: Cpu, T: Value<B>>(
        &self,
        logits: &FloatTensor<B>,
        wanted: bool,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        let [rows, classes] = self.logits.dims();
        let target = |(row, target): (usize, i64)| {
            let class = usize::try_from(target).ok().filter(|&class| class < classes);
            class.unwrap_or_else(|| panic!("target {target} of row {row}: there are {classes} classes"))
        };
        let targets: Vec<usize> = self.targets.to_data().iter::<i64>().enumerate().map(target).collect();
        let (loss, gradient) = kernels::cross_entropy(Machine::default(), T::slice(logits), &targets, wanted);
        (T::tensor(vec![loss], [1]), gradient.map(|values| T::tensor(values, [rows, classes])))
    }
}

#[derive(Debug)]
struct LossNode<T>(PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, 1> for LossNode<T> {
    /// The gradient of the loss.
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [Some(parent)] = ops.parents else { return };
        let factor = T::slice(&B::contiguous(grad))[0];
        let gradient = match factor == T::ONE {
            true => ops.state,
            false => B::float_mul_scalar(ops.state, factor.wide().into()),
        };
        grads.register::<B>(parent.id, gradient);
    }
}
