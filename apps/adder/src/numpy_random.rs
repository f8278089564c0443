//! NumPy's legacy generator, as far as the lesson uses it: `numpy.random.RandomState`.

use rand_mt::Mt;

/// The Mersenne Twister behind `numpy.random.seed`.
pub struct RandomState(Mt);

impl RandomState {
    /// `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// `random_sample()`: uniform in `[0, 1)` with 53 bits, 27 of one draw and 26 of the next.
    pub fn random_sample(&mut self) -> f64 {
        let high = f64::from(self.0.next_u32() >> 5);
        let low = f64::from(self.0.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// `randint(high)`: uniform in `0..high`, by drawing just enough bits until they give a number below `high`.
    /// Like NumPy it draws nothing where 0 is the only answer.
    pub fn randint(&mut self, high: u32) -> u32 {
        let largest = high.saturating_sub(1);
        if largest == 0 {
            return 0;
        }
        let mask = u32::MAX >> largest.leading_zeros();
        loop {
            let number = self.0.next_u32() & mask;
            if number <= largest {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by NumPy 2.4.6: `r = np.random.RandomState(0)`, then the calls below.
    #[test]
    fn the_draws_are_numpys() {
        let mut random = RandomState::new(0);
        assert_eq!(random.random_sample(), 0.548_813_503_927_324_8);
        assert_eq!(random.random_sample(), 0.715_189_366_372_419_5);
        let mut random = RandomState::new(0);
        let integers: Vec<u32> = (0..8).map(|_| random.randint(100)).collect();
        assert_eq!(integers, [44, 47, 64, 67, 67, 9, 83, 21]);
    }
}
