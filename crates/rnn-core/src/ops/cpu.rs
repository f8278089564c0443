//! The recurrence on the kernels of `rnn-kernels`, for the backends whose tensors lie in this process' memory.
//!
//! One call is one node of Burn's graph with a hand-written backward pass. It takes the input itself, not the input
//! products: all products of a layer are the kernels' too. What has no kernel goes the way of the reference: layer
//! normalisation, projections, a cell's own vectors, clips, activations other than the usual ones, cells of one's own,
//! gradient checkpointing, a probe that listens, and any dtype but f32 and f64.

/// On whichever backend the tensors are.
macro_rules! on_any {
    ($call:expr, $T:ty) => {{
        let outcome = None;
        #[cfg(feature = "flex")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::Flex, $T>());
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "supported as long as Burn has it")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::NdArray, $T>());
        outcome
    }};
}

mod backend;
mod embedding;
mod given;
mod head;
mod node;

use super::{Counted, Input, Pass, Zoneout};
use crate::MaskedOutput;
use crate::cell::{Cell, Recurrence};
use crate::layer::Layer;
use crate::probe;
use crate::state::CellState;
use backend::{Cpu, Value};
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, DispatchKindConversion, DispatchTensor, TensorMetadata};
use burn::tensor::{DType, Shape, Tensor};
pub(crate) use embedding::embedding;
#[cfg(feature = "optim")]
pub(crate) use embedding::is_here;
use given::{Counts, Given, Kept};
pub(crate) use head::{cross_entropy, linear};
use node::{LastGrads, LastNode, SequenceNode, State};
use rnn_kernels as kernels;
use std::marker::PhantomData;
use std::sync::Arc;

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

/// The tensor, on the graph's side if it is not.
fn on_graph<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    if tensor.is_autodiff() { tensor.clone() } else { tensor.clone().autodiff() }
}

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
        let tracked = self.input.dense().is_some_and(Tensor::is_autodiff)
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
            match self.input.dense() {
                Some(input) => Some(input.clone().try_into_primitive::<B>().ok()?),
                None => None,
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
        let input = match self.input.dense() {
            Some(input) => Some(on_graph(input).try_into_primitive::<Ad<B>>().ok()?),
            None => None,
        };
        let parameters = all([0, 1, 2, 3].map(|i| {
            let parameter = self.parameters[i].as_ref();
            parameter.map(|t| on_graph(t).try_into_primitive::<Ad<B>>().ok())
        }))?;
        let states: Option<Vec<_>> =
            self.states.iter().map(|t| on_graph(t).try_into_primitive::<Ad<B>>().ok()).collect();
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
        let (ids, [time, batch]) = match &self.input {
            Input::Dense(rows) => (None, [rows.dims()[0], rows.dims()[1]]),
            Input::Rows { rows, ids } => (Some(ids.clone()), [rows.dims()[0], rows.dims()[1]]),
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
            ids,
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
