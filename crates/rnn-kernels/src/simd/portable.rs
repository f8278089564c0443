//! Arrays of 16 bytes, which the compiler turns into the target's own vectors if it has any.

use super::{Op, Simd, call};
use std::marker::PhantomData;

/// The fallback.
#[derive(Clone, Copy)]
pub struct Portable<T>(PhantomData<T>);

macro_rules! portable {
    ($t:ty, $lanes:literal, $bits:ty) => {
        impl Simd for Portable<$t> {
            type T = $t;
            type V = [$t; $lanes];
            const LANES: usize = $lanes;
            const REGISTERS: usize = 16;

            #[inline(always)]
            unsafe fn call<O: Op<$t>>(op: O) -> O::Output {
                // SAFETY: as for the caller.
                unsafe { call::<Self, O>(op) }
            }

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self::V {
                [x; $lanes]
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self::V {
                // SAFETY: the caller's memory; unaligned reads are meant.
                unsafe { p.cast::<Self::V>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store(p: *mut $t, v: Self::V) {
                // SAFETY: the caller's memory; unaligned writes are meant.
                unsafe { p.cast::<Self::V>().write_unaligned(v) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $t, n: usize) -> Self::V {
                let mut v = [0.0; $lanes];
                // SAFETY: n elements are the caller's; there are fewer than lanes.
                unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
                v
            }
            #[inline(always)]
            unsafe fn store_first(p: *mut $t, v: Self::V, n: usize) {
                // SAFETY: n elements are the caller's; there are fewer than lanes.
                unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n) };
            }
            #[inline(always)]
            unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] - b[i])
            }
            #[inline(always)]
            unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] * b[i])
            }
            #[inline(always)]
            unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] / b[i])
            }
            #[inline(always)]
            unsafe fn sqrt(a: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i].sqrt())
            }
            // Two roundings: `mul_add` is a call into libm where the target has no instruction for it.
            #[inline(always)]
            unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|i| a[i] * b[i] + c[i])
            }
            #[inline(always)]
            unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|i| c[i] - a[i] * b[i])
            }
            #[inline(always)]
            unsafe fn at_least(x: Self::V, bound: Self::V) -> Self::V {
                std::array::from_fn(|i| if x[i] < bound[i] { bound[i] } else { x[i] })
            }
            #[inline(always)]
            unsafe fn at_most(x: Self::V, bound: Self::V) -> Self::V {
                std::array::from_fn(|i| if x[i] > bound[i] { bound[i] } else { x[i] })
            }
            #[inline(always)]
            unsafe fn where_positive(x: Self::V, a: Self::V) -> Self::V {
                std::array::from_fn(|i| if x[i] <= 0.0 { 0.0 } else { a[i] })
            }
            #[inline(always)]
            unsafe fn abs(x: Self::V) -> Self::V {
                x.map(<$t>::abs)
            }
            #[inline(always)]
            unsafe fn with_sign_of(size: Self::V, x: Self::V) -> Self::V {
                std::array::from_fn(|i| size[i].copysign(x[i]))
            }
            #[inline(always)]
            unsafe fn exp2(n: Self::V) -> Self::V {
                let one = <$t>::to_bits(1.0);
                std::array::from_fn(|i| {
                    <$t>::from_bits((n[i].to_bits() << (<$t>::MANTISSA_DIGITS - 1)).wrapping_add(one))
                })
            }
        }
    };
}

portable!(f32, 4, u32);
portable!(f64, 2, u64);
