//! The recurrence on the kernels of `rnn-kernels`, for the backends whose tensors lie in this process' memory.
//!
//! One call is one node of Burn's graph with a hand-written backward pass. It takes the input itself, not the input
//! products: all products of a layer are the kernels' too. What has no kernel goes the way of the reference: layer
//! normalisation, projections, a cell's own vectors, clips, activations other than the usual ones, cells of one's own,
//! gradient checkpointing, a probe that listens, and any dtype but f32 and f64.

mod backend;

use super::{Counted, Input, Pass, Zoneout};
use crate::MaskedOutput;
use crate::cell::{Cell, Recurrence};
use crate::layer::Layer;
use crate::probe;
use crate::state::CellState;
use backend::{Cpu, Value};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::tensor::{DType, Shape, Tensor};
use rnn_kernels::{self as kernels, Machine, Strides};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// On whichever backend the tensors are.
macro_rules! on_any {
    ($call:expr, $T:ty) => {{
        let outcome: Outcome = None;
        #[cfg(feature = "flex")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::Flex, $T>());
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "supported as long as Burn has it")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::NdArray, $T>());
        outcome
    }};
}

/// One layer and direction over `input`: the hidden states of all steps,
/// `[time, batch, d_hidden]`, and the state after each row's last step. `None` where there is no kernel for it.
pub(crate) fn sequence<C: Cell>(
    cell: &C,
    input: &Input,
    weights: &Layer,
    recurrence: &Recurrence,
    input_masks: &[Tensor<2>],
    state: &C::State,
    pass: &Pass,
) -> Option<(Tensor<3>, C::State)> {
    let kernel = cell.kernel()?.0;
    let Recurrence { gain, projection, vectors, .. } = recurrence;
    if gain.is_some() || projection.is_some() || !vectors.is_empty() || probe::is_recording() {
        return None;
    }
    let mut states = Vec::new();
    let _ = state.clone().map(|tensor| {
        states.push(tensor.clone());
        tensor
    });
    let call = Call {
        kernel,
        input: input.clone(),
        parameters: [
            Some(weights.weight_ih.val()),
            weights.bias_ih.as_ref().map(|bias| bias.val().unsqueeze()),
            Some(recurrence.weight.clone()),
            recurrence.bias.clone().map(|bias| bias.unsqueeze()),
        ],
        states,
        input_masks,
        recurrent_masks: &recurrence.masks,
        pass,
    };
    let (output, last) = match recurrence.weight.dtype() {
        DType::F32 => on_any!(call, f32),
        DType::F64 => on_any!(call, f64),
        _ => None,
    }?;
    let mut last = last.into_iter();
    Some((output, state.clone().map(|old| last.next().unwrap_or(old))))
}

/// `W_ih`, `b_ih`, `W_hh`, `b_hh`, the biases `[1, gates·d_hidden]`.
const PARAMETERS: usize = 4;
/// The nodes of the graph that a call hangs on: the input, the parameters, h and c before the first step.
const PARENTS: usize = 1 + PARAMETERS + 2;

struct Call<'a> {
    kernel: kernels::Cell,
    input: Input,
    parameters: [Option<Tensor<2>>; PARAMETERS],
    states: Vec<Tensor<2>>,
    input_masks: &'a [Tensor<2>],
    recurrent_masks: &'a [Tensor<2>],
    pass: &'a Pass<'a>,
}

type Outcome = Option<(Tensor<3>, Vec<Tensor<2>>)>;

