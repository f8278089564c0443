//! Generation: the model predicts the next character, reads it, and so on.

use crate::model::Reader;
use rnn_core::{Key, Sampling, penalise};
use std::collections::VecDeque;

/// The context from which the next character is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The last `window` characters, read again for each character: as in training, and as in the lesson.
    Window,
    /// All characters so far: each is read once, and the state is carried over.
    State,
}

/// The number of last characters whose repetition is penalised.
pub const RECENT: usize = 32;

/// A model and the settings of generation. It keeps what it has read, so that it can go on.
pub struct Writer {
    pub reader: Reader,
    /// The length of the windows in training.
    pub window: usize,
    pub memory: Memory,
    /// How each character is chosen.
    pub choice: Sampling,
    /// What the logits of the last characters are divided by; 1 for no penalty.
    pub penalty: f64,
    /// The key of the random numbers.
    pub key: Key,
    /// How many characters were chosen.
    step: u64,
    /// What is to be read next; with a window, the last characters.
    unread: Vec<u32>,
    recent: VecDeque<usize>,
}

impl Writer {
    /// A writer without a penalty that has read nothing.
    pub fn new(reader: Reader, window: usize, memory: Memory, choice: Sampling, key: Key) -> Self {
        let (unread, recent) = (Vec::new(), VecDeque::new());
        Self { reader, window, memory, choice, penalty: 1.0, key, step: 0, unread, recent }
    }

    /// Takes `ids` for the characters so far.
    pub fn read(&mut self, ids: &[u32]) {
        for &id in ids {
            self.remember(id);
        }
    }

    /// Forgets everything that it has read.
    pub fn forget(&mut self) {
        self.reader.forget();
        self.unread.clear();
        self.recent.clear();
    }

    /// Whether it has read nothing that a next character could follow.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty()
    }

    /// Chooses the next character and reads it. Something must have been read before.
    pub fn next(&mut self) -> u32 {
        let next = {
            if self.memory == Memory::Window {
                self.reader.forget();
                self.unread.drain(..self.unread.len().saturating_sub(self.window));
            }
            let logits = self.reader.read(&self.unread);
            let key = self.key.child(self.step);
            if self.penalty == 1.0 {
                self.choice.choose(logits, key) as u32
            } else {
                let mut logits = logits.to_vec();
                penalise(&mut logits, self.recent.iter().copied(), self.penalty);
                self.choice.choose(&logits, key) as u32
            }
        };
        if self.memory == Memory::State {
            self.unread.clear();
        }
        self.step += 1;
        self.remember(next);
        next
    }

    fn remember(&mut self, id: u32) {
        self.unread.push(id);
        self.recent.push_back(id as usize);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }
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
    writer.read(ids);
    for _ in 0..length {
        on_character(writer.next())?;
    }
    Ok(())
}
