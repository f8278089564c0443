//! A case of the CPU kernels' tests through the GPU kernels.

use super::cpu::case::{Case, Counted, Results, Zoneout};
use super::cpu::kernel::swap;
use cubecl::client::Client;
use rnn_gpu::{self as gpu, Buffer, Storage, Strided, Wanted, cubecl};
use rnn_kernels::{Activation, Candidate, Cell, MaskedOutput, Nonlinearity};

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

pub fn cell(cell: Cell) -> gpu::Cell {
    match cell {
        Cell::Rnn(_) => gpu::Cell::Rnn,
        Cell::Lstm => gpu::Cell::Lstm,
        Cell::LstmCoupled => gpu::Cell::LstmCoupled,
        Cell::Gru { reset_after: true } => gpu::Cell::GruAfter,
        Cell::Gru { reset_after: false } => gpu::Cell::GruBefore,
        Cell::MinGru(_) => gpu::Cell::MinGru,
        Cell::MinLstm(_) => gpu::Cell::MinLstm,
    }
}

fn activation(activation: Activation) -> gpu::Activation {
    match activation {
        Activation::Linear => gpu::Activation::Linear,
        Activation::Sigmoid => gpu::Activation::Sigmoid,
        Activation::HardSigmoid { slope } => gpu::Activation::HardSigmoid { slope: (slope as f32).into() },
        Activation::Tanh => gpu::Activation::Tanh,
        Activation::HardTanh => gpu::Activation::HardTanh,
        Activation::Relu => gpu::Activation::Relu,
        Activation::LeakyRelu { slope } => gpu::Activation::LeakyRelu { slope: (slope as f32).into() },
        Activation::Elu => gpu::Activation::Elu,
        Activation::Softsign => gpu::Activation::Softsign,
        Activation::Softplus => gpu::Activation::Softplus,
        Activation::Silu => gpu::Activation::Silu,
        Activation::Gelu => gpu::Activation::Gelu,
        Activation::Positive => gpu::Activation::Positive,
    }
}

fn options(case: &Case) -> gpu::Options {
    let own = match case.cell {
        Cell::Rnn(Nonlinearity::Relu) => Activation::Relu,
        Cell::MinGru(Candidate::Linear) | Cell::MinLstm(Candidate::Linear) => Activation::Linear,
        Cell::MinGru(Candidate::Positive) | Cell::MinLstm(Candidate::Positive) => Activation::Positive,
        _ => Activation::Tanh,
    };
    let chosen = &case.options;
    gpu::Options {
        gate: activation(chosen.gate.unwrap_or(Activation::Sigmoid)),
        candidate: activation(chosen.candidate.unwrap_or(own)),
        hidden: activation(chosen.hidden.unwrap_or(Activation::Tanh)),
        clip: chosen.clip.map(|clip| (clip as f32).into()),
    }
}

/// What forward and backward give, batch-major, in the order of the expected results.
pub fn run(client: &Client, case: &Case) -> Results {
    stored(client, case, Storage::F32).0
}