impl Call<'_> {
    /// On the backend `B`, if the tensors are there.
    fn on<B: Cpu, T: Value<B>>(&self) -> Outcome
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, NoCheckpointing>>,
    {
        let tracked = matches!(&self.input, Input::Dense(input) if input.is_autodiff())
            || self.parameters.iter().flatten().any(Tensor::is_autodiff)
            || self.states.iter().any(Tensor::is_autodiff);
        if tracked { self.tracked::<B, T>() } else { self.untracked::<B, T>() }
    }

    /// Without a graph.
    fn untracked<B: Cpu, T: Value<B>>(&self) -> Outcome
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        let parameters = [0, 1, 2, 3].map(|i| self.parameters[i].clone().map(|t| t.try_into_primitive::<B>().ok()));
        let states = self.states.iter().map(|t| t.clone().try_into_primitive::<B>().ok());
        let given = self.given::<B, T>(
            match &self.input {
                Input::Dense(input) => Some(input.clone().try_into_primitive::<B>().ok()?),
                Input::Symbols { .. } => None,
            },
            all(parameters)?,
            states.collect::<Option<_>>()?,
        )?;
        let (sequence, last, _) = given.forward(false);
        let last = last.into_iter().map(Tensor::from_primitive::<B>).collect();
        Some((Tensor::from_primitive::<B>(sequence), last))
    }

    /// As a node of the graph, with every parent that asks for a gradient.
    fn tracked<B: Cpu, T: Value<B>>(&self) -> Outcome
    where
        DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B, NoCheckpointing>>,
    {
        type Ad<B> = Autodiff<B, NoCheckpointing>;
        fn tracked<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
            if tensor.is_autodiff() { tensor.clone() } else { tensor.clone().autodiff() }
        }
        let input = match &self.input {
            Input::Dense(input) => Some(tracked(input).try_into_primitive::<Ad<B>>().ok()?),
            Input::Symbols { .. } => None,
        };
        let parameters = all([0, 1, 2, 3].map(|i| {
            let parameter = self.parameters[i].as_ref();
            parameter.map(|t| tracked(t).try_into_primitive::<Ad<B>>().ok())
        }))?;
        let states: Option<Vec<_>> =
            self.states.iter().map(|t| tracked(t).try_into_primitive::<Ad<B>>().ok()).collect();
        let states = states?;
        let given = self.given::<B, T>(
            input.as_ref().map(|input| input.primitive().clone()),
            parameters.each_ref().map(|p| p.as_ref().map(|p| p.primitive().clone())),
            states.iter().map(|s| s.primitive().clone()).collect(),
        )?;

        // A parent that is not there is one that asks for nothing.
        let nobody = <Ad<B> as burn::backend::AutodiffBackend>::from_inner(given.w_ih.clone());
        let [w_ih, b_ih, w_hh, b_hh] = &parameters;
        let parents =
            [input.as_ref(), w_ih.as_ref(), b_ih.as_ref(), w_hh.as_ref(), b_hh.as_ref(), states.first(), states.get(1)];
        let nodes = parents.map(|parent| parent.unwrap_or(&nobody).node());
        let shape = [given.time, given.batch, given.d_hidden];
        let (sequence, last) =
            match SequenceNode::<T>(PhantomData).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let (sequence, last, saved) = given.forward(true);
                    let last_grads = LastGrads::<B>::default();
                    let state = State { given, saved: Arc::new(saved), last_grads: last_grads.clone() };
                    let sequence = prep.finish(state, sequence);
                    let last = last.into_iter().enumerate().map(|(which, tensor)| {
                        let prep = LastNode.prepare::<NoCheckpointing>([sequence.node()]).compute_bound().stateful();
                        match prep {
                            OpsKind::Tracked(prep) => {
                                prep.finish((last_grads.clone(), which, Shape::new(shape)), tensor)
                            }
                            OpsKind::UnTracked(prep) => prep.finish(tensor),
                        }
                    });
                    let last: Vec<_> = last.collect();
                    (sequence, last)
                }
                OpsKind::UnTracked(prep) => {
                    let (sequence, last, _) = given.forward(false);
                    let last = last.into_iter().map(<Ad<B> as burn::backend::AutodiffBackend>::from_inner);
                    (prep.finish(sequence), last.collect())
                }
            };
        let last = last.into_iter().map(Tensor::from_primitive::<Ad<B>>).collect();
        Some((Tensor::from_primitive::<Ad<B>>(sequence), last))
    }

    fn given<B: Cpu, T: Value<B>>(
        &self,
        input: Option<FloatTensor<B>>,
        parameters: [Option<FloatTensor<B>>; PARAMETERS],
        states: Vec<FloatTensor<B>>,
    ) -> Option<Given<B, T>>
    where
        DispatchTensor: DispatchKindConversion<B>,
    {
        let plain = |t: &Tensor<2>| t.clone().inner_if_tracked().try_into_primitive::<B>().ok().map(B::contiguous);
        let (symbols, [time, batch]) = match &self.input {
            Input::Dense(input) => (None, [input.dims()[0], input.dims()[1]]),
            Input::Symbols { symbols, batch } => (Some(symbols.clone()), [symbols.len() / batch, *batch]),
        };
        let [Some(w_ih), b_ih, Some(w_hh), b_hh] = parameters.map(|p| p.map(B::contiguous)) else { return None };
        let zoneout = self.pass.zoneout.iter().map(|zoneout| {
            Some(match zoneout {
                Zoneout::Mean(p) => Kept::Mean(*p),
                Zoneout::Drawn(keep) => {
                    Kept::Drawn(B::contiguous(keep.clone().inner_if_tracked().try_into_primitive::<B>().ok()?))
                }
            })
        });
        Some(Given {
            kernel: self.kernel,
            time,
            batch,
            d_input: w_ih.shape()[0],
            d_hidden: w_hh.shape()[0],
            input: input.map(B::rows),
            symbols,
            w_ih,
            b_ih,
            w_hh,
            b_hh,
            states: states.into_iter().map(B::contiguous).collect(),
            input_masks: self.input_masks.iter().map(plain).collect::<Option<_>>()?,
            recurrent_masks: self.recurrent_masks.iter().map(plain).collect::<Option<_>>()?,
            zoneout: zoneout.collect::<Option<_>>()?,
            reverse: self.pass.reverse,
            counted: match self.pass.counted {
                Counted::All => Counts::All,
                Counted::Lengths(lengths) => Counts::Lengths(lengths.into()),
                Counted::Mask(mask) => Counts::Mask(mask.into()),
            },
            masked_output: match self.pass.masked_output {
                MaskedOutput::Zero => kernels::MaskedOutput::Zero,
                MaskedOutput::Previous => kernels::MaskedOutput::Previous,
            },
            value: PhantomData,
        })
    }
}

