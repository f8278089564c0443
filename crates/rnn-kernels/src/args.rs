//! What a layer is and what it runs over.

use crate::cell::Products;
use crate::float::Float;

/// The cell: which equations make a step. Their biases and weights are packed `[_, G·d_hidden]`, gate after gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `h' = φ(x·W_ih + b_ih + h·W_hh + b_hh)` (Elman, 1990); G = 1.
    Rnn(Nonlinearity),
    /// The LSTM with forget gates (Gers, Schmidhuber and Cummins, 2000); G = 4, in the order `i f g o`.
    Lstm,
    /// The GRU (Cho et al., 2014); G = 3, in the order `r z n`.
    Gru {
        /// Whether the reset gate acts on `h·W_hn + b_hn` (PyTorch, cuDNN) or on h before the product (the paper).
        reset_after: bool,
    },
}

impl Cell {
    /// The number of gates G.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn(_) => 1,
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
        }
    }

    /// Whether the state is `(h, c)` and not h alone.
    pub fn has_cell_state(self) -> bool {
        self == Cell::Lstm
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

/// The weights of one layer in one direction.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a, T> {
    /// The equations.
    pub cell: Cell,
    /// Features of the input, or the number of symbols if the input is indices.
    pub d_input: usize,
    /// Units.
    pub d_hidden: usize,
    /// `W_ih`, `[d_input, G·d_hidden]`.
    pub w_ih: &'a [T],
    /// `W_hh`, `[d_hidden, G·d_hidden]`.
    pub w_hh: &'a [T],
    /// `b_ih`, `[G·d_hidden]`.
    pub b_ih: Option<&'a [T]>,
    /// `b_hh`, `[G·d_hidden]`.
    pub b_hh: Option<&'a [T]>,
}

/// Where row b and step t of a sequence lie: from element `b·batch + t·time` on, features side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// From a row of the batch to the next.
    pub batch: usize,
    /// From a step to the next.
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
        /// The features.
        values: &'a [T],
        /// Where they lie.
        strides: Strides,
    },
    /// Symbols below `d_input`: each stands for a one-hot row, whose product is a row of `W_ih`. Backward keeps a sum
    /// as large as `W_ih` per thread, so this is for vocabularies, not for embeddings of many thousand rows.
    Indices {
        /// The symbols.
        values: &'a [u32],
        /// Where they lie; a step's width is 1.
        strides: Strides,
    },
}

/// Which steps of which rows count. One that does not leaves the row's state as it is.
#[derive(Debug, Clone, Copy)]
pub enum Counted<'a> {
    /// All.
    All,
    /// The first so many steps of each row.
    Lengths(&'a [usize]),
    /// Those with `true`, `[batch, time]` row by row.
    Mask(&'a [bool]),
}

/// The output at steps that do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskedOutput {
    /// Zero.
    Zero,
    /// The output of the step that was done before, zero if there is none.
    Previous,
}

/// What a tensor of the state keeps of its old value (Krueger et al., 2017).
#[derive(Debug, Clone, Copy)]
pub enum Zoneout<'a, T> {
    /// Nothing.
    Off,
    /// `p·old + (1−p)·new`.
    Mean(f64),
    /// 1 keeps the old value and 0 takes the new one, `[time, batch, d_hidden]`.
    Drawn(&'a [T]),
}

