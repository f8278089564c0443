//! One step of the rows of one thread, as the cells see it: where everything lies, and what all cells share, which is
//! zoneout, dropout of h, and the output. A row of a step is a place; the caller's tensors have it at its row of the
//! batch.

use crate::args::Zoneout;
use crate::float::{Float, sealed::Vectors};
use crate::sequence::extras::{Extras, Vector};
use crate::sequence::plan::Plan;
use crate::simd::Simd;

/// Bytes.
const CACHE_LINE: usize = 64;

/// Zoneout at one step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<T> {
    Nothing,
    Mean(T),
    /// Rows `[rows, d_hidden]`.
    Drawn(*const T),
}

impl<T: Float> Keep<T> {
    /// At step `t` of the input, from row `b` on.
    pub(crate) fn at(zoneout: Zoneout<T>, t: usize, b: usize, batch: usize, d_hidden: usize) -> Self {
        match zoneout {
            Zoneout::Off => Keep::Nothing,
            Zoneout::Mean(p) => Keep::Mean(T::from_f64(p)),
            Zoneout::Drawn(keep) => Keep::Drawn(keep[(t * batch + b) * d_hidden..].as_ptr()),
        }
    }
}

/// A masked copy of h for the next step's products.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskedCopy<T> {
    /// `[rows, d_hidden]`.
    pub(crate) mask: *const T,
    /// Rows of the state's width.
    pub(crate) h: *mut T,
}

/// What a panel's row looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Vectors of a slot.
    blocks: usize,
    /// Elements of a slot, and of a row.
    pub(crate) slot: usize,
    pub(crate) row: usize,
}

impl Shape {
    pub(crate) fn new(plan: &Plan) -> Self {
        Shape { blocks: plan.products.blocks, slot: plan.products.blocks * plan.lanes, row: plan.row() }
    }

    /// For the units of each vector of panel `p`: where the first slot's is in the panels' row `row` and which unit is
    /// their first. Panels are `panel` apart.
    #[inline(always)]
    pub(crate) fn units<S: Simd>(self, p: usize, row: usize, panel: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..self.blocks).map(move |block| {
            let at = p * panel + row * self.row + block * S::LANES;
            (at, (p * self.blocks + block) * S::LANES)
        })
    }
}

/// A step forward.
pub(crate) struct Step<'a, T> {
    pub(crate) extras: &'a Extras<T>,
    pub(crate) shape: Shape,
    pub(crate) d_hidden: usize,
    /// From a row of c to the next.
    pub(crate) width: usize,
    /// The features of h, and from a row of it to the next.
    pub(crate) h_features: usize,
    pub(crate) h_width: usize,
    /// This step's row 0 in panel 0, and from a panel to the next.
    pub(crate) panels: *mut T,
    pub(crate) panel: usize,
    pub(crate) h: *const T,
    pub(crate) h_new: *mut T,
    pub(crate) c: *const T,
    pub(crate) c_new: *mut T,
    /// This step's output and from a row to the next.
    pub(crate) output: *mut T,
    pub(crate) output_row: usize,
    /// From it to that of the step that is next; wraps around.
    pub(crate) output_next: usize,
    /// The row of the batch of each place, from the masks' and the output's first one on; null where it is the place.
    pub(crate) rows: *const u32,
    pub(crate) keep_h: Keep<T>,
    pub(crate) keep_c: Keep<T>,
    /// One for each mask of the products on h.
    pub(crate) masked: [MaskedCopy<T>; 4],
    pub(crate) masks: usize,
    /// r∘h and the mask of it, for the GRU that resets before its product; the mask may be null.
    pub(crate) reset: *mut T,
    pub(crate) reset_mask: *const T,
    /// With layer normalisation: the normalised `h·W_hh`, laid out as the panels are, and the statistics of the rows.
    pub(crate) hats: *mut T,
    pub(crate) stats: *mut T,
    /// What becomes h when all of its row is there: the new c, before it is normalised; `o∘ψ(c')`, before it is projected.
    pub(crate) shown: *mut T,
}

