//! Noise against overfitting, beside the layer's own dropout: a function of the step's key.

use burn::tensor::{Tensor, TensorData};
use rnn_core::Key;
use rnn_data::words::OUT_OF_RANGE;
use rnn_harness::Failure;
use serde::{Deserialize, Serialize};

/// Rates of noise in training; saved with a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// The share of words that are read as a rare word, each by itself.
    pub words: f64,
    /// The share of the vocabulary whose words are read as a rare word in all of a mini-batch (Gal and Ghahramani,
    /// 2016).
    pub vocabulary: f64,
    /// The share of recurrent weights that are zero in a step (DropConnect; Merity et al., 2018).
    pub weights: f64,
    /// Dropout on what the dense layer reads.
    pub pooled: f64,
}

/// The options about noise.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct NoiseArgs {
    /// Share of a review's words that training replaces by the rare word [default: 0]
    #[arg(long, value_name = "P")]
    word_dropout: Option<f64>,
    /// Share of the vocabulary that training replaces by the rare word, drawn for each mini-batch [default: 0]
    #[arg(long, value_name = "P")]
    embedding_dropout: Option<f64>,
    /// Dropout rate of the recurrent weights, with a new mask for each mini-batch [default: 0]
    #[arg(long, value_name = "P")]
    weight_dropout: Option<f64>,
    /// Dropout rate of the dense layer's input [default: 0]
    #[arg(long, value_name = "P")]
    output_dropout: Option<f64>,
}

impl NoiseArgs {
    /// The person's choice, or `default`.
    pub fn resolve(&self, default: Noise) -> Noise {
        Noise {
            words: self.word_dropout.unwrap_or(default.words),
            vocabulary: self.embedding_dropout.unwrap_or(default.vocabulary),
            weights: self.weight_dropout.unwrap_or(default.weights),
            pooled: self.output_dropout.unwrap_or(default.pooled),
        }
    }
}

impl Noise {
    /// Whether all are rates.
    ///
    /// # Errors
    /// A rate that is not in `[0, 1)`.
    pub fn check(&self) -> Result<(), Failure> {
        for (option, rate) in [
            ("--word-dropout", self.words),
            ("--embedding-dropout", self.vocabulary),
            ("--weight-dropout", self.weights),
            ("--output-dropout", self.pooled),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return Err(Failure::input(format!("{option} is {rate}; it must be at least 0 and less than 1")));
            }
        }
        Ok(())
    }

    /// `ids` with some of the words made rare; `None` where none are.
    pub fn words(&self, ids: &[u32], key: Key) -> Option<Vec<u32>> {
        if self.words == 0.0 && self.vocabulary == 0.0 {
            return None;
        }
        let mut noisy = ids.to_vec();
        if self.words > 0.0 {
            for (id, u) in noisy.iter_mut().zip(key.child(0).uniforms(ids.len())) {
                if *id > OUT_OF_RANGE && u < self.words {
                    *id = OUT_OF_RANGE;
                }
            }
        }
        if self.vocabulary > 0.0 {
            let largest = noisy.iter().copied().max().unwrap_or(0) as usize;
            let is_out: Vec<bool> = key.child(1).uniforms(largest + 1).map(|u| u < self.vocabulary).collect();
            for id in noisy.iter_mut().filter(|id| **id > OUT_OF_RANGE && is_out[**id as usize]) {
                *id = OUT_OF_RANGE;
            }
        }
        Some(noisy)
    }
}

/// `x` with a share `rate` of its values at zero, the others scaled by 1/(1−rate).
pub fn dropped(x: Tensor<2>, rate: f64, key: Key) -> Tensor<2> {
    if rate == 0.0 {
        return x;
    }
    let [rows, width] = x.dims();
    let scale = (1.0 / (1.0 - rate)) as f32;
    let mask: Vec<f32> = key.uniforms(rows * width).map(|u| if u < rate { 0.0 } else { scale }).collect();
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [rows, width]), &x.device());
    x * mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_rare_and_padding_and_start_stay() {
        let ids: Vec<u32> = (0..10_000).map(|i| i % 100).collect();
        let noise = Noise { words: 0.25, ..Noise::default() };
        let noisy = noise.words(&ids, Key::new(3)).expect("noise");
        let changed = ids.iter().zip(&noisy).filter(|(a, b)| a != b).count();
        assert!((2200..2700).contains(&changed), "{changed}");
        assert!(ids.iter().zip(&noisy).all(|(a, b)| a == b || (*a > OUT_OF_RANGE && *b == OUT_OF_RANGE)));
        assert_eq!(noise.words(&ids, Key::new(3)), Some(noisy.clone()));
        assert_ne!(noise.words(&ids, Key::new(4)), Some(noisy));
        // A word that is left out is left out wherever it stands.
        let noise = Noise { vocabulary: 0.25, ..Noise::default() };
        let noisy = noise.words(&ids, Key::new(3)).expect("noise");
        assert!(noisy.iter().zip(&noisy[100..]).all(|(a, b)| a == b));
        assert!(noisy.contains(&OUT_OF_RANGE) && noisy.contains(&99) != ids.contains(&100));
        assert_eq!(Noise::default().words(&ids, Key::new(3)), None);
    }
}
