//! One layer of a stepper.

use super::Real;
use rnn_kernels as kernels;
use std::sync::Arc;

/// The kernel's stepper, and what is around it where h is projected.
#[derive(Debug, Clone)]
pub(super) struct LayerStepper<T: Real> {
    steps: kernels::Stepper<T>,
    projection: Option<Projection<T>>,
}

/// The kernel steps `m = o∘ψ(c)` with the recurrent weights `W_hr·W_hh`; `h = m·W_hr` comes after it. An h that was set
/// belongs to no m: it stands beside the next x, for which the input weights have the rows of `W_hh` too.
#[derive(Debug, Clone)]
struct Projection<T: Real> {
    w_hr: Arc<kernels::Dense<T>>,
    h: Vec<T>,
    /// x, and beside it zeros, or the h that was set.
    input: Vec<T>,
    is_set: bool,
}

impl<T: Real> Projection<T> {
    fn d_input(&self) -> usize {
        self.input.len() - self.h.len()
    }

    /// h from m.
    fn project(&mut self, m: &[T]) -> &[T] {
        self.w_hr.apply(m, &mut self.h);
        if std::mem::take(&mut self.is_set) {
            let d_input = self.d_input();
            self.input[d_input..].fill(T::ZERO);
        }
        &self.h
    }
}

impl<T: Real> LayerStepper<T> {
    /// Of a layer without projection.
    pub fn plain(steps: kernels::Stepper<T>) -> Self {
        Self { steps, projection: None }
    }

    /// With the projection `w_hr`; `steps` reads `d_input` numbers and h beside them.
    pub fn projected(steps: kernels::Stepper<T>, w_hr: kernels::Dense<T>, [d_input, d_output]: [usize; 2]) -> Self {
        let [h, input] = [d_output, d_input + d_output].map(|n| vec![T::ZERO; n]);
        Self { steps, projection: Some(Projection { w_hr: Arc::new(w_hr), h, input, is_set: false }) }
    }

    /// One step with x; gives h.
    pub fn step(&mut self, x: &[T]) -> &[T] {
        let Some(projection) = &mut self.projection else { return self.steps.step(x) };
        let d_input = projection.d_input();
        assert!(x.len() == d_input, "x has {} elements where {d_input} are needed", x.len());
        projection.input[..d_input].copy_from_slice(x);
        projection.project(self.steps.step(&projection.input))
    }

    /// One step with the one-hot row of `symbol`; gives h.
    pub fn step_symbol(&mut self, symbol: usize) -> &[T] {
        let Some(projection) = &mut self.projection else { return self.steps.step_index(symbol) };
        let d_input = projection.d_input();
        assert!(symbol < d_input, "symbol {symbol} is not below {d_input}");
        if !projection.is_set {
            return projection.project(self.steps.step_index(symbol));
        }
        projection.input[..d_input].fill(T::ZERO);
        projection.input[symbol] = T::ONE;
        projection.project(self.steps.step(&projection.input))
    }

    /// h.
    pub fn h(&self) -> &[T] {
        self.projection.as_ref().map_or(self.steps.h(), |projection| &projection.h)
    }

    /// c; only the LSTM's means something.
    pub fn c(&self) -> &[T] {
        self.steps.c()
    }

    /// Goes on from another state.
    pub fn set_state(&mut self, h: &[T], c: Option<&[T]>) {
        let Some(projection) = &mut self.projection else { return self.steps.set_state(h, c) };
        self.steps.set_state(&vec![T::ZERO; self.steps.c().len()], c);
        let d_input = projection.d_input();
        projection.h.copy_from_slice(h);
        projection.input[d_input..].copy_from_slice(h);
        projection.is_set = true;
    }

    /// Goes on from a zero state.
    pub fn reset(&mut self) {
        self.steps.reset();
        if let Some(projection) = &mut self.projection {
            projection.h.fill(T::ZERO);
            projection.input.fill(T::ZERO);
            projection.is_set = false;
        }
    }
}
