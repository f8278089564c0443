//! A call of a fused kernel: one layer and direction over a batch of sequences.

use crate::cell::Kernel;
use crate::{Exec, MaskedOutput};
use burn::backend::Backend;
use burn::backend::tensor::{Device, FloatTensor};
use burn::tensor::DType;
use std::fmt::Debug;
use std::sync::Arc;

/// What only some options learn, in the order in which calls have it: the gains of the normalised sums
/// `[1, gates·d_hidden]`, the cell's own vectors `[1, d_hidden]`, by the names that it has for them, and the projection
/// `[d_hidden, d_output]`.
pub(crate) const LEARNED: [&str; 8] = ["norm_ih", "norm_hh", "p_i", "p_f", "p_o", "gamma_c", "beta_c", "w_hr"];

/// The inputs of a call that may ask for a gradient, in this order: x, `W_ih`, `b_ih`, `W_hh`, `b_hh`, h and c before
/// the first step, and [`LEARNED`].
pub(crate) const INPUTS: usize = 7 + LEARNED.len();

/// Which steps of which rows count. A step that does not leaves the row's state as it is.
#[derive(Debug, Clone)]
pub(crate) enum Counted {
    /// All.
    All,
    /// The first steps of each row, as many as its length.
    Lengths(Arc<[usize]>),
    /// Those with `true`, `[batch, time]` row by row.
    Mask(Arc<[bool]>),
}

impl Counted {
    /// Whether step `t` of `time` of a row counts.
    pub fn counts(&self, row: usize, t: usize, time: usize) -> bool {
        match self {
            Counted::All => true,
            Counted::Lengths(lengths) => t < lengths[row],
            Counted::Mask(mask) => mask[row * time + t],
        }
    }

    /// The rows that are masked at step `t`; `None` when none is.
    pub fn masked(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let masked: Vec<bool> = match self {
            Counted::All => return None,
            Counted::Lengths(lengths) => lengths.iter().map(|&length| length <= t).collect(),
            Counted::Mask(mask) => mask.chunks_exact(mask.len() / batch).map(|row| !row[t]).collect(),
        };
        masked.contains(&true).then_some(masked)
    }
}

/// Zoneout of one tensor of the state (Krueger et al., 2017): each unit keeps its old value with probability p. `P` is
/// a tensor.
#[derive(Debug, Clone)]
pub(crate) enum Zoneout<P> {
    /// In evaluation: `p·old + (1−p)·new`.
    Mean(f64),
    /// In training: 1 keeps the old value, 0 takes the new one; `[time, batch, features]` of the tensor.
    Drawn(P),
}

impl<P> Zoneout<P> {
    /// The same with another kind of tensor; `None` if `convert` fails.
    pub(crate) fn try_map<Q>(&self, convert: impl FnOnce(&P) -> Option<Q>) -> Option<Zoneout<Q>> {
        Some(match self {
            Zoneout::Mean(p) => Zoneout::Mean(*p),
            Zoneout::Drawn(keep) => Zoneout::Drawn(convert(keep)?),
        })
    }
}

/// The input of a call. `P` is a tensor.
#[derive(Debug, Clone)]
pub(crate) enum SequenceInput<P> {
    /// `[time, batch, d_input]`.
    Dense(P),
    /// The same, rows of an embedding table: the row of each step, `[batch, time]` row by row. Steps of a row with
    /// the same id have the same input, and the gradient may be given as its sum at one of them and zero at the
    /// others.
    Rows(P, Arc<[u32]>),
    /// Symbols below d_input, each for a one-hot row; `[batch, time]` row by row.
    Symbols(Arc<[u32]>),
}

/// The options of a call: everything but its tensors. [`SequenceBackend::supports`] decides by them.
#[derive(Debug, Clone)]
pub(crate) struct SequenceOptions {
    /// The cell with its options, if it is one that kernels know.
    pub kernel: Option<Kernel>,
    /// Of all float tensors.
    pub dtype: DType,
    /// Whether the sums are normalised.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub layer_norm: bool,
    /// Whether h is projected.
    pub projection: bool,
    /// Whether, if so, it is the same as a layer without a projection.
    pub folds: bool,
    /// Whether the cell has learned vectors of its own, such as peepholes.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub vectors: bool,
    /// Whether a probe records the steps.
    pub probed: bool,
    /// Whether the graph recomputes what backward needs.
    pub checkpointing: bool,
    /// Whether the input is symbols.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub symbols: bool,
    /// Masks of dropout of the input: 0, 1, or one for each gate.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub input_masks: usize,
    /// Masks of recurrent dropout: 0, 1, or one for each gate.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub recurrent_masks: usize,
    /// Whether there is zoneout.
    #[allow(dead_code, reason = "the CPU kernels support every value")]
    pub zoneout: bool,
    /// Steps, at least 1.
    pub time: usize,
    /// Rows, at least 1.
    pub batch: usize,
    /// Features of the input, or the number of symbols.
    pub d_input: usize,
    /// Units.
    pub d_hidden: usize,
    /// Features of h: d_hidden, or fewer where it is projected.
    #[allow(dead_code, reason = "only the CPU kernels project")]
    pub d_output: usize,
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps count.
    pub counted: Counted,
    /// The steps before which a row's state becomes zero, in the order of the pass, `[batch, time]` row by row; none
    /// without resets.
    pub resets: Option<Arc<[bool]>>,
    /// The output at steps that do not count.
    pub masked_output: MaskedOutput,
    /// Whether the largest buffers are stored in 16 bits, where the kernels know how to; the CPU's do not.
    pub half_storage: bool,
    /// How the CPU kernels are executed; a GPU ignores it.
    pub exec: Exec,
}

