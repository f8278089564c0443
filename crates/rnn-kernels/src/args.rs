//! What a layer is and what it runs over.

mod check;
mod options;

pub(crate) use check::{check_backward, check_forward, check_output, check_sizes};
pub use options::{Activation, OptionGradients, Options};

/// The cell: which equations make a step. Their biases and weights are packed `[_, G·d_hidden]`, gate after gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h' = φ(x·W_ih + b_ih + h·W_hh + b_hh)` (Elman, 1990); G = 1.
    Rnn(Nonlinearity),
    /// The LSTM with forget gates (Gers, Schmidhuber and Cummins, 2000); G = 4, in the order `i f g o`.
    Lstm,
    /// The LSTM with coupled gates, f = 1 − i (Greff et al., 2017: CIFG); G = 3, in the order `i g o`.
    LstmCoupled,
    /// The GRU (Cho et al., 2014); G = 3, in the order `r z n`.
    Gru {
        /// Whether the reset gate acts on `h·W_hn + b_hn` (PyTorch, cuDNN) or on h before the product (the paper).
        reset_after: bool,
    },
    /// The minGRU (Feng et al., 2024): `h' = (1−z)∘h + z∘n` with `z = σ(x·W_iz + b_iz)` and `n = φ(x·W_in + b_in)`; G = 2,
    /// in the order `z n`. Its gates do not see h: it has neither `W_hh` nor `b_hh`.
    MinGru(Candidate),
    /// The minLSTM of the same paper: `h' = (f∘h + i∘n)/(f + i)` with i and f like z; G = 3, in the order `i f n`.
    /// Without `W_hh` and `b_hh` too.
    MinLstm(Candidate),
}

impl Cell {
    /// The number of gates G.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn(_) => 1,
            Cell::Lstm => 4,
            Cell::LstmCoupled | Cell::Gru { .. } | Cell::MinLstm(_) => 3,
            Cell::MinGru(_) => 2,
        }
    }

    /// Whether the gates see h, by way of `W_hh`.
    pub fn has_w_hh(self) -> bool {
        !matches!(self, Cell::MinGru(_) | Cell::MinLstm(_))
    }

    /// The number of tensors of the state.
    pub(crate) fn states(self) -> usize {
        if self.has_cell_state() { 2 } else { 1 }
    }

    /// Whether the state is `(h, c)` and not h alone.
    pub fn has_cell_state(self) -> bool {
        matches!(self, Cell::Lstm | Cell::LstmCoupled)
    }
}

/// φ of the plain RNN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// tanh.
    Tanh,
    /// max(0, x).
    Relu,
}

/// φ of the candidate n of a minGRU or minLSTM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// x.
    Linear,
    /// x + ½ where x is positive, else σ(x): the paper's g, which is above 0.
    Positive,
}

/// The weights of one layer in one direction. `h_features` is the number of features of h, [`LayerWeights::h_features`].
#[derive(Debug, Clone, Copy)]
pub struct LayerWeights<'a, T> {
    /// Which equations make a step.
    pub cell: Cell,
    /// The number of features of the input; where the input is indices, the number of symbols.
    pub d_input: usize,
    /// The number of units, at least 1.
    pub d_hidden: usize,
    /// `W_ih`, `[d_input, G·d_hidden]`.
    pub w_ih: &'a [T],
    /// `W_hh`, `[h_features, G·d_hidden]`; empty for a cell without it.
    pub w_hh: &'a [T],
    /// `b_ih`, `[G·d_hidden]`; zero without it.
    pub b_ih: Option<&'a [T]>,
    /// `b_hh`, `[G·d_hidden]`; zero without it, and nothing for a cell without `W_hh`.
    pub b_hh: Option<&'a [T]>,
    /// What the cell has beyond its plain form.
    pub options: Options<'a, T>,
}

/// Where row b and step t of a sequence lie: from element `b·batch + t·time` on, features side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// Elements from a row of the batch to the next.
    pub batch: usize,
    /// Elements from a step to the next.
    pub time: usize,
}

