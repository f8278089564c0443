//! Cross-entropy of the softmax, and its gradient.

use crate::exec::Exec;
use crate::float::Float;
use crate::math::exp;
use crate::pool::take;
use crate::simd::{Op, Simd, run};
use crate::threads::{Shared, each, filled, ranges};
use std::ops::Range;

/// Below so many logits one thread does it.
const SMALL: usize = if cfg!(miri) { 0 } else { 1 << 15 };

/// The loss and, if it is `wanted`, its gradient; see [`cross_entropy`](crate::cross_entropy).
pub(crate) fn cross_entropy<T: Float>(
    exec: Exec,
    logits: &[T],
    targets: &[usize],
    wanted: bool,
) -> (T, Option<Vec<T>>) {
    let rows = targets.len();
    assert!(rows > 0, "there are no rows");
    let classes = logits.len() / rows;
    assert!(classes * rows == logits.len(), "{} logits for {rows} rows", logits.len());
    if let Some((at, target)) = targets.iter().enumerate().find(|(_, target)| **target >= classes) {
        panic!("target {target} at {at} is not below {classes}");
    }
    let threads = if logits.len() < SMALL { 1 } else { exec.threads };
    let mut losses = vec![0.0; rows];
    let row_losses = Shared(losses.as_mut_ptr());
    let make = |gradient: Shared<T>| {
        each(ranges(rows, threads), |rows: Range<usize>| {
            // SAFETY: the losses of these rows, which no other thread has.
            let losses = unsafe { std::slice::from_raw_parts_mut(row_losses.get().add(rows.start), rows.len()) };
            run(exec.isa, Rows { logits, targets, rows, losses, gradient: gradient.get() });
        });
    };
    let gradient = match wanted {
        true => Some(filled([rows, classes], make)),
        false => {
            make(Shared(std::ptr::null_mut()));
            None
        }
    };
    (T::from_f64(losses.iter().sum::<f64>() / rows as f64), gradient)
}

/// Some of the rows, with a loss for each.
struct Rows<'a, T> {
    logits: &'a [T],
    targets: &'a [usize],
    rows: Range<usize>,
    losses: &'a mut [f64],
    /// That of all rows; null if it is not wanted.
    gradient: *mut T,
}

impl<T: Float> Op<T> for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<T = T>>(self) {
        let Rows { logits, targets, rows, losses, gradient } = self;
        let classes = logits.len() / targets.len();
        let mut row = take::<T>(classes.next_multiple_of(S::LANES));
        // SAFETY: the caller has the instruction set.
        let (none, zero) = unsafe { (S::exp2(S::split(S::splat(T::EXP2_MIN)).0), S::zero()) };
        for (q, loss) in rows.zip(losses) {
            let (target, logits) = (targets[q], &logits[q * classes..][..classes]);
            row[..classes].copy_from_slice(logits);
            // What fills the row up adds nothing to its sum.
            row[classes..].fill(T::from_f64(f64::NEG_INFINITY));
            // SAFETY: whole vectors of the row.
            let sum = unsafe {
                let mut most = S::load(row.as_ptr());
                for vector in row.chunks_exact(S::LANES) {
                    most = S::at_least(S::load(vector.as_ptr()), most);
                }
                let most = elements::<S>(most).reduce(|a, b| if b > a { b } else { a }).unwrap_or(T::ZERO);
                let mut sums = S::zero();
                for vector in row.chunks_exact_mut(S::LANES) {
                    let e = exp::<S>(S::sub(S::load(vector.as_ptr()), S::splat(most)));
                    // Zero where nothing is left of it.
                    let e = S::at_least(S::sub(e, none), zero);
                    S::store(vector.as_mut_ptr(), e);
                    sums = S::add(sums, e);
                }
                let sum = elements::<S>(sums).fold(0.0, |sum, e| sum + e.to_f64());
                *loss = sum.ln() - (logits[target].to_f64() - most.to_f64());
                sum
            };
            if !gradient.is_null() {
                let rows = targets.len() as f64;
                let scale = T::from_f64(1.0 / (sum * rows));
                for (j, &e) in row[..classes].iter().enumerate() {
                    let one = if j == target { T::from_f64(1.0 / rows) } else { T::ZERO };
                    // SAFETY: row q of the gradient, which no other thread has.
                    unsafe { *gradient.add(q * classes + j) = e * scale - one };
                }
            }
        }
    }
}

