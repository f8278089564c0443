//! Which part of a text is for what: the training part first, then the validation part, then the test part.

use crate::data::{Data, characters};
use rnn_harness::Failure;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The shares of a text that are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The share to validate on after each epoch.
    pub validation: Option<f64>,
    /// The share to test on, the end of the text.
    pub test: Option<f64>,
}

/// The places of the characters that are predicted in each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// From the first character on.
    pub train: Range<usize>,
    /// Behind it; may be empty.
    pub validation: Range<usize>,
    /// The end of the text; may be empty.
    pub test: Range<usize>,
}

impl Split {
    /// Checks the shares.
    ///
    /// # Errors
    /// A share that is not between 0 and 1; shares that leave nothing.
    pub fn check(&self) -> Result<(), Failure> {
        for (option, share) in [("--validation", self.validation), ("--test", self.test)] {
            if let Some(share) = share.filter(|share| !(*share > 0.0 && *share < 1.0)) {
                return Err(Failure::input(format!(
                    "{option} {share} is not possible; give a share above 0 and below 1, such as 0.05"
                )));
            }
        }
        match self.validation.unwrap_or(0.0) + self.test.unwrap_or(0.0) {
            both if both < 1.0 => Ok(()),
            both => Err(Failure::input(format!(
                "--validation and --test together are {both}, which leaves nothing to train on; give smaller shares"
            ))),
        }
    }

    /// How many of `all` characters are to test on.
    pub fn test_characters(&self, all: usize) -> usize {
        self.test.map_or(0, |share| ((all as f64 * share).round() as usize).clamp(1, all))
    }

    /// How many of `items` are to validate on: at least one and all but one at most.
    pub fn validation_items(&self, items: usize) -> usize {
        let some = |share: f64| ((items as f64 * share).round() as usize).clamp(1, items.saturating_sub(1).max(1));
        self.validation.map_or(0, some)
    }

    /// The parts of a text.
    ///
    /// # Errors
    /// A text that is too short.
    pub fn parts(&self, data: &Data) -> Result<Parts, Failure> {
        let all = data.ids.len();
        let test = all - self.test_characters(all);
        let validation = self.validation.map_or(0, |share| ((all as f64 * share).round() as usize).max(1));
        let train = test.saturating_sub(validation);
        match train {
            0..2 => Err(Failure::input(format!(
                "the text has {}, too few to train on beside the parts held out; give a longer text or smaller \
                 --validation and --test",
                characters(all)
            ))),
            _ => Ok(Parts { train: 0..train, validation: train..test, test: test..all }),
        }
    }
}
