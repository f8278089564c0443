//! What can be wrong with a corpus.

use crate::{chars, show};
use std::path::{Path, PathBuf};

/// Why a corpus cannot be loaded. Each message says what is wrong, where, and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder that cannot be read or written.
    #[error("{}: {source}", show::path(path))]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file or folder that is not what it should be.
    #[error("{}: {problem}", show::path(path))]
    Content {
        /// Which one.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Rows of a table that are not what they should be. The others can be read without them.
    #[error("{}: {problems}; mend them or leave them out", show::path(path))]
    BadRows {
        /// The table.
        path: PathBuf,
        /// How many rows are bad, of how many, and what is wrong with the first of them.
        problems: String,
    },
    /// An address that did not answer, or not as it should. Nothing but a resumable part is left behind.
    #[error("{address}: {problem}")]
    Download {
        /// Which one.
        address: String,
        /// What happened.
        problem: String,
        /// Whether anything came at all. If not, there is no network or nobody answers.
        answered: bool,
    },
    /// A name that the registry does not have.
    #[error("there is no corpus {name:?}; the corpora are {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A character that a vocabulary does not have.
    #[error(
        "the character {0:?} does not occur in the text the model was trained on; it is {name}",
        name = chars::name(*.0)
    )]
    UnknownCharacter(char),
}

impl DataError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    pub(crate) fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), problem: show::message(&problem.into()) }
    }
}
