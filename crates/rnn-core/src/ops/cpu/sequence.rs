//! A layer over a sequence on the CPU kernels.

use super::memory::{Cpu, Value};
use crate::MaskedOutput;
use crate::cell::{Activation, Kernel, KernelOptions};
use crate::ops::call::{Forwarded, INPUTS, LEARNED};
use crate::ops::{Counted, SequenceBackend, SequenceCall, SequenceInput, SequenceOptions, SequenceOutput, Zoneout};
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use rnn_kernels::{self as kernels, Strides};
use std::fmt::Debug;
use std::sync::Arc;

impl From<Kernel> for kernels::Cell {
    fn from(kernel: Kernel) -> Self {
        match kernel {
            Kernel::Rnn(KernelOptions { candidate: Activation::Relu, .. }) => {
                kernels::Cell::Rnn(kernels::Nonlinearity::Relu)
            }
            Kernel::Rnn(_) => kernels::Cell::Rnn(kernels::Nonlinearity::Tanh),
            Kernel::Lstm(KernelOptions { coupled: true, .. }) => kernels::Cell::LstmCoupled,
            Kernel::Lstm(_) => kernels::Cell::Lstm,
            Kernel::Gru { reset_after, .. } => kernels::Cell::Gru { reset_after },
            Kernel::MinGru { positive } => kernels::Cell::MinGru(candidate(positive)),
            Kernel::MinLstm { positive } => kernels::Cell::MinLstm(candidate(positive)),
        }
    }
}

impl From<Activation> for kernels::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Linear => Self::Linear,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::HardSigmoid { slope } => Self::HardSigmoid { slope },
            Activation::Tanh => Self::Tanh,
            Activation::HardTanh => Self::HardTanh,
            Activation::Relu => Self::Relu,
            Activation::LeakyRelu { slope } => Self::LeakyRelu { slope },
            Activation::Elu => Self::Elu,
            Activation::Softsign => Self::Softsign,
            Activation::Softplus => Self::Softplus,
            Activation::Silu => Self::Silu,
            Activation::Gelu => Self::Gelu,
            Activation::Positive => Self::Positive,
        }
    }
}

/// The options of a cell for the kernels, with what they learn, in the order of [`LEARNED`]. What the plain cell has is
/// no option, so that the plain cell keeps its own kernel.
pub(crate) fn cell_options<'a, T>(
    kernel: Kernel,
    learned: [Option<&'a [T]>; LEARNED.len()],
) -> kernels::Options<'a, T> {
    let options = match kernel {
        Kernel::Rnn(options) | Kernel::Lstm(options) | Kernel::Gru { options, .. } => options,
        Kernel::MinGru { .. } | Kernel::MinLstm { .. } => KernelOptions::PLAIN,
    };
    let other = |chosen: Activation, own: Activation| (chosen != own).then(|| chosen.into());
    let own = match kernels::Cell::from(kernel) {
        kernels::Cell::Rnn(kernels::Nonlinearity::Relu) => Activation::Relu,
        _ => Activation::Tanh,
    };
    let [norm_ih, norm_hh, p_i, p_f, p_o, gamma_c, beta_c, w_hr] = learned;
    kernels::Options {
        gate: other(options.gate, Activation::Sigmoid),
        candidate: other(options.candidate, own),
        hidden: other(options.hidden, Activation::Tanh),
        clip: options.clip,
        p_i,
        p_f,
        p_o,
        norm_ih,
        norm_hh,
        gamma_c,
        beta_c,
        w_hr,
    }
}

fn candidate(positive: bool) -> kernels::Candidate {
    if positive { kernels::Candidate::Positive } else { kernels::Candidate::Linear }
}

/// What forward saved, and the call that it was for.
#[derive(Debug, Clone)]
pub(crate) enum Saved<P> {
    F32(SequenceCall<P>, Arc<kernels::Saved<f32>>),
    F64(SequenceCall<P>, Arc<kernels::Saved<f64>>),
}

impl<B: Cpu> SequenceBackend for B
where
    f32: Value<B>,
    f64: Value<B>,
{
    type Saved = Saved<FloatTensor<B>>;

    const PROJECTS: bool = true;

    fn supports(options: &SequenceOptions) -> Result<(), &'static str> {
        options.refused()?;
        match options.dtype {
            DType::F32 | DType::F64 => Ok(()),
            _ => Err("only f32 and f64 have kernels"),
        }
    }

    fn forward(call: SequenceCall<FloatTensor<B>>, save: bool) -> Forwarded<FloatTensor<B>, Self::Saved> {
        let call = in_order::<B>(call);
        match call.options.dtype {
            DType::F64 => {
                let (output, saved) = forward::<B, f64>(&call, save);
                (output, saved.map(|saved| Saved::F64(call, Arc::new(saved))))
            }
            _ => {
                let (output, saved) = forward::<B, f32>(&call, save);
                (output, saved.map(|saved| Saved::F32(call, Arc::new(saved))))
            }
        }
    }

    fn backward(
        saved: Self::Saved,
        grads: SequenceOutput<FloatTensor<B>, [Option<FloatTensor<B>>; 2]>,
        wanted: [bool; INPUTS],
    ) -> [Option<FloatTensor<B>>; INPUTS] {
        match saved {
            Saved::F32(call, saved) => backward::<B, f32>(&call, &saved, grads, wanted),
            Saved::F64(call, saved) => backward::<B, f64>(&call, &saved, grads, wanted),
        }
    }
}

