//! The innermost loop of the commonest tiles, by hand.
//!
//! Accumulators, the shorter of a column of a and a row of b and one vector of the other are all the registers that
//! AVX2 has, or nearly. A compiler that unrolls the loop moves loads ahead and has to spill; one that does not spends a
//! seventh of the instructions on counting, for which a core that does other work beside has no room.

use super::Columns;
use crate::pool::EXACT;
use std::arch::asm;
use std::arch::x86_64::{__m256, __m256d};

/// Where element m of column j of a, or vector n of row j of b, lies: `apart` if the rows of a lie anywhere and those
/// of b side by side, `beside` if the elements of a column of a do; then b is moved on after each column.
macro_rules! at {
    (apart, a, $step:literal, $m:literal) => {
        concat!("{r", $m, "} + {k} + {size}*\\j")
    };
    (apart, b, $step:literal, $n:literal) => {
        concat!("{b} + {b_row}*\\j + 32*", $n)
    };
    (beside, a, $step:literal, $m:literal) => {
        concat!("{a} + {size}*(", $step, "*\\j + ", $m, ")")
    };
    (beside, b, $step:literal, $n:literal) => {
        concat!("{b} + 32*", $n)
    };
}

/// The instruction that loads it.
macro_rules! load {
    (a, $p:literal) => {
        concat!("vbroadcasts", $p)
    };
    (b, $p:literal) => {
        concat!("vmovup", $p)
    };
}

/// Four columns a turn. What is kept has its register and its number; what passes its number and, of each accumulator
/// that it is multiplied for, the name, the register of the other factor and the place.
macro_rules! turns {
    ($layout:ident $p:literal $c:ident $fours:ident $step:literal,
     $keep:ident [$($kept:ident $i:literal),*], $pass:ident [$($j:literal $(($acc:ident $by:ident $m:literal $n:literal))*),*],
     then [$($then:literal)?], next [$($next:literal),*], $($operands:tt)*) => {
        asm!(
            "2:",
            ".irp j, 0, 1, 2, 3",
            $(concat!(load!($keep, $p), " {", stringify!($kept), "}, [", at!($layout, $keep, $step, $i), "]"),)*
            $(
                concat!(load!($pass, $p), " {passing}, [", at!($layout, $pass, $step, $j), "]"),
                $(concat!("vfmadd231p", $p, " {", stringify!($acc), "}, {", stringify!($by), "}, {passing}"),)*
            )*
            $($then,)?
            ".endr",
            $($next,)*
            "sub {fours}, 1",
            "jnz 2b",
            $($($acc = inout(ymm_reg) $c[$m][$n],)*)*
            $($kept = out(ymm_reg) _,)*
            passing = out(ymm_reg) _,
            fours = inout(reg) $fours => _,
            $($operands)*
            options(nostack, readonly),
        )
    };
}

/// Columns of rows that lie anywhere, times rows of b that lie side by side, `$b_row` bytes each.
macro_rules! apart {
    ($p:literal $t:ty, $c:ident $columns:ident $fours:ident, [$($r:ident $m:literal),*] $b_row:literal, $($tile:tt)*) => {
        turns!(
            apart $p $c $fours 1, $($tile)*, then [], next ["add {k}, 4*{size}", "add {b}, 4*{b_row}"],
            $($r = in(reg) $columns.rows[$m],)*
            k = inout(reg) 0usize => _, b = inout(reg) $columns.b => _,
            size = const size_of::<$t>(), b_row = const $b_row,
        )
    };
}

/// Columns whose elements lie side by side, `$step` from one to the next, times rows of b with any step between them.
macro_rules! beside {
    ($p:literal $t:ty, $c:ident $columns:ident $fours:ident, $step:literal, $($tile:tt)*) => {
        turns!(
            beside $p $c $fours $step, $($tile)*, then ["add {b}, {b_step}"], next ["add {a}, 4*{step}*{size}"],
            a = inout(reg) $columns.rows[0] => _, b = inout(reg) $columns.b => _,
            b_step = in(reg) $columns.b_step * size_of::<$t>(),
            size = const size_of::<$t>(), step = const $step,
        )
    };
}

