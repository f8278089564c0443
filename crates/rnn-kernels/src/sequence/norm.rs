//! Layer normalisation (Ba, Kiros and Hinton, 2016) of a row's sums, in the form of haste: `γ∘(x − mean)/√(variance + ε)`
//! over all gates of a product, each product for itself.
//!
//! What backward needs is the normalised row x̂ and what it was multiplied by. With `t = γ∘d`, the gradient of the row
//! is `(t − mean(t) − x̂·mean(t∘x̂))/√(variance + ε)`.

use crate::args::LayerWeights;
use crate::float::Float;
use crate::pool::{Buffer, take};
use crate::sequence::pack::each_unit;
use crate::sequence::plan::Plan;
use crate::sequence::products::GateProduct;
use crate::simd::Simd;

const EPSILON: f64 = 1e-5;

/// What is saved of each row and step beside the normalised rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stat {
    /// `1/√(variance + ε)` of `x·W_ih`, of `h·W_hh`, of `(r∘h)·W_hh` and of c'.
    X,
    H,
    Reset,
    C,
    /// The mean of c'.
    MeanC,
}

/// Their number.
pub(crate) const STATS: usize = 5;

/// What the normalisations of a layer have.
pub(crate) struct Norm<T> {
    /// `x·W_ih`.
    pub(crate) x: Group<T>,
    /// The vectors of a row that are no sum of `x·W_ih`: the panel, and where in its row.
    pub(crate) not_x: Vec<[usize; 2]>,
    /// `h·W_hh`: of the products on h, and of that on r∘h, which comes later; where there are such products.
    pub(crate) h: [Option<Group<T>>; 2],
}

/// The sums that are normalised together: some vectors of each panel.
pub(crate) struct Group<T> {
    /// Its vectors.
    places: Vec<Place>,
    /// How many sums they are.
    count: f64,
    /// γ as the panels have it, `[panel][vector][lane]`, zero where there is nothing to normalise.
    gain: Buffer<T>,
}

/// A vector of a group.
struct Place {
    panel: usize,
    /// Where it is in a panel's row, and in a row of all panels.
    at: usize,
    gain: usize,
    /// How many of its elements count, lanes or more.
    n: usize,
}

impl<T: Float> Norm<T> {
    /// `None` without normalisation.
    pub(crate) fn new(plan: &Plan, layer: &LayerWeights<T>) -> Option<Self> {
        let (ih, hh) = (layer.options.norm_ih?, layer.options.norm_hh.unwrap_or_default());
        let (blocks, lanes, d_hidden) = (plan.products.blocks, plan.lanes, layer.d_hidden);
        let group = |products: &[GateProduct], gain: &[T]| {
            let mut packed = take(plan.panel_elements());
            packed.fill(T::ZERO);
            let mut places = Vec::new();
            for &product in products {
                each_unit(plan, d_hidden, product, |at, column| packed[at] = gain[column]);
                for (panel, (vector, _, block)) in
                    (0..plan.panels).flat_map(|p| product.vectors(blocks).map(move |vector| (p, vector)))
                {
                    let at = vector * lanes;
                    let n = d_hidden.saturating_sub((panel * blocks + block) * lanes);
                    if n > 0 {
                        places.push(Place { panel, at, gain: panel * plan.row() + at, n });
                    }
                }
            }
            places.sort_unstable_by_key(|place| place.gain);
            let gates: usize = products.iter().map(|product| product.gates.len()).sum();
            Group { places, count: (gates * d_hidden) as f64, gain: packed }
        };
        let of_h = |reset: bool| {
            let products: Vec<_> = plan.products.h.iter().filter(|h| h.reset == reset).copied().collect();
            (!products.is_empty()).then(|| group(&products, hh))
        };
        let x = group(&plan.products.x, ih);
        let vectors = (0..plan.panels).flat_map(|p| (0..plan.row()).step_by(lanes).map(move |at| [p, at]));
        let not_x = vectors.filter(|&[p, at]| !x.places.iter().any(|place| [place.panel, place.at] == [p, at]));
        Some(Norm { not_x: not_x.collect(), h: [false, true].map(of_h), x })
    }
}

