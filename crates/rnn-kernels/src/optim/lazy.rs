//! A table whose rows make their steps when they are next needed.

use super::{Rule, SMALL, Step, Tensors};
use crate::embedding::embed;
use crate::exec::Exec;
use crate::float::Float;
use crate::simd::{Op, Simd, run};
use crate::threads::each;
use std::ops::Range;

/// So many steps wait at most.
const LONGEST: usize = if cfg!(miri) { 5 } else { 1 << 12 };

/// A table of rows, each step of whose optimizer is given the gradients of a few; those of the others are zero.
///
/// A row that a step does not name is left alone until it is read or named: what it has missed is known, and it makes
/// these steps one after the other in registers. So a step costs no pass over the whole table, and the numbers are to
/// the bit those that [`Step::update`] makes of the whole table, whatever the number of threads. All steps are to be of
/// one optimizer, of which only the learning rate and the number of the step change.
pub struct LazyRows<T> {
    d: usize,
    w: Vec<T>,
    /// The rule's own tensors, and what they are filled with at first.
    own: [Vec<T>; 2],
    start: T,
    /// The steps that some row has not made.
    steps: Vec<Step<T>>,
    /// How many of them there are up to the last one that a gradient of zero changes a row by: a moving row, a resting
    /// one.
    missable: [u32; 2],
    rows: Vec<Progress>,
}

impl<T> std::fmt::Debug for LazyRows<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyRows").field("rows", &self.rows.len()).field("d", &self.d).finish_non_exhaustive()
    }
}

/// How far a row of the table has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// How many of the steps it has made.
    made: u32,
    /// Whether the optimizer's own tensors may have something else than zeros for it.
    moving: bool,
}

impl<T: Float> LazyRows<T> {
    /// Over the rows of `table`, `[n, d]`, row by row; the optimizer's own tensors are filled with `start` at first.
    ///
    /// # Panics
    /// If `table` does not have whole rows, or d is 0.
    pub fn new(table: Vec<T>, d: usize, start: f64) -> Self {
        assert!(d > 0 && table.len().is_multiple_of(d), "{} elements in rows of {d}", table.len());
        let rows = vec![Progress { made: 0, moving: start != 0.0 }; table.len() / d];
        let own = [Vec::new(), Vec::new()];
        LazyRows { d, w: table, own, start: T::from_f64(start), steps: Vec::new(), missable: [0; 2], rows }
    }

    pub(crate) fn read_rows(&mut self, exec: Exec, ids: &[usize]) -> Vec<T> {
        self.check(ids);
        self.catch_up(exec, ids.iter().copied());
        embed(exec, &self.w, self.d, ids)
    }

    pub(crate) fn make_step(&mut self, exec: Exec, step: Step, ids: &[usize], grads: &[T]) {
        let fits = ids.len().checked_mul(self.d) == Some(grads.len());
        assert!(fits, "{} gradients for {} rows of {}", grads.len(), ids.len(), self.d);
        self.check(ids);
        let step = step.cast::<T>();
        if self.steps.len() == LONGEST {
            self.whole_table(exec);
        }
        for (has, own) in step.tensors().into_iter().zip(&mut self.own) {
            if has && own.is_empty() {
                *own = vec![self.start; self.w.len()];
            }
        }
        let waiting = self.steps.len() as u32;
        let mut jobs = Vec::with_capacity(ids.len());
        for &id in ids {
            let row = self.rows[id];
            assert!(row.made <= waiting, "row {id} stands twice");
            jobs.push(Job { row: id, from: if self.missed(row) { row.made } else { waiting } });
            self.rows[id] = Progress { made: waiting + 1, moving: true };
        }
        self.steps.push(step);
        for (missable, resting) in self.missable.iter_mut().zip([false, true]) {
            if !step.changes_nothing(resting) {
                *missable = self.steps.len() as u32;
            }
        }
        self.run(exec, &jobs, Some(grads));
    }

    pub(crate) fn whole_table(&mut self, exec: Exec) -> &[T] {
        self.catch_up(exec, 0..self.rows.len());
        self.steps.clear();
        self.missable = [0; 2];
        self.rows.iter_mut().for_each(|row| row.made = 0);
        &self.w
    }

    pub(crate) fn whole_moments(&mut self, exec: Exec) -> [&[T]; 2] {
        self.whole_table(exec);
        [&self.own[0], &self.own[1]]
    }

    /// Over `table` and the optimizer's own tensors as [`table`](Self::table) and [`moments`](Self::moments) gave them.
    ///
    /// # Panics
    /// As [`new`](Self::new), and if a tensor of the optimizer is neither empty nor as large as the table.
    pub fn restore(table: Vec<T>, d: usize, start: f64, moments: [Vec<T>; 2]) -> Self {
        let mut rows = Self::new(table, d, start);
        for own in &moments {
            let fits = own.is_empty() || own.len() == rows.w.len();
            assert!(fits, "{} elements of the optimizer for {} of the table", own.len(), rows.w.len());
            for (row, values) in rows.rows.iter_mut().zip(own.chunks_exact(d)) {
                row.moving |= values.iter().any(|&x| x != T::ZERO);
            }
        }
        rows.own = moments;
        rows
    }

