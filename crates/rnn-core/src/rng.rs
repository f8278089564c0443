//! A counter-based generator on the host, so that weights and dropout masks are the same on every backend.
//!
//! Burn's generators are global to the process and differ between backends. Here a random number is a pure function
//! of a [`Key`] and a position: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3" (SC 2011).

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, available_parallelism};

/// Names one stream of random numbers: a seed and the path of children below it.
///
/// The same key gives the same numbers whenever and wherever it is used, so give each use a child of its own:
///
/// ```
/// use rnn_core::Key;
/// let seed = Key::new(7);
/// let (weights, dropout) = (seed.child(0), seed.child(1));
/// assert_ne!(weights, dropout);
/// assert_ne!(dropout.child(0), dropout.child(1)); // one mask a training step
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u32; 2]);

/// Marks the counters that make child keys, so that they never meet those that make numbers.
const CHILD: u32 = 1;

impl Key {
    /// The root key of a seed.
    pub fn new(seed: u64) -> Self {
        Key([seed as u32, (seed >> 32) as u32])
    }

    /// The `index`-th key below this one, with a stream of its own.
    pub fn child(self, index: u64) -> Self {
        let [a, b, ..] = philox4x32([index as u32, (index >> 32) as u32, 0, CHILD], self.0);
        Key([a, b])
    }

    /// `count` numbers, uniform in `[0, 1)`, with 53 random bits each.
    pub fn uniforms(self, count: usize) -> impl Iterator<Item = f64> {
        let blocks = (0..count.div_ceil(2) as u64)
            .map(move |block| philox4x32([block as u32, (block >> 32) as u32, 0, 0], self.0));
        blocks.flat_map(|[a, b, c, d]| [unit(a, b), unit(c, d)]).take(count)
    }

    /// `below` where one of `count` numbers of [`uniforms`](Self::uniforms) is below `p`, else `other`.
    #[cfg(not(feature = "kernels"))]
    pub(crate) fn choose<E: Copy>(self, _: crate::Exec, count: usize, p: f64, [below, other]: [E; 2]) -> Vec<E> {
        self.uniforms(count).map(|u| if u < p { below } else { other }).collect()
    }

    /// The same on vectors.
    #[cfg(feature = "kernels")]
    pub(crate) fn choose<E: rnn_kernels::Float>(
        self,
        exec: crate::Exec,
        count: usize,
        p: f64,
        choice: [E; 2],
    ) -> Vec<E> {
        // The numbers are whole multiples of 2⁻⁵³, so this is the same comparison, exactly.
        let bound = (p * (1u64 << 53) as f64).ceil() as u64;
        let mut chosen = vec![E::ZERO; count];
        rnn_kernels::choose(exec.isa, self.0, bound, choice, &mut chosen);
        chosen
    }

    /// `count` numbers of the standard normal distribution (Box and Muller, 1958).
    pub fn normals(self, count: usize) -> impl Iterator<Item = f64> {
        self.normals_from(0, count)
    }

    /// Fills `to` with them, on as many threads as there are cores.
    pub(crate) fn fill_normals(self, to: &mut [f64]) {
        const PAIRS: usize = 1 << 15;
        let threads = to.len().div_ceil(2 * PAIRS).min(available_parallelism().map_or(1, NonZero::get));
        let parts = Mutex::new(to.chunks_mut(2 * PAIRS).enumerate());
        let work = || {
            let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some((part, to)) = next() {
                let normals = self.normals_from((part * PAIRS) as u64, to.len());
                to.iter_mut().zip(normals).for_each(|(to, x)| *to = x);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Where the system has no more threads, fewer do it.
                let _ = Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Those from pair `first` on.
    fn normals_from(self, first: u64, count: usize) -> impl Iterator<Item = f64> {
        let blocks = (first..first + count.div_ceil(2) as u64)
            .map(move |block| philox4x32([block as u32, (block >> 32) as u32, 0, 0], self.0));
        blocks
            .flat_map(|[a, b, c, d]| {
                // 1 - u lies in (0, 1], where the logarithm is finite.
                let radius = (-2.0 * (1.0 - unit(a, b)).ln()).sqrt();
                let angle = std::f64::consts::TAU * unit(c, d);
                [radius * angle.cos(), radius * angle.sin()]
            })
            .take(count)
    }

    /// A permutation of `0..count`.
    pub fn permutation(self, count: usize) -> Vec<usize> {
        self.shuffled((0..count).collect())
    }

    /// `items` in another order (Fisher and Yates), which depends on how many they are.
    pub fn shuffled<T>(self, mut items: Vec<T>) -> Vec<T> {
        for (i, u) in (1..items.len()).rev().zip(self.uniforms(items.len().saturating_sub(1))) {
            items.swap(i, (u * (i + 1) as f64) as usize);
        }
        items
    }
}

/// 53 random bits.
fn bits(high: u32, low: u32) -> u64 {
    (u64::from(high) << 32 | u64::from(low)) >> 11
}

/// 53 random bits as a number in `[0, 1)`.
fn unit(high: u32, low: u32) -> f64 {
    bits(high, low) as f64 / (1u64 << 53) as f64
}

/// Ten rounds of Philox on four 32-bit words.
fn philox4x32(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p0 = 0xD251_1F53_u64 * u64::from(c[0]);
        let p1 = 0xCD9E_8D57_u64 * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
        k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that Random123, the authors' library, gives in its `kat_vectors`.
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn choices_are_those_of_the_numbers() {
        for (count, p) in [(0, 0.5), (1, 0.2), (31, 0.2), (33, 1.0 / 3.0), (1000, 0.999), (100, 0.0), (100, 1.0)] {
            let key = Key::new(count as u64 + 7);
            let expected: Vec<f32> = key.uniforms(count).map(|u| if u < p { 1.0 } else { 2.0 }).collect();
            assert_eq!(key.choose(crate::Exec::default(), count, p, [1.0, 2.0]), expected);
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let n = 100_000;
        let mean = |v: &[f64]| v.iter().sum::<f64>() / n as f64;
        let uniform: Vec<f64> = Key::new(1).uniforms(n).collect();
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((mean(&uniform) - 0.5).abs() < 0.005);
        let normal: Vec<f64> = Key::new(2).normals(n).collect();
        let squares: Vec<f64> = normal.iter().map(|x| x * x).collect();
        assert!(mean(&normal).abs() < 0.01);
        assert!((mean(&squares) - 1.0).abs() < 0.02);
    }

    #[test]
    fn threads_draw_the_same_normals() {
        for count in [0, 1, 2, 7, 200_001] {
            let mut filled = vec![f64::NAN; count];
            Key::new(6).fill_normals(&mut filled);
            assert_eq!(filled, Key::new(6).normals(count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn keys_do_not_depend_on_the_order_of_use_and_differ() {
        let key = Key::new(3);
        let first: Vec<f64> = key.child(5).uniforms(3).collect();
        let _ = key.child(4).uniforms(9).count();
        assert_eq!(first, key.child(5).uniforms(3).collect::<Vec<_>>());
        assert_ne!(key.child(0), key.child(1));
        assert_ne!(key.child(0), key.child(0).child(0));
        assert_ne!(Key::new(0).child(0), Key::new(1).child(0));
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut order = Key::new(9).permutation(1000);
        assert_eq!(Key::new(9).shuffled((0..1000).collect()), order);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i == v));
        assert_eq!(Key::new(9).permutation(1), [0]);
        assert!(Key::new(9).permutation(0).is_empty());
    }
}
