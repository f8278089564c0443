//! One file a subcommand.

pub mod eval;
pub mod predict;
pub mod train;
