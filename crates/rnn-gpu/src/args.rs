//! What a layer is, what it runs over, and what it gives.

use crate::Buffer;
use crate::storage::Storage;

/// The cell: which equations make a step. Its biases and weights are packed `[_, G·d_hidden]`, gate after gate. σ, φ and
/// ψ are those of [`Options`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// `h' = φ(x·W_ih + b_ih + h·W_hh + b_hh)` (Elman, 1990); G = 1.
    Rnn,
    /// The LSTM with forget gates (Gers, Schmidhuber and Cummins, 2000); G = 4, in the order `i f g o`.
    Lstm,
    /// The LSTM whose f is 1 − i; G = 3, in the order `i g o`.
    LstmCoupled,
    /// The GRU (Cho et al., 2014) whose reset gate acts on `h·W_hn + b_hn`; G = 3, in the order `r z n`.
    GruAfter,
    /// The GRU whose reset gate acts on h before the product.
    GruBefore,
    /// The minGRU (Feng et al., 2024): `z = σ(x·W_iz + b_iz)`, `n = φ(x·W_in + b_in)`, `h' = (1−z)∘h + z∘n`; G = 2, in
    /// the order `z n`. σ is the logistic function, and there is no `W_hh`.
    MinGru,
    /// The minLSTM of the same paper: i and f likewise, `h' = (f∘h + i∘n)/(f + i)`; G = 3, in the order `i f n`.
    MinLstm,
}

impl Cell {
    /// The number of gates G.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::MinGru => 2,
            Cell::LstmCoupled | Cell::GruAfter | Cell::GruBefore | Cell::MinLstm => 3,
            Cell::Lstm => 4,
        }
    }

    /// Whether the state is `(h, c)` and not h alone.
    pub fn has_c(self) -> bool {
        matches!(self, Cell::Lstm | Cell::LstmCoupled)
    }

    /// Whether a step multiplies h by `W_hh`.
    pub fn has_w_hh(self) -> bool {
        !matches!(self, Cell::MinGru | Cell::MinLstm)
    }

    /// How many values a unit saves for backward at a step; the last is h before the step.
    ///
    /// LSTM `i f g o c h`, without f if it is coupled; GRU `r z n h`, with `h·W_hn + b_hn` before the h if the reset
    /// comes after the product; RNN `h' h`; the others the sums of their gates, n and h. Of a function whose slope does
    /// not follow from its value the argument is saved ([`Activation::keeps_x`]).
    pub(crate) fn saved(self) -> usize {
        match self {
            Cell::Lstm | Cell::LstmCoupled => self.gates() + 2,
            Cell::GruAfter => 5,
            Cell::Rnn | Cell::GruBefore | Cell::MinGru | Cell::MinLstm => self.gates() + 1,
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

/// A function that is applied element by element to a gate's sum or to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x.
    Linear,
    /// 1/(1+e⁻ˣ).
    Sigmoid,
    /// `slope·x + ½`, held in `[0, 1]`.
    HardSigmoid {
        /// At 0.
        slope: Constant,
    },
    /// tanh(x).
    Tanh,
    /// x, held in `[−1, 1]`.
    HardTanh,
    /// max(0, x).
    Relu,
    /// x where it is positive, `slope·x` elsewhere.
    LeakyRelu {
        /// Below 0.
        slope: Constant,
    },
    /// x where it is positive, `eˣ − 1` elsewhere.
    Elu,
    /// x/(1+|x|).
    Softsign,
    /// ln(1+eˣ).
    Softplus,
    /// x·σ(x).
    Silu,
    /// x·Φ(x), with Φ the normal distribution.
    Gelu,
    /// x + ½ where x is positive, σ(x) elsewhere.
    Positive,
}

/// A number that a kernel is compiled for; two are the same if their bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Constant(u32);

impl From<f32> for Constant {
    fn from(number: f32) -> Self {
        Constant(number.to_bits())
    }
}

impl From<Constant> for f32 {
    fn from(Constant(bits): Constant) -> Self {
        f32::from_bits(bits)
    }
}

/// The functions and the clip of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// σ of the gates.
    pub gate: Activation,
    /// φ: of the LSTM's g, of the n of the GRU, the minGRU and the minLSTM, of the RNN's h.
    pub candidate: Activation,
    /// ψ, of the LSTM's c on its way to h.
    pub hidden: Activation,
    /// Holds the LSTM's c, or the h of an RNN or a GRU, in `[−clip, clip]`; above 0.
    pub clip: Option<Constant>,
}