impl SequenceOptions {
    /// What no kernel does on any device.
    ///
    /// # Errors
    /// The reason.
    pub fn refused(&self) -> Result<(), &'static str> {
        let refused = [
            (self.kernel.is_none(), "the kernels do not know the cell"),
            (self.probed, "a probe sees every step"),
            (self.checkpointing, "gradient checkpointing recomputes tensor operations"),
        ];
        match refused.into_iter().find(|(is_asked_for, _)| *is_asked_for) {
            Some((_, reason)) => Err(reason),
            None => Ok(()),
        }
    }
}

/// One layer and direction over a batch: tensors of a backend's float primitive `P`, and plain options. A clone shares
/// the tensors.
#[derive(Debug, Clone)]
pub(crate) struct SequenceCall<P> {
    /// All that is not a tensor.
    pub options: SequenceOptions,
    /// What the layer reads.
    pub input: SequenceInput<P>,
    /// `[d_input, gates·d_hidden]`.
    pub w_ih: P,
    /// `[1, gates·d_hidden]`.
    pub b_ih: Option<P>,
    /// `[d_output, gates·d_hidden]`; none for a cell that does not multiply h.
    pub w_hh: Option<P>,
    /// `[1, gates·d_hidden]`.
    pub b_hh: Option<P>,
    /// As [`LEARNED`] names it.
    pub learned: [Option<P>; LEARNED.len()],
    /// h `[batch, d_output]`, and c `[batch, d_hidden]` for an LSTM, before the first step.
    pub states: Vec<P>,
    /// `[batch, d_input]` each.
    pub input_masks: Vec<P>,
    /// `[batch, d_output]` each.
    pub recurrent_masks: Vec<P>,
    /// For h, and for c; empty without zoneout.
    pub zoneout: Vec<Zoneout<P>>,
}

/// What a call gives, or the gradients of that.
#[derive(Debug, Clone)]
pub(crate) struct SequenceOutput<P, S> {
    /// h of all steps, `[time, batch, d_output]`.
    pub sequence: P,
    /// h `[batch, d_output]`, and c `[batch, d_hidden]` for an LSTM, after each row's last step.
    pub states: S,
}

/// What forward gives, and what it saved for backward.
pub(crate) type Forwarded<P, S> = (SequenceOutput<P, Vec<P>>, Option<S>);

/// A kind of device with fused kernels for a layer over a sequence.
pub(crate) trait SequenceBackend: Backend {
    /// What forward saves for backward.
    type Saved: Clone + Debug + Send + 'static;

    /// Whether the kernels project h. Without it they run a projection that folds as a layer without one.
    const PROJECTS: bool;

    /// Whether there is a kernel for such a call.
    ///
    /// # Errors
    /// The reason why there is none.
    fn supports(options: &SequenceOptions) -> Result<(), &'static str>;

    /// Whether the device has room for a supported call.
    ///
    /// # Errors
    /// What it has too little of.
    fn fits(_: &SequenceOptions, _: &Device<Self>) -> Result<(), &'static str> {
        Ok(())
    }

    /// Whether the device's kernels can store their largest buffers in 16 bits, or do not know how to anyway.
    ///
    /// # Errors
    /// What it lacks.
    fn stores_half(_: &Device<Self>) -> Result<(), &'static str> {
        Ok(())
    }

    /// Runs a supported call; saves for backward if it is to `save`.
    fn forward(call: SequenceCall<FloatTensor<Self>>, save: bool) -> Forwarded<FloatTensor<Self>, Self::Saved>;

    /// The gradients of the inputs that are `wanted`, in the order of [`INPUTS`]. A last state whose gradient is zero
    /// may have none.
    fn backward(
        saved: Self::Saved,
        grads: SequenceOutput<FloatTensor<Self>, [Option<FloatTensor<Self>>; 2]>,
        wanted: [bool; INPUTS],
    ) -> [Option<FloatTensor<Self>>; INPUTS];
}
