//! The pass over memory that makes one step of one tensor.

use super::{Rule, Step};
use crate::exec::Exec;
use crate::float::Float;
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each, ranges};

/// Below so many elements one thread updates.
pub(super) const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 16 };

/// One step of the weights `w`; see [`Step::update`].
pub(crate) fn update<T: Float>(exec: Exec, scale: f64, step: Step, w: &mut [T], g: &[T], own: [&mut [T]; 2]) {
    let step = step.cast::<T>();
    assert!(w.len() == g.len(), "{} weights and {} gradients", w.len(), g.len());
    for (has, tensor) in step.tensors().iter().zip(&own) {
        assert!(!has || tensor.len() == w.len(), "{} weights and {} of the optimizer's numbers", w.len(), tensor.len());
    }
    let ranges = ranges(w.len(), if w.len() < SMALL { 1 } else { exec.threads });
    let mut has = step.tensors().into_iter();
    let weights = Tensors::new(w, own.map(|own| if has.next() == Some(true) { own } else { &mut [] }));
    each(ranges, |range| {
        let weights = weights.from(range.start);
        run(exec.isa, Pass { step, scale: T::from_f64(scale), weights, g: &g[range] });
    });
}

/// Tensors, and the tensors that the rule has of its own, as long.
#[derive(Debug)]
pub(super) struct Tensors<T> {
    w: Shared<T>,
    own: [Option<Shared<T>>; 2],
}

impl<T> Clone for Tensors<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Tensors<T> {}

impl<T: Float> Tensors<T> {
    /// Tensors that are empty are left out.
    pub(super) fn new(w: &mut [T], own: [&mut [T]; 2]) -> Self {
        let own = own.map(|own| (!own.is_empty()).then_some(Shared(own.as_mut_ptr())));
        Tensors { w: Shared(w.as_mut_ptr()), own }
    }

    /// Those from element `at` on.
    pub(super) fn from(self, at: usize) -> Self {
        let from = |tensor: Shared<T>| Shared(tensor.get().wrapping_add(at));
        Tensors { w: from(self.w), own: self.own.map(|own| own.map(from)) }
    }

    /// A vector of each, or what is left of it: `n` elements.
    #[inline(always)]
    pub(super) unsafe fn load<S: Simd<T = T>>(&self, i: usize, n: usize) -> (S::V, [S::V; 2]) {
        // SAFETY: as for the caller.
        unsafe {
            let mut own = [S::zero(); 2];
            for (own, &from) in own.iter_mut().zip(&self.own) {
                if let Some(from) = from {
                    *own = S::load_up_to(from.get().add(i), n);
                }
            }
            (S::load_up_to(self.w.get().add(i), n), own)
        }
    }

    #[inline(always)]
    pub(super) unsafe fn store<S: Simd<T = T>>(&self, i: usize, n: usize, (w, own): (S::V, [S::V; 2])) {
        // SAFETY: as for the caller.
        unsafe {
            S::store_up_to(self.w.get().add(i), w, n);
            for (own, &to) in own.into_iter().zip(&self.own) {
                if let Some(to) = to {
                    S::store_up_to(to.get().add(i), own, n);
                }
            }
        }
    }
}

/// The update of one range.
struct Pass<'a, T> {
    step: Step<T>,
    scale: T,
    weights: Tensors<T>,
    g: &'a [T],
}

impl<T: Float> Op<T> for Pass<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        // One loop for each rule, with its choice outside.
        macro_rules! each_rule {
            ($($rule:pat),*) => {
                match self.step.rule {
                    // SAFETY: as for the caller.
                    $(rule @ $rule => unsafe { self.over::<S>(Step { rule, ..self.step }) },)*
                }
            };
        }
        each_rule!(Rule::Adam { .. }, Rule::RmsProp { .. }, Rule::Sgd { .. }, Rule::Adagrad { .. })
    }
}

impl<T: Float> Pass<'_, T> {
    #[inline(always)]
    unsafe fn over<S: Simd<T = T>>(&self, step: Step<T>) {
        for i in (0..self.g.len()).step_by(S::LANES) {
            let n = self.g.len() - i;
            // SAFETY: n elements are left in each tensor.
            unsafe {
                let g = S::mul(S::load_up_to(self.g.as_ptr().add(i), n), S::splat(self.scale));
                let (w, own) = self.weights.load::<S>(i, n);
                self.weights.store::<S>(i, n, step.apply::<S>(w, g, own));
            }
        }
    }
}
