//! Corpora: find them, verify them, download them, read them, and turn their texts into numbers.
//!
//! ```
//! # fn main() -> Result<(), rnn_data::DataError> {
//! use rnn_data::{Places, reviews, words};
//!
//! let places = Places { data: Some("sample".into()), ..Places::default() };
//! let reviews = reviews::load(&places)?;
//! let words = words::Vocabulary::build(reviews.train.iter().map(|review| review.text.as_str()));
//! let ids = words.encode("What a film!", 20_000);
//! assert_eq!(ids[0], words::START);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod chars;
mod download;
mod error;
mod find;
mod fingerprint;
mod ids;
mod plain;
pub mod registry;
pub mod reviews;
pub mod series;
mod show;
pub mod text;
pub mod words;

pub use error::DataError;
pub use find::{Places, SAMPLE, Source, Verdict, absolute, fetch, verify};
pub use fingerprint::fingerprint;
pub use ids::Ids;
pub use plain::plain;
