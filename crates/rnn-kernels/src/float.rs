//! The element types.

use crate::simd::{self, Simd};
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// `f32` or `f64`.
pub trait Float:
    sealed::Levels
    + Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The nearest value to `x`.
    fn of(x: f64) -> Self;
    /// As an `f64`, exactly.
    fn wide(self) -> f64;
}

pub(crate) mod sealed {
    use super::*;

    /// The instruction sets for an element type, and the constants of its exponential.
    pub trait Levels:
        crate::forward::Entry + crate::backward::Entry + crate::stepper::Entry + crate::optim::Entry + Sized + 'static
    {
        type Portable: Simd<T = Self>;
        #[cfg(target_arch = "x86_64")]
        type Avx2: Simd<T = Self>;
        #[cfg(target_arch = "x86_64")]
        type Avx512: Simd<T = Self>;
        #[cfg(target_arch = "aarch64")]
        type Neon: Simd<T = Self>;

        /// 1.5 times the power of two at which whole numbers are one unit in the last place apart: what is added to it
        /// is rounded to a whole number, which then stands in the lowest bits.
        const ROUNDER: Self;
        /// log₂ e.
        const LOG2_E: Self;
        /// The leading bits of ln 2, few enough that their product with an exponent is exact.
        const LN_2_HIGH: Self;
        /// The rest of ln 2.
        const LN_2_LOW: Self;
        /// `eˣ` is infinite above.
        const EXP_MAX: Self;
        /// `eˣ` is as good as 0 below, and its scale still a normal number.
        const EXP_MIN: Self;
        /// 1/n! from n = 2 on: the series of `eʳ − 1 − r`, to full precision for |r| ≤ ln 2 / 2.
        const EXP_SERIES: &'static [Self];
        /// tanh is 1 to all digits above.
        const TANH_MAX: Self;
    }
}

impl Float for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Float for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

impl sealed::Levels for f32 {
    type Portable = simd::Portable<f32>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = simd::Avx2<f32>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = simd::Avx512<f32>;
    #[cfg(target_arch = "aarch64")]
    type Neon = simd::Neon<f32>;

    const ROUNDER: f32 = 12_582_912.0; // 1.5·2²³
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = (std::f64::consts::LN_2 - 0.693_359_375) as f32;
    const EXP_MAX: f32 = 88.8;
    const EXP_MIN: f32 = -87.3;
    const EXP_SERIES: &'static [f32] = &[1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5040.0];
    const TANH_MAX: f32 = 10.0;
}

impl sealed::Levels for f64 {
    type Portable = simd::Portable<f64>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = simd::Avx2<f64>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = simd::Avx512<f64>;
    #[cfg(target_arch = "aarch64")]
    type Neon = simd::Neon<f64>;

    const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const LN_2_HIGH: f64 = 0x2c5c85fdi64 as f64 / (1i64 << 30) as f64; // the first 30 bits after the point
    const LN_2_LOW: f64 = 8.893134238886677e-10;
    const EXP_MAX: f64 = 710.0;
    const EXP_MIN: f64 = -708.0;
    const EXP_SERIES: &'static [f64] = &[
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    ];
    const TANH_MAX: f64 = 20.0;
}
