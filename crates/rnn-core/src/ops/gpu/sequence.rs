//! A layer over a sequence on the GPU kernels.

use super::tensors::{buffer, direct, reachable, tensor};
use crate::MaskedOutput;
use crate::cell::{Activation, Kernel, KernelOptions};
use crate::ops::call::{Forwarded, INPUTS};
use crate::ops::graph::Dispatched;
use crate::ops::{Counted, SequenceBackend, SequenceCall, SequenceInput, SequenceOptions, SequenceOutput, Zoneout};
use burn::backend::Cube;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use rnn_gpu::{self as gpu, Buffer, Strided, Wanted};

/// Whether `device` is a GPU that has 16-bit floats, for
/// [`RecurrentConfig::half_storage`](crate::RecurrentConfig::half_storage).
pub fn stores_half(device: &Device) -> bool {
    let there = Cube::constant(&Tensor::<1>::zeros([1], device)).filter(|_| reachable().is_ok());
    there.is_some_and(|tensor| gpu::Storage::F16.is_on(&direct(tensor).client))
}

/// The cell of a supported call, and its options.
fn cell(options: &SequenceOptions) -> (gpu::Cell, gpu::Options) {
    let (cell, chosen) = match options.kernel {
        Some(Kernel::Rnn(options)) => (gpu::Cell::Rnn, options),
        Some(Kernel::Lstm(options)) if options.coupled => (gpu::Cell::LstmCoupled, options),
        Some(Kernel::Lstm(options)) => (gpu::Cell::Lstm, options),
        Some(Kernel::Gru { reset_after: true, options }) => (gpu::Cell::GruAfter, options),
        Some(Kernel::Gru { reset_after: false, options }) => (gpu::Cell::GruBefore, options),
        Some(Kernel::MinGru { positive }) => (gpu::Cell::MinGru, without_h(positive)),
        Some(Kernel::MinLstm { positive }) => (gpu::Cell::MinLstm, without_h(positive)),
        None => unreachable!("`supports` refuses such a call"),
    };
    let KernelOptions { gate, candidate, hidden, clip, .. } = chosen;
    let options = gpu::Options {
        gate: gate.into(),
        candidate: candidate.into(),
        hidden: hidden.into(),
        clip: clip.map(|clip| (clip as f32).into()),
    };
    (cell, options)
}

/// The options of a cell that does not multiply h.
fn without_h(positive: bool) -> KernelOptions {
    let candidate = if positive { Activation::Positive } else { Activation::Linear };
    KernelOptions { candidate, ..KernelOptions::PLAIN }
}

impl From<Activation> for gpu::Activation {
    fn from(activation: Activation) -> Self {
        match activation {
            Activation::Linear => Self::Linear,
            Activation::Sigmoid => Self::Sigmoid,
            Activation::HardSigmoid { slope } => Self::HardSigmoid { slope: (slope as f32).into() },
            Activation::Tanh => Self::Tanh,
            Activation::HardTanh => Self::HardTanh,
            Activation::Relu => Self::Relu,
            Activation::LeakyRelu { slope } => Self::LeakyRelu { slope: (slope as f32).into() },
            Activation::Elu => Self::Elu,
            Activation::Softsign => Self::Softsign,
            Activation::Softplus => Self::Softplus,
            Activation::Silu => Self::Silu,
            Activation::Gelu => Self::Gelu,
            Activation::Positive => Self::Positive,
        }
    }
}

impl SequenceBackend for Cube {
    type Saved = (SequenceCall<CubeTensor>, gpu::Saved);

    const PROJECTS: bool = false;

