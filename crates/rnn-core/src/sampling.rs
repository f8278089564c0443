//! Choosing one of several classes by its logit: the next character, the next word.

use crate::Key;

/// How a class is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The most probable.
    Argmax,
    /// Drawn with probability proportional to `exp(logit / temperature)`.
    Temperature(f64),
}

impl Sampling {
    /// The index of the chosen class; `key` draws it, so that each choice needs a key of its own.
    ///
    /// ```
    /// use rnn_core::{Key, Sampling};
    ///
    /// let logits = [0.5, 3.0, -1.0];
    /// assert_eq!(Sampling::Argmax.choose(&logits, Key::new(0)), 1);
    /// let drawn = Sampling::Temperature(0.8).choose(&logits, Key::new(0));
    /// assert!(drawn < 3);
    /// ```
    ///
    /// # Panics
    /// Without logits; for a temperature that is not above 0.
    pub fn choose(self, logits: &[f32], key: Key) -> usize {
        assert!(!logits.is_empty(), "no logits to choose from");
        let argmax = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
        let Sampling::Temperature(temperature) = self else {
            return argmax;
        };
        assert!(temperature > 0.0, "a temperature of {temperature}; it must be above 0");
        let weights: Vec<f64> = logits.iter().map(|x| (f64::from(x - logits[argmax]) / temperature).exp()).collect();
        let mut left = key.uniforms(1).sum::<f64>() * weights.iter().sum::<f64>();
        for (class, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return class;
            }
        }
        argmax // rounding left a rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [1.0f32, 3.0, 2.0];
        assert_eq!(Sampling::Argmax.choose(&logits, Key::new(0)), 1);
        let share = |temperature: f64| {
            let choose = |step| Sampling::Temperature(temperature).choose(&logits, Key::new(0).child(step));
            (0..4000).filter(|&step| choose(step) == 1).count() as f64 / 4000.0
        };
        let softmax = |t: f64| (3.0 / t).exp() / logits.iter().map(|&x| (f64::from(x) / t).exp()).sum::<f64>();
        for temperature in [0.5, 1.0, 2.0] {
            assert!((share(temperature) - softmax(temperature)).abs() < 0.03, "{temperature}");
        }
        assert_eq!(share(1e-9), 1.0);
    }
}
