//! Vectors of one element type, and the choice of instruction set at run time.
//!
//! A kernel is written once as an [`Op`], generic over [`Simd`], with every function below it `#[inline(always)]`.
//! [`run`] calls it through a function that is compiled for the chosen instruction set, so the whole kernel is. Only
//! what is written in assembly for one instruction set brings its own features.

#[cfg(target_arch = "x86_64")]
mod avx2_tile;
mod portable;
#[cfg(target_arch = "x86_64")]
mod transpose;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
mod neon;

use crate::float::{Float, sealed::Vectors};

/// One instruction set for one element type.
///
/// # Safety
/// All functions need a machine that has the instruction set; the loads and stores need valid memory for as many
/// elements as they say, of any alignment.
pub trait Simd: Copy + Send + Sync + 'static {
    /// The element.
    type T: Float;
    /// `LANES` elements.
    type V: Copy;
    /// The number of elements in a vector.
    const LANES: usize;
    /// The number of vector registers.
    const REGISTERS: usize;

    /// `x` in all lanes.
    unsafe fn splat(x: Self::T) -> Self::V;
    /// `LANES` elements from `p`.
    unsafe fn load(p: *const Self::T) -> Self::V;
    /// `LANES` elements to `p`.
    unsafe fn store(p: *mut Self::T, v: Self::V);
    /// `n < LANES` elements from `p`, zeros in the other lanes.
    unsafe fn load_first(p: *const Self::T, n: usize) -> Self::V;
    /// The first `n < LANES` elements to `p`.
    unsafe fn store_first(p: *mut Self::T, v: Self::V, n: usize);
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a·b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a/b`.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `√a`.
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a·b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c − a·b`.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `x` where it is above `bound` or NaN, else `bound`.
    unsafe fn at_least(x: Self::V, bound: Self::V) -> Self::V;
    /// `x` where it is below `bound` or NaN, else `bound`.
    unsafe fn at_most(x: Self::V, bound: Self::V) -> Self::V;
    /// `a` where `x > 0` or `x` is NaN, else zero.
    unsafe fn where_positive(x: Self::V, a: Self::V) -> Self::V;
    /// `|x|`.
    unsafe fn abs(x: Self::V) -> Self::V;
    /// `size`, which is not negative, with the sign of `x`.
    unsafe fn with_sign_of(size: Self::V, x: Self::V) -> Self::V;
    /// `2ⁿ` for the n of [`split`](Self::split); infinite for the n one above the largest exponent.
    unsafe fn exp2(n: Self::V) -> Self::V;

    /// `y`, or the nearest number from which [`split`](Self::split) and [`scale`](Self::scale) lead to `2ʸ`.
    #[inline(always)]
    unsafe fn within_exp2(y: Self::V) -> Self::V {
        // SAFETY: as for the caller.
        unsafe { Self::at_most(Self::at_least(y, Self::splat(Self::T::EXP2_MIN)), Self::splat(Self::T::EXP2_MAX)) }
    }
    /// n and f with `y = n + f`, n whole and |f| ≤ ½; n in a form of its own, here as `ROUNDER + n`.
    #[inline(always)]
    unsafe fn split(y: Self::V) -> (Self::V, Self::V) {
        // SAFETY: as for the caller.
        unsafe {
            let rounder = Self::splat(Self::T::ROUNDER);
            let n = Self::add(y, rounder);
            (n, Self::sub(y, Self::sub(n, rounder)))
        }
    }
    /// Asks for the line of the cache at `p`, which need not be there; where there is no such instruction, nothing.
    #[inline(always)]
    unsafe fn prefetch(_: *const Self::T) {}

    /// Turns `square`, of `LANES` rows, and multiplies it by its scale.
    #[inline(always)]
    unsafe fn transpose(square: &Square<Self::T>) {
        let &Square { from, from_row, to, to_row, scale } = square;
        for (i, j) in (0..Self::LANES).flat_map(|i| (0..Self::LANES).map(move |j| (i, j))) {
            // SAFETY: as for the caller.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) * scale };
        }
    }

    /// Adds the products of the first columns of `factors` to `c`: as many as the instruction set has something better
    /// for than a loop over them. Gives their number.
    #[inline(always)]
    unsafe fn multiply_columns<const M: usize, const N: usize>(
        _c: &mut [[Self::V; N]; M],
        _factors: &Columns<Self::T, M>,
    ) -> usize {
        0
    }

    /// `v·2ⁿ` for the n of [`split`](Self::split) and a positive v.
    #[inline(always)]
    unsafe fn scale(v: Self::V, n: Self::V) -> Self::V {
        // SAFETY: as for the caller.
        unsafe { Self::mul(v, Self::exp2(n)) }
    }

    /// Calls `op` as a function of its own, so that its code stands once.
    unsafe fn call<O: Op<Self::T>>(op: O) -> O::Output;

    /// Zeros.
    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: as for the caller.
        unsafe { Self::splat(Self::T::ZERO) }
    }
    /// The first `n` elements from `p`, all `LANES` if `n` is at least that; zeros in the other lanes.
    #[inline(always)]
    unsafe fn load_up_to(p: *const Self::T, n: usize) -> Self::V {
        // SAFETY: as for the caller.
        unsafe { if n >= Self::LANES { Self::load(p) } else { Self::load_first(p, n) } }
    }
    /// The first `n` elements to `p`, all `LANES` if `n` is at least that.
    #[inline(always)]
    unsafe fn store_up_to(p: *mut Self::T, v: Self::V, n: usize) {
        // SAFETY: as for the caller.
        unsafe { if n >= Self::LANES { Self::store(p, v) } else { Self::store_first(p, v, n) } }
    }
}

