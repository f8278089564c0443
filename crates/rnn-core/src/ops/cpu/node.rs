//! The nodes of Burn's graph: one for the hidden states of all steps, and one each for the last h and the last c.

use super::PARENTS;
use super::backend::{Cpu, Value};
use super::given::Given;
use burn::backend::TensorMetadata;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use rnn_kernels as kernels;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// The gradients of the last h and the last c, left here by their nodes for the node of the sequence, which comes after.
pub(super) type LastGrads<B> = Arc<Mutex<[Option<FloatTensor<B>>; 2]>>;

/// Locks, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Debug, Clone)]
pub(super) struct State<B: Cpu, T> {
    pub(super) given: Given<B, T>,
    pub(super) saved: Arc<Option<kernels::Saved<T>>>,
    pub(super) last_grads: LastGrads<B>,
}

/// The node of the hidden states.
#[derive(Debug)]
pub(super) struct SequenceNode<T>(pub(super) PhantomData<T>);

impl<B: Cpu, T: Value<B>> Backward<B, PARENTS> for SequenceNode<T> {
    type State = State<B, T>;

    fn backward(self, ops: Ops<Self::State, PARENTS>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let State { given, saved, last_grads } = ops.state;
        let Some(saved) = saved.as_ref() else { return };
        let grad = (!T::is_nothing(&grad)).then(|| B::rows(grad));
        let [d_h, d_c] = std::mem::take(&mut *locked(&last_grads)).map(|grad| grad.map(B::contiguous));
        let Given { time, batch, d_input, d_hidden, .. } = given;
        let width = given.kernel.gates() * d_hidden;
        let order = given.order();

        let shapes =
            [[d_input, width], [1, width], [d_hidden, width], [1, width], [batch, d_hidden], [batch, d_hidden]];
        let [x_node, others @ ..] = &ops.parents;
        let zeros = |wanted: bool, n: usize| wanted.then(|| vec![T::ZERO; n]);
        let mut d_x = zeros(x_node.is_some(), time * batch * d_input);
        let mut rest: Vec<Option<Vec<T>>> =
            others.iter().zip(shapes).map(|(node, [rows, columns])| zeros(node.is_some(), rows * columns)).collect();
        {
            let mut rest = rest.iter_mut().map(|grad| grad.as_deref_mut());
            let mut next = || rest.next().flatten();
            let (w_ih, b_ih, w_hh, b_hh, h0, c0) = (next(), next(), next(), next(), next(), next());
            let input = d_x.as_deref_mut().map(|d_x| (d_x, order.strides(time, batch, d_input)));
            let wanted = kernels::Gradients { input, w_ih, w_hh, b_ih, b_hh, h0, c0 };
            let output = kernels::OutputGradients {
                sequence: grad.as_ref().map(T::strided),
                h: d_h.as_ref().map(T::slice),
                c: d_c.as_ref().map(T::slice),
            };
            given.with(|layer, sequence| kernels::backward(layer, sequence, saved, output, wanted));
        }
        if let (Some(node), Some(d_x)) = (x_node, d_x) {
            grads.register::<B>(node.id, order.tensor::<B, T>(d_x, time, batch, d_input));
        }
        for ((node, grad), shape) in others.iter().zip(rest).zip(shapes) {
            if let (Some(node), Some(grad)) = (node, grad) {
                grads.register::<B>(node.id, T::tensor(grad, shape));
            }
        }
    }
}

/// The node of the last h or the last c.
#[derive(Debug)]
pub(super) struct LastNode;

impl<B: Cpu> Backward<B, 1> for LastNode {
    type State = (LastGrads<B>, usize, Shape);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (last_grads, which, shape) = ops.state;
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            // The node of the sequence must be visited even if nothing else leads there.
            let zero = B::float_zeros(Shape::new([1, 1, 1]), &grad.device(), grad.dtype().into());
            grads.register::<B>(parent.id, B::float_expand(zero, shape));
            locked(&last_grads)[which] = Some(grad);
        }
    }
}
