//! What stands behind a layer: a dense layer and the loss.

use super::backend::{Cpu, Value};
use super::on_graph;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor};
use burn::tensor::{DType, Int, Tensor};
use rnn_kernels::{self as kernels, Exec};
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
        if !(input.is_autodiff() || weight.is_autodiff() || bias.is_autodiff()) {
            let input = B::contiguous(input.clone().try_into_primitive::<B>().ok()?);
            let weight = B::contiguous(weight.clone().try_into_primitive::<B>().ok()?);
            let bias = B::contiguous(bias.clone().try_into_primitive::<B>().ok()?);
            return Some(Tensor::from_primitive::<B>(forward::<B, T>(shape, &input, &weight, &bias)));
        }
        let input = on_graph(input).try_into_primitive::<Ad<B>>().ok()?;
        let weight = on_graph(weight).try_into_primitive::<Ad<B>>().ok()?;
        let bias = on_graph(bias).try_into_primitive::<Ad<B>>().ok()?;
        let [x, w, b] = [&input, &weight, &bias].map(|tensor| B::contiguous(tensor.primitive().clone()));
        let output = forward::<B, T>(shape, &x, &w, &b);
        let nodes = [input.node(), weight.node(), bias.node()];
        Some(Tensor::from_primitive::<Ad<B>>(
            match LinearNode::<T>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let kept = (weight.is_tracked().then_some(x), input.is_tracked().then_some(w));
                    prep.finish((shape, kept), output)
                }
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
        ))
    }
}

fn forward<B: Cpu, T: Value<B>>(
    shape @ [rows, _, d_output]: [usize; 3],
    input: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: &FloatTensor<B>,
) -> FloatTensor<B> {
    let output = kernels::linear(Exec::default(), shape, T::slice(input), T::slice(weight), T::slice(bias));
    T::tensor(output, [rows, d_output])
}

#[derive(Debug)]
struct LinearNode<T>(PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, 3> for LinearNode<T> {
    /// The shape; the input for the weight's gradient, and the weight for the input's.
    type State = ([usize; 3], (Option<FloatTensor<B>>, Option<FloatTensor<B>>));

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = B::contiguous(grads.consume::<B>(&ops.node));
        let (shape @ [rows, d_input, d_output], (input, weight)) = ops.state;
        let (input, weight) = (input.as_ref().map(T::slice), weight.as_ref().map(T::slice));
        let wanted = ops.parents[2].is_some();
        let made = kernels::linear_backward(Exec::default(), shape, input, weight, T::slice(&grad), wanted);
        let [d_x, d_w, d_b] = made;
        let made = [
            d_x.map(|values| T::tensor(values, [rows, d_input])),
            d_w.map(|values| T::tensor(values, [d_input, d_output])),
            d_b.map(|values| T::tensor(values, [d_output])),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(made) {
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
        let values = B::contiguous(logits.primitive().clone());
        let prep = LossNode::<T>(PhantomData).prepare::<NoCheckpointing>([logits.node()]).compute_bound().stateful();
        Some(Tensor::from_primitive::<Ad<B>>(match prep {
            OpsKind::Tracked(prep) => {
                let (loss, gradient) = self.of::<B, T>(&values, true);
                prep.finish(gradient, loss)
            }
            OpsKind::UnTracked(prep) => prep.finish(self.of::<B, T>(&values, false).0),
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
        let (loss, gradient) = kernels::cross_entropy(Exec::default(), T::slice(logits), &targets, wanted);
        (T::tensor(vec![loss], [1]), gradient.map(|values| T::tensor(values, [rows, classes])))
    }
}

#[derive(Debug)]
struct LossNode<T>(PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, 1> for LossNode<T> {
    /// The gradient of the loss.
    type State = Option<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let ([Some(parent)], Some(gradient)) = (ops.parents, ops.state) else { return };
        let factor = T::slice(&B::contiguous(grad))[0];
        let gradient = match factor == T::ONE {
            true => gradient,
            false => B::float_mul_scalar(gradient, factor.to_f64().into()),
        };
        grads.register::<B>(parent.id, gradient);
    }
}
