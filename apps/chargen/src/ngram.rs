//! The baseline: an n-gram model of the characters, interpolated after Witten and Bell (1991).
//!
//! ```text
//! P(c | h) = (count(h c) + distinct(h) · P(c | h′)) / (count(h) + distinct(h))
//! ```
//!
//! `h` are the n−1 characters before `c`, `h′` those without the first one, `distinct(h)` the different characters that
//! were seen after `h`; below the shortest context every character is as probable as any other.

use std::collections::HashMap;

/// The order may be at most this: each character of a context takes 21 bits of a key.
pub const MOST: u64 = 6;

/// What was seen after a context.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    count: u32,
    distinct: u32,
}

/// Counts of a training text.
#[derive(Debug)]
pub struct NGrams {
    symbols: usize,
    /// For each length of context, what was seen after it.
    contexts: Vec<HashMap<u128, Seen>>,
    /// For each length of context, how often each character followed it.
    followers: Vec<HashMap<u128, u32>>,
}

/// A key of some characters of a vocabulary.
fn key(ids: &[u32]) -> u128 {
    ids.iter().fold(0, |key, &id| (key << 21) | u128::from(id))
}

impl NGrams {
    /// Of `order` characters, the one that is predicted included; with `symbols` distinct ones.
    pub fn new(order: usize, symbols: usize) -> Self {
        let order = order.clamp(1, MOST as usize);
        Self { symbols, contexts: vec![HashMap::new(); order], followers: vec![HashMap::new(); order] }
    }

    /// Counts a text.
    pub fn train(&mut self, ids: impl Iterator<Item = u32>) {
        let order = self.contexts.len();
        let mut last: Vec<u32> = Vec::with_capacity(order); // at most order − 1 characters
        for id in ids {
            for length in 0..=last.len() {
                let context = key(&last[last.len() - length..]);
                let follower = self.followers[length].entry((context << 21) | u128::from(id)).or_default();
                let seen = self.contexts[length].entry(context).or_default();
                seen.distinct += u32::from(*follower == 0);
                seen.count += 1;
                *follower += 1;
            }
            last.push(id);
            if last.len() == order {
                last.remove(0);
            }
        }
    }

    /// The probability of `id` after `before`, of which the last characters count.
    pub fn probability(&self, before: &[u32], id: u32) -> f64 {
        let longest = before.len().min(self.contexts.len() - 1);
        let mut probability = 1.0 / self.symbols as f64;
        for length in 0..=longest {
            let context = key(&before[before.len() - length..]);
            let Some(seen) = self.contexts[length].get(&context) else { break };
            let count = self.followers[length].get(&((context << 21) | u128::from(id))).copied().unwrap_or(0);
            let (all, distinct) = (f64::from(seen.count), f64::from(seen.distinct));
            probability = (f64::from(count) + distinct * probability) / (all + distinct);
        }
        probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_of_the_formula() {
        let mut grams = NGrams::new(2, 3);
        grams.train([0, 1, 0, 1, 0, 2].into_iter());
        // 0 was followed by 1 twice and by 2 once; alone it is 3 of 6 characters, of which there are 3 kinds.
        let alone = |count: f64| (count + 3.0 / 3.0) / (6.0 + 3.0);
        let after_0 = |count: f64, alone: f64| (count + 2.0 * alone) / (3.0 + 2.0);
        for (id, count, unigram) in [(0, 0.0, 3.0), (1, 2.0, 2.0), (2, 1.0, 1.0)] {
            let expected = after_0(count, alone(unigram));
            assert!((grams.probability(&[2, 0], id) - expected).abs() < 1e-12, "{id}");
        }
        // Nothing followed 2: its successor is as likely as anywhere.
        assert!((grams.probability(&[2], 1) - alone(2.0)).abs() < 1e-12);
    }

    #[test]
    fn probabilities_sum_to_one() {
        let text: Vec<u32> = (0..500u32).map(|i| (i * i / 7) % 5).collect();
        let mut grams = NGrams::new(5, 6);
        grams.train(text.iter().copied());
        for place in [0, 1, 3, 9, 77] {
            let sum: f64 = (0..6).map(|id| grams.probability(&text[..place], id)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{place}: {sum}");
        }
    }
}
