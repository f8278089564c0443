//! The cells: how their gates lie in a panel, and what is done to a panel between the products.
//!
//! A *panel* is what belongs to a few units, a row per row of the batch. The products leave sums there, the cell turns
//! them into gates, and backward turns those into the gradients of the sums. A row of a panel has a slot for each gate:
//!
//! | cell | slots |
//! |---|---|
//! | LSTM | `i f g o` |
//! | GRU, reset after | `n_x r z n_h`: the sum from x, and `h·W_hn + b_hn` apart |
//! | GRU, reset before | `n r z –` |
//! | RNN | `h'` |
//!
//! A slot is one vector wide, and one product fills the slots of all gates. Where gates have products of their own, which
//! is in the RNN and under masks a gate, a slot is up to [`WIDTH`] vectors wide, so that a tile is.

mod gru;
mod lstm;
mod rnn;

pub(crate) use gru::{GruAfter, GruBefore};
pub(crate) use lstm::Lstm;
pub(crate) use rnn::{RnnRelu, RnnTanh};

use crate::args::Cell;
use crate::simd::Simd;
use crate::step::{BackStep, Step};
use crate::tile::WIDTH;

/// One product that fills vectors of a panel: the gates `gates` from vector `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// The first vector that it fills.
    pub(crate) offset: usize,
    /// The gates, in the panel's order; each is `blocks` vectors wide.
    pub(crate) gates: &'static [usize],
    /// Whether it is done after the others, on r∘h in place of h.
    pub(crate) reset: bool,
    /// The mask of its left factor.
    pub(crate) mask: Option<usize>,
}

/// How the products of a cell fill its panels.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    /// Vectors of a slot.
    pub(crate) blocks: usize,
    /// Vectors of a panel's row.
    pub(crate) vectors: usize,
    /// `x·W_ih`.
    pub(crate) x: Vec<Part>,
    /// `h·W_hh`.
    pub(crate) h: Vec<Part>,
}

impl Products {
    /// For units that fill `units` vectors, with so many masks of x and of h: none, one, or one a gate.
    pub(crate) fn new(cell: Cell, units: usize, x_masks: usize, h_masks: usize) -> Self {
        let part = |offset, gates, reset| Part { offset, gates, reset, mask: None };
        let (slots, x, h) = match cell {
            Cell::Rnn(_) => (1, part(0, &[0], false), vec![part(0, &[0], false)]),
            Cell::Lstm => (4, part(0, &[0, 1, 2, 3], false), vec![part(0, &[0, 1, 2, 3], false)]),
            Cell::Gru { reset_after: true } => (4, part(0, &[2, 0, 1], false), vec![part(1, &[0, 1, 2], false)]),
            Cell::Gru { reset_after: false } => {
                (4, part(0, &[2, 0, 1], false), vec![part(1, &[0, 1], false), part(0, &[2], true)])
            }
        };
        let per_gate = slots == 1 || x_masks > 1 || h_masks > 1;
        // As wide as a tile, and as even as possible.
        let blocks = if per_gate { units.div_ceil(units.div_ceil(WIDTH)) } else { 1 };
        let parts = |parts: Vec<Part>, masks: usize| -> Vec<Part> {
            let parts = parts.into_iter().flat_map(|part| if per_gate { part.per_gate(blocks) } else { vec![part] });
            let mask = |part: &Part| (masks > 0).then(|| if masks > 1 { part.gates[0] } else { 0 });
            parts.map(|part| Part { mask: mask(&part), ..part }).collect()
        };
        Products { blocks, vectors: slots * blocks, x: parts(vec![x], x_masks), h: parts(h, h_masks) }
    }
}

impl Part {
    /// A part for each gate, whose slots are `blocks` vectors wide.
    fn per_gate(self, blocks: usize) -> Vec<Part> {
        let one = |(i, gate)| Part { offset: (self.offset + i) * blocks, gates: std::slice::from_ref(gate), ..self };
        self.gates.iter().enumerate().map(one).collect()
    }

    /// The vectors that it fills: each one's place in the panel, its gate, and which of the gate's vectors it is.
    pub(crate) fn vectors(self, blocks: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let vectors = self.gates.iter().flat_map(move |&gate| (0..blocks).map(move |block| (gate, block)));
        vectors.enumerate().map(move |(i, (gate, block))| (self.offset + i, gate, block))
    }

    /// How many vectors it fills.
    #[inline(always)]
    pub(crate) fn width(self, blocks: usize) -> usize {
        self.gates.len() * blocks
    }
}

/// What a cell does to panels.
///
/// # Safety
/// The machine must have the instruction set; the step's pointers must be valid for all rows and panels.
pub(crate) trait Kernel: Copy + Send + Sync + 'static {
    /// Whether the state has a c.
    const HAS_C: bool;

    /// From sums to gates and the new state, for rows `from..to` of panel `p`.
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize);

    /// Before the product on r∘h: the gates that it needs, and r∘h.
    #[inline(always)]
    unsafe fn reset<S: Simd>(_: &Step<S::T>, _: usize, _: usize, _: usize) {}

    /// From the gradients of the new state to those of the sums, and of the old state but for what comes through the
    /// products.
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize);

    /// With the gradient of r∘h: the gradients of the reset gate's sum and of h.
    #[inline(always)]
    unsafe fn backward_reset<S: Simd>(_: &BackStep<S::T>, _: usize, _: usize, _: usize) {}
}

/// Zeros in four slots, which are `slot` apart.
#[inline(always)]
unsafe fn clear<S: Simd>(row: *mut S::T, slot: usize) {
    for i in 0..4 {
        // SAFETY: the caller's row has so many slots.
        unsafe { S::store(row.add(i * slot), S::zero()) }
    }
}

/// Calls `$f::<K>($args)` with the kernel K of a cell.
macro_rules! with_kernel {
    ($cell:expr, $f:ident($($arg:expr),* $(,)?)) => {
        match $cell {
            $crate::args::Cell::Rnn($crate::args::Nonlinearity::Tanh) => $f::<_, $crate::cell::RnnTanh>($($arg),*),
            $crate::args::Cell::Rnn($crate::args::Nonlinearity::Relu) => $f::<_, $crate::cell::RnnRelu>($($arg),*),
            $crate::args::Cell::Lstm => $f::<_, $crate::cell::Lstm>($($arg),*),
            $crate::args::Cell::Gru { reset_after: true } => $f::<_, $crate::cell::GruAfter>($($arg),*),
            $crate::args::Cell::Gru { reset_after: false } => $f::<_, $crate::cell::GruBefore>($($arg),*),
        }
    };
}
pub(crate) use with_kernel;
