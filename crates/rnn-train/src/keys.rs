//! The keys of all that is drawn in a training, by name.

use rnn_core::Key;

/// Keys drawn from one seed. Their numbers are fixed: with others every seed would give another model.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Of the first weights.
    pub weights: Key,
    /// Of the order of the examples.
    pub order: Key,
    /// Of the masks of dropout.
    pub dropout: Key,
    /// Of what is sampled to show how the model does.
    pub samples: Key,
    /// Of the examples that are held out for validation.
    pub validation: Key,
}

impl Keys {
    /// Those of `seed`.
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