/// The sum of a vector's lanes, by halves: lane i and lane i + 8, then i + 4, and so on.
#[inline(always)]
unsafe fn total<S: Simd>(v: S::V) -> f64 {
    let mut lanes = [S::T::ZERO; 16];
    // SAFETY: the caller has the instruction set; no vector has more lanes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    let mut sums = [0.0; 8];
    for i in 0..8 {
        sums[i] = lanes[i].to_f64() + lanes[i + 8].to_f64();
    }
    for half in [4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}

/// A number in the lanes of `n` elements, zero in the others.
#[inline(always)]
unsafe fn first_lanes<S: Simd>(x: S::T, n: usize) -> S::V {
    // SAFETY: the caller has the instruction set; no vector has more lanes.
    unsafe { if n >= S::LANES { S::splat(x) } else { S::load_first([x; 16].as_ptr(), n) } }
}

/// Mean and `1/√(variance + ε)` of `n` elements at `x`, which go on to whole vectors of anything.
#[inline(always)]
pub(crate) unsafe fn moments<S: Simd>(x: *const S::T, n: usize) -> [S::T; 2] {
    // SAFETY: as for the caller.
    unsafe {
        let mut sum = S::zero();
        for at in (0..n).step_by(S::LANES) {
            sum = S::add(sum, S::load_up_to(x.add(at), n - at));
        }
        let mean = S::T::from_f64(total::<S>(sum) / n as f64);
        let mut squares = S::zero();
        for at in (0..n).step_by(S::LANES) {
            let from_mean = S::sub(S::load_up_to(x.add(at), n - at), first_lanes::<S>(mean, n - at));
            squares = S::fma(from_mean, from_mean, squares);
        }
        [mean, S::T::from_f64(1.0 / (total::<S>(squares) / n as f64 + EPSILON).sqrt())]
    }
}

/// `(x − mean)·scale`.
#[inline(always)]
pub(crate) unsafe fn normalized<S: Simd>(x: S::V, mean: S::T, scale: S::T) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe { S::mul(S::sub(x, S::splat(mean)), S::splat(scale)) }
}

/// The sum of a vector's lanes over n.
#[inline(always)]
pub(crate) unsafe fn mean_of<S: Simd>(sum: S::V, n: usize) -> S::T {
    // SAFETY: the caller has the instruction set.
    unsafe { S::T::from_f64(total::<S>(sum) / n as f64) }
}

impl<T: Float> Group<T> {
    /// For each vector: where it is in a row whose panels are `panel` apart, where in a row of all panels, and how many
    /// of its elements count.
    #[inline(always)]
    fn places(&self, panel: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        self.places.iter().map(move |place| (place.panel * panel + place.at, place.gain, place.n))
    }

    /// Normalises the row at `sums` to x̂ at `hat`, perhaps the same place, and puts `γ∘x̂` plus the row at `from`, or plus
    /// the row at `to` without one, at `to`. The panels of `from` are a row apart, as γ's, all others `panel`. Gives
    /// `1/√(variance + ε)`.
    ///
    /// # Safety
    /// The rows must be there.
    #[inline(always)]
    pub(crate) unsafe fn normalize<S: Simd<T = T>>(
        &self,
        sums: *const T,
        hat: *mut T,
        from: Option<*const T>,
        to: *mut T,
        panel: usize,
    ) -> T {
        // SAFETY: as for the caller.
        unsafe {
            let mut sum = S::zero();
            for (at, _, n) in self.places(panel) {
                sum = S::add(sum, S::load_up_to(sums.add(at), n));
            }
            let mean = T::from_f64(total::<S>(sum) / self.count);
            let mut squares = S::zero();
            for (at, _, n) in self.places(panel) {
                let from_mean = S::sub(S::load_up_to(sums.add(at), n), first_lanes::<S>(mean, n));
                squares = S::fma(from_mean, from_mean, squares);
                S::store(hat.add(at), from_mean);
            }
            let scale = T::from_f64(1.0 / (total::<S>(squares) / self.count + EPSILON).sqrt());
            for (at, gain, _) in self.places(panel) {
                let normalized = S::mul(S::load(hat.add(at)), S::splat(scale));
                S::store(hat.add(at), normalized);
                let from = from.map_or(to.add(at).cast_const(), |from| from.add(gain));
                S::store(to.add(at), S::fma(S::load(self.gain.as_ptr().add(gain)), normalized, S::load(from)));
            }
            scale
        }
    }

    /// From the gradient `d` of `γ∘x̂` to that of the row, which goes to `to`, perhaps the same place; adds that of γ to
    /// `d_gain`, laid out as γ is.
    ///
    /// # Safety
    /// The rows must be there; `scale` is what [`normalize`](Self::normalize) gave.
    #[inline(always)]
    pub(crate) unsafe fn backward<S: Simd<T = T>>(
        &self,
        hat: *const T,
        scale: T,
        d: *const T,
        to: *mut T,
        panel: usize,
        d_gain: *mut T,
    ) {
        // SAFETY: as for the caller.
        unsafe {
            let (mut sum, mut product) = (S::zero(), S::zero());
            for (at, gain, _) in self.places(panel) {
                let t = S::mul(S::load(self.gain.as_ptr().add(gain)), S::load(d.add(at)));
                sum = S::add(sum, t);
                product = S::fma(t, S::load(hat.add(at)), product);
            }
            let mean_t = T::from_f64(total::<S>(sum) / self.count);
            let mean_product = S::splat(T::from_f64(total::<S>(product) / self.count));
            let scale = S::splat(scale);
            for (at, gain, n) in self.places(panel) {
                let (hat, d) = (S::load(hat.add(at)), S::load(d.add(at)));
                let to_gain = d_gain.add(gain);
                S::store(to_gain, S::fma(d, hat, S::load(to_gain)));
                let t = S::mul(S::load(self.gain.as_ptr().add(gain)), d);
                S::store(to.add(at), S::mul(scale, S::fnma(hat, mean_product, S::sub(t, first_lanes::<S>(mean_t, n)))));
            }
        }
    }
}