impl Activation {
    /// Whether backward needs x, since the slope does not follow from `f(x)`.
    pub(crate) fn keeps_x(self) -> bool {
        matches!(self, Activation::LeakyRelu { .. } | Activation::Softplus | Activation::Silu | Activation::Gelu)
    }

    /// The slope that is an option.
    pub(crate) fn slope(self) -> f32 {
        match self {
            Activation::HardSigmoid { slope } | Activation::LeakyRelu { slope } => slope.into(),
            _ => 0.0,
        }
    }
}

impl Options {
    /// Those of the plain cell: σ is the logistic function, φ and ψ are tanh, φ of a minGRU and a minLSTM is the
    /// identity.
    pub fn plain(cell: Cell) -> Self {
        let candidate = if cell.has_w_hh() { Activation::Tanh } else { Activation::Linear };
        Options { gate: Activation::Sigmoid, candidate, hidden: Activation::Tanh, clip: None }
    }
}

/// The weights of one layer in one direction.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Which equations make a step.
    pub cell: Cell,
    /// The functions in them.
    pub options: Options,
    /// The number of features of the input; where the input is symbols, their number.
    pub d_input: usize,
    /// The number of units, at least 1.
    pub d_hidden: usize,
    /// `W_ih`, `[d_input, G·d_hidden]`.
    pub w_ih: Buffer,
    /// `W_hh`, `[d_hidden, G·d_hidden]`, of a cell that has one.
    pub w_hh: Option<Buffer>,
    /// `b_ih`, `[G·d_hidden]`; zero without it.
    pub b_ih: Option<Buffer>,
    /// `b_hh`, `[G·d_hidden]`; zero without it.
    pub b_hh: Option<Buffer>,
    /// The LSTM's peepholes (Gers, Schraudolph and Schmidhuber, 2002), `[d_hidden]` each: `p_i∘c` and `p_f∘c` are added
    /// to the sums of i and f, `p_o∘c'` to that of o. There are none or all; a coupled LSTM has no `p_f`.
    pub peepholes: [Option<Buffer>; 3],
    /// Layer normalisation (Ba, Kiros and Hinton, 2016), if the layer has it.
    pub norm: Option<Norm>,
}

/// What layer normalisation learns, or the gradients of that: `γ_ih∘norm(x·W_ih) + b_ih` and `γ_hh∘norm(h·W_hh) + b_hh`,
/// each over all gates; the product on r∘h of a GRU for itself.
#[derive(Debug, Clone)]
pub struct Norm {
    /// γ_ih, `[G·d_hidden]`.
    pub ih: Buffer,
    /// γ_hh, `[G·d_hidden]`, of a cell that has `W_hh`.
    pub hh: Option<Buffer>,
    /// γ_c and β_c of the LSTM's `h' = o∘ψ(γ_c∘norm(c') + β_c)`, `[d_hidden]` each.
    pub c: Option<[Buffer; 2]>,
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
    /// Before which steps a row's state becomes zero, `[batch, time]` row by row: those with `true` that count. Before is
    /// as the layer goes.
    pub resets: Option<&'a [bool]>,
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

/// What backward gives: what was wanted, and what comes of itself: the gradients of the first state, of peepholes, and
/// with layer normalisation of all that it learns and of the biases.
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
    /// Of the peepholes that the layer has.
    pub peepholes: [Option<Buffer>; 3],
    /// Of what layer normalisation learns, if the layer has it.
    pub norm: Option<Norm>,
    /// Of the first h.
    pub h0: Buffer,
    /// Of the first c, of an LSTM.
    pub c0: Option<Buffer>,
}