    fn supports(options: &SequenceOptions) -> Result<(), &'static str> {
        super::supports(options)?;
        reachable()
    }

    fn fits(options: &SequenceOptions, device: &CubeDevice) -> Result<(), &'static str> {
        let SequenceOptions { d_hidden, recurrent_masks, vectors, layer_norm, .. } = *options;
        let needs = gpu::Needs {
            cell: cell(options).0,
            d_hidden,
            recurrent_masks,
            peepholes: vectors,
            norm: layer_norm,
            storage: gpu::Storage::F32,
        };
        gpu::fits(&device.client(), &needs)
    }

    fn stores_half(device: &CubeDevice) -> Result<(), &'static str> {
        match gpu::Storage::F16.is_on(&device.client()) {
            true => Ok(()),
            false => {
                Err("the adapter has no 16-bit floats, so that the layer stores 32-bit ones in spite of half_storage")
            }
        }
    }

    fn forward(call: SequenceCall<FloatTensor<Cube>>, save: bool) -> Forwarded<FloatTensor<Cube>, Self::Saved> {
        let call = in_order(call);
        let SequenceOptions { time, batch, d_hidden, .. } = call.options;
        let client = call.w_ih.client.clone();
        let (output, saved) = view(&call, |layer, sequence| gpu::forward(&client, layer, sequence, save));
        let sequence = tensor(&call.w_ih, &output.sequence, [time, batch, d_hidden]);
        let states = [Some(output.h), output.c].into_iter().flatten();
        let states = states.map(|state| tensor(&call.w_ih, &state, [batch, d_hidden])).collect();
        (SequenceOutput { sequence, states }, saved.map(|saved| (call, saved)))
    }

    fn backward(
        (call, saved): Self::Saved,
        grads: SequenceOutput<FloatTensor<Cube>, [Option<FloatTensor<Cube>>; 2]>,
        wanted: [bool; INPUTS],
    ) -> [Option<FloatTensor<Cube>>; INPUTS] {
        let SequenceOptions { time, batch, d_input, d_hidden, .. } = call.options;
        let client = call.w_ih.client.clone();
        let [h, c] = grads.states.map(|grad| grad.map(|grad| buffer(&direct(grad))));
        let given = gpu::OutputGradients { sequence: Some(strided(&direct(grads.sequence))), h, c };
        let [x, w_ih, b_ih, w_hh, b_hh, ..] = wanted;
        let asked = Wanted { input: x, input_weights: w_ih || b_ih, hidden_weights: w_hh || b_hh };
        let gradients = view(&call, |layer, sequence| gpu::backward(&client, layer, sequence, &saved, &given, asked));
        let width = cell(&call.options).0.gates() * d_hidden;
        let made = |buffer: Option<Buffer>, shape: [usize; 2]| buffer.map(|buffer| tensor(&call.w_ih, &buffer, shape));
        let [p_i, p_f, p_o] = gradients.peepholes.map(|buffer| made(buffer, [1, d_hidden]));
        let [norm_ih, norm_hh, gamma_c, beta_c] = match gradients.norm {
            None => [None, None, None, None],
            Some(gpu::Norm { ih, hh, c }) => {
                let [gamma_c, beta_c] = c.map_or([None, None], |c| c.map(Some));
                [
                    made(Some(ih), [1, width]),
                    made(hh, [1, width]),
                    made(gamma_c, [1, d_hidden]),
                    made(beta_c, [1, d_hidden]),
                ]
            }
        };
        let mut made = [
            gradients.input.map(|buffer| tensor(&call.w_ih, &buffer, [time, batch, d_input])),
            made(gradients.w_ih, [d_input, width]),
            made(gradients.b_ih, [1, width]),
            made(gradients.w_hh, [d_hidden, width]),
            made(gradients.b_hh, [1, width]),
            made(Some(gradients.h0), [batch, d_hidden]),
            made(gradients.c0, [batch, d_hidden]),
            // In the order of `LEARNED`; the kernels do not project.
            norm_ih,
            norm_hh,
            p_i,
            p_f,
            p_o,
            gamma_c,
            beta_c,
        ]
        .into_iter();
        std::array::from_fn(|input| made.next().flatten().filter(|_| wanted[input]))
    }
}

