//! One step at a time for one sequence: generation and online prediction. Weights are packed once; a step allocates
//! nothing.

use crate::args::{Cell, Input, LayerWeights, Sequence, check_forward};
use crate::exec::Exec;
use crate::float::Float;
use crate::forward::{Advance, advance, advance_normalized, normalize_inputs, project};
use crate::linear::Right;
use crate::pool::{Buffer, take};
use crate::sequence::extras::Extras;
use crate::sequence::norm::STATS;
use crate::sequence::pack;
use crate::sequence::plan::Plan;
use crate::sequence::step::{Keep, MaskedCopy, Shape, Step};
use crate::simd::{Isa, Op, Simd, run};
use crate::tile::{Tile, WIDTH, multiply};
use std::sync::Arc;

/// A layer that is stepped through one sequence, on the calling thread. It copies the weights and carries the state. A
/// clone goes on from the same state by itself and shares the weights.
///
/// ```
/// use rnn_kernels::{Cell, Isa, LayerWeights, Options, Stepper};
/// let (w_ih, w_hh) = (vec![0.5f32; 3 * 6], vec![0.25; 2 * 6]);
/// let (cell, options) = (Cell::Gru { reset_after: true }, Options::default());
/// let layer = LayerWeights { cell, d_input: 3, d_hidden: 2, w_ih: &w_ih, w_hh: &w_hh, b_ih: None, b_hh: None, options };
/// let mut stepper = Stepper::new(Isa::best(), &layer);
/// let h = stepper.step(&[0.0, 1.0, 0.0]).to_vec();
/// stepper.reset();
/// assert_eq!(stepper.step_index(1), h);
/// ```
pub struct Stepper<T> {
    plan: Plan,
    cell: Cell,
    d_input: usize,
    d_hidden: usize,
    weights: Arc<Packed<T>>,
    panels: Buffer<T>,
    /// With layer normalisation: the normalised products on x and on h, and their statistics.
    hats: [Buffer<T>; 2],
    stats: Buffer<T>,
    /// What becomes h when all of its row is there.
    shown: Buffer<T>,
    /// The share of the old h and c that a step keeps.
    zoneout: [T; 2],
    /// The state before and after a step, by turns.
    h: [Buffer<T>; 2],
    c: [Buffer<T>; 2],
    reset: Buffer<T>,
    output: Vec<T>,
    steps: usize,
}

/// The weights as the products read them.
struct Packed<T> {
    w_ih: Buffer<T>,
    w_hh: Vec<Buffer<T>>,
    w_hr: Buffer<T>,
    bias: Buffer<T>,
    extras: Extras<T>,
    /// What products start from in place of the bias, with layer normalisation.
    zeros: Buffer<T>,
}

impl<T: Float> Clone for Stepper<T> {
    fn clone(&self) -> Self {
        let copy = |from: &Buffer<T>| {
            let mut to = take(from.len());
            to.copy_from_slice(from);
            to
        };
        Stepper {
            plan: self.plan.clone(),
            weights: self.weights.clone(),
            panels: copy(&self.panels),
            hats: self.hats.each_ref().map(copy),
            stats: copy(&self.stats),
            shown: copy(&self.shown),
            h: self.h.each_ref().map(copy),
            c: self.c.each_ref().map(copy),
            reset: copy(&self.reset),
            output: self.output.clone(),
            ..*self
        }
    }
}

impl<T: Float> Stepper<T> {
    /// From a zero state.
    pub(crate) fn pack(isa: Isa, layer: &LayerWeights<T>) -> Self {
        let &LayerWeights { cell, d_input, d_hidden, .. } = layer;
        let input = Input::Indices { values: &[0], strides: crate::args::Strides { batch: 1, time: 1 } };
        let one = Sequence::new(1, 1, input);
        check_forward(layer, &one);
        let plan = Plan::new(Exec { isa, threads: 1 }, layer, &one);
        let zeros = |width: usize| {
            let mut zeros = take(width);
            zeros.fill(T::ZERO);
            zeros
        };
        Stepper {
            cell,
            d_input,
            d_hidden,
            weights: Arc::new(Packed {
                w_ih: pack::columns(&plan, layer, layer.w_ih, plan.products.x[0], T::ONE),
                w_hh: plan
                    .products
                    .h
                    .iter()
                    .map(|&product| pack::columns(&plan, layer, layer.w_hh, product, T::ONE))
                    .collect(),
                w_hr: pack::projection(&plan, layer),
                bias: pack::biases(&plan, layer),
                extras: Extras::new(layer, &plan),
                zeros: zeros(plan.panel_elements()),
            }),
            zoneout: [T::ZERO; 2],
            panels: take(plan.panel_elements()),
            hats: [(); 2].map(|()| take(plan.panel_elements())),
            stats: take(STATS),
            shown: zeros(plan.width),
            h: [(); 2].map(|()| zeros(plan.h_width)),
            c: [(); 2].map(|()| zeros(plan.width)),
            reset: zeros(plan.h_width),
            output: vec![T::ZERO; plan.h_features],
            steps: 0,
            plan,
        }
    }