/// The same, its largest buffers stored as `storage` says, and the bytes of what forward saved.
pub fn stored(client: &Client, case: &Case, storage: Storage) -> (Results, u64) {
    let &Case { batch, time, d_input, d_hidden, .. } = case;
    let upload = |values: &[f64]| Buffer::from_f32(client, &narrow(values));
    // Batch-major cases are given as they lie, with strides.
    let arrange = |values: &[f64], width: usize| match case.time_major {
        true => Strided::contiguous(upload(&swap(values, batch, time, width)), batch, width),
        false => Strided { buffer: upload(values), strides: [width, time * width, 1] },
    };
    let has_c = case.cell.has_cell_state();
    let layer = gpu::Layer {
        cell: cell(case.cell),
        options: options(case),
        d_input,
        d_hidden,
        w_ih: upload(&case.w_ih),
        w_hh: case.cell.has_w_hh().then(|| upload(&case.w_hh)),
        b_ih: case.biases[0].then(|| upload(&case.b_ih)),
        b_hh: case.biases[1].then(|| upload(&case.b_hh)),
        peepholes: [&case.options.p_i, &case.options.p_f, &case.options.p_o]
            .map(|vector| (!vector.is_empty()).then(|| upload(vector))),
        norm: (!case.options.norm_ih.is_empty()).then(|| gpu::Norm {
            ih: upload(&case.options.norm_ih),
            hh: case.cell.has_w_hh().then(|| upload(&case.options.norm_hh)),
            c: has_c.then(|| [upload(&case.options.gamma_c), upload(&case.options.beta_c)]),
        }),
    };
    let masks = |masks: &[Vec<f64>]| masks.iter().map(|mask| upload(mask)).collect();
    let zoneout = |zoneout: &Zoneout| match zoneout {
        Zoneout::Off => gpu::Zoneout::Off,
        Zoneout::Mean(p) => gpu::Zoneout::Mean(*p as f32),
        Zoneout::Drawn(keep) => gpu::Zoneout::Drawn(upload(keep)),
    };
    let dense = case.indices.is_empty();
    let sequence = gpu::Sequence {
        batch,
        time,
        input: match dense {
            true => gpu::Input::Dense(arrange(&case.x, d_input)),
            false => gpu::Input::Symbols(&case.indices),
        },
        h0: upload(&case.h0),
        c0: has_c.then(|| upload(&case.c0)),
        reverse: case.reverse,
        counted: match &case.counted {
            Counted::All => gpu::Counted::All,
            Counted::Lengths(lengths) => gpu::Counted::Lengths(lengths),
            Counted::Mask(mask) => gpu::Counted::Mask(mask),
        },
        resets: (!case.resets.is_empty()).then_some(&case.resets),
        masked_repeats: case.masked_output == MaskedOutput::Previous,
        input_masks: masks(&case.input_masks),
        recurrent_masks: masks(&case.recurrent_masks),
        zoneout_h: zoneout(&case.zoneout_h),
        zoneout_c: zoneout(&case.zoneout_c),
        storage,
    };
    let read = |buffer: &Buffer| -> Vec<f64> { buffer.read_f32(client).into_iter().map(f64::from).collect() };
    let back = |buffer: &Buffer, width: usize| swap(&read(buffer), time, batch, width);
    let given = gpu::OutputGradients {
        sequence: Some(arrange(&case.d_sequence, d_hidden)),
        h: Some(upload(&case.d_h)),
        c: has_c.then(|| upload(&case.d_c)),
    };
    let (output, saved) = gpu::forward(client, &layer, &sequence, true);
    let wanted = Wanted { input: true, input_weights: true, hidden_weights: true };
    let saved = saved.expect("saved");
    let gradients = gpu::backward(client, &layer, &sequence, &saved, &given, wanted);
    let optional = |buffer: &Option<Buffer>| buffer.as_ref().map(read).unwrap_or_default();
    let mut results = vec![
        ("sequence", back(&output.sequence, d_hidden)),
        ("h", read(&output.h)),
        ("c", optional(&output.c)),
        ("d_w_ih", optional(&gradients.w_ih)),
        ("d_w_hh", optional(&gradients.w_hh)),
        ("d_h0", read(&gradients.h0)),
        ("d_c0", optional(&gradients.c0)),
    ];
    if dense {
        results.push(("d_x", back(gradients.input.as_ref().expect("wanted"), d_input)));
    }
    if case.biases[0] {
        results.push(("d_b_ih", optional(&gradients.b_ih)));
    }
    if case.biases[1] {
        results.push(("d_b_hh", optional(&gradients.b_hh)));
    }
    for (name, gradient) in ["d_p_i", "d_p_f", "d_p_o"].into_iter().zip(&gradients.peepholes) {
        if gradient.is_some() {
            results.push((name, optional(gradient)));
        }
    }
    if let Some(gpu::Norm { ih, hh, c }) = &gradients.norm {
        results.push(("d_norm_ih", read(ih)));
        results.extend(hh.as_ref().map(|hh| ("d_norm_hh", read(hh))));
        let of_c = c.iter().flatten().zip(["d_gamma_c", "d_beta_c"]);
        results.extend(of_c.map(|(buffer, name)| (name, read(buffer))));
    }
    (results, saved.bytes())
}