/// The call with its tensors laid out as the kernels read them: row after row, but for x, which has strides.
fn in_order(call: SequenceCall<FloatTensor<Cube>>) -> SequenceCall<CubeTensor> {
    let one = |tensor| into_contiguous(direct(tensor));
    let all = |tensors: Vec<FloatTensor<Cube>>| tensors.into_iter().map(one).collect();
    let zoneout = call.zoneout.into_iter().map(|zoneout| match zoneout {
        Zoneout::Mean(p) => Zoneout::Mean(p),
        Zoneout::Drawn(keep) => Zoneout::Drawn(one(keep)),
    });
    SequenceCall {
        options: call.options,
        input: match call.input {
            SequenceInput::Dense(x) => SequenceInput::Dense(direct(x)),
            SequenceInput::Rows(x, ids) => SequenceInput::Rows(direct(x), ids),
            SequenceInput::Symbols(symbols) => SequenceInput::Symbols(symbols),
        },
        w_ih: one(call.w_ih),
        b_ih: call.b_ih.map(one),
        w_hh: call.w_hh.map(one),
        b_hh: call.b_hh.map(one),
        learned: call.learned.map(|vector| vector.map(one)),
        states: all(call.states),
        input_masks: all(call.input_masks),
        recurrent_masks: all(call.recurrent_masks),
        zoneout: zoneout.collect(),
    }
}

/// Calls `f` with the kernels' view of a call.
fn view<R>(call: &SequenceCall<CubeTensor>, f: impl FnOnce(&gpu::Layer, &gpu::Sequence) -> R) -> R {
    let options = &call.options;
    let (cell, functions) = cell(options);
    // In the order of `LEARNED`.
    let [norm_ih, norm_hh, p_i, p_f, p_o, gamma_c, beta_c, _] =
        call.learned.each_ref().map(|it| it.as_ref().map(buffer));
    let layer = gpu::Layer {
        cell,
        options: functions,
        d_input: options.d_input,
        d_hidden: options.d_hidden,
        w_ih: buffer(&call.w_ih),
        w_hh: call.w_hh.as_ref().map(buffer),
        b_ih: call.b_ih.as_ref().map(buffer),
        b_hh: call.b_hh.as_ref().map(buffer),
        peepholes: [p_i, p_f, p_o],
        norm: norm_ih.map(|ih| gpu::Norm {
            ih,
            hh: norm_hh,
            c: gamma_c.zip(beta_c).map(|(gamma, beta)| [gamma, beta]),
        }),
    };
    let Some(h0) = call.states.first() else { unreachable!("every cell has an h") };
    let zoneout = |which: usize| match call.zoneout.get(which) {
        None => gpu::Zoneout::Off,
        Some(Zoneout::Mean(p)) => gpu::Zoneout::Mean(*p as f32),
        Some(Zoneout::Drawn(keep)) => gpu::Zoneout::Drawn(buffer(keep)),
    };
    let sequence = gpu::Sequence {
        batch: options.batch,
        time: options.time,
        input: match &call.input {
            SequenceInput::Dense(x) | SequenceInput::Rows(x, _) => gpu::Input::Dense(strided(x)),
            SequenceInput::Symbols(symbols) => gpu::Input::Symbols(symbols),
        },
        h0: buffer(h0),
        c0: call.states.get(1).map(buffer),
        reverse: options.reverse,
        counted: match &options.counted {
            Counted::All => gpu::Counted::All,
            Counted::Lengths(lengths) => gpu::Counted::Lengths(lengths),
            Counted::Mask(mask) => gpu::Counted::Mask(mask),
        },
        resets: options.resets.as_deref(),
        masked_repeats: options.masked_output == MaskedOutput::Previous,
        input_masks: call.input_masks.iter().map(buffer).collect(),
        recurrent_masks: call.recurrent_masks.iter().map(buffer).collect(),
        zoneout_h: zoneout(0),
        zoneout_c: zoneout(1),
        storage: if options.half_storage { gpu::Storage::F16 } else { gpu::Storage::F32 },
    };
    f(&layer, &sequence)
}

/// The values of a tensor `[time, batch, width]` that lies in any way.
fn strided(tensor: &CubeTensor) -> Strided {
    let strides = tensor.meta.strides();
    Strided {
        buffer: Buffer::new(tensor.handle.clone(), tensor.handle.size_in_used() as usize / 4),
        strides: [strides[0], strides[1], strides[2]],
    }
}