    /// One step with `x`, `[d_input]`.
    pub(crate) fn step_dense(&mut self, x: &[T]) {
        assert!(x.len() == self.d_input, "x has {} elements where {} are needed", x.len(), self.d_input);
        self.advance(StepInput::Dense(x));
    }

    /// One step with the one-hot row of `symbol`.
    pub(crate) fn step_symbol(&mut self, symbol: usize) {
        assert!(symbol < self.d_input, "symbol {symbol} is not below {}", self.d_input);
        self.advance(StepInput::Symbol(symbol));
    }

    fn advance(&mut self, input: StepInput<T>) {
        run(self.plan.exec.isa, StepOp { stepper: self, input });
    }

    /// The output of the last step.
    pub(crate) fn output(&self) -> &[T] {
        &self.output
    }

    /// h, `[h_features]`.
    pub fn h(&self) -> &[T] {
        &self.h[self.steps % 2][..self.plan.h_features]
    }

    /// c, `[d_hidden]`; only the LSTM's means something.
    pub fn c(&self) -> &[T] {
        &self.c[self.steps % 2][..self.d_hidden]
    }

    /// Lets zoneout act as in evaluation: a step keeps the share `h` of the old h, and `c` of the old c.
    pub fn set_zoneout(&mut self, h: f64, c: f64) {
        self.zoneout = [h, c].map(T::from_f64);
    }

    /// Goes on from another state: h `[h_features]`, c `[d_hidden]`.
    ///
    /// # Panics
    /// On slices of another size.
    pub fn set_state(&mut self, h: &[T], c: Option<&[T]>) {
        let now = self.steps % 2;
        self.h[now][..self.plan.h_features].copy_from_slice(h);
        if let Some(c) = c {
            self.c[now][..self.d_hidden].copy_from_slice(c);
        }
    }

    /// Goes on from a zero state.
    pub fn reset(&mut self) {
        let now = self.steps % 2;
        self.h[now].fill(T::ZERO);
        self.c[now].fill(T::ZERO);
    }
}

impl<T> std::fmt::Debug for Stepper<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepper").field("cell", &self.cell).field("steps", &self.steps).finish_non_exhaustive()
    }
}

/// The input of a step.
#[derive(Clone, Copy)]
enum StepInput<'a, T> {
    Dense(&'a [T]),
    Symbol(usize),
}

struct StepOp<'a, T> {
    stepper: &'a mut Stepper<T>,
    input: StepInput<'a, T>,
}

impl<T: Float> Op<T> for StepOp<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let stepper = self.stepper;
        let (plan, row) = (&stepper.plan, stepper.plan.row());
        let width = plan.products.x[0].width(plan.products.blocks);
        let Packed { w_ih, w_hh, w_hr, bias, extras, zeros } = &*stepper.weights;
        let keep = |share: T| if share == T::ZERO { Keep::Nothing } else { Keep::Mean(share) };
        let (now, next) = (stepper.steps % 2, (stepper.steps + 1) % 2);
        let panels = stepper.panels.as_mut_ptr();
        let norm = extras.norm.as_ref();
        let start = if norm.is_some() { zeros } else { bias };
        // SAFETY: the machine has the instruction set; the buffers are sized by the plan for one row.
        unsafe {
            for p in 0..plan.panels {
                let (sums, start) = (panels.add(p * row), start.as_ptr().add(p * row));
                let weights = w_ih.as_ptr().add(p * stepper.d_input * width * S::LANES);
                // Vectors that no input product fills start from the bias too.
                for vector in 0..plan.products.vectors {
                    S::store(sums.add(vector * S::LANES), S::load(start.add(vector * S::LANES)));
                }
                match self.input {
                    StepInput::Dense(x) => multiply::<S>(&Tile {
                        rows: 1,
                        width,
                        a: x.as_ptr(),
                        a_row: 0,
                        a_rows: std::ptr::null(),
                        a_step: 1,
                        blocks: 1,
                        len: x.len(),
                        a_block: 0,
                        b: weights,
                        b_step: width * S::LANES,
                        c0: sums,
                        c0_step: 0,
                        c: sums,
                        c_step: 0,
                    }),
                    StepInput::Symbol(symbol) => {
                        let weights = weights.add(symbol * width * S::LANES);
                        for vector in 0..width {
                            let at = vector * S::LANES;
                            S::store(sums.add(at), S::add(S::load(sums.add(at)), S::load(weights.add(at))));
                        }
                    }
                }
            }
            let (hats, stats) = (stepper.hats.each_mut().map(|hats| hats.as_mut_ptr()), stepper.stats.as_mut_ptr());
            if let Some(norm) = norm {
                normalize_inputs::<S>(norm, plan, bias.as_ptr(), [panels, hats[0], stats], 1);
            }
            let step = Step {
                extras,
                shape: Shape::new(plan),
                d_hidden: stepper.d_hidden,
                width: plan.width,
                h_features: plan.h_features,
                h_width: plan.h_width,
                panels,
                panel: row,
                h: stepper.h[now].as_ptr(),
                h_new: stepper.h[next].as_mut_ptr(),
                c: stepper.c[now].as_ptr(),
                c_new: stepper.c[next].as_mut_ptr(),
                output: stepper.output.as_mut_ptr(),
                output_row: 0,
                output_next: 0,
                rows: std::ptr::null(),
                keep_h: keep(stepper.zoneout[0]),
                keep_c: keep(stepper.zoneout[1]),
                masked: [MaskedCopy { mask: std::ptr::null(), h: std::ptr::null_mut() }; 4],
                masks: 0,
                reset: stepper.reset.as_mut_ptr(),
                reset_mask: std::ptr::null(),
                hats: hats[1],
                stats,
                shown: stepper.shown.as_mut_ptr(),
            };
            let mut left = [step.h; 4];
            for (left, product) in left.iter_mut().zip(&plan.products.h) {
                if product.reset {
                    *left = stepper.reset.as_ptr();
                }
            }
            match norm {
                Some(norm) => {
                    advance_normalized::<S>(plan, norm, w_hh, 1, &step, &left, zeros.as_ptr());
                }
                None => {
                    let (s, step, left) = (stepper.steps, &step, &left);
                    advance::<S>(Advance { plan, w_hh, batch: 1, s, step, left, ahead: None });
                }
            }
            if extras.projects {
                project::<S>(plan, w_hr, 1, &step);
            }
        }
        stepper.steps += 1;
    }
}

