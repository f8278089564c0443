//! A case of the CPU kernels' tests through the GPU kernels.

use super::cpu::case::{Case, Counted, Results, Zoneout};
use super::cpu::kernel::swap;
use cubecl::client::Client;
use rnn_gpu::{self as gpu, Buffer, Storage, Strided, Wanted, cubecl};
use rnn_kernels::{Cell, MaskedOutput, Nonlinearity};

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&x| x as f32).collect()
}

pub fn cell(cell: Cell) -> gpu::Cell {
    match cell {
        Cell::Rnn(Nonlinearity::Tanh) => gpu::Cell::RnnTanh,
        Cell::Rnn(Nonlinearity::Relu) => gpu::Cell::RnnRelu,
        Cell::Lstm => gpu::Cell::Lstm,
        Cell::Gru { reset_after: true } => gpu::Cell::GruAfter,
        Cell::Gru { reset_after: false } => gpu::Cell::GruBefore,
        Cell::LstmCoupled | Cell::MinGru(_) | Cell::MinLstm(_) => unreachable!("it has no kernel here"),
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
    let layer = gpu::Layer {
        cell: cell(case.cell),
        d_input,
        d_hidden,
        w_ih: upload(&case.w_ih),
        w_hh: upload(&case.w_hh),
        b_ih: case.biases[0].then(|| upload(&case.b_ih)),
        b_hh: case.biases[1].then(|| upload(&case.b_hh)),
    };
    let masks = |masks: &[Vec<f64>]| masks.iter().map(|mask| upload(mask)).collect();
    let zoneout = |zoneout: &Zoneout| match zoneout {
        Zoneout::Off => gpu::Zoneout::Off,
        Zoneout::Mean(p) => gpu::Zoneout::Mean(*p as f32),
        Zoneout::Drawn(keep) => gpu::Zoneout::Drawn(upload(keep)),
    };
    let has_c = case.cell.has_cell_state();
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
    (results, saved.bytes())
}
