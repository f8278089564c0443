//! The innermost loop of tiles of three rows, by hand.
//!
//! The accumulators of three rows and four vectors, a column of a and a vector of b are all the registers that AVX2 has. A
//! compiler that unrolls the loop moves loads ahead and has to spill; one that does not spends a seventh of the instructions
//! on counting, for which a core that does other work beside has no room.

use super::Columns;
use crate::pool::EXACT;
use std::arch::asm;
use std::arch::x86_64::{__m256, __m256d};

/// Four columns a turn. `$a` are the addresses of column j's elements, `$b` that of b's row, `then` what follows each column,
/// `next` what follows the four; each vector has its number, its place in b's row and the names of its accumulators.
macro_rules! turns {
    ($p:literal, $c:ident, $fours:ident, [$a0:literal, $a1:literal, $a2:literal], $b:literal,
     then [$($then:literal)?], next [$($next:literal),*],
     vectors [$($n:literal $at:literal $c0:ident $c1:ident $c2:ident),*], $($operands:tt)*) => {
        asm!(
            "2:",
            ".irp j, 0, 1, 2, 3",
            concat!("vbroadcasts", $p, " {a0}, [", $a0, "]"),
            concat!("vbroadcasts", $p, " {a1}, [", $a1, "]"),
            concat!("vbroadcasts", $p, " {a2}, [", $a2, "]"),
            $(
                concat!("vmovup", $p, " {row}, [", $b, $at, "]"),
                concat!("vfmadd231p", $p, " {", stringify!($c0), "}, {a0}, {row}"),
                concat!("vfmadd231p", $p, " {", stringify!($c1), "}, {a1}, {row}"),
                concat!("vfmadd231p", $p, " {", stringify!($c2), "}, {a2}, {row}"),
            )*
            $($then,)?
            ".endr",
            $($next,)*
            "sub {fours}, 1",
            "jnz 2b",
            $(
                $c0 = inout(ymm_reg) $c[0][$n],
                $c1 = inout(ymm_reg) $c[1][$n],
                $c2 = inout(ymm_reg) $c[2][$n],
            )*
            a0 = out(ymm_reg) _, a1 = out(ymm_reg) _, a2 = out(ymm_reg) _, row = out(ymm_reg) _,
            fours = inout(reg) $fours => _,
            $($operands)*
            options(nostack, readonly),
        )
    };
}

/// Columns of rows that lie anywhere, times rows of b that lie side by side, `$width` bytes each.
macro_rules! of_rows {
    ($p:literal, $t:ty, $c:ident, $rows:ident, $b:ident, $fours:ident, $width:literal, $($vectors:tt)*) => {
        turns!(
            $p, $c, $fours,
            ["{r0} + {k} + {size}*\\j", "{r1} + {k} + {size}*\\j", "{r2} + {k} + {size}*\\j"],
            "{b} + {width}*\\j",
            then [], next ["add {k}, 4*{size}", "add {b}, 4*{width}"],
            vectors [$($vectors)*],
            r0 = in(reg) $rows[0], r1 = in(reg) $rows[1], r2 = in(reg) $rows[2], k = inout(reg) 0usize => _,
            b = inout(reg) $b => _, size = const size_of::<$t>(), width = const $width,
        )
    };
}

/// Columns that lie side by side, times rows of b that are `$b_step` bytes apart.
macro_rules! side_by_side {
    ($p:literal, $t:ty, $c:ident, $rows:ident, $b:ident, $fours:ident, $b_step:ident, $($vectors:tt)*) => {
        turns!(
            $p, $c, $fours,
            ["{a} + {size}*(3*\\j)", "{a} + {size}*(3*\\j + 1)", "{a} + {size}*(3*\\j + 2)"],
            "{b}",
            then ["add {b}, {b_step}"], next ["add {a}, 12*{size}"],
            vectors [$($vectors)*],
            a = inout(reg) $rows[0] => _, b = inout(reg) $b => _, b_step = in(reg) $b_step, size = const size_of::<$t>(),
        )
    };
}

macro_rules! columns {
    ($name:ident, $t:ty, $v:ty, $p:literal) => {
        /// [`Simd::multiply_columns`](super::Simd::multiply_columns) for tiles of three rows and three or four vectors.
        ///
        /// # Safety
        /// As for that, and the machine must have AVX2 and FMA.
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        pub(super) unsafe fn $name<const M: usize, const N: usize>(
            c: &mut [[$v; N]; M],
            &Columns { rows, a_step, b, b_step, len }: &Columns<$t, M>,
        ) -> usize {
            let fours = len / 4;
            // A sanitizer does not see what is read here; it sees the loop that does the same.
            if M != 3 || fours == 0 || EXACT {
                return 0;
            }
            let whole = a_step == 1 && b_step * size_of::<$t>() == N * size_of::<$v>();
            let adjacent = a_step == 3 && (1..3).all(|m| rows[m] == rows[0].wrapping_add(m));
            let bytes = b_step * size_of::<$t>();
            // SAFETY: reads what a loop over `4·fours` columns would.
            unsafe {
                match N {
                    4 if whole => of_rows!($p, $t, c, rows, b, fours, 128,
                        0 "" c00 c10 c20, 1 " + 32" c01 c11 c21, 2 " + 64" c02 c12 c22, 3 " + 96" c03 c13 c23),
                    3 if whole => of_rows!($p, $t, c, rows, b, fours, 96,
                        0 "" c00 c10 c20, 1 " + 32" c01 c11 c21, 2 " + 64" c02 c12 c22),
                    4 if adjacent => side_by_side!($p, $t, c, rows, b, fours, bytes,
                        0 "" c00 c10 c20, 1 " + 32" c01 c11 c21, 2 " + 64" c02 c12 c22, 3 " + 96" c03 c13 c23),
                    3 if adjacent => side_by_side!($p, $t, c, rows, b, fours, bytes,
                        0 "" c00 c10 c20, 1 " + 32" c01 c11 c21, 2 " + 64" c02 c12 c22),
                    _ => return 0,
                }
            }
            fours * 4
        }
    };
}

columns!(multiply_f32, f32, __m256, "s");
columns!(multiply_f64, f64, __m256d, "d");
