//! What the machine could do at most.

use crate::float::Float;
use crate::simd::{Isa, Op, Simd, run};
use std::time::{Duration, Instant};

/// GFLOP/s of fused multiply-adds on `f32` in registers, on one thread: the ceiling of every product. Takes 0.3 s.
pub fn fma_peak(isa: Isa) -> f64 {
    let (start, mut best) = (Instant::now(), 0.0f64);
    while start.elapsed() < Duration::from_millis(300) {
        let call = Instant::now();
        let flop = run(isa, Chains { rounds: 100_000 });
        best = best.max(flop / call.elapsed().as_secs_f64() / 1e9);
    }
    best
}

/// Independent chains, as many as hide the latency.
struct Chains {
    rounds: usize,
}

impl Op<f32> for Chains {
    type Output = f64;
    #[inline(always)]
    unsafe fn run<S: Simd<T = f32>>(self) -> f64 {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let (a, b) = (S::splat(std::hint::black_box(0.5)), S::splat(std::hint::black_box(0.25)));
            let mut chains = [S::zero(); 12];
            for _ in 0..self.rounds {
                for chain in &mut chains {
                    *chain = S::fma(a, *chain, b);
                }
            }
            let mut to = [f32::ZERO; 16];
            for chain in chains {
                S::store(to.as_mut_ptr(), chain);
                std::hint::black_box(&to);
            }
            (2 * 12 * S::LANES * self.rounds) as f64
        }
    }
}
