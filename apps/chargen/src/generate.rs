//! Writing on: the model says which character comes next, that one is read too, and so on.

use crate::model::Reader;
use rnn_core::Key;

/// What the next character is guessed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The last `window` characters alone, read anew for each: what the model was trained to do, and what the lesson does.
    Window,
    /// All characters so far: each is read once and the state is carried on.
    State,
}

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

/// Writes `length` characters after `ids`, of which there must be one, and hands each over as it comes.
///
/// # Errors
/// What `on_character` says; then writing stops.
pub fn generate<E>(
    mut writer: Writer,
    ids: &[u32],
    length: u64,
    mut on_character: impl FnMut(u32) -> Result<(), E>,
) -> Result<(), E> {
    let mut ids = ids.to_vec(); // those to read
    for step in 0..length {
        if writer.memory == Memory::Window {
            writer.reader.forget();
            ids.drain(..ids.len().saturating_sub(writer.window));
        }
        let next = choose(writer.reader.read(&ids), writer.choice, step) as u32;
        on_character(next)?;
        if writer.memory == Memory::State {
            ids.clear();
        }
        ids.push(next);
    }
    Ok(())
}

/// A model and how it is to write.
pub struct Writer {
    pub reader: Reader,
    /// Characters that the model was trained to see.
    pub window: usize,
    pub memory: Memory,
    pub choice: Choice,
}

fn choose(logits: &[f32], choice: Choice, step: u64) -> usize {
    let argmax = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    let Choice::Sample { temperature, key } = choice else {
        return argmax;
    };
    let weights: Vec<f64> = logits.iter().map(|x| (f64::from(x - logits[argmax]) / temperature).exp()).collect();
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
        let logits = [1.0f32, 3.0, 2.0];
        assert_eq!(choose(&logits, Choice::Argmax, 0), 1);
        let share = |temperature: f64| {
            let choice = Choice::Sample { temperature, key: Key::new(0) };
            let hits = (0..4000).filter(|&step| choose(&logits, choice, step) == 1).count();
            hits as f64 / 4000.0
        };
        let softmax = |t: f64| (3.0 / t).exp() / logits.iter().map(|&x| (f64::from(x) / t).exp()).sum::<f64>();
        for temperature in [0.5, 1.0, 2.0] {
            assert!((share(temperature) - softmax(temperature)).abs() < 0.03, "{temperature}");
        }
        assert_eq!(share(1e-9), 1.0);
    }
}
