//! One file a subcommand.

pub mod ask;
pub mod generalise;
pub mod inspect;
pub mod scratch;
pub mod train;
pub mod watch;