/// A square of a matrix, and where it goes, turned.
#[derive(Debug, Clone, Copy)]
pub struct Square<T> {
    /// Its first element.
    pub from: *const T,
    /// From a row of it to the next.
    pub from_row: usize,
    /// Where the first element goes.
    pub to: *mut T,
    /// From where a row goes to where the next goes.
    pub to_row: usize,
    /// What each element is multiplied by.
    pub scale: T,
}

/// The factors of a tile: `len` columns of a and as many rows of b.
#[derive(Debug, Clone, Copy)]
pub struct Columns<T, const M: usize> {
    /// The first element of each row of a.
    pub rows: [*const T; M],
    /// From an element of a row of a to the next.
    pub a_step: usize,
    /// The first row of b.
    pub b: *const T,
    /// From a row of b to the next.
    pub b_step: usize,
    /// How many columns.
    pub len: usize,
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// What the compilation target has without detection: 128-bit vectors or none.
    Portable,
    /// AArch64's Advanced SIMD: 128-bit vectors.
    Neon,
    /// AVX2 and FMA: 256-bit vectors.
    Avx2,
    /// AVX-512F and DQ: 512-bit vectors.
    Avx512,
}

impl Isa {
    /// From the slowest to the fastest.
    const ALL: [Isa; 4] = [Isa::Portable, Isa::Neon, Isa::Avx2, Isa::Avx512];

    /// The best one that this machine has.
    pub fn best() -> Isa {
        Isa::ALL.into_iter().rfind(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// All that this machine has, from the slowest to the fastest.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this machine has it. The standard library detects features once and remembers them.
    pub fn is_available(self) -> bool {
        // Miri has no vector instructions.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        let [avx2, avx512] = {
            let avx2 = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
            let dq = std::arch::is_x86_feature_detected!("avx512dq");
            [avx2, avx2 && dq && std::arch::is_x86_feature_detected!("avx512f")]
        };
        #[cfg(any(not(target_arch = "x86_64"), miri))]
        let [avx2, avx512] = [false; 2];
        match self {
            Isa::Portable => true,
            Isa::Neon => cfg!(all(target_arch = "aarch64", not(miri))),
            Isa::Avx2 => avx2,
            Isa::Avx512 => avx512,
        }
    }
}

/// A kernel.
pub trait Op<T: Float> {
    /// What it gives.
    type Output;
    /// Runs it. Implementations are `#[inline(always)]`, as is all that they call with vectors by value.
    ///
    /// # Safety
    /// The machine must have the instruction set of `S`.
    unsafe fn run<S: Simd<T = T>>(self) -> Self::Output;
}

/// Runs `op` compiled for `isa`.
///
/// # Panics
/// If the machine does not have it.
pub fn run<T: Float, O: Op<T>>(isa: Isa, op: O) -> O::Output {
    assert!(isa.is_available(), "this machine does not have {isa:?}");
    match isa {
        // SAFETY: needs no instruction beyond the target's own.
        Isa::Portable => unsafe { op.run::<T::Portable>() },
        // SAFETY: the instruction set was asserted to be there.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { x86::run_avx2(op) },
        // SAFETY: the instruction set was asserted to be there.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { x86::run_avx512(op) },
        // SAFETY: NEON is part of the AArch64 targets.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { op.run::<T::Neon>() },
        #[allow(unreachable_patterns, reason = "which instruction sets are left depends on the target")]
        _ => unreachable!("not available on this target"),
    }
}

/// `op` as a function of its own at an instruction set that needs no features beyond the target's.
#[inline(never)]
unsafe fn call<S: Simd, O: Op<S::T>>(op: O) -> O::Output {
    // SAFETY: as for the caller.
    unsafe { op.run::<S>() }
}

/// The number of lanes at `isa`.
pub fn lanes<T: Float>(isa: Isa) -> usize {
    let bytes = match isa {
        Isa::Portable | Isa::Neon => 16,
        Isa::Avx2 => 32,
        Isa::Avx512 => 64,
    };
    bytes / size_of::<T>()
}

/// The vector registers of an instruction set.
pub fn registers<T: Float>(isa: Isa) -> usize {
    struct Registers;
    impl<T: Float> Op<T> for Registers {
        type Output = usize;

        #[inline(always)]
        unsafe fn run<S: Simd<T = T>>(self) -> usize {
            S::REGISTERS
        }
    }
    run::<T, _>(isa, Registers)
}

#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};
