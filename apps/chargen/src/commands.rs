//! One file a subcommand.

pub mod export;
pub mod generate;
pub mod train;
