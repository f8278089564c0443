//! An LSTM with a projection, on kernels that have none: those of GPUs.
//!
//! ```text
//! h = m·W_hr   with   m = o∘ψ(c),   so that   h·W_hh = m·(W_hr·W_hh)
//! ```
//!
//! The layer is one over m, whose recurrent weights are the product of both matrices, and all h are one product after
//! it. What the layer does to h itself before the next step, dropout or zoneout, has no such form.

use super::input::InputWeights;
use super::{LayerInput, Pass, Zoneout, sequence};
use crate::cell::{Cell, Recurrence};
use crate::state::CellState;
use burn::tensor::{Bool, Tensor, TensorData};

/// Whether a layer with these weights and options has that form. A given h comes in beside x, so that x must be there
/// as rows, and its product must not be normalised.
pub(super) fn folds(input: &LayerInput, weights: &InputWeights, recurrence: &Recurrence, pass: &Pass) -> bool {
    let moves = matches!(pass.zoneout.first(), None | Some(Zoneout::Mean(0.0)));
    let takes_h0 = !matches!(input, LayerInput::Symbols { .. }) && weights.gain.is_none();
    recurrence.masks.is_empty() && moves && (pass.from_zero || takes_h0)
}

/// As [`sequence`](super::sequence), of a layer that [`folds`].
pub(super) fn projected<C: Cell>(
    cell: &C,
    input: &LayerInput,
    weights: &InputWeights,
    recurrence: &Recurrence,
    state: &C::State,
    pass: &Pass,
) -> Option<(Tensor<3>, C::State)> {
    let (w_hr, w_hh) = (recurrence.projection.clone()?, recurrence.weight.clone()?);
    let h0 = (!pass.from_zero).then(|| state.hidden().clone());
    let [batch, _] = state.hidden().dims();
    let d_hidden = recurrence.d_hidden;
    let over_m = Recurrence { weight: Some(w_hr.clone().matmul(w_hh.clone())), projection: None, ..recurrence.clone() };
    let m0 = first(state.clone(), |h| Tensor::zeros([batch, d_hidden], (&h.device().inner(), h.dtype())));
    let (m, last) = match (input, &h0) {
        (LayerInput::Dense(rows) | LayerInput::Rows { rows, .. }, Some(h0)) => {
            let input = LayerInput::Dense(beside(rows.clone(), h0, pass));
            let ones = Tensor::ones(h0.dims(), (&h0.device().inner(), h0.dtype()));
            let masks = weights.masks.iter().map(|mask| Tensor::cat(vec![mask.clone(), ones.clone()], 1));
            let weights = InputWeights {
                weight: Tensor::cat(vec![weights.weight.clone(), w_hh], 0),
                masks: masks.collect(),
                ..weights.clone()
            };
            sequence(cell, &input, &weights, &over_m, &m0, pass)?
        }
        _ => sequence(cell, input, weights, &over_m, &m0, pass)?,
    };
    let [time, batch, _] = m.dims();
    let [_, d_output] = w_hr.dims();
    // Row by row of the batch, as m lies where the caller's batch comes first.
    let output = m.swap_dims(0, 1).reshape([batch * time, d_hidden]).matmul(w_hr.clone());
    let output = output.reshape([batch, time, d_output]).swap_dims(0, 1);
    let last = first(last, |m| {
        let h = m.matmul(w_hr.clone());
        match &h0 {
            // A row of which no step counts keeps its state.
            Some(h0) => h.mask_where(flags(idle(pass, [time, batch]), [batch, 1], h0).expand(h0.dims()), h0.clone()),
            None => h,
        }
    });
    Some((output, last))
}

/// The state with `f` of h in place of h.
fn first<S: CellState>(state: S, f: impl Fn(Tensor<2>) -> Tensor<2>) -> S {
    let mut is_first = true;
    state.map(|tensor| if std::mem::take(&mut is_first) { f(tensor) } else { tensor })
}

/// `rows`, `[time, batch, d_input]`, with h0 beside x at the first step of each row that counts, unless the state becomes
/// zero before it, and zeros elsewhere.
fn beside(rows: Tensor<3>, h0: &Tensor<2>, pass: &Pass) -> Tensor<3> {
    let [time, batch, _] = rows.dims();
    let [_, d_output] = h0.dims();
    let mut elsewhere = vec![true; time * batch];
    for row in 0..batch {
        let counts = |&t: &usize| pass.counted.counts(row, t, time);
        let first = if pass.reverse { (0..time).rev().find(counts) } else { (0..time).find(counts) };
        if let Some(t) = first {
            elsewhere[t * batch + row] = pass.resets.as_ref().is_some_and(|resets| resets[row * time + t]);
        }
    }
    let shape = [time, batch, d_output];
    let elsewhere = flags(elsewhere, [time, batch, 1], h0).expand(shape);
    let h0: Tensor<3> = h0.clone().unsqueeze_dim(0);
    Tensor::cat(vec![rows, h0.expand(shape).mask_fill(elsewhere, 0.0)], 2)
}

/// The rows of which no step counts.
fn idle(pass: &Pass, [time, batch]: [usize; 2]) -> Vec<bool> {
    (0..batch).map(|row| (0..time).all(|t| !pass.counted.counts(row, t, time))).collect()
}

fn flags<const D: usize>(flags: Vec<bool>, shape: [usize; D], like: &Tensor<2>) -> Tensor<D, Bool> {
    Tensor::from_data(TensorData::new(flags, shape), &like.device().inner())
}
