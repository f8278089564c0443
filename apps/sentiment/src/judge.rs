//! What a trained model makes of texts: the recurrent part's logits, beside them those of the n-grams.

use crate::data::{Encoded, padded, texts};
use crate::model::{Model, ModelConfig};
use crate::ngrams::Ngrams;
use crate::words::{Totals, WordCounts, encode};
use burn::tensor::Tensor;
use rnn_data::reviews::Review;
use rnn_data::words::{Tokenizer, Vocabulary};
use rnn_harness::Failure;
use rnn_harness::interrupt::{listen, stopped};
use rnn_harness::progress::{Pass, Progress};
use serde::{Deserialize, Serialize};

/// By what the logits of both parts are multiplied before they are added.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    /// The recurrent part's.
    pub recurrent: f64,
    /// The n-grams'.
    pub ngrams: f64,
}

impl Default for Blend {
    /// The mean of both.
    fn default() -> Self {
        Self { recurrent: 0.5, ngrams: 0.5 }
    }
}

/// Logits of a text: one a class.
pub type Logits = Vec<f64>;

/// A model with all that it needs to judge texts.
pub struct Judge {
    pub model: Model,
    pub sizes: ModelConfig,
    pub vocabulary: Vocabulary,
    pub ngrams: Option<Ngrams>,
    pub blend: Blend,
}

/// One logit a class: of two classes the first one's is 0.
fn of_classes(outputs: impl Iterator<Item = f64>, classes: usize) -> Logits {
    let first = if classes == 2 { Some(0.0) } else { None };
    first.into_iter().chain(outputs).collect()
}

/// The probability of each class.
pub fn probabilities(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let all: f64 = shares.iter().sum();
    shares.iter().map(|share| share / all).collect()
}

impl Blend {
    /// The weights of both parts' logits that give `classes` the smallest cross-entropy, by Newton's method; none is
    /// negative.
    pub fn fitted(recurrent: &[Logits], ngrams: &[Logits], classes: &[usize]) -> Self {
        let mut blend = Self::default();
        for _ in 0..50 {
            let (mut gradient, mut hessian) = ([0f64; 2], [[1e-6, 0.0], [0.0, 1e-6]]);
            for ((r, g), &class) in recurrent.iter().zip(ngrams).zip(classes) {
                let p = probabilities(&blend.of(r, g));
                let mean = |x: &dyn Fn(usize) -> f64| p.iter().enumerate().map(|(k, p)| p * x(k)).sum::<f64>();
                let (mean_r, mean_g) = (mean(&|k| r[k]), mean(&|k| g[k]));
                gradient[0] += mean_r - r[class];
                gradient[1] += mean_g - g[class];
                hessian[0][0] += mean(&|k| r[k] * r[k]) - mean_r * mean_r;
                hessian[1][1] += mean(&|k| g[k] * g[k]) - mean_g * mean_g;
                hessian[0][1] += mean(&|k| r[k] * g[k]) - mean_r * mean_g;
            }
            let [[a, b], [_, d]] = hessian;
            let determinant = (a * d - b * b).max(1e-12);
            let step =
                [(d * gradient[0] - b * gradient[1]) / determinant, (a * gradient[1] - b * gradient[0]) / determinant];
            // A step is at most 1, so that few texts that are all judged right lead to no infinity.
            let length = step[0].hypot(step[1]).max(1.0);
            let next = Self {
                recurrent: (blend.recurrent - step[0] / length).clamp(0.0, 10.0),
                ngrams: (blend.ngrams - step[1] / length).clamp(0.0, 10.0),
            };
            let moved = (next.recurrent - blend.recurrent).hypot(next.ngrams - blend.ngrams);
            if !moved.is_finite() {
                return Self::default();
            }
            blend = next;
            if moved < 1e-9 {
                break;
            }
        }
        blend
    }

    /// The weighted sum of both parts' logits.
    pub fn of(self, recurrent: &[f64], ngrams: &[f64]) -> Logits {
        recurrent.iter().zip(ngrams).map(|(r, g)| self.recurrent * r + self.ngrams * g).collect()
    }
}

/// The logits `[batch, outputs]` by rows.
fn rows(logits: Tensor<2>, classes: usize) -> Vec<Logits> {
    let [_, outputs] = logits.dims();
    let values: Vec<f64> = logits.into_data().iter::<f64>().collect();
    values.chunks_exact(outputs).map(|row| of_classes(row.iter().copied(), classes)).collect()
}

