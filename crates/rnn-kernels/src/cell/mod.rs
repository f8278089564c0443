//! The cells: how their gates lie in a panel, and what is done to a panel between the products.
//!
//! A *panel* is what belongs to a few units: `PANEL` vectors per row of the batch. The products leave sums there, the
//! cell turns them into gates, and backward turns those into the gradients of the sums.
//!
//! | cell | units | vectors |
//! |---|---|---|
//! | LSTM | 1 vector | `i f g o` |
//! | GRU, reset after | 1 vector | `n_x r z n_h`: the sum from x, and `h·W_hn + b_hn` apart |
//! | GRU, reset before | 1 vector | `n r z –` |
//! | RNN | 4 vectors | `h'` of each |

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
use std::ops::Range;

/// Vectors of a panel's row.
pub(crate) const PANEL: usize = 4;

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
    /// Vectors of a panel for one gate.
    pub(crate) blocks: usize,
    /// `x·W_ih`.
    pub(crate) x: Vec<Part>,
    /// `h·W_hh`.
    pub(crate) h: Vec<Part>,
}

impl Products {
    pub(crate) fn new(cell: Cell, x_masks: usize, h_masks: usize) -> Self {
        let part = |offset, gates, reset| Part { offset, gates, reset, mask: None };
        let (blocks, x, h) = match cell {
            Cell::Rnn(_) => (4, part(0, &[0], false), vec![part(0, &[0], false)]),
            Cell::Lstm => (1, part(0, &[0, 1, 2, 3], false), vec![part(0, &[0, 1, 2, 3], false)]),
            Cell::Gru { reset_after: true } => (1, part(0, &[2, 0, 1], false), vec![part(1, &[0, 1, 2], false)]),
            Cell::Gru { reset_after: false } => {
                (1, part(0, &[2, 0, 1], false), vec![part(1, &[0, 1], false), part(0, &[2], true)])
            }
        };
        let masked = |parts: Vec<Part>, masks: usize| -> Vec<Part> {
            match masks {
                0 => parts,
                1 => parts.into_iter().map(|part| Part { mask: Some(0), ..part }).collect(),
                _ => parts.into_iter().flat_map(|part| part.per_gate(blocks)).collect(),
            }
        };
        Products { blocks, x: masked(vec![x], x_masks), h: masked(h, h_masks) }
    }
}

impl Part {
    fn per_gate(self, blocks: usize) -> impl Iterator<Item = Part> {
        self.gates.iter().enumerate().map(move |(i, gate)| Part {
            offset: self.offset + i * blocks,
            gates: std::slice::from_ref(gate),
            mask: Some(*gate),
            ..self
        })
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

    /// The panels, in groups whose vectors of this part make a whole row of a tile.
    #[inline(always)]
    pub(crate) fn groups(self, blocks: usize, panels: usize) -> Groups {
        Groups { panels, size: WIDTH / self.width(blocks) }
    }
}

/// Panels in groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Groups {
    panels: usize,
    size: usize,
}

impl Groups {
    /// How many there are.
    #[inline(always)]
    pub(crate) fn count(self) -> usize {
        self.panels.div_ceil(self.size)
    }

    /// The panels of group `i`.
    #[inline(always)]
    pub(crate) fn panels(self, i: usize) -> Range<usize> {
        i * self.size..((i + 1) * self.size).min(self.panels)
    }
}

/// What a cell does to panels.
///
/// # Safety
/// The machine must have the instruction set; the step's pointers must be valid for all rows and panels.
pub(crate) trait Kernel: Copy + Send + Sync + 'static {
    /// Vectors of a panel for one gate.
    const BLOCKS: usize;
    /// Vectors of a panel that `h·W_hh` fills, if one product fills them all; else 0.
    const H_VECTORS: usize;
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

/// Zeros in a row of a panel.
#[inline(always)]
unsafe fn clear<S: Simd>(row: *mut S::T) {
    for vector in 0..PANEL {
        // SAFETY: the caller's row has so many vectors.
        unsafe { S::store(row.add(vector * S::LANES), S::zero()) }
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