impl Strides {
    /// Of `[batch, time, width]`.
    pub fn batch_major(time: usize, width: usize) -> Self {
        Strides { batch: time * width, time: width }
    }

    /// Of `[time, batch, width]`.
    pub fn time_major(batch: usize, width: usize) -> Self {
        Strides { batch: width, time: batch * width }
    }

    #[inline(always)]
    pub(crate) fn at(self, b: usize, t: usize) -> usize {
        b * self.batch + t * self.time
    }

    /// How many elements rows of `width` features reach over.
    pub(crate) fn reach(self, batch: usize, time: usize, width: usize) -> usize {
        let reach = || {
            let (rows, steps) = (self.batch.checked_mul(batch - 1)?, self.time.checked_mul(time - 1)?);
            rows.checked_add(steps)?.checked_add(width)
        };
        reach().unwrap_or_else(|| panic!("{self:?} of {batch} rows and {time} steps are beyond all memory"))
    }
}

/// The input of a layer.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a, T> {
    /// Rows of `d_input` features.
    Dense {
        /// The features; those of a step lie side by side.
        values: &'a [T],
        /// Where the rows of features lie.
        strides: Strides,
    },
    /// Symbols below `d_input`: each stands for a one-hot row, whose product is a row of `W_ih`. Backward keeps a sum
    /// as large as `W_ih` per thread, so this is for vocabularies, not for embeddings of many thousand rows.
    Indices {
        /// The symbols, each below `d_input`.
        values: &'a [u32],
        /// Where they lie; a step's width is 1.
        strides: Strides,
    },
}

/// Which steps of which rows count. A masked step leaves the state of the row unchanged.
#[derive(Debug, Clone, Copy)]
pub enum Counted<'a> {
    /// All.
    All,
    /// The first steps of each row, as many as its length, 0 to `time`.
    Lengths(&'a [usize]),
    /// Those with `true`, `[batch, time]` row by row.
    Mask(&'a [bool]),
}

/// The output at masked steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskedOutput {
    /// Zero.
    Zero,
    /// The output of the step before in the order of the layer, zero if there is none.
    Previous,
}

/// What a tensor of the state keeps of its old value (Krueger et al., 2017).
#[derive(Debug, Clone, Copy)]
pub enum Zoneout<'a, T> {
    /// Nothing.
    Off,
    /// `p·old + (1−p)·new`, p from 0 to 1.
    Mean(f64),
    /// 1 keeps the old value and 0 takes the new one, `[time, batch, features]`, h_features for h and d_hidden for c.
    Drawn(&'a [T]),
}

/// A batch of sequences and how to go over it.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a, T> {
    /// The number of rows, at least 1.
    pub batch: usize,
    /// The number of steps, at least 1.
    pub time: usize,
    /// What the layer reads.
    pub input: Input<'a, T>,
    /// The token of each step, `[batch, time]` row by row, where dense input is rows of an embedding table. Steps of a
    /// row with the same token must have the same input; they may share one input product. The input's gradient may
    /// then hold the sum of theirs at one of the steps and zero at the others, which gives the table the same gradient.
    /// This is done where at least one step in eight repeats a token, unless dropped features are skipped.
    pub ids: Option<&'a [u32]>,
    /// h before the first step, `[batch, h_features]`; zero without it.
    pub h0: Option<&'a [T]>,
    /// c before the first step, `[batch, d_hidden]`, for the LSTM; zero without it.
    pub c0: Option<&'a [T]>,
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps count; the others cost next to nothing. With lengths or a mask a row's output, last state and
    /// gradients have the same bits whatever other rows there are and wherever these end, given that all input masks
    /// multiply what they keep by the same number; the gradients of inputs with `ids` may be put together otherwise.
    pub counted: Counted<'a>,
    /// Before which steps a row's state becomes zero, `[batch, time]` row by row: those with `true` that count. Before
    /// is as the layer goes, so a `reverse` pass over sequences side by side is given their last steps.
    pub resets: Option<&'a [bool]>,
    /// Whether the output, and in backward the input's gradient, are zero already; then no zeros are written at steps
    /// that do not count.
    pub zeroed: bool,
    /// The output at masked steps.
    pub masked_output: MaskedOutput,
    /// Factors of each row's input at every step, `[batch, d_input]`: no mask, one, or one for each gate. Where a
    /// factor is 0, the feature may be skipped, and in backward its weight or the whole product: NaN there need not
    /// spread. For dense input only.
    pub input_masks: &'a [&'a [T]],
    /// Factors of h in the recurrent product at every step, `[batch, h_features]`: no mask, one, or one for each gate; no
    /// mask for a cell without that product.
    pub recurrent_masks: &'a [&'a [T]],
    /// Zoneout of h.
    pub zoneout_h: Zoneout<'a, T>,
    /// Zoneout of c.
    pub zoneout_c: Zoneout<'a, T>,
}

