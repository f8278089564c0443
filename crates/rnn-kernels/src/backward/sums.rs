//! The sums that make the gradients of weights and biases: a set for each thread, and what they come to together.

use crate::args::LayerWeights;
use crate::float::Float;
use crate::pool::Buffer;
use crate::sequence::pack;
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::simd::{Op, Simd, run};
use crate::threads::Shared;

/// The sums of one thread.
pub(super) struct Sums<T> {
    /// `[panel][d_input][vector][lane]`
    pub(super) w_ih: Buffer<T>,
    /// `[panel][h_features][vector][lane]`
    pub(super) w_hh: Buffer<T>,
    /// Rows of the width of h, one for each unit.
    pub(super) w_hr: Buffer<T>,
    /// `[panel][vector][lane]`
    pub(super) b: Buffer<T>,
    /// Of the cell's own vectors, laid out as they are.
    pub(super) vectors: Buffer<T>,
    /// Of γ_ih and γ_hh, `[panel][vector][lane]`.
    pub(super) gains: [Buffer<T>; 2],
}

/// The sum of the threads' sums, from element `at` of each on.
pub(super) fn add_vectors<T: Float>(sums: &[&[T]], at: usize, to: &mut [T]) {
    to.copy_from_slice(&sums[0][at..][..to.len()]);
    for sum in &sums[1..] {
        to.iter_mut().zip(&sum[at..]).for_each(|(to, &sum)| *to += sum);
    }
}

/// The sum of the threads' sums, from panels of `inner` rows to `[inner, G·d_hidden]`.
pub(super) fn unpack<T: Float>(
    plan: &Plan,
    layer: &LayerWeights<T>,
    products: &[GateProduct],
    inner: usize,
    sums: &[&[T]],
    to: &mut [T],
) {
    let row = layer.cell.gates() * layer.d_hidden;
    let to = Shared(to.as_mut_ptr());
    pack::over(plan, inner, inner * row, |k| {
        // SAFETY: row k of the gradient, which no other thread has.
        let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(k * row), row) };
        run(plan.exec.isa, Unpack { plan, d_hidden: layer.d_hidden, products, inner, sums, k, to });
    });
}

/// StepKind `k` of them.
struct Unpack<'a, T> {
    plan: &'a Plan,
    d_hidden: usize,
    products: &'a [GateProduct],
    inner: usize,
    sums: &'a [&'a [T]],
    k: usize,
    to: &'a mut [T],
}

impl<T: Float> Op<T> for Unpack<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let blocks = self.plan.products.blocks;
        for (p, product) in (0..self.plan.panels).flat_map(|p| self.products.iter().map(move |product| (p, product))) {
            for (vector, gate, block) in product.vectors(blocks) {
                let unit = (p * blocks + block) * S::LANES;
                let n = self.d_hidden.saturating_sub(unit).min(S::LANES);
                if n == 0 {
                    continue;
                }
                let at = (p * self.inner + self.k) * self.plan.row() + vector * S::LANES;
                let to = &mut self.to[gate * self.d_hidden + unit..][..n];
                // SAFETY: the slices have as many elements as are read and written.
                unsafe {
                    let mut total = S::load(self.sums[0][at..][..S::LANES].as_ptr());
                    for sum in &self.sums[1..] {
                        total = S::add(total, S::load(sum[at..][..S::LANES].as_ptr()));
                    }
                    S::store_up_to(to.as_mut_ptr(), total, n);
                }
            }
        }
    }
}

impl<T: Float> Sums<T> {
    /// Adds the rows of each panel.
    #[inline(always)]
    pub(super) unsafe fn add_biases<S: Simd<T = T>>(&mut self, plan: &Plan, rows: usize, d_panels: &[T], first: bool) {
        let row = plan.row();
        for (p, at) in (0..plan.panels).flat_map(|p| (0..row).step_by(S::LANES).map(move |at| (p, at))) {
            let to = self.b[p * row + at..][..S::LANES].as_mut_ptr();
            let from = d_panels[p * rows * row..][..rows * row].as_ptr();
            // SAFETY: the slices above have so many rows of vectors.
            unsafe {
                let mut sum = if first { S::zero() } else { S::load(to) };
                for q in 0..rows {
                    sum = S::add(sum, S::load(from.add(q * row + at)));
                }
                S::store(to, sum);
            }
        }
    }
}

/// Adds row `q` of each panel to row `symbol` of each panel of the sums.
#[inline(always)]
pub(super) unsafe fn add_rows<S: Simd>(
    plan: &Plan,
    [symbols, rows]: [usize; 2],
    sums: *mut S::T,
    symbol: usize,
    d_panels: &[S::T],
    q: usize,
) {
    let row = plan.row();
    for p in 0..plan.panels {
        for at in (0..row).step_by(S::LANES) {
            // SAFETY: rows of the sums and of the chunk's panels.
            unsafe {
                let to = sums.add((p * symbols + symbol) * row + at);
                let from = d_panels.as_ptr().add((p * rows + q) * row + at);
                S::store(to, S::add(S::load(to), S::load(from)));
            }
        }
    }
}