impl Judge {
    /// The recurrent part's logits of `reviews`, and the counts of their words, with a progress line.
    ///
    /// # Errors
    /// Too many words, an interruption, logits that are not finite.
    pub fn recurrent(&self, reviews: &[Review]) -> Result<(Vec<Logits>, Totals), Failure> {
        listen()?;
        let encoded = Encoded::new(reviews, &self.vocabulary, &self.sizes)?;
        let (items, batch) = (reviews.len(), self.sizes.test_batch());
        let mut progress = Progress::new("reviews", 1, batch);
        progress.begin(Pass::Test, 1, items);
        let mut all = Vec::with_capacity(items);
        rnn_core::evaluation(items, || {
            while all.len() < items && !stopped() {
                let ids = encoded.rows(all.len()..items.min(all.len() + batch));
                all.extend(rows(self.model.logits(&ids, None), self.sizes.classes));
                if progress.advance(all.len()) {
                    progress.show(&[]);
                }
            }
        });
        progress.end();
        if all.len() < items {
            return Err(Failure::Interrupted("before the end of the test; the model is kept".into()));
        }
        if !all.iter().flatten().all(|logit| logit.is_finite()) {
            return Err(Failure::failed("a logit became NaN or infinite in a test: train the model anew"));
        }
        Ok((all, encoded.words()))
    }

    /// The n-grams' logits of a text.
    pub fn of_ngrams(&self, text: &str) -> Option<Logits> {
        Some(of_classes(self.ngrams.as_ref()?.scores(text).into_iter(), self.sizes.classes))
    }

    /// The n-grams' logits of `reviews`.
    pub fn ngrams_of(&self, reviews: &[Review]) -> Option<Vec<Logits>> {
        texts(reviews).map(|text| self.of_ngrams(text)).collect()
    }

    /// The logits of `reviews`, and the counts of their words.
    ///
    /// # Errors
    /// As [`recurrent`](Self::recurrent).
    pub fn all(&self, reviews: &[Review]) -> Result<(Vec<Logits>, Totals), Failure> {
        let (recurrent, words) = self.recurrent(reviews)?;
        let logits = match self.ngrams_of(reviews) {
            Some(ngrams) => recurrent.iter().zip(&ngrams).map(|(r, g)| self.blend.of(r, g)).collect(),
            None => recurrent,
        };
        Ok((logits, words))
    }

    /// The logits of `texts`, and the counts of their words: of whole mini-batches, and of the rest one by one, so that
    /// no bit of a few texts' probabilities depends on other texts.
    pub fn many(&self, texts: &[&str]) -> Vec<(Logits, WordCounts)> {
        let batch = self.sizes.test_batch();
        let (whole, rest) = texts.split_at(texts.len() / batch * batch);
        let mut all: Vec<_> =
            rnn_core::evaluation(whole.len(), || whole.chunks(batch).flat_map(|texts| self.batch(texts)).collect());
        all.extend(rest.iter().flat_map(|text| self.batch(&[text])));
        all
    }

    /// The logits of `texts` in one mini-batch, and the counts of their words.
    pub fn batch(&self, texts: &[&str]) -> Vec<(Logits, WordCounts)> {
        let ModelConfig { num_words, tokens, masked, classes, .. } = self.sizes;
        let read = |text: &&str| encode(text, &self.vocabulary, Tokenizer::Unicode, num_words, tokens);
        let (ids, words): (Vec<Vec<u32>>, Vec<WordCounts>) = texts.iter().map(read).unzip();
        let ids: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let logits = rows(self.model.logits(&padded(&ids, tokens, masked), None), classes);
        let blended = logits.into_iter().zip(texts).map(|(logits, text)| match self.of_ngrams(text) {
            Some(ngrams) => self.blend.of(&logits, &ngrams),
            None => logits,
        });
        blended.zip(words).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blend_trusts_the_part_that_is_right() {
        let right = |i: usize| vec![0.0, if i % 2 == 1 { 1.0 } else { -1.0 } * if i % 10 < 8 { 1.0 } else { -1.0 }];
        let noise = |i: usize| vec![0.0, if (i / 2) % 2 == 1 { 1.0 } else { -1.0 }];
        let classes: Vec<usize> = (0..200).map(|i| i % 2).collect();
        let (right, noise): (Vec<_>, Vec<_>) = (0..200).map(|i| (right(i), noise(i))).unzip();
        let blend = Blend::fitted(&right, &noise, &classes);
        // 8 of 10 are right: log(0.8 / 0.2).
        assert!((blend.recurrent - 4f64.ln()).abs() < 1e-3 && blend.ngrams < 0.05, "{blend:?}");
        let swapped = Blend::fitted(&noise, &right, &classes);
        assert!((swapped.ngrams - blend.recurrent).abs() < 1e-6);
    }

    #[test]
    fn probabilities_are_those_of_softmax() {
        let p = probabilities(&[0.0, 2.0]);
        assert!((p[1] - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-12 && (p[0] + p[1] - 1.0).abs() < 1e-12);
        assert_eq!(probabilities(&[1000.0, 1000.0, 1000.0]), [1.0 / 3.0; 3]);
    }
}
