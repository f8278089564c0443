//! The recurrence in plain tensor operations: any device, gradients by Burn's autodiff.

use crate::cell::{Cell, Recurrence};
use crate::state::CellState;
use burn::tensor::{Bool, Tensor, TensorData};

/// Runs `cell` over all steps.
///
/// - `inputs`: `x·W_ih + b_ih`, `[time, batch, gates·d_hidden]`
/// - `state`: before the first step, tensors `[batch, d_hidden]`
/// - `lengths`: each row's own number of steps; past it the row's outputs are zero and its state stands still
///
/// Returns the hidden states of all steps, `[time, batch, d_hidden]`, and each row's state after its own last step.
pub fn sequence<C: Cell>(
    cell: &C,
    inputs: Tensor<3>,
    recurrence: &Recurrence,
    mut state: C::State,
    lengths: Option<&[usize]>,
) -> (Tensor<3>, C::State) {
    let [d_hidden, _] = recurrence.weight.dims();
    let device = inputs.device();
    let mut outputs = Vec::with_capacity(inputs.dims()[0]);
    for (t, input) in steps(inputs).into_iter().enumerate() {
        let next = cell.step(input, state.clone(), recurrence);
        let ended = lengths.and_then(|lengths| ended_rows(lengths, t));
        let Some(ended) = ended else {
            outputs.push(next.hidden().clone());
            state = next;
            continue;
        };
        let batch = ended.len();
        let ended: Tensor<2, Bool> = Tensor::from_data(TensorData::new(ended, [batch, 1]), &device.clone().inner());
        let ended = ended.expand([batch, d_hidden]);
        outputs.push(next.hidden().clone().mask_fill(ended.clone(), 0.0));
        state = next.zip(state, |new, old| new.mask_where(ended.clone(), old));
    }
    (Tensor::stack(outputs, 0), state)
}

/// Which rows have ended before step `t`; `None` when none has.
fn ended_rows(lengths: &[usize], t: usize) -> Option<Vec<bool>> {
    let ended: Vec<bool> = lengths.iter().map(|&length| length <= t).collect();
    ended.contains(&true).then_some(ended)
}

/// `[time, batch, width]` as `time` tensors `[batch, width]`, by halving.
///
/// The gradient of a slice is a zero tensor of the whole size with the slice filled in. Cutting each step out of the
/// whole sequence would make that O(time²) bytes; halving makes it O(time·log time).
fn steps(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    let [time, _, _] = sequence.dims();
    if time == 1 {
        return vec![sequence.squeeze_dim(0)];
    }
    let middle = time / 2;
    let mut first = steps(sequence.clone().slice_dim(0, 0..middle));
    first.extend(steps(sequence.slice_dim(0, middle..time)));
    first
}
