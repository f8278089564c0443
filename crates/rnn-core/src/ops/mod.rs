//! The recurrence over a whole sequence, given the input products.
//!
//! [`mod@reference`] is the definition: tensor operations on any device, differentiated by Burn. A device that has a
//! fused kernel will take that instead; each kernel is tested against the reference.

#[cfg(feature = "kernels")]
pub(crate) mod cpu;
pub mod reference;

use crate::MaskedOutput;
use burn::tensor::{Bool, Tensor, TensorData};
use std::sync::Arc;

/// What a layer reads.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// `[time, batch, d_input]`.
    Dense(Tensor<3>),
    /// The same, the rows of a table that these ids name, `[batch, time]` row by row. Of the gradients of steps of a row of the
    /// batch that have the same id only the sum is made, at one of them: it is for the table alone.
    Rows { rows: Tensor<3>, ids: Arc<[u32]> },
    /// Symbols below d_input, each for a one-hot row; `[batch, time]` row by row.
    Symbols { symbols: Arc<[u32]>, batch: usize },
}

impl Input {
    pub(crate) fn dense(&self) -> Option<&Tensor<3>> {
        match self {
            Input::Dense(rows) | Input::Rows { rows, .. } => Some(rows),
            Input::Symbols { .. } => None,
        }
    }
}

/// How one layer and direction goes over a sequence.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps of which rows count.
    pub counted: Counted<'a>,
    /// The output at those that do not.
    pub masked_output: MaskedOutput,
    /// For each tensor of the state, h first: what keeps parts of it as they are. Empty without zoneout.
    pub zoneout: Vec<Zoneout>,
}

/// Which steps of which rows count. A step that does not leaves the row's state as it is.
#[derive(Debug, Clone, Copy)]
pub enum Counted<'a> {
    /// All.
    All,
    /// The first so many of each row.
    Lengths(&'a [usize]),
    /// Those with `true`, `[batch, time]` row by row.
    Mask(&'a [bool]),
}

impl Counted<'_> {
    /// `rows`, `[time, batch, width]`, with zero at the steps that do not count, and in their gradient too.
    pub(crate) fn zeroed(&self, rows: Tensor<3>) -> Tensor<3> {
        let [time, batch, width] = rows.dims();
        let none = || vec![false; batch];
        let resting: Vec<Option<Vec<bool>>> = (0..time).map(|t| self.resting(t, batch)).collect();
        if resting.iter().all(Option::is_none) {
            return rows;
        }
        let resting: Vec<bool> = resting.into_iter().flat_map(|step| step.unwrap_or_else(none)).collect();
        let resting = TensorData::new(resting, [time, batch, 1]);
        let resting: Tensor<3, Bool> = Tensor::from_data(resting, &rows.device().inner());
        rows.mask_fill(resting.expand([time, batch, width]), 0.0)
    }

    /// The rows that rest at step `t`; `None` when none does.
    pub fn resting(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let resting: Vec<bool> = match self {
            Counted::All => return None,
            Counted::Lengths(lengths) => lengths.iter().map(|&length| length <= t).collect(),
            Counted::Mask(mask) => mask.chunks_exact(mask.len() / batch).map(|row| !row[t]).collect(),
        };
        resting.contains(&true).then_some(resting)
    }
}

/// Zoneout of one tensor of the state (Krueger et al., 2017): each unit keeps its old value with probability p.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a pass has at most two")]
pub enum Zoneout {
    /// In evaluation: `p·old + (1−p)·new`.
    Mean(f64),
    /// In training: 1 keeps the old value, 0 takes the new one; `[time, batch, d_hidden]`.
    Drawn(Tensor<3>),
}
