//! Generation: the model predicts the next character, reads it, and so on.

use crate::model::Reader;
use rnn_core::{Key, Sampling};

/// The context from which the next character is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The last `window` characters, read again for each character: as in training, and as in the lesson.
    Window,
    /// All characters so far: each is read once, and the state is carried over.
    State,
}

/// Generates `length` characters after `ids`, which must not be empty, and passes each one to `on_character`.
///
/// # Errors
/// An error of `on_character`, which ends the generation.
pub fn generate<E>(
    mut writer: Writer,
    ids: &[u32],
    length: u64,
    mut on_character: impl FnMut(u32) -> Result<(), E>,
) -> Result<(), E> {
    let mut ids = ids.to_vec(); // the ids to read next
    for step in 0..length {
        if writer.memory == Memory::Window {
            writer.reader.forget();
            ids.drain(..ids.len().saturating_sub(writer.window));
        }
        let next = writer.choice.choose(writer.reader.read(&ids), writer.key.child(step)) as u32;
        on_character(next)?;
        if writer.memory == Memory::State {
            ids.clear();
        }
        ids.push(next);
    }
    Ok(())
}

/// A model and the settings of generation.
pub struct Writer {
    pub reader: Reader,
    /// The length of the windows in training.
    pub window: usize,
    pub memory: Memory,
    /// How each character is chosen.
    pub choice: Sampling,
    /// The key of the random numbers.
    pub key: Key,
}
