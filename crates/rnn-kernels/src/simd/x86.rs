//! AVX2 with FMA, and AVX-512F.

use super::{Columns, Op, Simd, Square, avx2_tile, transpose};
use crate::float::Float;
use std::arch::x86_64::*;
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