/// `y = x·W + b` for one row, on the calling thread; the weights are packed once.
pub struct Dense<T> {
    isa: Isa,
    lanes: usize,
    d_input: usize,
    d_output: usize,
    /// `[group of WIDTH vectors][d_input][vector][lane]`
    packed: Buffer<T>,
    bias: Buffer<T>,
}

impl<T> std::fmt::Debug for Dense<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dense")
            .field("d_input", &self.d_input)
            .field("d_output", &self.d_output)
            .finish_non_exhaustive()
    }
}

impl<T: Float> Dense<T> {
    /// From `w`, `[d_input, d_output]`, and `b`, `[d_output]`.
    pub(crate) fn pack(isa: Isa, [d_input, d_output]: [usize; 2], w: &[T], b: Option<&[T]>) -> Self {
        assert!(w.len() == d_input * d_output, "W has {} elements, not {d_input}·{d_output}", w.len());
        let lanes = crate::simd::lanes::<T>(isa);
        let mut bias = take(d_output.next_multiple_of(lanes));
        bias.fill(T::ZERO);
        if let Some(b) = b {
            bias[..d_output].copy_from_slice(b);
        }
        let packed = Right { values: w, inner: d_input, columns: d_output, row: d_output, step: 1 }.packed(lanes);
        Dense { isa, lanes, d_input, d_output, packed, bias }
    }

    /// Writes `x·W + b`.
    pub(crate) fn multiply(&self, x: &[T], y: &mut [T]) {
        assert!(x.len() == self.d_input, "x has {} elements where {} are needed", x.len(), self.d_input);
        assert!(y.len() == self.d_output, "y has {} elements where {} are needed", y.len(), self.d_output);
        run(self.isa, DenseOp { dense: self, x, y });
    }
}

struct DenseOp<'a, T> {
    dense: &'a Dense<T>,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Op<T> for DenseOp<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let dense = self.dense;
        debug_assert!(dense.lanes == S::LANES);
        let vectors = dense.d_output.div_ceil(S::LANES);
        // As many elements as the widest tile at any instruction set.
        let mut tile = [T::ZERO; WIDTH * 16];
        for group in 0..vectors.div_ceil(WIDTH) {
            let first = group * WIDTH * S::LANES;
            let width = (vectors - group * WIDTH).min(WIDTH);
            let n = (width * S::LANES).min(dense.d_output - first);
            // SAFETY: the machine has the instruction set; packed weights and bias have whole vectors, the tile WIDTH.
            unsafe {
                multiply::<S>(&Tile {
                    rows: 1,
                    width,
                    a: self.x.as_ptr(),
                    a_row: 0,
                    a_rows: std::ptr::null(),
                    a_step: 1,
                    blocks: 1,
                    len: dense.d_input,
                    a_block: 0,
                    b: dense.packed.as_ptr().add(first * dense.d_input),
                    b_step: width * S::LANES,
                    c0: dense.bias.as_ptr().add(first),
                    c0_step: 0,
                    c: tile.as_mut_ptr(),
                    c_step: 0,
                });
            }
            self.y[first..first + n].copy_from_slice(&tile[..n]);
        }
    }
}