/// `old` where zoneout keeps it, else `new`.
///
/// # Safety
/// `at` must be an element of the mask with `n` after it.
#[inline(always)]
unsafe fn stay<S: Simd>(keep: Keep<S::T>, at: usize, n: usize, new: S::V, old: S::V) -> S::V {
    // SAFETY: as for the caller.
    unsafe {
        let kept = match keep {
            Keep::Nothing => return new,
            Keep::Mean(p) => S::splat(p),
            Keep::Drawn(mask) => S::load_up_to(mask.add(at), n),
        };
        // Not `new + kept·(old − new)`: that rounds what is kept, and has NaN for an infinite value.
        S::fma(kept, old, S::mul(S::sub(S::splat(S::T::ONE), kept), new))
    }
}

#[inline(always)]
unsafe fn batch_row(rows: *const u32, place: usize) -> usize {
    // SAFETY: there is one for each place unless they are the same.
    if rows.is_null() { place } else { unsafe { *rows.add(place) as usize } }
}

impl<T: Float> Step<'_, T> {
    /// The row `row` of panel `p`.
    #[inline(always)]
    pub(crate) unsafe fn panel_row(&self, p: usize, row: usize) -> *mut T {
        // SAFETY: the caller's row and panel are there.
        unsafe { self.panels.add(p * self.panel + row * self.shape.row) }
    }

    /// For the units of each vector of panel `p`: the first slot's vector in row `row`, and their first unit. Vectors
    /// that only fill up the last panel are left out.
    #[inline(always)]
    pub(crate) fn units<S: Simd<T = T>>(&self, p: usize, row: usize) -> impl Iterator<Item = (*mut T, usize)> {
        let units = self.shape.units::<S>(p, row, self.panel).take_while(|&(_, u)| u < self.d_hidden);
        units.map(|(at, u)| (self.panels.wrapping_add(at), u))
    }

    /// The row of the batch at a place.
    #[inline(always)]
    pub(crate) unsafe fn batch_row(&self, row: usize) -> usize {
        // SAFETY: as for the caller.
        unsafe { batch_row(self.rows, row) }
    }

    /// Ends the step for the units from `u` on of one row.
    #[inline(always)]
    pub(crate) unsafe fn settle<S: Simd<T = T>>(&self, row: usize, u: usize, h_new: S::V, c_new: Option<S::V>) {
        // SAFETY: as for the caller.
        unsafe {
            if let Some(c_new) = c_new {
                self.settle_c::<S>(row, u, c_new);
            }
            self.settle_h::<S>(row, u, h_new);
        }
    }

    /// The part of it that is about c.
    #[inline(always)]
    pub(crate) unsafe fn settle_c<S: Simd<T = T>>(&self, row: usize, u: usize, c_new: S::V) {
        // SAFETY: as for `settle_h`.
        unsafe {
            let (n, at) = (self.d_hidden - u, row * self.width + u);
            let c_old = S::load(self.c.add(at));
            let zone = self.batch_row(row) * self.d_hidden + u;
            S::store(self.c_new.add(at), stay::<S>(self.keep_c, zone, n, c_new, c_old));
        }
    }

    /// The LSTM's `o∘ψ(c')` for the units from `u` on of one row: h, or what is projected to it.
    #[inline(always)]
    pub(crate) unsafe fn settle_shown<S: Simd<T = T>>(&self, row: usize, u: usize, shown: S::V) {
        // SAFETY: as for `settle_h`.
        unsafe {
            match self.extras.projects {
                true => S::store(self.shown.add(row * self.width + u), shown),
                false => self.settle_h::<S>(row, u, shown),
            }
        }
    }

    /// The part of it that is about h.
    #[inline(always)]
    pub(crate) unsafe fn settle_h<S: Simd<T = T>>(&self, row: usize, u: usize, h_new: S::V) {
        // SAFETY: the states' rows are whole vectors wide; masks and output have h_features.
        unsafe {
            let (n, at, b) = (self.h_features - u, row * self.h_width + u, self.batch_row(row));
            let h_old = S::load(self.h.add(at));
            let zone = b * self.h_features + u;
            let h = stay::<S>(self.keep_h, zone, n, h_new, h_old);
            S::store(self.h_new.add(at), h);
            let to = self.output.add(b * self.output_row + u);
            S::store_up_to(to, h, n);
            // Rows may be whole sequences apart: no prefetcher guesses that.
            S::prefetch(to.wrapping_add(self.output_next));
            for i in 0..self.masks {
                let copy = self.masked[i];
                S::store(copy.h.add(at), S::mul(h, S::load_up_to(copy.mask.add(zone), n)));
            }
        }
    }
}

