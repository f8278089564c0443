//! The recurrence over a whole sequence, and the seam to the fused kernels.
//!
//! [`mod@reference`] is the definition: tensor operations on any device, differentiated by Burn. A kind of device with
//! fused kernels implements [`SequenceBackend`]; what its `supports` admits takes the kernels, everything else the
//! reference. Each kernel is tested against the reference.

/// The first kind of device that the tensors of `$call` are on: tries `$call.on::<B>()` for each one with kernels.
macro_rules! on_any {
    ($call:expr) => {{
        let _ = &$call;
        let outcome = None;
        #[cfg(feature = "flex")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::Flex>());
        #[cfg(feature = "ndarray")]
        #[expect(deprecated, reason = "supported as long as Burn has it")]
        let outcome = outcome.or_else(|| $call.on::<burn::backend::NdArray>());
        outcome
    }};
}

#[cfg_attr(
    not(any(feature = "kernels", feature = "gpu")),
    allow(dead_code, reason = "no device of this build has kernels")
)]
mod call;
#[cfg(all(test, feature = "flex"))]
mod capabilities;
#[cfg(feature = "kernels")]
pub(crate) mod cpu;
#[cfg(any(test, feature = "gpu"))]
pub(crate) mod gpu;
#[cfg_attr(
    not(any(feature = "kernels", feature = "gpu")),
    allow(dead_code, reason = "no device of this build has kernels")
)]
mod graph;
mod input;
#[cfg_attr(
    not(any(feature = "kernels", feature = "gpu")),
    allow(dead_code, reason = "no device of this build has kernels")
)]
mod projection;
pub(crate) mod reference;
#[cfg_attr(
    not(any(feature = "kernels", feature = "gpu")),
    allow(dead_code, reason = "no device of this build has kernels")
)]
mod sequence;

use crate::{Exec, MaskedOutput};
use burn::tensor::{Bool, Tensor, TensorData};
#[allow(unused_imports, reason = "some are named by the kinds of devices alone")]
pub(crate) use call::{
    Counted, LEARNED, SequenceBackend, SequenceCall, SequenceInput, SequenceOptions, SequenceOutput, Zoneout,
};
pub(crate) use input::InputWeights;
pub(crate) use sequence::sequence;
use std::sync::Arc;

/// Whether two tensors are known to be the same values: they lie in the same memory.
pub(crate) fn is_same(a: &Tensor<2>, b: &Tensor<2>) -> bool {
    let same: Option<bool> = None;
    #[cfg(feature = "kernels")]
    let same = same.or_else(|| cpu::is_same(a, b));
    #[cfg(feature = "gpu")]
    let same = same.or_else(|| gpu::is_same(a, b));
    same.unwrap_or(false)
}

/// What one layer of a stack reads.
#[derive(Debug, Clone)]
pub(crate) enum LayerInput {
    /// `[time, batch, d_input]`.
    Dense(Tensor<3>),
    /// The same, rows of an embedding table: the row of each step, `[batch, time]` row by row. Only the table's
    /// gradient is right: where a row of the batch repeats an id, the input's gradient may stand as a sum at one of
    /// the steps.
    Rows { rows: Tensor<3>, ids: Arc<[u32]> },
    /// Symbols below d_input, each for a one-hot row; `[batch, time]` row by row.
    Symbols { symbols: Arc<[u32]>, batch: usize },
}

/// How one layer and direction goes over a sequence.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// Is told why there is no kernel.
    pub on_step_by_step: Option<fn(&str)>,
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps of which rows count.
    pub counted: Counted,
    /// The steps before which a row's state becomes zero, in the order of this pass, `[batch, time]` row by row; none
    /// without resets.
    pub resets: Option<Arc<[bool]>>,
    /// The output at masked steps.
    pub masked_output: MaskedOutput,
    /// For each tensor of the state, h first. Empty without zoneout.
    pub zoneout: Vec<Zoneout<Tensor<3>>>,
    /// Whether the state before the first step is zero.
    pub from_zero: bool,
    /// Whether a GPU stores its largest buffers in 16 bits.
    pub half_storage: bool,
    /// How the CPU kernels are executed.
    pub exec: Exec,
}

impl Pass {
    /// The rows whose state becomes zero before step `t`; `None` when none does.
    pub(crate) fn resets(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let resets = self.resets.as_deref()?;
        let rows: Vec<bool> = resets.chunks_exact(resets.len() / batch).map(|row| row[t]).collect();
        rows.contains(&true).then_some(rows)
    }
}

impl Counted {
    /// The steps before which a row's state becomes zero, as a pass in this direction goes, from the steps at which a
    /// new sequence `begins`, `[batch, time]` row by row. The border before such a step is crossed on the way to the
    /// next step that counts. None if there is no such step.
    pub(crate) fn resets(&self, begins: &[bool], batch: usize, reverse: bool) -> Option<Arc<[bool]>> {
        let time = begins.len() / batch;
        let mut resets = vec![false; begins.len()];
        for (row, (begins, resets)) in begins.chunks_exact(time).zip(resets.chunks_exact_mut(time)).enumerate() {
            let mut crossed = false;
            if reverse {
                let mut started = false;
                for t in (0..time).rev() {
                    if self.counts(row, t, time) {
                        resets[t] = crossed;
                        (crossed, started) = (false, true);
                    }
                    crossed |= started && begins[t];
                }
            } else {
                for t in 0..time {
                    crossed |= begins[t];
                    if self.counts(row, t, time) {
                        resets[t] = std::mem::take(&mut crossed);
                    }
                }
            }
        }
        resets.contains(&true).then(|| resets.into())
    }

    /// `rows`, `[time, batch, width]`, with zero at the steps that do not count, and in their gradient too.
    pub(crate) fn zeroed(&self, rows: Tensor<3>) -> Tensor<3> {
        let [time, batch, width] = rows.dims();
        let none = || vec![false; batch];
        let masked: Vec<Option<Vec<bool>>> = (0..time).map(|t| self.masked(t, batch)).collect();
        if masked.iter().all(Option::is_none) {
            return rows;
        }
        let masked: Vec<bool> = masked.into_iter().flat_map(|step| step.unwrap_or_else(none)).collect();
        let masked = TensorData::new(masked, [time, batch, 1]);
        let masked: Tensor<3, Bool> = Tensor::from_data(masked, &rows.device().inner());
        rows.mask_fill(masked.expand([time, batch, width]), 0.0)
    }
}
