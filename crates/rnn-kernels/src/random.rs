//! Draws of a counter-based generator: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
//! easy as 1, 2, 3" (SC 2011).

use crate::float::Float;
use crate::simd::{Isa, Op, Simd, run};

/// Fills `to`: element i becomes `below` if number i of `key` is below `bound`, else `other`. Block j of the
/// generator's four words a, b, c, d makes the numbers 2j and 2j + 1: the upper 53 bits of `a·2³² + b` and of `c·2³² +
/// d`, so all are below 2⁵³.
///
/// ```
/// let mut mask = [f32::NAN; 1000];
/// rnn_kernels::choose(rnn_kernels::Isa::best(), [7, 0], (1 << 53) / 4, [0.0, 1.0], &mut mask);
/// assert!((700.0f32..800.0).contains(&mask.iter().sum::<f32>()));
/// ```
pub fn choose<T: Float>(isa: Isa, key: [u32; 2], bound: u64, [below, other]: [T; 2], to: &mut [T]) {
    run(isa, Choose { key, bound, below, other, to });
}

struct Choose<'a, T> {
    key: [u32; 2],
    bound: u64,
    below: T,
    other: T,
    to: &'a mut [T],
}

/// Blocks that are made at once. The compiler makes vectors of them.
const LANES: usize = 16;

impl<T: Float> Op<T> for Choose<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let choice = |high: u32, low: u32| {
            let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
            // By index: the processor would guess a branch wrong as often as dropout drops.
            [self.other, self.below][usize::from(bits < self.bound)]
        };
        for (first, to) in (0..).step_by(LANES).zip(self.to.chunks_mut(2 * LANES)) {
            let [a, b, c, d] = philox(first, self.key);
            let mut chosen = [[T::ZERO; 2]; LANES];
            for lane in 0..LANES {
                chosen[lane] = [choice(a[lane], b[lane]), choice(c[lane], d[lane])];
            }
            to.copy_from_slice(&chosen.as_flattened()[..to.len()]);
        }
    }
}

/// The blocks from block `first` on, word by word.
#[inline(always)]
fn philox(first: u64, mut k: [u32; 2]) -> [[u32; LANES]; 4] {
    let mut c = [[0; LANES]; 4];
    for lane in 0..LANES {
        let block = first + lane as u64;
        (c[0][lane], c[1][lane]) = (block as u32, (block >> 32) as u32);
    }
    for _ in 0..10 {
        for lane in 0..LANES {
            let p0 = 0xD251_1F53_u64 * u64::from(c[0][lane]);
            let p1 = 0xCD9E_8D57_u64 * u64::from(c[2][lane]);
            c[0][lane] = (p1 >> 32) as u32 ^ c[1][lane] ^ k[0];
            c[1][lane] = p1 as u32;
            c[2][lane] = (p0 >> 32) as u32 ^ c[3][lane] ^ k[1];
            c[3][lane] = p0 as u32;
        }
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answer that Random123, the authors' library, gives in its `kat_vectors`.
    #[test]
    fn philox_gives_the_known_answer() {
        let blocks = philox(0, [0; 2]);
        assert_eq!(blocks.map(|word| word[0]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    }

    #[test]
    fn every_level_chooses_the_same() {
        for count in [0, 1, 31, 32, 33, 1000] {
            let chosen = |isa| {
                let mut to = vec![f32::NAN; count];
                choose(isa, [3, 9], 1 << 51, [1.0, 2.0], &mut to);
                to
            };
            let number = |i: usize| {
                let words = philox(i as u64 / 2, [3, 9]).map(|word| u64::from(word[0]));
                (words[i % 2 * 2] << 32 | words[i % 2 * 2 + 1]) >> 11
            };
            let plain: Vec<f32> = (0..count).map(|i| if number(i) < 1 << 51 { 1.0 } else { 2.0 }).collect();
            assert!(Isa::available().into_iter().all(|isa| chosen(isa) == plain));
        }
    }
}
