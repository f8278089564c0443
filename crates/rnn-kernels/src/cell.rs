//! The cells: what is done to a panel between the products, forward and backward.
//!
//! A *panel* is what belongs to a few units, a row per row of the batch. The products leave sums there, the cell turns
//! them into gates, and backward turns those into the gradients of the sums. A row of a panel has a slot for each gate:
//!
//! | cell | slots |
//! |---|---|
//! | LSTM | `i f g o`, with coupled gates `i g o` |
//! | GRU, reset after | `n_x r z n_h`: the sum from x, and `h·W_hn + b_hn` apart |
//! | GRU, reset before | `n r z –` |
//! | RNN | `h'` |
//! | minGRU | `z n` |
//! | minLSTM | `i f n` |
//!
//! One product fills the slots of all gates, and a slot has as many vectors as make a tile
//! [`WIDTH`](crate::tile::WIDTH) vectors wide: one, in a minGRU two. Where gates have products of their own, which is in
//! the RNN and under masks a gate, a slot is up to that wide by itself.
//!
//! A plain cell has a kernel of its own. [`Any`] is the kernel of all cells with options; the code of a cell is the
//! same in both and asks its [`Form`] whether there may be options.

mod activation;
mod any;
mod gru;
mod lstm;
mod rnn;
mod scan;
mod shown;

pub(crate) use activation::value;
pub(crate) use any::Any;
pub(crate) use gru::{GruAfter, GruBefore};
pub(crate) use lstm::Lstm;
pub(crate) use rnn::{RnnRelu, RnnTanh};
pub(crate) use scan::Scan;
pub(crate) use shown::{show, unshow};

use crate::sequence::step::{BackStep, Shape, Step};
use crate::simd::Simd;

/// What a cell does to panels.
///
/// # Safety
/// The machine must have the instruction set; the step's pointers must be valid for all rows and panels.
pub(crate) trait Kernel: Copy + Send + Sync + 'static {
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

/// Whether the options of a cell count.
pub(crate) trait Form: Copy + Send + Sync + 'static {
    const OPTIONS: bool;
}

/// The plain cell.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Form for Plain {
    const OPTIONS: bool = false;
}

/// The cell with whatever options it has.
#[derive(Clone, Copy)]
pub(crate) struct WithOptions;

impl Form for WithOptions {
    const OPTIONS: bool = true;
}

/// Zeros in all slots.
#[inline(always)]
unsafe fn clear<S: Simd>(row: *mut S::T, shape: Shape) {
    for at in (0..shape.row).step_by(shape.slot) {
        // SAFETY: the caller's row has so many slots.
        unsafe { S::store(row.add(at), S::zero()) }
    }
}

/// Calls `$f::<S, K>($args)` with the kernel K of the cell that has these [`Extras`](crate::sequence::extras::Extras):
/// [`Any`] if it has options.
macro_rules! with_kernel {
    ($extras:expr, $f:ident::<$S:ident>($($arg:expr),* $(,)?)) => {
        match $extras.cell {
            _ if $extras.has_options => $f::<$S, $crate::cell::Any>($($arg),*),
            $crate::args::Cell::Rnn($crate::args::Nonlinearity::Tanh) => $f::<$S, $crate::cell::RnnTanh>($($arg),*),
            $crate::args::Cell::Rnn($crate::args::Nonlinearity::Relu) => $f::<$S, $crate::cell::RnnRelu>($($arg),*),
            $crate::args::Cell::Lstm => $f::<$S, $crate::cell::Lstm<$crate::cell::Plain>>($($arg),*),
            $crate::args::Cell::LstmCoupled => $f::<$S, $crate::cell::Any>($($arg),*),
            $crate::args::Cell::Gru { reset_after: true } => {
                $f::<$S, $crate::cell::GruAfter<$crate::cell::Plain>>($($arg),*)
            }
            $crate::args::Cell::Gru { reset_after: false } => {
                $f::<$S, $crate::cell::GruBefore<$crate::cell::Plain>>($($arg),*)
            }
            $crate::args::Cell::MinGru(_) | $crate::args::Cell::MinLstm(_) => $f::<$S, $crate::cell::Scan>($($arg),*),
        }
    };
}
pub(crate) use with_kernel;