/// The call with its tensors laid out as the kernels read them.
fn in_order<B: Cpu>(call: SequenceCall<FloatTensor<B>>) -> SequenceCall<FloatTensor<B>> {
    let all = |tensors: Vec<FloatTensor<B>>| tensors.into_iter().map(B::contiguous).collect();
    let zoneout = call.zoneout.into_iter().map(|zoneout| match zoneout {
        Zoneout::Mean(p) => Zoneout::Mean(p),
        Zoneout::Drawn(keep) => Zoneout::Drawn(B::contiguous(keep)),
    });
    SequenceCall {
        options: call.options,
        input: match call.input {
            SequenceInput::Dense(x) => SequenceInput::Dense(B::rows(x)),
            SequenceInput::Rows(x, ids) => SequenceInput::Rows(B::rows(x), ids),
            symbols => symbols,
        },
        w_ih: B::contiguous(call.w_ih),
        b_ih: call.b_ih.map(B::contiguous),
        w_hh: call.w_hh.map(B::contiguous),
        b_hh: call.b_hh.map(B::contiguous),
        learned: call.learned.map(|tensor| tensor.map(B::contiguous)),
        states: all(call.states),
        input_masks: all(call.input_masks),
        recurrent_masks: all(call.recurrent_masks),
        zoneout: zoneout.collect(),
    }
}

/// Calls `f` with the kernels' view of a call.
fn view<B: Cpu, T: Value<B>, R>(
    call: &SequenceCall<FloatTensor<B>>,
    f: impl FnOnce(&kernels::LayerWeights<T>, &kernels::Sequence<T>) -> R,
) -> R {
    let options = &call.options;
    let Some(kernel) = options.kernel else { unreachable!("a call without a kernel is not supported") };
    let weights = kernels::LayerWeights {
        cell: kernel.into(),
        d_input: options.d_input,
        d_hidden: options.d_hidden,
        w_ih: T::slice(&call.w_ih),
        w_hh: call.w_hh.as_ref().map_or(&[], T::slice),
        b_ih: call.b_ih.as_ref().map(T::slice),
        b_hh: call.b_hh.as_ref().map(T::slice),
        options: cell_options(kernel, call.learned.each_ref().map(|tensor| tensor.as_ref().map(T::slice))),
    };
    let input = match &call.input {
        SequenceInput::Dense(x) | SequenceInput::Rows(x, _) => {
            let (values, strides) = T::strided(x);
            kernels::Input::Dense { values, strides }
        }
        SequenceInput::Symbols(symbols) => {
            kernels::Input::Indices { values: symbols, strides: Strides { batch: options.time, time: 1 } }
        }
    };
    let input_masks: Vec<&[T]> = call.input_masks.iter().map(T::slice).collect();
    let recurrent_masks: Vec<&[T]> = call.recurrent_masks.iter().map(T::slice).collect();
    let zoneout = |tensor: usize| match call.zoneout.get(tensor) {
        None | Some(Zoneout::Mean(0.0)) => kernels::Zoneout::Off,
        Some(Zoneout::Mean(p)) => kernels::Zoneout::Mean(*p),
        Some(Zoneout::Drawn(keep)) => kernels::Zoneout::Drawn(T::slice(keep)),
    };
    let sequence = kernels::Sequence {
        ids: if let SequenceInput::Rows(_, ids) = &call.input { Some(ids) } else { None },
        h0: call.states.first().map(T::slice),
        c0: call.states.get(1).map(T::slice),
        reverse: options.reverse,
        counted: match &options.counted {
            Counted::All => kernels::Counted::All,
            Counted::Lengths(lengths) => kernels::Counted::Lengths(lengths),
            Counted::Mask(mask) => kernels::Counted::Mask(mask),
        },
        masked_output: match options.masked_output {
            MaskedOutput::Zero => kernels::MaskedOutput::Zero,
            MaskedOutput::Previous => kernels::MaskedOutput::Previous,
        },
        resets: options.resets.as_deref(),
        zeroed: true,
        input_masks: &input_masks,
        recurrent_masks: &recurrent_masks,
        zoneout_h: zoneout(0),
        zoneout_c: zoneout(1),
        ..kernels::Sequence::new(options.batch, options.time, input)
    };
    f(&weights, &sequence)
}