/// All of those that are there, if each of them was had.
fn all<T>(options: [Option<Option<T>>; PARAMETERS]) -> Option<[Option<T>; PARAMETERS]> {
    let had = options.iter().all(|option| !matches!(option, Some(None)));
    had.then(|| options.map(Option::flatten))
}

trait InnerIfTracked {
    fn inner_if_tracked(self) -> Self;
}

impl<const D: usize> InnerIfTracked for Tensor<D> {
    fn inner_if_tracked(self) -> Self {
        if self.is_autodiff() { self.inner() } else { self }
    }
}

/// What the kernels are given, kept for the way back; cloning shares the tensors.
#[derive(Debug, Clone)]
struct Given<B: Cpu, T> {
    kernel: kernels::Cell,
    time: usize,
    batch: usize,
    d_input: usize,
    d_hidden: usize,
    /// `[time, batch, d_input]`, the features of a step side by side.
    input: Option<FloatTensor<B>>,
    /// Or these, `[batch, time]`.
    symbols: Option<Arc<[u32]>>,
    w_ih: FloatTensor<B>,
    b_ih: Option<FloatTensor<B>>,
    w_hh: FloatTensor<B>,
    b_hh: Option<FloatTensor<B>>,
    /// h, and c for an LSTM.
    states: Vec<FloatTensor<B>>,
    input_masks: Vec<FloatTensor<B>>,
    recurrent_masks: Vec<FloatTensor<B>>,
    zoneout: Vec<Kept<B>>,
    reverse: bool,
    counted: Counts,
    masked_output: kernels::MaskedOutput,
    value: PhantomData<T>,
}

#[derive(Debug, Clone)]
enum Kept<B: Cpu> {
    Mean(f64),
    Drawn(FloatTensor<B>),
}

#[derive(Debug, Clone)]
enum Counts {
    All,
    Lengths(Arc<[usize]>),
    Mask(Arc<[bool]>),
}

