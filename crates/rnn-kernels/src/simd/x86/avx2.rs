//! Vectors of AVX2 with FMA.

use super::{Avx2, run_avx2};
use crate::simd::{Columns, Op, Simd, Square, avx2_tile, transpose};
use std::arch::x86_64::*;

/// The same by the bits of a number: its sign, and its exponent from bit `$at` on.
macro_rules! exponent_bits {
    ($andnot:ident, $or:ident, $and:ident, $set1:ident, $shift:ident, $at:literal, $add:ident, $one:expr, $bits:ident,
     $number:ident) => {
        #[inline(always)]
        unsafe fn abs(x: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $andnot($set1(-0.0), x) }
        }
        #[inline(always)]
        unsafe fn with_sign_of(size: Self::V, x: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $or(size, $and(x, $set1(-0.0))) }
        }
        #[inline(always)]
        unsafe fn exp2(n: Self::V) -> Self::V {
            // SAFETY: the instruction set is there.
            unsafe { $number($add($shift::<$at>($bits(n)), $one)) }
        }
    };
}

impl Simd for Avx2<f32> {
    type T = f32;
    type V = __m256;
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    #[inline(always)]
    unsafe fn transpose(square: &Square<Self::T>) {
        // SAFETY: as for the caller.
        unsafe { transpose::eight_f32(square) }
    }
    #[inline(always)]
    unsafe fn call<O: Op<Self::T>>(op: O) -> O::Output {
        // SAFETY: the instruction set is there.
        unsafe { run_avx2(op) }
    }
    #[inline(always)]
    unsafe fn multiply_columns<const M: usize, const N: usize>(
        c: &mut [[Self::V; N]; M],
        factors: &Columns<Self::T, M>,
    ) -> usize {
        // SAFETY: as for the caller.
        unsafe { avx2_tile::multiply_f32(c, factors) }
    }
    arithmetic!(
        f32,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_sqrt_ps,
        _mm256_fmadd_ps,
        _mm256_fnmadd_ps,
        _mm256_max_ps,
        _mm256_min_ps
    );
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> __m256 {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm256_maskload_ps(p, first_of_eight(n)) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f32, v: __m256, n: usize) {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm256_maskstore_ps(p, first_of_eight(n), v) }
    }
    #[inline(always)]
    unsafe fn where_positive(x: __m256, a: __m256) -> __m256 {
        // SAFETY: the instruction set is there.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(x, _mm256_setzero_ps()), a) }
    }
    exponent_bits!(
        _mm256_andnot_ps,
        _mm256_or_ps,
        _mm256_and_ps,
        _mm256_set1_ps,
        _mm256_slli_epi32,
        23,
        _mm256_add_epi32,
        _mm256_set1_epi32(1f32.to_bits() as i32),
        _mm256_castps_si256,
        _mm256_castsi256_ps
    );
}

impl Simd for Avx2<f64> {
    type T = f64;
    type V = __m256d;
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    #[inline(always)]
    unsafe fn transpose(square: &Square<Self::T>) {
        // SAFETY: as for the caller.
        unsafe { transpose::four_f64(square) }
    }
    #[inline(always)]
    unsafe fn call<O: Op<Self::T>>(op: O) -> O::Output {
        // SAFETY: the instruction set is there.
        unsafe { run_avx2(op) }
    }
    #[inline(always)]
    unsafe fn multiply_columns<const M: usize, const N: usize>(
        c: &mut [[Self::V; N]; M],
        factors: &Columns<Self::T, M>,
    ) -> usize {
        // SAFETY: as for the caller.
        unsafe { avx2_tile::multiply_f64(c, factors) }
    }
    arithmetic!(
        f64,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        _mm256_mul_pd,
        _mm256_div_pd,
        _mm256_sqrt_pd,
        _mm256_fmadd_pd,
        _mm256_fnmadd_pd,
        _mm256_max_pd,
        _mm256_min_pd
    );
    #[inline(always)]
    unsafe fn load_first(p: *const f64, n: usize) -> __m256d {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm256_maskload_pd(p, first_of_four(n)) }
    }
    #[inline(always)]
    unsafe fn store_first(p: *mut f64, v: __m256d, n: usize) {
        // SAFETY: the mask leaves n lanes, which are the caller's memory.
        unsafe { _mm256_maskstore_pd(p, first_of_four(n), v) }
    }
    #[inline(always)]
    unsafe fn where_positive(x: __m256d, a: __m256d) -> __m256d {
        // SAFETY: the instruction set is there.
        unsafe { _mm256_and_pd(_mm256_cmp_pd::<_CMP_NLE_UQ>(x, _mm256_setzero_pd()), a) }
    }
    exponent_bits!(
        _mm256_andnot_pd,
        _mm256_or_pd,
        _mm256_and_pd,
        _mm256_set1_pd,
        _mm256_slli_epi64,
        52,
        _mm256_add_epi64,
        _mm256_set1_epi64x(1f64.to_bits() as i64),
        _mm256_castpd_si256,
        _mm256_castsi256_pd
    );
}

/// All bits in the first n of 8 lanes.
#[inline(always)]
unsafe fn first_of_eight(n: usize) -> __m256i {
    // SAFETY: only called where AVX2 is there.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}

/// All bits in the first n of 4 lanes.
#[inline(always)]
unsafe fn first_of_four(n: usize) -> __m256i {
    // SAFETY: only called where AVX2 is there.
    unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
}