    /// Has these rows make all steps.
    fn catch_up(&mut self, exec: Exec, ids: impl Iterator<Item = usize>) {
        let mut jobs = Vec::new();
        for id in ids {
            let row = self.rows[id];
            let missed = self.missed(row);
            if missed {
                jobs.push(Job { row: id, from: row.made });
            }
            self.rows[id] = Progress { made: self.steps.len() as u32, moving: row.moving || missed };
        }
        self.run(exec, &jobs, None);
    }

    /// Before anything is changed.
    fn check(&self, ids: &[usize]) {
        let n = self.rows.len();
        if let Some(id) = ids.iter().find(|id| **id >= n) {
            panic!("row {id} is not below {n}");
        }
    }

    /// Whether a row has missed a step that changes it.
    fn missed(&self, row: Progress) -> bool {
        row.made < self.missable[usize::from(!row.moving)]
    }

    fn run(&mut self, exec: Exec, jobs: &[Job], grads: Option<&[T]>) {
        if jobs.is_empty() {
            return;
        }
        let [a, b] = &mut self.own;
        let weights = Tensors::new(&mut self.w, [a, b]);
        CatchUp { d: self.d, weights, steps: &self.steps, jobs, grads }.start(exec);
    }
}

impl<T: Float> Step<T> {
    /// Whether a gradient of zero leaves a row as it is, one that is `resting` or any.
    fn changes_nothing(&self, resting: bool) -> bool {
        let above_zero = |x: T| x > T::ZERO;
        self.coupled == T::ZERO
            && self.decay_factor == T::ONE
            && match self.rule {
                Rule::Adam { epsilon, .. } => resting && above_zero(epsilon),
                Rule::RmsProp { inside, beside, .. } => resting && (above_zero(inside) || above_zero(beside)),
                Rule::Sgd { momentum, .. } => resting || momentum == T::ZERO,
                Rule::Adagrad { inside, beside, .. } => above_zero(inside) || above_zero(beside),
            }
    }
}

/// A row, all of whose steps from this one on are to be made.
#[derive(Debug, Clone, Copy)]
struct Job {
    row: usize,
    from: u32,
}

/// Steps that rows have missed; with gradients, `[jobs, d]`, the last one has these.
struct CatchUp<'a, T> {
    d: usize,
    weights: Tensors<T>,
    steps: &'a [Step<T>],
    jobs: &'a [Job],
    grads: Option<&'a [T]>,
}

impl<T: Float> CatchUp<'_, T> {
    /// Each thread takes about as many steps.
    fn start(&self, exec: Exec) {
        let steps = |job: &Job| self.steps.len() as u64 - u64::from(job.from);
        let all: u64 = self.jobs.iter().map(steps).sum();
        let threads = if all * (self.d as u64) < SMALL as u64 { 1 } else { exec.threads.max(1) };
        let (mut ranges, mut from, mut done) = (Vec::with_capacity(threads), 0, 0);
        for (i, job) in self.jobs.iter().enumerate() {
            done += steps(job);
            if done * threads as u64 >= all * (ranges.len() as u64 + 1) {
                ranges.push(from..i + 1);
                from = i + 1;
            }
        }
        each(ranges, |jobs| run(exec.isa, Jobs { work: self, jobs }));
    }
}

/// The jobs of one thread.
struct Jobs<'a, T> {
    work: &'a CatchUp<'a, T>,
    jobs: Range<usize>,
}

impl<T: Float> Op<T> for Jobs<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let &CatchUp { d, weights, steps, jobs, grads } = self.work;
        for at in self.jobs {
            let Job { row, from } = jobs[at];
            let weights = weights.from(row * d);
            let steps = &steps[from as usize..];
            let (missed, last) = match grads {
                Some(grads) => (&steps[..steps.len() - 1], Some((&steps[steps.len() - 1], &grads[at * d..][..d]))),
                None => (steps, None),
            };
            for i in (0..d).step_by(S::LANES) {
                let n = d - i;
                // SAFETY: n elements are left in the row of each tensor and in its gradient; no row is another job's.
                unsafe {
                    let mut state = weights.load::<S>(i, n);
                    for step in missed {
                        state = step.apply::<S>(state.0, S::zero(), state.1);
                    }
                    if let Some((last, grads)) = last {
                        let g = S::load_up_to(grads.as_ptr().add(i), n);
                        state = last.apply::<S>(state.0, g, state.1);
                    }
                    weights.store::<S>(i, n, state);
                }
            }
        }
    }
}