/// A batch of sequences and how to go over it.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a, T> {
    /// Rows, at least 1.
    pub batch: usize,
    /// Steps, at least 1.
    pub time: usize,
    /// The input.
    pub input: Input<'a, T>,
    /// Where dense input is rows of a table: which row of it each step has, `[batch, time]` row by row. Steps of a row of the
    /// batch that have the same one must have the same input; they may then share the product of one of them. In the input's
    /// gradient the sum of theirs may stand at one of them and zero at the others: it is for the table's gradient alone, which
    /// comes to the same. Both happen where one step in eight has an id that was there before, unless what input masks drop is
    /// left out of the products.
    pub ids: Option<&'a [u32]>,
    /// h before the first step, `[batch, d_hidden]`; zero without it.
    pub h0: Option<&'a [T]>,
    /// c before the first step, `[batch, d_hidden]`, for the LSTM; zero without it.
    pub c0: Option<&'a [T]>,
    /// From the last step to the first.
    pub reverse: bool,
    /// Which steps count.
    pub counted: Counted<'a>,
    /// The output at the others.
    pub masked_output: MaskedOutput,
    /// What each row's input is multiplied by at every step, `[batch, d_input]`: none, one, or one for each gate. Where it is
    /// 0 the input may be left out, and in its gradient the weight or the whole product, so that NaN in these or in the
    /// gradient of the sums need not come through. For dense input only.
    pub input_masks: &'a [&'a [T]],
    /// What h is multiplied by in the recurrent product, `[batch, d_hidden]`: none, one, or one for each gate.
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
    /// h of all steps, rows of `d_hidden` features.
    pub sequence: &'a mut [T],
    /// Where they lie.
    pub strides: Strides,
    /// h after each row's last step, `[batch, d_hidden]`.
    pub h: Option<&'a mut [T]>,
    /// c after each row's last step, `[batch, d_hidden]`.
    pub c: Option<&'a mut [T]>,
}

/// The gradients that backward is given.
#[derive(Debug, Clone, Copy)]
pub struct OutputGradients<'a, T> {
    /// Of the output sequence, and where its rows lie; zero without it.
    pub sequence: Option<(&'a [T], Strides)>,
    /// Of the last h, `[batch, d_hidden]`; zero without it.
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
    /// Of the first h, `[batch, d_hidden]`.
    pub h0: Option<&'a mut [T]>,
    /// Of the first c, `[batch, d_hidden]`.
    pub c0: Option<&'a mut [T]>,
}

impl<T> Default for Gradients<'_, T> {
    fn default() -> Self {
        Gradients { input: None, w_ih: None, w_hh: None, b_ih: None, b_hh: None, h0: None, c0: None }
    }
}

fn check<T>(what: &str, slice: &[T], expected: usize) {
    assert!(slice.len() == expected, "{what} has {} elements where {expected} are needed", slice.len());
}

fn check_strided<T>(what: &str, slice: &[T], strides: Strides, [batch, time, width]: [usize; 3]) {
    let needed = strides.reach(batch, time, width);
    assert!(slice.len() >= needed, "{what} has {} elements where its strides reach over {needed}", slice.len());
}

/// Rows that are written on several threads must not overlap.
fn check_apart(what: &str, strides: Strides, [batch, time, width]: [usize; 3]) {
    let (small, steps, large) = match strides.batch <= strides.time {
        true => (strides.batch, batch, strides.time),
        false => (strides.time, time, strides.batch),
    };
    let inner = if steps > 1 { small } else { width };
    let outer_rows = if strides.batch <= strides.time { time } else { batch };
    let apart = inner >= width && (outer_rows == 1 || large >= small * (steps - 1) + width);
    assert!(apart, "{what} has overlapping rows: {strides:?} for {batch} rows and {time} steps of {width}");
}

/// So that no product of sizes wraps around, filled up to whole vectors and for all gates as they are.
pub(crate) fn check_sizes<const N: usize>(sizes: [usize; N]) {
    let all = sizes.iter().try_fold(64usize, |all, &size| all.checked_mul(size.max(1)));
    assert!(all.is_some_and(|all| all < isize::MAX as usize), "{sizes:?} are too large");
}

