//! The n-grams of texts as hashes and, of those that are frequent enough, as numbers.

use super::NgramConfig;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The n-grams that have a weight, and which of them are in each text.
pub struct Features {
    /// Their hashes, by number.
    pub keys: Vec<u64>,
    /// The numbers of each text, each once.
    pub rows: Vec<Vec<u32>>,
}

/// A hash of a hash is the hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl Features {
    /// Those of `texts` that `config` asks for, numbered in the order of their first occurrence.
    pub fn of<'a>(texts: impl Iterator<Item = &'a str>, config: NgramConfig) -> Self {
        let of_text = |text| {
            let mut keys = keys(text, config.order);
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let texts: Vec<Vec<u64>> = texts.map(of_text).collect();
        // How many texts have an n-gram; then its number.
        let mut known: HashMap<u64, u32, BuildHasherDefault<Same>> = HashMap::default();
        texts.iter().flatten().for_each(|&key| *known.entry(key).or_insert(0) += 1);
        known.retain(|_, texts| *texts as usize >= config.least);
        known.values_mut().for_each(|number| *number = u32::MAX);
        let mut numbered = Vec::with_capacity(known.len());
        let mut row = |keys: Vec<u64>| {
            let number = |key: u64| {
                let number = known.get_mut(&key)?;
                if *number == u32::MAX {
                    *number = numbered.len() as u32;
                    numbered.push(key);
                }
                Some(*number)
            };
            keys.into_iter().filter_map(number).collect()
        };
        let rows = texts.into_iter().map(&mut row).collect();
        Self { keys: numbered, rows }
    }
}

/// How many texts of a class, and of all others, have each n-gram.
pub struct Counts {
    with: [Vec<f32>; 2],
}

impl Counts {
    /// Of `rows`, of which `is_it` says whether they are of the class.
    pub fn of(rows: &[Vec<u32>], is_it: &[bool], features: usize) -> Self {
        let mut with = [vec![0f32; features], vec![0f32; features]];
        for (row, &is_it) in rows.iter().zip(is_it) {
            row.iter().for_each(|&i| with[usize::from(is_it)][i as usize] += 1.0);
        }
        Self { with }
    }

    /// r = log((p/|p|) / (q/|q|)), where p and q are the counts in the class and elsewhere, each with 1 added.
    pub fn log_ratios(&self) -> Vec<f32> {
        let sum = |counts: &[f32]| counts.iter().map(|&n| f64::from(n) + 1.0).sum::<f64>();
        let [q, p] = &self.with;
        let all = (sum(p) / sum(q)).ln() as f32;
        p.iter().zip(q).map(|(p, q)| ((p + 1.0) / (q + 1.0)).ln() - all).collect()
    }
}

/// The hashes of a text's n-grams of 1 to `order` words; one that is there twice is twice among them. A run of the same
/// punctuation mark is a word.
pub fn keys(text: &str, order: usize) -> Vec<u64> {
    let words = words(text);
    let mut keys = Vec::with_capacity(words.len() * order);
    for start in 0..words.len() {
        let mut key = 0xcbf2_9ce4_8422_2325;
        for (n, word) in (1u64..).zip(&words[start..words.len().min(start + order)]) {
            key = mixed(key ^ word.wrapping_add(n));
            keys.push(key);
        }
    }
    keys
}

/// The hashes of a text's words and punctuation marks, in their order.
fn words(text: &str) -> Vec<u64> {
    let text = text.replace("<br />", " ");
    let text = rnn_data::plain(&text);
    let (mut words, mut word, mut last) = (Vec::new(), None, ' ');
    for c in text.chars() {
        if c.is_alphanumeric() || c == '\'' || !(c.is_ascii() || c.is_whitespace()) {
            let hash = word.unwrap_or(0x9e37_79b9_7f4a_7c15);
            word = Some((hash ^ u64::from(c)).wrapping_mul(0x0100_0000_01b3).rotate_left(23));
        } else {
            words.extend(word.take().map(mixed));
            if c.is_ascii_punctuation() && c != last {
                words.push(mixed(u64::from(c)));
            }
        }
        last = c;
    }
    words.extend(word.map(mixed));
    words
}

/// A permutation of 64 bits after which each depends on all (Steele, Lea and Flood, 2014).
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_in_any_case_and_punctuation_is_one() {
        assert_eq!(words("Isn't it GREAT?"), words("isn\u{2019}t it great ?"));
        assert_eq!(words("great!!!"), words("great !"));
        assert_eq!(words("great!!!").len(), 2);
        assert_eq!(words("one<br />two").len(), 2);
        assert_eq!(words("ОТЛИЧНЫЙ фильм").len(), 2);
        assert_ne!(words("ab"), words("ba"));
        assert_eq!(keys("a b c", 2).len(), 5);
        assert_eq!(keys("a b c", 3).len(), 6);
        assert!(keys("", 3).is_empty());
    }

    #[test]
    fn what_too_few_texts_have_is_left_out() {
        let config = NgramConfig { order: 1, least: 2, c: 1.0 };
        let features = Features::of(["a b b", "a c", "a b"].into_iter(), config);
        assert_eq!((features.keys.len(), features.rows.iter().map(Vec::len).collect::<Vec<_>>()), (2, vec![2, 1, 2]));
    }

    #[test]
    fn the_ratio_is_that_of_naive_bayes() {
        let counts = Counts::of(&[vec![0, 1], vec![0], vec![1]], &[true, true, false], 2);
        // p = 3, 2 and q = 1, 2 with 1 added, of 5 and 3.
        let expected = [(3.0f32 / 5.0) / (1.0 / 3.0), (2.0 / 5.0) / (2.0 / 3.0)].map(f32::ln);
        let found = counts.log_ratios();
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}
