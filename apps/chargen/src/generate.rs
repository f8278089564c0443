//! Writing on: the model sees the last `window` characters and says which comes next.

use crate::data::one_hot;
use crate::model::{Model, ModelConfig};
use burn::tensor::Device;
use rnn_core::Key;

/// How the next character is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Choice {
    /// The most probable.
    Argmax,
    /// Drawn with probability proportional to exp(logit / temperature).
    Sample {
        /// Above 0; 1 is what the model says, less is more careful, more is wilder.
        temperature: f64,
        /// What the draws come from.
        key: Key,
    },
}

/// Writes `length` characters after `ids` and hands each over as it comes. As in the lesson each character is guessed
/// from the last `window` ones alone, which is what the model was trained to do.
///
/// # Errors
/// What `on_character` says; then writing stops.
pub fn generate<E>(
    model: &Model,
    sizes: &ModelConfig,
    ids: &[u32],
    length: usize,
    choice: Choice,
    device: &Device,
    mut on_character: impl FnMut(u32) -> Result<(), E>,
) -> Result<(), E> {
    let mut ids = ids.to_vec();
    for step in 0..length {
        let seen = &ids[ids.len().saturating_sub(sizes.window)..];
        let logits = model.logits(one_hot(seen, seen.len(), sizes.symbols, device), None);
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        let next = choose(&logits, choice, step as u64) as u32;
        on_character(next)?;
        ids.push(next);
        let old = ids.len().saturating_sub(sizes.window);
        ids.drain(..old);
    }
    Ok(())
}

fn choose(logits: &[f64], choice: Choice, step: u64) -> usize {
    let argmax = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let Choice::Sample { temperature, key } = choice else {
        return argmax;
    };
    let weights: Vec<f64> = logits.iter().map(|x| ((x - logits[argmax]) / temperature).exp()).collect();
    let mut left = key.child(step).uniforms(1).sum::<f64>() * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    argmax // rounding left a rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [1.0, 3.0, 2.0];
        assert_eq!(choose(&logits, Choice::Argmax, 0), 1);
        let share = |temperature: f64| {
            let choice = Choice::Sample { temperature, key: Key::new(0) };
            let hits = (0..4000).filter(|&step| choose(&logits, choice, step) == 1).count();
            hits as f64 / 4000.0
        };
        let softmax = |t: f64| (3.0 / t).exp() / logits.iter().map(|x| (x / t).exp()).sum::<f64>();
        for temperature in [0.5, 1.0, 2.0] {
            assert!((share(temperature) - softmax(temperature)).abs() < 0.03, "{temperature}");
        }
        assert_eq!(share(1e-9), 1.0);
    }
}
