//! Writing on: the model says which character comes next, that one is read too, and so on.

use crate::model::Reader;
use rnn_core::{Key, Sampling};

/// What the next character is guessed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The last `window` characters alone, read anew for each: what the model was trained to do, and what the lesson does.
    Window,
    /// All characters so far: each is read once and the state is carried on.
    State,
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
        let next = writer.choice.choose(writer.reader.read(&ids), writer.key.child(step)) as u32;
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
    /// How each character is chosen.
    pub choice: Sampling,
    /// What it is drawn from, if it is drawn.
    pub key: Key,
}
