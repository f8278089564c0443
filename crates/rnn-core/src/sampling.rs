//! Choosing one of several classes by its logit: the next character, the next word.

use crate::Key;

/// How a class is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The most probable.
    Argmax,
    /// Drawn with probability proportional to `exp(logit / temperature)`.
    Temperature(f64),
    /// The same, among the most probable classes alone.
    Among {
        /// The temperature.
        temperature: f64,
        /// The number of classes that may be drawn at most (Fan, Lewis and Dauphin, 2018).
        top_k: Option<usize>,
        /// Only the most probable classes whose probabilities together reach this may be drawn; at least one (nucleus
        /// sampling: Holtzman et al., 2020).
        top_p: Option<f64>,
    },
}

/// Makes the classes in `recent` less likely: a positive logit is divided by `penalty`, a negative one multiplied by it,
/// once for each class (Keskar et al., 2019). A penalty of 1 changes nothing.
///
/// # Panics
/// If a class has no logit.
pub fn penalise(logits: &mut [f32], recent: impl IntoIterator<Item = usize>, penalty: f64) {
    let mut seen = vec![false; logits.len()];
    for class in recent {
        if !std::mem::replace(&mut seen[class], true) {
            let factor = if logits[class] > 0.0 { 1.0 / penalty } else { penalty };
            logits[class] *= factor as f32;
        }
    }
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
    /// Without logits; for a temperature that is not above 0, a `top_k` of 0 or a `top_p` that is not above 0.
    pub fn choose(self, logits: &[f32], key: Key) -> usize {
        assert!(!logits.is_empty(), "no logits to choose from");
        let argmax = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
        let (temperature, top_k, top_p) = match self {
            Sampling::Argmax => return argmax,
            Sampling::Temperature(temperature) => (temperature, None, None),
            Sampling::Among { temperature, top_k, top_p } => (temperature, top_k, top_p),
        };
        assert!(temperature > 0.0, "a temperature of {temperature}; it must be above 0");
        assert!(top_k != Some(0), "a top_k of 0; it must be at least 1");
        assert!(top_p.is_none_or(|p| p > 0.0), "a top_p of {top_p:?}; it must be above 0");
        let mut weights: Vec<f64> =
            logits.iter().map(|x| (f64::from(x - logits[argmax]) / temperature).exp()).collect();
        if top_k.is_some() || top_p.is_some() {
            keep(&mut weights, top_k, top_p);
        }
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

/// Sets the weights to zero that may not be drawn.
fn keep(weights: &mut [f64], top_k: Option<usize>, top_p: Option<f64>) {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a])); // stable: of equal ones the first is kept
    let mut kept = top_k.unwrap_or(usize::MAX).min(order.len());
    if let Some(p) = top_p {
        let wanted = p * order[..kept].iter().map(|&class| weights[class]).sum::<f64>();
        let mut sum = 0.0;
        let reaching = |&class: &usize| {
            sum += weights[class];
            sum >= wanted
        };
        kept = order[..kept].iter().position(reaching).map_or(kept, |last| last + 1);
    }
    for &class in &order[kept..] {
        weights[class] = 0.0;
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

    #[test]
    fn only_the_most_probable_are_drawn() {
        let logits = [0.0f32, 3.0, 2.0, 1.0]; // probabilities 0.03, 0.64, 0.24, 0.09
        let drawn = |top_k, top_p| {
            let sampling = Sampling::Among { temperature: 1.0, top_k, top_p };
            let mut classes: Vec<usize> = (0..2000).map(|i| sampling.choose(&logits, Key::new(1).child(i))).collect();
            classes.sort_unstable();
            classes.dedup();
            classes
        };
        assert_eq!(drawn(Some(1), None), [1]);
        assert_eq!(drawn(Some(2), None), [1, 2]);
        assert_eq!(drawn(None, Some(0.6)), [1]);
        assert_eq!(drawn(None, Some(0.7)), [1, 2]);
        assert_eq!(drawn(None, Some(0.9)), [1, 2, 3]);
        assert_eq!(drawn(None, Some(1.0)), [0, 1, 2, 3]);
        assert_eq!(drawn(Some(9), Some(1e-9)), [1]);
        // Of two classes 1 has 0.73, which is enough.
        assert_eq!(drawn(Some(2), Some(0.7)), [1]);
        let among = Sampling::Among { temperature: 0.7, top_k: None, top_p: None };
        for i in 0..50 {
            let key = Key::new(2).child(i);
            assert_eq!(among.choose(&logits, key), Sampling::Temperature(0.7).choose(&logits, key));
        }
    }

    #[test]
    fn what_was_there_becomes_less_likely() {
        let mut logits = [2.0f32, -2.0, 1.0];
        penalise(&mut logits, [0, 1, 0], 2.0);
        assert_eq!(logits, [1.0, -4.0, 1.0]);
    }
}