/// The elements of a vector.
#[inline(always)]
unsafe fn elements<S: Simd>(v: S::V) -> impl Iterator<Item = S::T> {
    const MOST: usize = 16;
    let mut lanes = [S::T::ZERO; MOST];
    assert!(S::LANES <= MOST);
    // SAFETY: there is room for the lanes; the caller has the instruction set.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes.into_iter().take(S::LANES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Isa;

    /// In f64, the plain way.
    fn plain(logits: &[f64], targets: &[usize]) -> (f64, Vec<f64>) {
        let (rows, classes) = (targets.len() as f64, logits.len() / targets.len());
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (&target, row) in targets.iter().zip(logits.chunks_exact(classes)) {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
            loss -= (row[target] - most) - sum.ln();
            let one = |j| f64::from(u8::from(j == target));
            gradient.extend(row.iter().enumerate().map(|(j, x)| ((x - most).exp() / sum - one(j)) / rows));
        }
        (loss / rows, gradient)
    }

    fn execs() -> impl Iterator<Item = Exec> {
        let threads = if cfg!(miri) { 1..2 } else { 1..4 };
        Isa::available().into_iter().flat_map(move |isa| threads.clone().map(move |threads| Exec { isa, threads }))
    }

    fn equals<T: Float>(bound: f64) {
        let mut random = fastrand::Rng::with_seed(4);
        for (rows, classes, size) in
            [(1, 1, 1.0), (3, 2, 4.0), (5, 16, 8.0), (7, 55, 0.1), (4, 70, 300.0), (700, 50, 2.0)]
        {
            if cfg!(miri) && rows > 100 {
                continue;
            }
            // Rows far above and far below 0 too.
            let shift = |i: usize| ((i / classes % 4) as f64 - 1.0) * 200.0;
            let logits: Vec<T> =
                (0..rows * classes).map(|i| T::from_f64((random.f64() - 0.5) * size + shift(i))).collect();
            let targets: Vec<usize> = (0..rows).map(|_| random.usize(0..classes)).collect();
            let wide: Vec<f64> = logits.iter().map(|x| x.to_f64()).collect();
            let (expected, expected_gradient) = plain(&wide, &targets);
            for exec in execs() {
                let (loss, gradient) = cross_entropy(exec, &logits, &targets, true);
                let what = format!("{exec:?}: {rows} rows of {classes}");
                assert!((loss.to_f64() - expected).abs() <= bound * (1.0 + expected), "{what}: {}", loss.to_f64());
                for (found, expected) in gradient.expect("it is wanted").into_iter().zip(&expected_gradient) {
                    assert!((found.to_f64() - expected).abs() <= bound, "{what}: {} for {expected}", found.to_f64());
                }
                let (alone, none) = cross_entropy(exec, &logits, &targets, false);
                assert!(alone == loss && none.is_none());
            }
        }
    }

    #[test]
    fn it_is_the_plain_one() {
        // Miri's logarithm is wrong in its last digits, at random and on purpose.
        let miri = if cfg!(miri) { 8.0 } else { 1.0 };
        equals::<f32>(2e-7 * miri);
        equals::<f64>(1e-15 * miri);
    }

    #[test]
    fn what_is_not_finite_shows() {
        for exec in execs() {
            let loss = |row: &[f32], target| cross_entropy(exec, row, &[target], true).0;
            assert!(loss(&[0.0, f32::NAN, 1.0], 0).is_nan());
            assert!(loss(&[0.0, f32::INFINITY, 1.0], 1).is_nan()); // as ∞ − ∞ is
            assert_eq!(loss(&[0.0, f32::NEG_INFINITY, 0.0], 1), f32::INFINITY);
            assert!((loss(&[0.0, f32::NEG_INFINITY, 0.0], 0) - 2f32.ln()).abs() < 1e-6);
            // What cannot be chosen has no gradient at all.
            let gradient = cross_entropy(exec, &[0.0f32, f32::NEG_INFINITY, 0.0, -300.0], &[0], true).1;
            assert_eq!(gradient, Some(vec![-0.5, 0.0, 0.5, 0.0]));
        }
    }

    #[test]
    #[should_panic(expected = "target 3 at 1 is not below 3")]
    fn a_target_beyond_the_classes_is_refused() {
        cross_entropy(Exec { isa: Isa::Portable, threads: 1 }, &[0.0f32; 6], &[2, 3], false);
    }

    #[test]
    #[should_panic(expected = "7 logits for 2 rows")]
    fn a_row_too_short_is_refused() {
        cross_entropy(Exec { isa: Isa::Portable, threads: 1 }, &[0.0f32; 7], &[0, 0], false);
    }
}
