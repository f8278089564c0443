//! The public methods of steppers and optimizers.

use super::Entry;
use crate::args::LayerWeights;
use crate::exec::Exec;
use crate::optim::{LazyRows, Step};
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

    /// One step with `x`, `[d_input]`; gives the new h, `[h_features]`.
    ///
    /// # Panics
    /// On an x of another size.
    pub fn step(&mut self, x: &[T]) -> &[T] {
        T::step_dense(self, x);
        self.output()
    }

    /// One step with the one-hot row of `symbol`; gives the new h, `[h_features]`.
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

impl Step {
    /// The step of w with the optimizer's own tensors, which are m and v (Adam), v and b (RMSprop), b (SGD), s
    /// (Adagrad) and may be empty where the optimizer has none: b without momentum, a second one. g is multiplied by
    /// `scale` first: 1, or the factor of clipping by global norm.
    ///
    /// # Panics
    /// On slices of different sizes.
    pub fn update<T: Entry>(self, exec: Exec, scale: f64, w: &mut [T], g: &[T], own: [&mut [T]; 2]) {
        T::update(exec, scale, self, w, g, own);
    }
}

impl<T: Entry> LazyRows<T> {
    /// The rows `ids`, `[ids, d]`, after all steps.
    ///
    /// # Panics
    /// On an id that is not below n.
    pub fn rows(&mut self, exec: Exec, ids: &[usize]) -> Vec<T> {
        T::lazy_rows(self, exec, ids)
    }

    /// A step whose gradient is zero but in the rows `ids`, where it is `grads`, `[ids, d]`.
    ///
    /// # Panics
    /// On an id that is not below n or stands twice, and if `grads` does not have d for each.
    pub fn step(&mut self, exec: Exec, step: Step, ids: &[usize], grads: &[T]) {
        T::lazy_step(self, exec, step, ids, grads);
    }

    /// The whole table after all steps, `[n, d]`.
    pub fn table(&mut self, exec: Exec) -> &[T] {
        T::lazy_table(self, exec)
    }

    /// The optimizer's own tensors after all steps, `[n, d]` each; those that no step has needed are empty.
    pub fn moments(&mut self, exec: Exec) -> [&[T]; 2] {
        T::lazy_moments(self, exec)
    }
}
