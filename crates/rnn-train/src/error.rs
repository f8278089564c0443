//! Why a training stops before its end.

use std::path::{Path, PathBuf};

/// Why a training failed. Each message says what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A loss that is NaN or infinite.
    #[error(
        "the loss became {loss} at epoch {epoch}, step {step}, with the learning rate {rate:?}: training has diverged; try a \
         smaller learning rate or clip the norm of the gradients"
    )]
    Diverged {
        /// The mean loss of the epoch so far.
        loss: f64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The step of the epoch, counted from 1.
        step: usize,
        /// The learning rate of that step.
        rate: f64,
    },
    /// A loss that grew a hundredfold.
    #[error(
        "the loss grew from {from:.4} to {} at epoch {epoch}, step {step}, with the learning rate {rate:?}: training \
         has diverged; try a smaller learning rate or clip the norm of the gradients", short(*loss)
    )]
    Grew {
        /// The mean loss at the beginning of the training.
        from: f64,
        /// The mean loss of the last steps.
        loss: f64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The step of the epoch, counted from 1.
        step: usize,
        /// The learning rate of that step.
        rate: f64,
    },
    /// Weights that are not finite.
    #[error(
        "the weights became NaN or infinite at step {step}: training has diverged; try a smaller learning rate or clip the \
         norm of the gradients"
    )]
    Weights {
        /// The number of mini-batches made.
        step: u64,
    },
    /// A setting that cannot be used.
    #[error("{name} {problem}")]
    Setting {
        /// The field of the plan, such as `learning_rate`.
        name: &'static str,
        /// Its value, what is wrong with it and what would be right.
        problem: String,
    },
    /// A checkpoint that cannot be used.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// Its folder or file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// An error of burn-train.
    #[error("{0}")]
    Burn(String),
    /// An error of a hook.
    #[error(transparent)]
    Hook(Box<dyn std::error::Error + Send + Sync>),
}

/// A loss in few digits, however large it is.
fn short(loss: f64) -> String {
    if loss < 1e6 { format!("{loss:.4}") } else { format!("{loss:.3e}") }
}

impl TrainError {
    /// Whether the training diverged: its last checkpoint is from before.
    pub fn is_divergence(&self) -> bool {
        matches!(self, Self::Diverged { .. } | Self::Grew { .. } | Self::Weights { .. })
    }

    /// An error of a hook.
    pub fn hook(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Hook(error.into())
    }

    pub(crate) fn setting(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { name, problem: problem.into() }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn checkpoint(path: &Path, problem: impl Into<String>) -> Self {
        Self::Checkpoint { path: path.to_path_buf(), problem: problem.into() }
    }
}
