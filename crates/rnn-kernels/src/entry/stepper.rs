//! The steppers' methods for both element types.

use super::Entry;
use crate::args::LayerWeights;
use crate::simd::Isa;
use crate::stepper::{Dense, Stepper};

impl<T: Entry> Stepper<T> {
    /// From a zero state.
    ///
    /// # Panics
    /// On weights of the wrong size and an instruction set that the machine does not have.
    pub fn new(isa: Isa, layer: &LayerWeights<T>) -> Self {
        T::stepper(isa, layer)
    }

    /// One step with `x`, `[d_input]`; gives the new h, `[d_hidden]`.
    ///
    /// # Panics
    /// On an x of another size.
    pub fn step(&mut self, x: &[T]) -> &[T] {
        T::step_dense(self, x);
        self.output()
    }

    /// One step with the one-hot row of `symbol`; gives the new h, `[d_hidden]`.
    ///
    /// # Panics
    /// On a symbol that is not below `d_input`.
    pub fn step_index(&mut self, symbol: usize) -> &[T] {
        T::step_symbol(self, symbol);
        self.output()
    }
}

impl<T: Entry> Dense<T> {
    /// From `w`, `[d_input, d_output]`, and `b`, `[d_output]`.
    ///
    /// # Panics
    /// On slices of other sizes and an instruction set that the machine does not have.
    pub fn new(isa: Isa, shape: [usize; 2], w: &[T], b: Option<&[T]>) -> Self {
        T::dense(isa, shape, w, b)
    }

    /// Writes `x·W + b`; x is `[d_input]`, y `[d_output]`.
    ///
    /// # Panics
    /// On slices of other sizes.
    pub fn apply(&self, x: &[T], y: &mut [T]) {
        T::dense_multiply(self, x, y);
    }
}
