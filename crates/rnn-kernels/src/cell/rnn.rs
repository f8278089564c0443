use super::activation::{apply, gradient, value};
use super::{Kernel, clear};
use crate::args::Activation;
use crate::float::Float;
use crate::sequence::extras::Extras;
use crate::sequence::step::{BackStep, Step};
use crate::simd::Simd;

/// `h' = tanh(sum)`.
#[derive(Clone, Copy)]
pub(crate) struct RnnTanh;

/// `h' = max(0, sum)`.
#[derive(Clone, Copy)]
pub(crate) struct RnnRelu;

/// `h' = φ(sum)`, held within the clip.
#[derive(Clone, Copy)]
pub(super) struct RnnAny;

/// φ.
trait Phi {
    /// Whether h' may have a clip.
    const OPTIONS: bool = false;

    fn phi<T: Float>(extras: &Extras<T>) -> Activation;
}

impl Phi for RnnTanh {
    #[inline(always)]
    fn phi<T: Float>(_: &Extras<T>) -> Activation {
        Activation::Tanh
    }
}

impl Phi for RnnRelu {
    #[inline(always)]
    fn phi<T: Float>(_: &Extras<T>) -> Activation {
        Activation::Relu
    }
}

impl Phi for RnnAny {
    const OPTIONS: bool = true;

    #[inline(always)]
    fn phi<T: Float>(extras: &Extras<T>) -> Activation {
        extras.candidate
    }
}

impl<P: Phi + Copy + Send + Sync + 'static> Kernel for P {
    #[inline(always)]
    unsafe fn finish<S: Simd>(step: &Step<S::T>, p: usize, from: usize, to: usize) {
        let phi = P::phi(step.extras);
        for row in from..to {
            for (at, u) in step.units::<S>(p, row) {
                // SAFETY: as for the trait.
                unsafe {
                    let (mut h_new, saved) = apply::<S>(phi, S::load(at));
                    S::store(at, saved);
                    if P::OPTIONS {
                        h_new = step.extras.clipped::<S>(h_new);
                    }
                    step.settle::<S>(row, u, h_new, None);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn backward<S: Simd>(step: &BackStep<S::T>, p: usize, from: usize, to: usize) {
        let phi = P::phi(step.extras);
        for row in from..to {
            // SAFETY: as for the trait.
            for (saved, to, u) in unsafe { step.units::<S>(p, row) } {
                // SAFETY: as for the trait.
                unsafe {
                    let Some((d_h, _)) = step.arriving::<S>(row, u, false) else {
                        clear::<S>(to, step.shape);
                        continue;
                    };
                    let (saved, mut d_new) = (S::load(saved), d_h.new);
                    if P::OPTIONS && step.extras.clip.is_some() {
                        d_new = step.extras.unclipped::<S>(value::<S>(phi, saved), d_new);
                    }
                    S::store(to, gradient::<S>(phi, saved, d_new));
                    S::store(step.d_h.add(row * step.width + u), d_h.old);
                }
            }
        }
    }
}