/// A step backward.
pub(crate) struct BackStep<'a, T> {
    pub(crate) extras: &'a Extras<T>,
    /// The sums of the gradients of the cell's own vectors, laid out as these are.
    pub(crate) d_vectors: *mut T,
    pub(crate) shape: Shape,
    pub(crate) d_hidden: usize,
    pub(crate) width: usize,
    pub(crate) h_features: usize,
    pub(crate) h_width: usize,
    /// The gates, as forward left them: this step's row 0 in panel 0, and from a panel to the next.
    pub(crate) panels: *const T,
    /// The gradients of the sums, likewise.
    pub(crate) d_panels: *mut T,
    pub(crate) panel: usize,
    /// From a step's row 0 to that of the step after it, which backward comes from.
    pub(crate) panels_step: usize,
    /// The states before the step.
    pub(crate) h: *const T,
    pub(crate) c: *const T,
    /// The gradients of the states after the step, replaced by those before it.
    pub(crate) d_h: *mut T,
    pub(crate) d_c: *mut T,
    /// The gradient of this step's output and from a row to the next; null if there is none.
    pub(crate) d_output: *const T,
    pub(crate) d_output_row: usize,
    /// From it to that of the step that is next; wraps around.
    pub(crate) d_output_next: usize,
    /// As forward has them.
    pub(crate) rows: *const u32,
    pub(crate) keep_h: Keep<T>,
    pub(crate) keep_c: Keep<T>,
    /// The gradient of r∘h, masked by `reset_mask`, which may be null.
    pub(crate) d_reset: *mut T,
    pub(crate) reset_mask: *const T,
    /// The gradients of the products on h, laid out as those of the sums, which they are without normalisation.
    pub(crate) d_products: *mut T,
    /// As forward has them, those of x before those of h.
    pub(crate) hats: [*const T; 2],
    pub(crate) stats: *const T,
    /// The gradient of c' by way of h, where that needs the whole row.
    pub(crate) shown: *mut T,
    /// Where h is projected: the gradient of m = o∘ψ(c'), and m, which the cell writes; rows of the width of c.
    pub(crate) d_m: *const T,
    pub(crate) m: *mut T,
}

/// The gradients of h and c.
type ArrivingState<V> = (Arriving<V>, Arriving<V>);

/// The gradient of a new value, and what goes past it to the old one.
pub(crate) struct Arriving<V> {
    pub(crate) new: V,
    pub(crate) old: V,
}

impl<V> Arriving<V> {
    /// Where nothing arrives, or it is known otherwise.
    #[inline(always)]
    pub(crate) unsafe fn nothing<S: Simd<V = V>>() -> Self {
        // SAFETY: the caller has the instruction set.
        unsafe { Arriving { new: S::zero(), old: S::zero() } }
    }
}

#[inline(always)]
unsafe fn split<S: Simd>(keep: Keep<S::T>, at: usize, n: usize, d: S::V) -> Arriving<S::V> {
    // SAFETY: as for `stay`.
    unsafe {
        let kept = match keep {
            Keep::Nothing => return Arriving { new: d, old: S::zero() },
            Keep::Mean(p) => S::splat(p),
            Keep::Drawn(mask) => S::load_up_to(mask.add(at), n),
        };
        let old = S::mul(d, kept);
        Arriving { new: S::sub(d, old), old }
    }
}

/// A gradient, zero where it is too small for ordinary numbers.
#[inline(always)]
unsafe fn unless_vanished<S: Simd>(d: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe { S::where_positive(S::sub(S::abs(d), S::splat(S::T::VANISHED)), d) }
}

