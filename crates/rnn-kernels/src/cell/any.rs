use super::gru::{GruAfter, GruBefore};
use super::lstm::Lstm;
use super::rnn::RnnAny;
use super::scan::Scan;
use super::{Kernel, WithOptions};
use crate::args::Cell;
use crate::float::Float;
use crate::sequence::step::{BackStep, Step};
use crate::simd::{Op, Simd};

/// Any cell with any options, which are looked up at each tile. What it does to a tile stands once for an instruction
/// set and is called, so that the options cost no second driver for each cell.
#[derive(Clone, Copy)]
pub(crate) struct Any;

impl Kernel for Any {
    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { S::call(Part { work: Work::Finish(step), p, from, to }) }
    }

    #[inline(always)]
    unsafe fn reset<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { S::call(Part { work: Work::Reset(step), p, from, to }) }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { S::call(Part { work: Work::Backward(step), p, from, to }) }
    }

    #[inline(always)]
    unsafe fn backward_reset<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        // SAFETY: as for the trait.
        unsafe { S::call(Part { work: Work::BackwardReset(step), p, from, to }) }
    }
}

/// What is done to rows `from..to` of panel `p`.
struct Part<'a, T> {
    work: Work<'a, T>,
    p: usize,
    from: usize,
    to: usize,
}

enum Work<'a, T> {
    Finish(&'a Step<'a, T>),
    Reset(&'a Step<'a, T>),
    Backward(&'a BackStep<'a, T>),
    BackwardReset(&'a BackStep<'a, T>),
}

impl<T: Float> Op<T> for Part<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let Part { work, p, from, to } = self;
        // SAFETY: as for the trait `Kernel`.
        unsafe {
            match work {
                Work::Finish(step) => match step.extras.cell {
                    Cell::Rnn(_) => RnnAny::finish::<S>(step, p, from, to),
                    Cell::Lstm | Cell::LstmCoupled => Lstm::<WithOptions>::finish::<S>(step, p, from, to),
                    Cell::Gru { reset_after: true } => GruAfter::<WithOptions>::finish::<S>(step, p, from, to),
                    Cell::Gru { reset_after: false } => GruBefore::<WithOptions>::finish::<S>(step, p, from, to),
                    Cell::MinGru(_) | Cell::MinLstm(_) => Scan::finish::<S>(step, p, from, to),
                },
                Work::Backward(step) => match step.extras.cell {
                    Cell::Rnn(_) => RnnAny::backward::<S>(step, p, from, to),
                    Cell::Lstm | Cell::LstmCoupled => Lstm::<WithOptions>::backward::<S>(step, p, from, to),
                    Cell::Gru { reset_after: true } => GruAfter::<WithOptions>::backward::<S>(step, p, from, to),
                    Cell::Gru { reset_after: false } => GruBefore::<WithOptions>::backward::<S>(step, p, from, to),
                    Cell::MinGru(_) | Cell::MinLstm(_) => Scan::backward::<S>(step, p, from, to),
                },
                // Only the GRU that resets before its product has this.
                Work::Reset(step) => GruBefore::<WithOptions>::reset::<S>(step, p, from, to),
                Work::BackwardReset(step) => GruBefore::<WithOptions>::backward_reset::<S>(step, p, from, to),
            }
        }
    }
}