impl<B: Cpu, T: Value<B>> Given<B, T> {
    /// Calls `f` with the kernels' view of it.
    fn with<R>(&self, f: impl FnOnce(&kernels::Layer<T>, &kernels::Sequence<T>) -> R) -> R {
        let layer = kernels::Layer {
            cell: self.kernel,
            d_input: self.d_input,
            d_hidden: self.d_hidden,
            w_ih: T::slice(&self.w_ih),
            w_hh: T::slice(&self.w_hh),
            b_ih: self.b_ih.as_ref().map(T::slice),
            b_hh: self.b_hh.as_ref().map(T::slice),
        };
        let input = match (&self.input, &self.symbols) {
            (Some(input), _) => {
                let (values, strides) = T::strided(input);
                kernels::Input::Dense { values, strides }
            }
            (None, symbols) => kernels::Input::Indices {
                values: symbols.as_deref().unwrap_or_default(),
                strides: Strides { batch: self.time, time: 1 },
            },
        };
        let input_masks: Vec<&[T]> = self.input_masks.iter().map(T::slice).collect();
        let recurrent_masks: Vec<&[T]> = self.recurrent_masks.iter().map(T::slice).collect();
        let zoneout = |tensor: usize| match self.zoneout.get(tensor) {
            None => kernels::Zoneout::Off,
            Some(Kept::Mean(p)) => kernels::Zoneout::Mean(*p),
            Some(Kept::Drawn(keep)) => kernels::Zoneout::Drawn(T::slice(keep)),
        };
        let sequence = kernels::Sequence {
            batch: self.batch,
            time: self.time,
            input,
            h0: self.states.first().map(T::slice),
            c0: self.states.get(1).map(T::slice),
            reverse: self.reverse,
            counted: match &self.counted {
                Counts::All => kernels::Counted::All,
                Counts::Lengths(lengths) => kernels::Counted::Lengths(lengths),
                Counts::Mask(mask) => kernels::Counted::Mask(mask),
            },
            masked_output: self.masked_output,
            input_masks: &input_masks,
            recurrent_masks: &recurrent_masks,
            zoneout_h: zoneout(0),
            zoneout_c: zoneout(1),
        };
        f(&layer, &sequence)
    }

    /// Results lie as the input does.
    fn order(&self) -> Order {
        self.input.as_ref().map_or(Order::Batch, |input| Order::of(T::strided(input).1))
    }

    /// The hidden states of all steps, the last states, and what the way back needs if it is to be `saved`.
    fn forward(&self, saved: bool) -> (FloatTensor<B>, Vec<FloatTensor<B>>, Option<kernels::Saved<T>>) {
        let order = self.order();
        let mut sequence = vec![T::ZERO; self.time * self.batch * self.d_hidden];
        let mut last = vec![vec![T::ZERO; self.batch * self.d_hidden]; self.states.len()];
        let mut last_of = last.iter_mut().map(Vec::as_mut_slice);
        let output = kernels::Output {
            sequence: &mut sequence,
            strides: order.strides(self.time, self.batch, self.d_hidden),
            h: last_of.next(),
            c: last_of.next(),
        };
        let saved = self.with(|layer, given| match saved {
            true => Some(kernels::forward_saving(Machine::default(), layer, given, output)),
            false => {
                kernels::forward(Machine::default(), layer, given, output);
                None
            }
        });
        let sequence = order.tensor::<B, T>(sequence, self.time, self.batch, self.d_hidden);
        let last = last.into_iter().map(|values| T::tensor(values, [self.batch, self.d_hidden]));
        (sequence, last.collect(), saved)
    }
}

/// Which of time and batch is outermost in memory; the tensor is `[time, batch, width]` either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Time,
    Batch,
}

impl Order {
    fn of(strides: Strides) -> Self {
        if strides.batch > strides.time { Order::Batch } else { Order::Time }
    }

    fn strides(self, time: usize, batch: usize, width: usize) -> Strides {
        match self {
            Order::Time => Strides::time_major(batch, width),
            Order::Batch => Strides::batch_major(time, width),
        }
    }

    fn tensor<B: Cpu, T: Value<B>>(self, values: Vec<T>, time: usize, batch: usize, width: usize) -> FloatTensor<B> {
        match self {
            Order::Time => T::tensor(values, [time, batch, width]),
            Order::Batch => B::float_swap_dims(T::tensor(values, [batch, time, width]), 0, 1),
        }
    }
}

/// The gradients of the last h and the last c, left here by their nodes for the node of the sequence, which comes after.
type LastGrads<B> = Arc<Mutex<[Option<FloatTensor<B>>; 2]>>;

/// Locks, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[derive(Debug, Clone)]
struct State<B: Cpu, T> {
    given: Given<B, T>,
    saved: Arc<Option<kernels::Saved<T>>>,
    last_grads: LastGrads<B>,
}

/// The node of the hidden states.
#[derive(Debug)]
struct SequenceNode<T>(PhantomData<T>);

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
struct LastNode;

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
