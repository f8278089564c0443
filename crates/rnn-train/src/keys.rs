//! The keys of all random numbers in a training, by purpose.

use rnn_core::Key;

/// The keys of one seed. The child numbers must not change, or every seed would give another model.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// For the initial weights.
    pub weights: Key,
    /// For the order of the examples.
    pub order: Key,
    /// For dropout masks.
    pub dropout: Key,
    /// For samples that show the model's progress.
    pub samples: Key,
    /// For the choice of examples that are held out for validation.
    pub validation: Key,
}

impl Keys {
    /// The keys of `seed`.
    pub fn new(seed: u64) -> Self {
        let seed = Key::new(seed);
        Self {
            weights: seed.child(0),
            order: seed.child(1),
            dropout: seed.child(2),
            samples: seed.child(3),
            validation: seed.child(4),
        }
    }
}