impl<'a, T> Sequence<'a, T> {
    /// Over all steps of `input`, forwards, from a zero state, without dropout.
    pub fn new(batch: usize, time: usize, input: Input<'a, T>) -> Self {
        Sequence {
            batch,
            time,
            input,
            ids: None,
            h0: None,
            c0: None,
            reverse: false,
            counted: Counted::All,
            resets: None,
            zeroed: false,
            masked_output: MaskedOutput::Zero,
            input_masks: &[],
            recurrent_masks: &[],
            zoneout_h: Zoneout::Off,
            zoneout_c: Zoneout::Off,
        }
    }

    /// The step of the input that is done as number `s`.
    #[inline(always)]
    pub(crate) fn step(&self, s: usize) -> usize {
        if self.reverse { self.time - 1 - s } else { s }
    }

    pub(crate) fn counts(&self, b: usize, t: usize) -> bool {
        match self.counted {
            Counted::All => true,
            Counted::Lengths(lengths) => t < lengths[b],
            Counted::Mask(mask) => mask[b * self.time + t],
        }
    }
}

/// Where forward writes.
#[derive(Debug)]
pub struct Output<'a, T> {
    /// h of all steps, rows of `h_features` features.
    pub sequence: &'a mut [T],
    /// Where they lie.
    pub strides: Strides,
    /// h after each row's last step, `[batch, h_features]`.
    pub h: Option<&'a mut [T]>,
    /// c after each row's last step, `[batch, d_hidden]`.
    pub c: Option<&'a mut [T]>,
}

/// The gradients that backward is given.
#[derive(Debug, Clone, Copy)]
pub struct OutputGradients<'a, T> {
    /// Of the output sequence, and where its rows lie; zero without it.
    pub sequence: Option<(&'a [T], Strides)>,
    /// Of the last h, `[batch, h_features]`; zero without it.
    pub h: Option<&'a [T]>,
    /// Of the last c, `[batch, d_hidden]`; zero without it.
    pub c: Option<&'a [T]>,
}

/// Where backward writes the gradients that are wanted; each is overwritten, not added to.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// Of the dense input, and where its rows lie.
    pub input: Option<(&'a mut [T], Strides)>,
    /// Of `W_ih`.
    pub w_ih: Option<&'a mut [T]>,
    /// Of `W_hh`.
    pub w_hh: Option<&'a mut [T]>,
    /// Of `b_ih`.
    pub b_ih: Option<&'a mut [T]>,
    /// Of `b_hh`.
    pub b_hh: Option<&'a mut [T]>,
    /// Of the first h, `[batch, h_features]`.
    pub h0: Option<&'a mut [T]>,
    /// Of the first c, `[batch, d_hidden]`.
    pub c0: Option<&'a mut [T]>,
    /// Of what the options learn.
    pub options: OptionGradients<'a, T>,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        let options = OptionGradients::default();
        Gradients { input: None, w_ih: None, w_hh: None, b_ih: None, b_hh: None, h0: None, c0: None, options }
    }
}