/// # Panics
/// On sizes that do not fit together, so that no kernel reads or writes beyond a slice.
pub(crate) fn check_forward<T: Float>(layer: &Layer<T>, sequence: &Sequence<T>) {
    let &Layer { d_input, d_hidden, .. } = layer;
    let &Sequence { batch, time, .. } = sequence;
    check_sizes([batch, time, d_hidden, d_input]);
    let width = layer.cell.gates() * d_hidden;
    assert!(d_hidden > 0 && batch > 0 && time > 0, "{batch} rows, {time} steps, {d_hidden} units: none may be 0");
    check("W_ih", layer.w_ih, d_input * width);
    check("W_hh", layer.w_hh, d_hidden * width);
    layer.b_ih.inspect(|b| check("b_ih", b, width));
    layer.b_hh.inspect(|b| check("b_hh", b, width));
    match sequence.input {
        Input::Dense { values, strides } => check_strided("the input", values, strides, [batch, time, d_input]),
        Input::Indices { values, strides } => {
            check_strided("the input", values, strides, [batch, time, 1]);
            for (b, t) in (0..batch).flat_map(|b| (0..time).map(move |t| (b, t))) {
                let symbol = values[strides.at(b, t)];
                assert!((symbol as usize) < d_input, "symbol {symbol} at row {b}, step {t} is not below {d_input}");
            }
            assert!(sequence.input_masks.is_empty(), "indices take no input masks");
        }
    }
    if let Some(ids) = sequence.ids {
        check("the ids", ids, batch * time);
        assert!(matches!(sequence.input, Input::Dense { .. }), "ids are of dense input");
    }
    sequence.h0.inspect(|h| check("h0", h, batch * d_hidden));
    sequence.c0.inspect(|c| check("c0", c, batch * d_hidden));
    match sequence.counted {
        Counted::All => {}
        Counted::Lengths(lengths) => {
            check("lengths", lengths, batch);
            assert!(lengths.iter().all(|&length| length <= time), "a length is above {time}");
        }
        Counted::Mask(mask) => check("the mask", mask, batch * time),
    }
    for (what, masks, width) in
        [("an input mask", sequence.input_masks, d_input), ("a recurrent mask", sequence.recurrent_masks, d_hidden)]
    {
        let count = masks.len();
        assert!(count <= 1 || count == layer.cell.gates(), "{count} masks for {} gates", layer.cell.gates());
        masks.iter().for_each(|mask| check(what, mask, batch * width));
    }
    for zoneout in [sequence.zoneout_h, sequence.zoneout_c] {
        if let Zoneout::Drawn(keep) = zoneout {
            check("a zoneout mask", keep, time * batch * d_hidden);
        }
    }
}

pub(crate) fn check_output<T: Float>(layer: &Layer<T>, sequence: &Sequence<T>, output: &Output<T>) {
    let shape @ [batch, _, d_hidden] = [sequence.batch, sequence.time, layer.d_hidden];
    check_strided("the output", output.sequence, output.strides, shape);
    check_apart("the output", output.strides, shape);
    output.h.as_ref().inspect(|h| check("the last h", h, batch * d_hidden));
    output.c.as_ref().inspect(|c| check("the last c", c, batch * d_hidden));
    assert!(output.c.is_none() || layer.cell.has_cell_state(), "this cell has no c");
}

pub(crate) fn check_backward<T: Float>(
    layer: &Layer<T>,
    sequence: &Sequence<T>,
    given: &OutputGradients<T>,
    wanted: &Gradients<T>,
) {
    let &Layer { d_input, d_hidden, .. } = layer;
    let &Sequence { batch, time, .. } = sequence;
    let (width, state) = (layer.cell.gates() * d_hidden, batch * d_hidden);
    given.sequence.inspect(|(slice, s)| check_strided("the output's gradient", slice, *s, [batch, time, d_hidden]));
    given.h.inspect(|h| check("the gradient of the last h", h, state));
    given.c.inspect(|c| check("the gradient of the last c", c, state));
    if let Some((slice, strides)) = &wanted.input {
        assert!(matches!(sequence.input, Input::Dense { .. }), "indices have no gradient");
        check_strided("the input's gradient", slice, *strides, [batch, time, d_input]);
        check_apart("the input's gradient", *strides, [batch, time, d_input]);
    }
    wanted.w_ih.as_ref().inspect(|w| check("the gradient of W_ih", w, d_input * width));
    wanted.w_hh.as_ref().inspect(|w| check("the gradient of W_hh", w, d_hidden * width));
    wanted.b_ih.as_ref().inspect(|b| check("the gradient of b_ih", b, width));
    wanted.b_hh.as_ref().inspect(|b| check("the gradient of b_hh", b, width));
    wanted.h0.as_ref().inspect(|h| check("the gradient of h0", h, state));
    wanted.c0.as_ref().inspect(|c| check("the gradient of c0", c, state));
    assert!(wanted.c0.is_none() || layer.cell.has_cell_state(), "this cell has no c");
}

/// The products of a layer on a sequence: as the cell has them, with those whose gates have masks of their own apart.
pub(crate) fn products<T>(layer: &Layer<T>, sequence: &Sequence<T>, units: usize) -> Products {
    Products::new(layer.cell, units, sequence.input_masks.len(), sequence.recurrent_masks.len())
}
