//! The recurrence in plain tensor operations: any device, gradients by Burn's autodiff.

use super::{Pass, Zoneout};
use crate::MaskedOutput;
use crate::cell::{Cell, Recurrence};
use crate::probe::observe;
use crate::state::CellState;
use burn::tensor::{Bool, Tensor, TensorData};

/// Runs `cell` over all steps.
///
/// - `inputs`: `x·W_ih + b_ih`, `[time, batch, gates·d_hidden]`
/// - `state`: before the first step, tensors `[batch, d_hidden]`
///
/// Returns the hidden states of all steps, `[time, batch, d_hidden]`, and each row's state after its own last step.
pub(crate) fn sequence<C: Cell>(
    cell: &C,
    inputs: Tensor<3>,
    recurrence: &Recurrence,
    mut state: C::State,
    pass: &Pass,
) -> (Tensor<3>, C::State) {
    let [_, batch, _] = inputs.dims();
    let device = inputs.device().inner();
    let mut steps: Vec<(usize, Tensor<2>)> = steps(inputs).into_iter().enumerate().collect();
    if pass.reverse {
        steps.reverse();
    }
    let mut outputs: Vec<Tensor<2>> = Vec::with_capacity(steps.len());
    for (t, input) in steps {
        let flags = |rows: Vec<bool>| Tensor::<2, Bool>::from_data(TensorData::new(rows, [batch, 1]), &device);
        let masked = pass.counted.masked(t, batch).map(flags);
        if let Some(rows) = pass.resets(t, batch).map(flags) {
            state = state.map(|t| t.clone().mask_fill(rows.clone().expand(t.dims()), 0.0));
        }
        let from = match &masked {
            // A masked row makes its step from zero, as its input is zero: its own values may be NaN.
            Some(rows) => state.clone().map(|t| t.clone().mask_fill(rows.clone().expand(t.dims()), 0.0)),
            None => state.clone(),
        };
        let mut next = cell.step(input, from.clone(), recurrence);
        if !pass.zoneout.is_empty() {
            let mut zoneout = pass.zoneout.iter();
            next = next.zip(from, |new, old| match zoneout.next() {
                Some(zoneout) => stay(zoneout, t, new, old),
                None => new,
            });
        }
        next = see_hidden(next);
        let output = next.hidden().clone();
        let Some(masked) = masked else {
            outputs.push(output);
            state = next;
            continue;
        };
        let masked = |shape: [usize; 2]| masked.clone().expand(shape);
        let shape = output.dims();
        outputs.push(match (pass.masked_output, outputs.last()) {
            (MaskedOutput::Previous, Some(previous)) => output.mask_where(masked(shape), previous.clone()),
            _ => output.mask_fill(masked(shape), 0.0),
        });
        state = next.zip(state, |new, old| new.mask_where(masked(old.dims()), old));
    }
    if pass.reverse {
        outputs.reverse();
    }
    (Tensor::stack(outputs, 0), state)
}

/// Lets a probe see h.
fn see_hidden<S: CellState>(state: S) -> S {
    let mut first = true;
    state.map(|tensor| if std::mem::take(&mut first) { observe("h", tensor) } else { tensor })
}

/// The new value, or the old where zoneout keeps it; the mean of both where nothing is drawn.
fn stay(zoneout: &Zoneout<Tensor<3>>, t: usize, new: Tensor<2>, old: Tensor<2>) -> Tensor<2> {
    match zoneout {
        Zoneout::Mean(p) => new.clone() + (old - new) * *p,
        Zoneout::Drawn(masks) => {
            let keep = masks.clone().slice_dim(0, t..t + 1).squeeze_dim(0);
            new.clone() + (old - new) * keep
        }
    }
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
