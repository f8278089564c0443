//! Small squares of a matrix, turned in registers.

use super::Square;
use std::arch::x86_64::*;

/// A square of 8 rows.
///
/// # Safety
/// As for [`Simd::transpose`](super::Simd::transpose); the machine must have AVX2.
#[inline(always)]
pub unsafe fn eight_f32(square: &Square<f32>) {
    let &Square { from, from_row, to, to_row, scale } = square;
    // SAFETY: as for the caller.
    unsafe {
        let scale = _mm256_set1_ps(scale);
        let row = |i: usize| _mm256_mul_ps(_mm256_loadu_ps(from.add(i * from_row)), scale);
        let r = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
        // Pairs of rows, then quads of them, each half of a vector for itself; then the halves.
        let low = |i: usize| _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        let high = |i: usize| _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        let pairs = [[low(0), high(0)], [low(1), high(1)], [low(2), high(2)], [low(3), high(3)]];
        let quad = |half: usize, j: usize| {
            let (a, b) = (pairs[2 * half][j / 2], pairs[2 * half + 1][j / 2]);
            if j.is_multiple_of(2) { _mm256_shuffle_ps::<0x44>(a, b) } else { _mm256_shuffle_ps::<0xEE>(a, b) }
        };
        for j in 0..4 {
            let (upper, lower) = (quad(0, j), quad(1, j));
            _mm256_storeu_ps(to.add(j * to_row), _mm256_permute2f128_ps::<0x20>(upper, lower));
            _mm256_storeu_ps(to.add((j + 4) * to_row), _mm256_permute2f128_ps::<0x31>(upper, lower));
        }
    }
}

/// A square of 4 rows.
///
/// # Safety
/// As for [`eight_f32`].
#[inline(always)]
pub unsafe fn four_f64(square: &Square<f64>) {
    let &Square { from, from_row, to, to_row, scale } = square;
    // SAFETY: as for the caller.
    unsafe {
        let scale = _mm256_set1_pd(scale);
        let row = |i: usize| _mm256_mul_pd(_mm256_loadu_pd(from.add(i * from_row)), scale);
        let r = [row(0), row(1), row(2), row(3)];
        for (j, [upper, lower]) in [
            [_mm256_unpacklo_pd(r[0], r[1]), _mm256_unpacklo_pd(r[2], r[3])],
            [_mm256_unpackhi_pd(r[0], r[1]), _mm256_unpackhi_pd(r[2], r[3])],
        ]
        .into_iter()
        .enumerate()
        {
            _mm256_storeu_pd(to.add(j * to_row), _mm256_permute2f128_pd::<0x20>(upper, lower));
            _mm256_storeu_pd(to.add((j + 2) * to_row), _mm256_permute2f128_pd::<0x31>(upper, lower));
        }
    }
}

/// Its quarters, of `half` rows each.
#[inline(always)]
pub fn quarters<T: Copy>(square: &Square<T>, half: usize) -> [Square<T>; 4] {
    let &Square { from, from_row, to, to_row, .. } = square;
    [(0, 0), (0, half), (half, 0), (half, half)].map(|(i, j)| Square {
        from: from.wrapping_add(i * from_row + j),
        to: to.wrapping_add(j * to_row + i),
        ..*square
    })
}

#[cfg(test)]
mod tests {
    use crate::float::Float;
    use crate::simd::{Avx2, Avx512, Isa, Portable, Simd, Square};

    /// A square at (2, 1) of a matrix of 20 columns goes to (1, 3) of one of 23.
    fn turns<S: Simd>() {
        let from: Vec<S::T> = (0..20 * 20).map(|i| S::T::from_f64(f64::from(i))).collect();
        let mut to = vec![S::T::from_f64(-1.0); 20 * 23];
        let (start, place) = (from[2 * 20 + 1..].as_ptr(), to[23 + 3..].as_mut_ptr());
        let square = Square { from: start, from_row: 20, to: place, to_row: 23, scale: S::T::from_f64(0.5) };
        // SAFETY: the square is within both; no instruction set needs more than AVX2 for it, and the caller looked for
        // that.
        unsafe { S::transpose(&square) };
        for (i, found) in to.into_iter().map(Float::to_f64).enumerate() {
            let (row, column) = ((i / 23).wrapping_sub(1), (i % 23).wrapping_sub(3));
            let inside = row < S::LANES && column < S::LANES;
            let expected = if inside { ((column + 2) * 20 + row + 1) as f64 / 2.0 } else { -1.0 };
            assert_eq!(found, expected, "element {i} of {} lanes", S::LANES);
        }
    }

    #[test]
    fn squares_are_turned_and_nothing_beside_them_is_written() {
        turns::<Portable<f32>>();
        turns::<Portable<f64>>();
        if Isa::available().contains(&Isa::Avx2) {
            turns::<Avx2<f32>>();
            turns::<Avx2<f64>>();
            turns::<Avx512<f32>>();
            turns::<Avx512<f64>>();
        }
    }
}