fn forward<B: Cpu, T: Value<B>>(
    call: &SequenceCall<FloatTensor<B>>,
    save: bool,
) -> Forwarded<FloatTensor<B>, kernels::Saved<T>> {
    let SequenceOptions { time, batch, d_hidden, d_output, exec, .. } = call.options;
    let order = Order::for_call::<B, T>(call);
    let mut sequence = vec![T::ZERO; time * batch * d_output];
    let widths = [d_output, d_hidden];
    let mut states: Vec<_> = widths.iter().take(call.states.len()).map(|width| vec![T::ZERO; batch * width]).collect();
    let mut slices = states.iter_mut().map(Vec::as_mut_slice);
    let output = kernels::Output {
        sequence: &mut sequence,
        strides: order.strides([time, batch, d_output]),
        h: slices.next(),
        c: slices.next(),
    };
    let saved = view::<B, T, _>(call, |weights, sequence| match save {
        true => Some(kernels::forward_saving(exec, weights, sequence, output)),
        false => {
            kernels::forward(exec, weights, sequence, output);
            None
        }
    });
    let sequence = order.tensor::<B, T>(sequence, [time, batch, d_output]);
    let states = states.into_iter().zip(widths).map(|(values, width)| T::tensor(values, [batch, width])).collect();
    (SequenceOutput { sequence, states }, saved)
}

fn backward<B: Cpu, T: Value<B>>(
    call: &SequenceCall<FloatTensor<B>>,
    saved: &kernels::Saved<T>,
    grads: SequenceOutput<FloatTensor<B>, [Option<FloatTensor<B>>; 2]>,
    wanted: [bool; INPUTS],
) -> [Option<FloatTensor<B>>; INPUTS] {
    let SequenceOptions { time, batch, d_input, d_hidden, d_output, .. } = call.options;
    let d_sequence = (!T::is_nothing(&grads.sequence)).then(|| B::rows(grads.sequence));
    let [d_h, d_c] = grads.states.map(|grad| grad.map(B::contiguous));
    let width = call.options.kernel.map_or(0, |kernel| kernels::Cell::from(kernel).gates()) * d_hidden;
    let order = Order::for_call::<B, T>(call);
    let [units, gates] = [[1, d_hidden], [1, width]];
    let shapes: [[usize; 2]; INPUTS - 1] = [
        [d_input, width],
        gates,
        [d_output, width],
        gates,
        [batch, d_output],
        [batch, d_hidden],
        gates,
        gates,
        units,
        units,
        units,
        units,
        units,
        [d_hidden, d_output],
    ];
    let [want_x, want_others @ ..] = wanted;
    let mut d_x = want_x.then(|| vec![T::ZERO; time * batch * d_input]);
    let mut others: [Option<Vec<T>>; INPUTS - 1] = std::array::from_fn(|i| {
        let [rows, columns] = shapes[i];
        want_others[i].then(|| vec![T::ZERO; rows * columns])
    });
    let [w_ih, b_ih, w_hh, b_hh, h0, c0, norm_ih, norm_hh, p_i, p_f, p_o, gamma_c, beta_c, w_hr] =
        others.each_mut().map(Option::as_deref_mut);
    let options = kernels::OptionGradients { p_i, p_f, p_o, norm_ih, norm_hh, gamma_c, beta_c, w_hr };
    let input = d_x.as_deref_mut().map(|d_x| (d_x, order.strides([time, batch, d_input])));
    let wanted = kernels::Gradients { input, w_ih, w_hh, b_ih, b_hh, h0, c0, options };
    let d_output = kernels::OutputGradients {
        sequence: d_sequence.as_ref().map(T::strided),
        h: d_h.as_ref().map(T::slice),
        c: d_c.as_ref().map(T::slice),
    };
    view::<B, T, _>(call, |weights, sequence| kernels::backward(weights, sequence, saved, d_output, wanted));
    let d_x = d_x.map(|values| order.tensor::<B, T>(values, [time, batch, d_input]));
    let mut results = [const { None }; INPUTS];
    results[0] = d_x;
    for ((result, values), shape) in results[1..].iter_mut().zip(others).zip(shapes) {
        *result = values.map(|values| T::tensor(values, shape));
    }
    results
}

/// Which of time and batch is outermost in memory; the tensor is `[time, batch, width]` either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Time,
    Batch,
}

impl Order {
    /// Results lie as the input does.
    fn for_call<B: Cpu, T: Value<B>>(call: &SequenceCall<FloatTensor<B>>) -> Self {
        match &call.input {
            SequenceInput::Dense(x) | SequenceInput::Rows(x, _) => {
                let strides = T::strided(x).1;
                if strides.batch > strides.time { Order::Batch } else { Order::Time }
            }
            SequenceInput::Symbols(_) => Order::Batch,
        }
    }

    fn strides(self, [time, batch, width]: [usize; 3]) -> Strides {
        match self {
            Order::Time => Strides::time_major(batch, width),
            Order::Batch => Strides::batch_major(time, width),
        }
    }

    fn tensor<B: Cpu, T: Value<B>>(self, values: Vec<T>, [time, batch, width]: [usize; 3]) -> FloatTensor<B> {
        match self {
            Order::Time => T::tensor(values, [time, batch, width]),
            Order::Batch => B::float_swap_dims(T::tensor(values, [batch, time, width]), 0, 1),
        }
    }
}
