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
            if j % 2 == 0 { _mm256_shuffle_ps::<0x44>(a, b) } else { _mm256_shuffle_ps::<0xEE>(a, b) }
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
