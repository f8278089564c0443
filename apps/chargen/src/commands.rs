//! One file a subcommand.

pub mod eval;
pub mod export;
pub mod generate;
pub mod inspect;
pub mod interactive;
pub mod train;
