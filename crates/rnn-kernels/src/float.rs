//! The element types, with their vectors. Nothing here knows a kernel.

use crate::simd::{self, Simd};
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// An element type: `f32` or `f64`. Sealed.
pub trait Float:
    sealed::Vectors
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
    /// The value nearest to `x`; infinite where `x` is beyond the largest one.
    fn from_f64(x: f64) -> Self;
    /// The same value as an `f64`, without rounding.
    fn to_f64(self) -> f64;
}

pub(crate) mod sealed {
    use super::*;

    /// The vectors of an element type, one kind for each instruction set, and the constants of its exponential.
    pub trait Vectors: Sized + 'static {
        /// Vectors of [`Isa::Portable`](crate::Isa::Portable).
        type Portable: Simd<T = Self>;
        /// Vectors of [`Isa::Avx2`](crate::Isa::Avx2).
        #[cfg(target_arch = "x86_64")]
        type Avx2: Simd<T = Self>;
        /// Vectors of [`Isa::Avx512`](crate::Isa::Avx512).
        #[cfg(target_arch = "x86_64")]
        type Avx512: Simd<T = Self>;
        /// Vectors of [`Isa::Neon`](crate::Isa::Neon).
        #[cfg(target_arch = "aarch64")]
        type Neon: Simd<T = Self>;

        /// 1.5 times the power of two at which whole numbers are one unit in the last place apart: what is added to it
        /// is rounded to a whole number, which then stands in the lowest bits.
        const ROUNDER: Self;
        /// log₂ e.
        const LOG2_E: Self;
        /// `2ʸ` is infinite from here on.
        const EXP2_MAX: Self;
        /// `2ʸ` is a normal number from here on.
        const EXP2_MIN: Self;
        /// A gradient of h or c whose size is at most this counts as zero: the products of a smaller one are subnormal
        /// numbers, with which a processor computes many times more slowly.
        const VANISHED: Self;
        /// The polynomial Q of `2ᶠ − 1 = f·Q(f)` for |f| ≤ ½, lowest power first. It interpolates at the Chebyshev
        /// nodes; its relative error is 2·10⁻⁸ in `f32` and 5·10⁻¹⁷ in `f64`.
        const EXP2_SERIES: &'static [Self];
        /// The polynomial P of the complementary error function in 2.5·t − 1.5, lowest power first, interpolated at the
        /// Chebyshev nodes; its relative error is 3·10⁻⁸ in `f32` and 7·10⁻¹⁷ in `f64`.
        const ERFC_SERIES: &'static [Self];
        /// tanh is 1 to all digits above.
        const TANH_MAX: Self;
    }
}

impl Float for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self.into()
    }
}

impl Float for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

impl sealed::Vectors for f32 {
    type Portable = simd::Portable<f32>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = simd::Avx2<f32>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = simd::Avx512<f32>;
    #[cfg(target_arch = "aarch64")]
    type Neon = simd::Neon<f32>;

    const ROUNDER: f32 = 12_582_912.0; // 1.5·2²³
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const EXP2_MAX: f32 = 128.0;
    const EXP2_MIN: f32 = -126.0;
    const VANISHED: f32 = 7.703_72e-34; // 2⁻¹¹⁰
    const EXP2_SERIES: &'static [f32] =
        &[std::f32::consts::LN_2, 0.240_226_5, 0.055_503_57, 0.009_618_083, 0.001_339_086_3, 0.000_154_531_63];
    const ERFC_SERIES: &'static [f32] = &[
        0.585_224_5,
        0.321_035_46,
        0.094_634_98,
        0.004_396_064,
        -0.005_317_503_5,
        -0.000_387_955_23,
        0.000_457_954_13,
        -1.297_420_3e-5,
        -3.701_367_3e-5,
        6.492_816_4e-6,
    ];
    const TANH_MAX: f32 = 10.0;
}

impl sealed::Vectors for f64 {
    type Portable = simd::Portable<f64>;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = simd::Avx2<f64>;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = simd::Avx512<f64>;
    #[cfg(target_arch = "aarch64")]
    type Neon = simd::Neon<f64>;

    const ROUNDER: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const EXP2_MAX: f64 = 1024.0;
    const EXP2_MIN: f64 = -1022.0;
    const VANISHED: f64 = 1.026_134_200_324_594_1e-289; // 2⁻⁹⁶⁰
    const EXP2_SERIES: &'static [f64] = &[
        std::f64::consts::LN_2,
        0.24022650695910097,
        0.0555041086648216,
        0.009618129107606888,
        0.0013333558146416936,
        0.0001540353044173605,
        1.525273382983612e-05,
        1.321544258792169e-06,
        1.0178062445845774e-07,
        7.072585949269223e-09,
        4.4549605981865186e-10,
    ];
    const ERFC_SERIES: &'static [f64] = &[
        0.585_224_490_048_175_6,
        0.321_035_462_258_371_1,
        0.094_635_248_196_473_8,
        0.004_395_917_546_411_971,
        -0.005_319_661_827_074_818,
        -0.000_386_766_707_441_291_5,
        0.000_463_947_022_773_780_8,
        -0.000_016_387_291_365_695_728,
        -0.000_043_701_952_568_433_685,
        0.000_010_609_430_656_409_434,
        2.395_544_235_745_500_6e-6,
        -1.912_716_249_277_584_4e-6,
        2.8193875693952957e-7,
        1.5316518148461677e-7,
        -9.209_969_388_879_408e-8,
        1.3697402730476762e-8,
        8.054_816_828_557_161e-9,
        -5.392_510_777_176_884e-9,
        7.719_800_805_918_123e-10,
        5.015_974_199_904_462e-10,
        -1.956_732_347_285_090_8e-10,
        5.743_614_467_301_071_5e-12,
    ];
    const TANH_MAX: f64 = 20.0;
}
