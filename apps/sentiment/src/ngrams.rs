//! Word n-grams beside the recurrent part: logistic regression on features that naive Bayes weights (Wang and Manning,
//! 2012; Mesnil et al., 2015). A text has a feature for each n-gram that is in it, however often; its value is the log
//! of the ratio in which classes have it. The n-grams are kept as hashes, so that no string is stored or compared.

mod features;
mod file;
mod solver;

use features::{Counts, Features};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How long n-grams may be.
pub const ORDERS: RangeInclusive<u64> = 1..=5;

/// Settings of the n-gram part; saved with a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NgramConfig {
    /// The longest n-gram.
    pub order: usize,
    /// Texts that an n-gram must be in.
    pub least: usize,
    /// The weight of the errors against that of the weights' squares.
    pub c: f64,
}

impl NgramConfig {
    /// N-grams up to `order`; the other settings were chosen on held-out IMDb reviews.
    pub fn new(order: usize) -> Self {
        Self { order, least: 2, c: 64.0 }
    }
}

/// A text as the n-gram part takes it, with the number of its class.
pub type Labelled<'a> = (&'a str, usize);

/// The weights of n-grams: a hash table with linear probing, which is looked up in the bytes of its file, because a copy
/// of it would double the time to load it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ngrams {
    order: usize,
    /// Scores of a text: 1 for two classes, else one a class.
    outputs: usize,
    /// A power of two.
    rows: usize,
    /// The file: its head; `[rows]` the upper half of an n-gram's hash, 0 where there is none; the weights
    /// `[rows, outputs]`; the bias `[outputs]`.
    bytes: Vec<u8>,
}

impl Ngrams {
    /// Learns from `texts` of `classes` classes. The same texts give the same bits.
    pub fn train(texts: &[Labelled], classes: usize, config: NgramConfig) -> Self {
        let outputs = if classes == 2 { 1 } else { classes };
        let Features { keys, rows } = Features::of(texts.iter().map(|(text, _)| *text), config);
        let mut weights = vec![0f32; keys.len() * outputs];
        let mut bias = vec![0f32; outputs];
        for output in 0..outputs {
            // Of two classes the second against the first, else each against all others.
            let class = if outputs == 1 { 1 } else { output };
            let is_it: Vec<bool> = texts.iter().map(|(_, of)| *of == class).collect();
            let ratios = Counts::of(&rows, &is_it, keys.len()).log_ratios();
            let (learned, intercept) = solver::logistic(&rows, &ratios, &is_it, config.c);
            bias[output] = intercept as f32;
            for (i, (weight, ratio)) in learned.iter().zip(&ratios).enumerate() {
                weights[i * outputs + output] = weight * ratio;
            }
        }
        Self::table(config.order, outputs, &keys, &weights, &bias)
    }

    /// The hash table of `keys` with their `weights`.
    fn table(order: usize, outputs: usize, keys: &[u64], weights: &[f32], bias: &[f32]) -> Self {
        let rows = (keys.len() * 3 / 2 + 2).next_power_of_two();
        let (mut prints, mut by_row) = (vec![0u32; rows], vec![0f32; rows * outputs]);
        for (key, weights) in keys.iter().zip(weights.chunks_exact(outputs)) {
            let (print, mut row) = place(*key, rows);
            while prints[row] != 0 {
                row = (row + 1) & (rows - 1);
            }
            prints[row] = print;
            by_row[row * outputs..(row + 1) * outputs].copy_from_slice(weights);
        }
        Self { order, outputs, rows, bytes: file::bytes(order, outputs, &prints, &by_row, bias) }
    }

    /// The row of a key.
    fn row(&self, key: u64) -> Option<usize> {
        let (print, mut row) = place(key, self.rows);
        loop {
            match self.print(row) {
                0 => return None,
                found if found == print => return Some(row),
                _ => row = (row + 1) & (self.rows - 1),
            }
        }
    }

    /// The longest n-gram.
    pub fn order(&self) -> usize {
        self.order
    }

    /// How many n-grams have a weight.
    pub fn count(&self) -> usize {
        (0..self.rows).filter(|&row| self.print(row) != 0).count()
    }

    /// Scores of a text: for two classes the logit of the second one, else one a class, the larger the likelier.
    pub fn scores(&self, text: &str) -> Vec<f64> {
        let mut keys = features::keys(text, self.order);
        keys.sort_unstable();
        keys.dedup();
        let (mut sums, mut known) = (vec![0f64; self.outputs], 0);
        for row in keys.into_iter().filter_map(|key| self.row(key)) {
            sums.iter_mut().zip(self.weights(row)).for_each(|(sum, weight)| *sum += f64::from(weight));
            known += 1;
        }
        let scale = solver::scale(known);
        sums.iter().zip(self.bias()).map(|(sum, bias)| sum * scale + f64::from(bias)).collect()
    }
}

/// What stands for a key in a table of `rows`, and where the search for it begins.
fn place(key: u64, rows: usize) -> (u32, usize) {
    (((key >> 32) as u32).max(1), key as usize & (rows - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<(String, usize)> {
        let text = |i: usize| match i % 3 {
            0 => (format!("not good , number {i} is dull"), 0),
            1 => (format!("good film and number {i} is fine"), 1),
            _ => (format!("a not bad one , number {i}"), 1),
        };
        (0..60).map(text).collect()
    }

    fn trained(order: usize, classes: usize) -> Ngrams {
        let texts = texts();
        let texts: Vec<Labelled> = texts.iter().map(|(text, class)| (text.as_str(), *class)).collect();
        Ngrams::train(&texts, classes, NgramConfig::new(order))
    }

    #[test]
    fn an_n_gram_says_what_its_words_do_not() {
        let pairs = trained(2, 2);
        let score = |text: &str| pairs.scores(text)[0];
        assert!(score("not good") < 0.0 && score("good") > score("not good") && score("not bad") > 0.0);
        assert_eq!(score("xyzzy"), f64::from(pairs.bias().next().expect("one")));
        let words = trained(1, 2);
        assert!(words.count() < pairs.count());
        // In any order single words are the same text.
        assert_eq!(words.scores("not good film"), words.scores("good not film"));
        assert_ne!(pairs.scores("not good film"), pairs.scores("good not film"));
        assert_eq!(trained(2, 2), pairs);
    }

    #[test]
    fn each_of_several_classes_has_a_score() {
        let three = trained(2, 3);
        assert_eq!(three.scores("good film").len(), 3);
        let scores = three.scores("not good , dull");
        assert!(scores[0] > scores[1] && scores[0] > scores[2], "{scores:?}");
    }

    #[test]
    fn a_file_gives_the_same_and_a_damaged_one_is_told() {
        let ngrams = trained(3, 3);
        let bytes = ngrams.to_bytes().to_vec();
        assert_eq!(Ngrams::from_bytes(bytes.clone()).as_ref(), Ok(&ngrams));
        for length in [0, 3, 16, bytes.len() - 1] {
            assert!(Ngrams::from_bytes(bytes[..length].to_vec()).is_err(), "{length}");
        }
        let mut full = bytes.clone();
        full[16..16 + 4 * ngrams.rows].fill(1); // a search would never end
        assert!(Ngrams::from_bytes(full).is_err());
        let mut infinite = bytes;
        let last = infinite.len() - 4;
        infinite[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(Ngrams::from_bytes(infinite).is_err());
    }
}