impl<T: Float> BackStep<'_, T> {
    /// Adds `d` to the gradient of `vector` for the units from `u` on.
    #[inline(always)]
    pub(crate) unsafe fn add_to<S: Simd<T = T>>(&self, vector: Vector, u: usize, d: S::V) {
        // SAFETY: the sums have a row of the state's width for each vector.
        unsafe {
            let to = self.d_vectors.add(vector as usize * self.width + u);
            S::store(to, S::add(S::load(to), d));
        }
    }

    /// For the units of each vector of panel `p`: the first slot's vector in row `row`, of the gates and of the
    /// gradients, and their first unit, which is beyond all units where the vector only fills up the last panel. Asks
    /// for the gates of the step that is next; after a chunk's last one these are elsewhere, and what is asked for is
    /// of no use.
    ///
    /// # Safety
    /// The machine must have the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn units<S: Simd<T = T>>(
        &self,
        p: usize,
        row: usize,
    ) -> impl Iterator<Item = (*const T, *mut T, usize)> {
        let gates = self.panels.wrapping_add(p * self.panel + row * self.shape.row);
        for i in (0..self.shape.row).step_by(CACHE_LINE / size_of::<T>()) {
            // SAFETY: the caller has the instruction set.
            unsafe { S::prefetch(gates.wrapping_add(i).wrapping_sub(self.panels_step)) };
        }
        let units = self.shape.units::<S>(p, row, self.panel);
        units.map(|(at, u)| (self.panels.wrapping_add(at), self.d_panels.wrapping_add(at), u))
    }

    /// The row of the batch at a place.
    #[inline(always)]
    pub(crate) unsafe fn batch_row(&self, row: usize) -> usize {
        // SAFETY: as for the caller.
        unsafe { batch_row(self.rows, row) }
    }

    /// The gradients of h and c that the step made for the units from `u` on of one row. `None` where there are no such
    /// units: then those of the sums are to be zero.
    #[inline(always)]
    pub(crate) unsafe fn arriving<S: Simd<T = T>>(
        &self,
        row: usize,
        u: usize,
        has_c: bool,
    ) -> Option<ArrivingState<S::V>> {
        // SAFETY: as for `Step::settle`.
        unsafe {
            let d_h = self.arriving_h::<S>(row, u)?;
            let d_c = if has_c { self.arriving_c::<S>(row, u)? } else { Arriving::nothing::<S>() };
            Some((d_h, d_c))
        }
    }

    /// That of h alone.
    #[inline(always)]
    pub(crate) unsafe fn arriving_h<S: Simd<T = T>>(&self, row: usize, u: usize) -> Option<Arriving<S::V>> {
        if u >= self.h_features {
            return None;
        }
        // SAFETY: as for `Step::settle`.
        unsafe {
            let (n, at, b) = (self.h_features - u, row * self.h_width + u, self.batch_row(row));
            let zone = b * self.h_features + u;
            let mut d_h = S::load(self.d_h.add(at));
            if !self.d_output.is_null() {
                let d_output = self.d_output.add(b * self.d_output_row + u);
                d_h = S::add(d_h, S::load_up_to(d_output, n));
                // As in `settle`.
                S::prefetch(d_output.wrapping_add(self.d_output_next));
            }
            Some(split::<S>(self.keep_h, zone, n, unless_vanished::<S>(d_h)))
        }
    }

    /// That of c alone, where h was seen to before.
    #[inline(always)]
    pub(crate) unsafe fn arriving_c<S: Simd<T = T>>(&self, row: usize, u: usize) -> Option<Arriving<S::V>> {
        if u >= self.d_hidden {
            return None;
        }
        // SAFETY: as for `Step::settle`.
        unsafe {
            let zone = self.batch_row(row) * self.d_hidden + u;
            let d_c = S::load(self.d_c.add(row * self.width + u));
            Some(split::<S>(self.keep_c, zone, self.d_hidden - u, unless_vanished::<S>(d_c)))
        }
    }
}
