//! What a layer is, what it runs over, and what it gives.

use crate::Buffer;
use crate::storage::Storage;

/// The cell: which equations make a step. Its biases and weights are packed `[_, G·d_hidden]`, gate after gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = tanh(x·W_ih + b_ih + h·W_hh + b_hh)` (Elman, 1990); G = 1.
    RnnTanh,
    /// The same with max(0, ·).
    RnnRelu,
    /// The LSTM with forget gates (Gers, Schmidhuber and Cummins, 2000); G = 4, in the order `i f g o`.
    Lstm,
    /// The GRU (Cho et al., 2014) whose reset gate acts on `h·W_hn + b_hn`; G = 3, in the order `r z n`.
    GruAfter,
    /// The GRU whose reset gate acts on h before the product.
    GruBefore,
}

impl Cell {
    /// The number of gates G.
    pub fn gates(self) -> usize {
        match self {
            Cell::RnnTanh | Cell::RnnRelu => 1,
            Cell::Lstm => 4,
            Cell::GruAfter | Cell::GruBefore => 3,
        }
    }

    /// Whether the state is `(h, c)` and not h alone.
    pub fn has_c(self) -> bool {
        self == Cell::Lstm
    }

    /// How many values a unit saves for backward at a step; the last is h before the step.
    ///
    /// LSTM `i f g o c h`; GRU `r z n h`, with `h·W_hn + b_hn` before the h if the reset comes after the product; RNN
    /// `h' h`.
    pub(crate) fn saved(self) -> usize {
        match self {
            Cell::RnnTanh | Cell::RnnRelu => 2,
            Cell::Lstm => 6,
            Cell::GruAfter => 5,
            Cell::GruBefore => 4,
        }
    }

    /// How many gradients of sums a unit has at a step: one for each gate, and for the GRU that resets after the
    /// product a fourth, of `h·W_hn + b_hn`.
    pub(crate) fn deltas(self) -> usize {
        if self == Cell::GruAfter { 4 } else { self.gates() }
    }

    /// Where among the deltas the one for h's product of a gate is.
    pub(crate) fn hidden_delta(self, gate: usize) -> usize {
        if self == Cell::GruAfter && gate == 2 { 3 } else { gate }
    }
}

/// The weights of one layer in one direction.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Which equations make a step.
    pub cell: Cell,
    /// The number of features of the input; where the input is symbols, their number.
    pub d_input: usize,
    /// The number of units, at least 1.
    pub d_hidden: usize,
    /// `W_ih`, `[d_input, G·d_hidden]`.
    pub w_ih: Buffer,
    /// `W_hh`, `[d_hidden, G·d_hidden]`.
    pub w_hh: Buffer,
    /// `b_ih`, `[G·d_hidden]`; zero without it.
    pub b_ih: Option<Buffer>,
    /// `b_hh`, `[G·d_hidden]`; zero without it.
    pub b_hh: Option<Buffer>,
}

/// A tensor `[time, batch, width]` that lies in memory in some other way, or is one value in many places.
#[derive(Debug, Clone)]
pub struct Strided {
    /// The memory.
    pub buffer: Buffer,
    /// Numbers from a step, a row and a feature to the next.
    pub strides: [usize; 3],
}

impl Strided {
    /// Values `[time, batch, width]`, side by side.
    pub fn contiguous(buffer: Buffer, batch: usize, width: usize) -> Self {
        Strided { buffer, strides: [batch * width, width, 1] }
    }
}

/// The input of a layer.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// Rows of `d_input` features.
    Dense(Strided),
    /// Symbols below `d_input`, each for a one-hot row; `[batch, time]` row by row.
    Symbols(&'a [u32]),
}

/// Which steps of which rows count. A masked step leaves the state of the row unchanged.
#[derive(Debug, Clone, Copy)]
pub enum Counted<'a> {
    /// All.
    All,
    /// The first steps of each row, as many as its length.
    Lengths(&'a [usize]),
    /// Those with `true`, `[batch, time]` row by row.
    Mask(&'a [bool]),
}

impl Counted<'_> {
    pub(crate) fn has(&self, row: usize, t: usize, time: usize) -> bool {
        match self {
            Counted::All => true,
            Counted::Lengths(lengths) => t < lengths[row],
            Counted::Mask(mask) => mask[row * time + t],
        }
    }
}

/// What a tensor of the state keeps of its old value (Krueger et al., 2017).
#[derive(Debug, Clone, Default)]
pub enum Zoneout {
    /// Nothing.
    #[default]
    Off,
    /// `p·old + (1−p)·new`.
    Mean(f32),
    /// 1 keeps the old value and 0 takes the new one, `[time, batch, d_hidden]`.
    Drawn(Buffer),
}

/// A batch of sequences and how to go over it.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// The number of rows, at least 1.
    pub batch: usize,
    /// The number of steps, at least 1.
    pub time: usize,
    /// What the layer reads.
    pub input: Input<'a>,
    /// h before the first step, `[batch, d_hidden]`.
    pub h0: Buffer,
    /// c before the first step, `[batch, d_hidden]`, for the LSTM.
    pub c0: Option<Buffer>,
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps count.
    pub counted: Counted<'a>,
    /// Whether the output at a masked step is the one of the step before in the order of the layer; zero otherwise,
    /// and where there is none.
    pub masked_repeats: bool,
    /// Factors of each row's input at every step, `[batch, d_input]`: no mask, one, or one for each gate. For dense
    /// input only.
    pub input_masks: Vec<Buffer>,
    /// Factors of h in the recurrent product at every step, `[batch, d_hidden]`: no mask, one, or one for each gate.
    pub recurrent_masks: Vec<Buffer>,
    /// Zoneout of h.
    pub zoneout_h: Zoneout,
    /// Zoneout of c.
    pub zoneout_c: Zoneout,
    /// How the largest buffers of the call are stored.
    pub storage: Storage,
}

/// What forward gives.
#[derive(Debug, Clone)]
pub struct Output {
    /// h of all steps, `[time, batch, d_hidden]`.
    pub sequence: Buffer,
    /// h after each row's last step, `[batch, d_hidden]`.
    pub h: Buffer,
    /// c after each row's last step, `[batch, d_hidden]`, of an LSTM.
    pub c: Option<Buffer>,
}

/// The gradients that backward is given; zero without them.
#[derive(Debug, Clone, Default)]
pub struct OutputGradients {
    /// Of the output sequence, `[time, batch, d_hidden]`.
    pub sequence: Option<Strided>,
    /// Of the last h, `[batch, d_hidden]`.
    pub h: Option<Buffer>,
    /// Of the last c, `[batch, d_hidden]`.
    pub c: Option<Buffer>,
}

/// Which gradients are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Of the dense input.
    pub input: bool,
    /// Of `W_ih` and `b_ih`.
    pub input_weights: bool,
    /// Of `W_hh` and `b_hh`.
    pub hidden_weights: bool,
}

/// What backward gives: what was wanted, and the gradients of the first state, which come of themselves.
#[derive(Debug, Clone)]
pub struct Gradients {
    /// Of the dense input, `[time, batch, d_input]`.
    pub input: Option<Buffer>,
    /// Of `W_ih`.
    pub w_ih: Option<Buffer>,
    /// Of `b_ih`, whether the layer has one or not.
    pub b_ih: Option<Buffer>,
    /// Of `W_hh`.
    pub w_hh: Option<Buffer>,
    /// Of `b_hh`, whether the layer has one or not.
    pub b_hh: Option<Buffer>,
    /// Of the first h.
    pub h0: Buffer,
    /// Of the first c, of an LSTM.
    pub c0: Option<Buffer>,
}
