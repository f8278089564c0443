//! Vectors of AVX-512F and DQ.

use super::{Avx512, run_avx512};
use crate::simd::{Op, Simd, Square, transpose};
use std::arch::x86_64::*;

/// Signs and powers of two with AVX-512's own instructions.
macro_rules! exponent {
    ($abs:ident, $or:ident, $and:ident, $set1:ident, $reduce:ident, $sub:ident, $scalef:ident) => {
        #[inline(always)]
        unsafe fn abs(x: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $abs(x) }
        }
        #[inline(always)]
        unsafe fn with_sign_of(size: Self::V, x: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $or(size, $and(x, $set1(-0.0))) }
        }
        #[inline(always)]
        unsafe fn within_exp2(y: Self::V) -> Self::V {
            y
        }
        #[inline(always)]
        unsafe fn split(y: Self::V) -> (Self::V, Self::V) {
            // SAFETY: the instruction set is there. What is left of ±∞ is 0.
            unsafe {
                let f = $reduce::<{ _MM_FROUND_TO_NEAREST_INT }>(y);
                ($sub(y, f), f)
            }
        }
        #[inline(always)]
        unsafe fn scale(v: Self::V, n: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $scalef(v, n) }
        }
        #[inline(always)]
        unsafe fn exp2(n: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $scalef($set1(1.0), n) }
        }
    };
}

impl Simd for Avx512<f32> {
    type T = f32;
    type V = __m512;
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    #[inline(always)]
    unsafe fn transpose(square: &Square<Self::T>) {
        for quarter in &transpose::quarters(square, 8) {
            // SAFETY: as for the caller; this instruction set has the smaller one's instructions too.
            unsafe { transpose::eight_f32(quarter) }
        }
    }
    #[inline(always)]
    unsafe fn call<O: Op<Self::T>>(op: O) -> O::Output {
        // SAFETY: the instruction set is there.
        unsafe { run_avx512(op) }
    }
    arithmetic!(
        f32,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_sqrt_ps,
        _mm512_fmadd_ps,
        _mm512_fnmadd_ps,
        _mm512_max_ps,
        _mm512_min_ps
    );
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m512 {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as __mmask16, p) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: __m512, n: usize) {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as __mmask16, v) }
    }
    #[inline(always)]
    unsafe fn where_positive(x: __m512, a: __m512) -> __m512 {
        // SAFETY: the instruction set is there.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps()), a) }
    }
    exponent!(
        _mm512_abs_ps,
        _mm512_or_ps,
        _mm512_and_ps,
        _mm512_set1_ps,
        _mm512_reduce_ps,
        _mm512_sub_ps,
        _mm512_scalef_ps
    );
}

impl Simd for Avx512<f64> {
    type T = f64;
    type V = __m512d;
    const LANES: usize = 8;
    const REGISTERS: usize = 32;
    #[inline(always)]
    unsafe fn transpose(square: &Square<Self::T>) {
        for quarter in &transpose::quarters(square, 4) {
            // SAFETY: as for the caller; this instruction set has the smaller one's instructions too.
            unsafe { transpose::four_f64(quarter) }
        }
    }
    #[inline(always)]
    unsafe fn call<O: Op<Self::T>>(op: O) -> O::Output {
        // SAFETY: the instruction set is there.
        unsafe { run_avx512(op) }
    }
    arithmetic!(
        f64,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        _mm512_mul_pd,
        _mm512_div_pd,
        _mm512_sqrt_pd,
        _mm512_fmadd_pd,
        _mm512_fnmadd_pd,
        _mm512_max_pd,
        _mm512_min_pd
    );
    #[inline(always)]
    unsafe fn load_first(p: *const f64, n: usize) -> __m512d {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm512_maskz_loadu_pd(((1u32 << n) - 1) as __mmask8, p) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f64, v: __m512d, n: usize) {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm512_mask_storeu_pd(p, ((1u32 << n) - 1) as __mmask8, v) }
    }
    #[inline(always)]
    unsafe fn where_positive(x: __m512d, a: __m512d) -> __m512d {
        // SAFETY: the instruction set is there.
        unsafe { _mm512_maskz_mov_pd(_mm512_cmp_pd_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_pd()), a) }
    }
    exponent!(
        _mm512_abs_pd,
        _mm512_or_pd,
        _mm512_and_pd,
        _mm512_set1_pd,
        _mm512_reduce_pd,
        _mm512_sub_pd,
        _mm512_scalef_pd
    );
}
