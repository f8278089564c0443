//! Operations with a backward pass of their own, on tensors inside or outside Burn's autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::tensor::{Shape, Tensor};
use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Graph<B> = Autodiff<B, NoCheckpointing>;

/// A tensor of the backend `B`, tracked by the graph or not.
#[derive(Debug, Clone)]
pub(super) enum Operand<B: Backend> {
    Plain(FloatTensor<B>),
    Tracked(FloatTensor<Graph<B>>),
}

impl<B: Backend> Operand<B> {
    /// The values alone.
    pub(super) fn primitive(&self) -> FloatTensor<B> {
        match self {
            Operand::Plain(primitive) => primitive.clone(),
            Operand::Tracked(tensor) => tensor.primitive().clone(),
        }
    }

    fn tracked(&self) -> FloatTensor<Graph<B>> {
        match self {
            Operand::Plain(primitive) => Graph::<B>::from_inner(primitive.clone()),
            Operand::Tracked(tensor) => tensor.clone(),
        }
    }
}

/// A backend whose tensors Burn's dispatching [`Tensor`] can hold.
pub(super) trait Dispatched: Backend {
    /// `None` if the tensor lies elsewhere, or its graph uses gradient checkpointing.
    fn operand<const D: usize>(tensor: &Tensor<D>) -> Option<Operand<Self>>;

    /// The values of a tensor outside any graph, or of one inside as a constant; `None` if it lies elsewhere.
    fn constant<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<Self>>;

    fn tensor<const D: usize>(operand: Operand<Self>) -> Tensor<D>;
}

impl<B: Backend> Dispatched for B
where
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Graph<B>>,
{
    fn operand<const D: usize>(tensor: &Tensor<D>) -> Option<Operand<B>> {
        match tensor.is_autodiff() {
            true => tensor.clone().try_into_primitive::<Graph<B>>().ok().map(Operand::Tracked),
            false => tensor.clone().try_into_primitive::<B>().ok().map(Operand::Plain),
        }
    }

    fn constant<const D: usize>(tensor: &Tensor<D>) -> Option<FloatTensor<B>> {
        let plain = if tensor.is_autodiff() { tensor.clone().inner() } else { tensor.clone() };
        plain.try_into_primitive::<B>().ok()
    }

    fn tensor<const D: usize>(operand: Operand<B>) -> Tensor<D> {
        match operand {
            Operand::Plain(primitive) => Tensor::from_primitive::<B>(primitive),
            Operand::Tracked(tensor) => Tensor::from_primitive::<Graph<B>>(tensor),
        }
    }
}

/// What an operation gives.
#[derive(Debug)]
pub(super) struct Outputs<P> {
    pub(super) main: P,
    /// At most two more, such as the last states of a layer.
    pub(super) others: Vec<P>,
}

/// The gradients of what an operation gives; of another output none where it was not used.
#[derive(Debug)]
pub(super) struct OutputGrads<P> {
    pub(super) main: P,
    pub(super) others: [Option<P>; 2],
}

/// An operation over `N` inputs, which its value holds.
pub(super) trait Operation<B: Backend, const N: usize>: Sized + 'static {
    /// What backward needs.
    type Saved: Clone + Debug + Send + 'static;

    /// The outputs, and what is saved: something if the gradient of any input is `wanted`.
    fn forward(self, wanted: [bool; N]) -> (Outputs<FloatTensor<B>>, Option<Self::Saved>);

    /// The gradients of the inputs that are `wanted`.
    fn backward(
        saved: Self::Saved,
        grads: OutputGrads<FloatTensor<B>>,
        wanted: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];
}

/// Runs `operation`, as one node of the graph if any of its `inputs` is tracked; `None` stands for an optional input
/// that is not there.
pub(super) fn run<B: Backend, O: Operation<B, N>, const N: usize>(
    operation: O,
    inputs: [Option<&Operand<B>>; N],
) -> Outputs<Operand<B>> {
    let first = inputs.iter().flatten().find(|input| matches!(input, Operand::Tracked(_)));
    let Some(first) = first else {
        let Outputs { main, others } = operation.forward([false; N]).0;
        return Outputs { main: Operand::Plain(main), others: others.into_iter().map(Operand::Plain).collect() };
    };
    // What stands for an input that is not there asks for no gradient.
    let nothing = Graph::<B>::from_inner(first.primitive());
    let tensors = inputs.map(|input| input.map_or_else(|| nothing.clone(), Operand::tracked));
    let wanted = tensors.each_ref().map(|tensor| tensor.is_tracked());
    let nodes = tensors.map(|tensor| tensor.node());
    let node = Node::<O, N>(PhantomData);
    match node.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (Outputs { main, others }, saved) = operation.forward(wanted);
            let left = OtherGrads::<B>::default();
            let shape = main.shape();
            let main = prep.finish((saved, left.clone()), main);
            let others = others.into_iter().enumerate().map(|(which, other)| {
                match OtherNode.prepare::<NoCheckpointing>([main.node()]).compute_bound().stateful() {
                    OpsKind::Tracked(prep) => prep.finish((left.clone(), which, shape.clone()), other),
                    OpsKind::UnTracked(prep) => prep.finish(other),
                }
            });
            let others = others.map(Operand::Tracked).collect();
            Outputs { main: Operand::Tracked(main), others }
        }
        OpsKind::UnTracked(prep) => {
            let Outputs { main, others } = operation.forward([false; N]).0;
            let others = others.into_iter().map(|other| Operand::Tracked(Graph::<B>::from_inner(other)));
            Outputs { main: Operand::Tracked(prep.finish(main)), others: others.collect() }
        }
    }
}

/// The gradients of the other outputs, left here by their nodes for the node of the main one, which is visited after
/// them.
type OtherGrads<B> = Arc<Mutex<[Option<FloatTensor<B>>; 2]>>;

/// Locks, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node of the main output.
struct Node<O, const N: usize>(PhantomData<fn() -> O>);

impl<O, const N: usize> Debug for Node<O, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<O>())
    }
}

impl<B: Backend, O: Operation<B, N>, const N: usize> Backward<B, N> for Node<O, N> {
    type State = (Option<O::Saved>, OtherGrads<B>);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let main = grads.consume::<B>(&ops.node);
        let (saved, left) = ops.state;
        let Some(saved) = saved else { return };
        let others = std::mem::take(&mut *locked(&left));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let made = O::backward(saved, OutputGrads { main, others }, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(made) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// The node of another output.
#[derive(Debug)]
struct OtherNode;

impl<B: Backend> Backward<B, 1> for OtherNode {
    type State = (OtherGrads<B>, usize, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (left, which, shape) = ops.state;
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            // The main node must be visited even if nothing else leads there.
            let zero = B::float_zeros(Shape::new([1, 1, 1]), &grad.device(), grad.dtype().into());
            grads.register::<B>(parent.id, B::float_expand(zero, shape));
            locked(&left)[which] = Some(grad);
        }
    }
}
