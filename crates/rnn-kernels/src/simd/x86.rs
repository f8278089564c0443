//! AVX2 with FMA, and AVX-512F.

use super::Op;
use crate::float::Float;
use std::marker::PhantomData;

/// 256-bit vectors.
#[derive(Clone, Copy)]
pub struct Avx2<T>(PhantomData<T>);

/// 512-bit vectors.
#[derive(Clone, Copy)]
pub struct Avx512<T>(PhantomData<T>);

/// # Safety
/// The machine must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub unsafe fn run_avx2<T: Float, O: Op<T>>(op: O) -> O::Output {
    // SAFETY: as for the caller.
    unsafe { op.run::<T::Avx2>() }
}

/// # Safety
/// The machine must have AVX2, FMA, AVX-512F and AVX-512DQ.
#[target_feature(enable = "avx2,fma,avx512f,avx512dq")]
#[inline(never)]
pub unsafe fn run_avx512<T: Float, O: Op<T>>(op: O) -> O::Output {
    // SAFETY: as for the caller.
    unsafe { op.run::<T::Avx512>() }
}

/// What is the same at both instruction sets but for the names.
macro_rules! arithmetic {
    ($t:ty, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $sqrt:ident,
     $fma:ident, $fnma:ident, $max:ident, $min:ident) => {
        #[inline(always)]
        unsafe fn prefetch(p: *const Self::T) {
            // SAFETY: it reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn splat(x: $t) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $splat(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const $t) -> Self::V {
            // SAFETY: the instruction set is there, the memory is the caller's.
            unsafe { $load(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut $t, v: Self::V) {
            // SAFETY: the instruction set is there, the memory is the caller's.
            unsafe { $store(p, v) }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $add(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $sub(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $mul(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $div(a, b) }
        }
        #[inline(always)]
        unsafe fn sqrt(a: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $sqrt(a) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $fma(a, b, c) }
        }
        #[inline(always)]
        unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $fnma(a, b, c) }
        }
        // The instruction gives its second operand where one is NaN.
        #[inline(always)]
        unsafe fn at_least(x: Self::V, bound: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $max(bound, x) }
        }
        #[inline(always)]
        unsafe fn at_most(x: Self::V, bound: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $min(bound, x) }
        }
    };
}

mod avx2;
mod avx512;
