//! One file a subcommand.

pub mod eval;
mod explain;
pub mod export;
pub mod inspect;
pub mod predict;
pub mod train;
