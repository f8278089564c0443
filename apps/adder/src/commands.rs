//! One file a subcommand.

pub mod ask;
pub mod scratch;
pub mod train;