/// The tile of so many rows and vectors in a layout.
macro_rules! tile {
    (3 4, $layout:ident!($($layout_arguments:tt)*)) => {
        $layout!(
            $($layout_arguments)*,
            a [k0 0, k1 1, k2 2],
            b [
                0 (c00 k0 0 0) (c10 k1 1 0) (c20 k2 2 0),
                1 (c01 k0 0 1) (c11 k1 1 1) (c21 k2 2 1),
                2 (c02 k0 0 2) (c12 k1 1 2) (c22 k2 2 2),
                3 (c03 k0 0 3) (c13 k1 1 3) (c23 k2 2 3)
            ]
        )
    };
    (3 3, $layout:ident!($($layout_arguments:tt)*)) => {
        $layout!(
            $($layout_arguments)*,
            b [k0 0, k1 1, k2 2],
            a [
                0 (c00 k0 0 0) (c01 k1 0 1) (c02 k2 0 2),
                1 (c10 k0 1 0) (c11 k1 1 1) (c12 k2 1 2),
                2 (c20 k0 2 0) (c21 k1 2 1) (c22 k2 2 2)
            ]
        )
    };
    (4 3, $layout:ident!($($layout_arguments:tt)*)) => {
        $layout!(
            $($layout_arguments)*,
            b [k0 0, k1 1, k2 2],
            a [
                0 (c00 k0 0 0) (c01 k1 0 1) (c02 k2 0 2),
                1 (c10 k0 1 0) (c11 k1 1 1) (c12 k2 1 2),
                2 (c20 k0 2 0) (c21 k1 2 1) (c22 k2 2 2),
                3 (c30 k0 3 0) (c31 k1 3 1) (c32 k2 3 2)
            ]
        )
    };
}

macro_rules! columns {
    ($name:ident, $t:ty, $v:ty, $p:literal) => {
        /// [`Simd::multiply_columns`](super::Simd::multiply_columns) for tiles of 3 by 4, 3 by 3 and 4 by 3.
        ///
        /// # Safety
        /// As for that, and the machine must have AVX2 and FMA.
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        pub(super) unsafe fn $name<const M: usize, const N: usize>(
            c: &mut [[$v; N]; M],
            columns: &Columns<$t, M>,
        ) -> usize {
            let &Columns { rows, a_step, b_step, len, .. } = columns;
            let fours = len / 4;
            // A sanitizer does not see what is read here; it sees the loop that does the same.
            if fours == 0 || EXACT {
                return 0;
            }
            let apart = a_step == 1 && b_step * size_of::<$t>() == N * size_of::<$v>();
            let beside = (1..M).all(|m| rows[m] == rows[0].wrapping_add(m));
            // SAFETY: reads what a loop over `4·fours` columns would.
            unsafe {
                match (M, N) {
                    (3, 4) if apart => tile!(3 4, apart!($p $t, c columns fours, [r0 0, r1 1, r2 2] 128)),
                    (3, 3) if apart => tile!(3 3, apart!($p $t, c columns fours, [r0 0, r1 1, r2 2] 96)),
                    (4, 3) if apart => tile!(4 3, apart!($p $t, c columns fours, [r0 0, r1 1, r2 2, r3 3] 96)),
                    (3, 4) if beside && a_step == 3 => tile!(3 4, beside!($p $t, c columns fours, 3)),
                    (3, 3) if beside && a_step == 3 => tile!(3 3, beside!($p $t, c columns fours, 3)),
                    // Where tiles of a product differ by a row, the shorter ones have the step of the longer ones.
                    (3, 3) if beside && a_step == 4 => tile!(3 3, beside!($p $t, c columns fours, 4)),
                    (4, 3) if beside && a_step == 4 => tile!(4 3, beside!($p $t, c columns fours, 4)),
                    _ => return 0,
                }
            }
            fours * 4
        }
    };
}

columns!(multiply_f32, f32, __m256, "s");
columns!(multiply_f64, f64, __m256d, "d");
