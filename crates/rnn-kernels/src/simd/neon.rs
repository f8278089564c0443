//! 128-bit vectors of AArch64, which every such target has.

use super::{Op, Simd, call};
use std::arch::aarch64::*;
use std::marker::PhantomData;

/// 128-bit vectors.
#[derive(Clone, Copy)]
pub struct Neon<T>(PhantomData<T>);

macro_rules! neon {
    ($t:ty, $v:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
     $div:ident, $sqrt:ident, $fma:ident, $fms:ident, $abs:ident, $gt:ident, $lt:ident, $le:ident, $select:ident, $shift:ident,
     $iadd:ident, $isplat:ident, $to_bits:ident, $from_bits:ident) => {
        impl Simd for Neon<$t> {
            type T = $t;
            type V = $v;
            const LANES: usize = $lanes;
            const REGISTERS: usize = 32;

            #[inline(always)]
            unsafe fn call<O: Op<$t>>(op: O) -> O::Output {
                // SAFETY: as for the caller.
                unsafe { call::<Self, O>(op) }
            }

            #[inline(always)]
            unsafe fn splat(x: $t) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> $v {
                // SAFETY: the memory is the caller's.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: $v) {
                // SAFETY: the memory is the caller's.
                unsafe { $store(p, v) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $t, n: usize) -> $v {
                let mut lanes: [$t; $lanes] = [0.0; $lanes];
                // SAFETY: n elements are the caller's; there are fewer than lanes.
                unsafe {
                    std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
                    $load(lanes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn store_first(p: *mut $t, v: $v, n: usize) {
                let mut lanes: [$t; $lanes] = [0.0; $lanes];
                // SAFETY: n elements are the caller's; there are fewer than lanes.
                unsafe {
                    $store(lanes.as_mut_ptr(), v);
                    std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
                }
            }
            #[inline(always)]
            unsafe fn add(a: $v, b: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn sub(a: $v, b: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            unsafe fn mul(a: $v, b: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            unsafe fn div(a: $v, b: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            unsafe fn sqrt(a: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $sqrt(a) }
            }
            #[inline(always)]
            unsafe fn fma(a: $v, b: $v, c: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $fma(c, a, b) }
            }
            #[inline(always)]
            unsafe fn fnma(a: $v, b: $v, c: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $fms(c, a, b) }
            }
            #[inline(always)]
            unsafe fn at_least(x: $v, bound: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $select($lt(x, bound), bound, x) }
            }
            #[inline(always)]
            unsafe fn at_most(x: $v, bound: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $select($gt(x, bound), bound, x) }
            }
            #[inline(always)]
            unsafe fn where_positive(x: $v, a: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe {
                    let zero = $splat(0.0);
                    $select($le(x, zero), zero, a)
                }
            }
            #[inline(always)]
            unsafe fn abs(x: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $abs(x) }
            }
            #[inline(always)]
            unsafe fn with_sign_of(size: $v, x: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe { $select($to_bits($splat(-0.0)), x, size) }
            }
            #[inline(always)]
            unsafe fn exp2(n: $v) -> $v {
                // SAFETY: NEON is part of the target.
                unsafe {
                    let shifted = $shift::<{ <$t>::MANTISSA_DIGITS as i32 - 1 }>($to_bits(n));
                    $from_bits($iadd(shifted, $isplat(<$t>::to_bits(1.0))))
                }
            }
        }
    };
}

neon!(
    f32,
    float32x4_t,
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    vsubq_f32,
    vmulq_f32,
    vdivq_f32,
    vsqrtq_f32,
    vfmaq_f32,
    vfmsq_f32,
    vabsq_f32,
    vcgtq_f32,
    vcltq_f32,
    vcleq_f32,
    vbslq_f32,
    vshlq_n_u32,
    vaddq_u32,
    vdupq_n_u32,
    vreinterpretq_u32_f32,
    vreinterpretq_f32_u32
);
neon!(
    f64,
    float64x2_t,
    2,
    vdupq_n_f64,
    vld1q_f64,
    vst1q_f64,
    vaddq_f64,
    vsubq_f64,
    vmulq_f64,
    vdivq_f64,
    vsqrtq_f64,
    vfmaq_f64,
    vfmsq_f64,
    vabsq_f64,
    vcgtq_f64,
    vcltq_f64,
    vcleq_f64,
    vbslq_f64,
    vshlq_n_u64,
    vaddq_u64,
    vdupq_n_u64,
    vreinterpretq_u64_f64,
    vreinterpretq_f64_u64
);
