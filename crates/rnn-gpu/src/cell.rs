//! The equations of the cells: a step of a unit, forwards and backwards.
//!
//! `at` is where what is saved of the unit at the step begins; from one saved value to the next are `d_hidden` numbers.

pub(crate) mod gru;
pub(crate) mod lstm;
pub(crate) mod rnn;
pub(crate) mod scan;

use crate::shape::Shape;
use crate::storage::{load, store};
use cubecl::prelude::*;

/// Saves a value for backward, if that is wanted.
#[cube]
pub(crate) fn save<N: Float>(
    saved: &mut [N],
    at: usize,
    #[comptime] slot: usize,
    value: f32,
    #[comptime] shape: Shape,
) {
    if comptime!(shape.save) {
        store(saved, at + comptime!(slot * shape.d_hidden), value);
    }
}

/// A value that was saved.
#[cube]
pub(crate) fn saved_at<N: Float>(saved: &[N], at: usize, #[comptime] slot: usize, #[comptime] shape: Shape) -> f32 {
    load(saved, at + comptime!(slot * shape.d_hidden))
}
