//! What the programs share: device choice, run folders, optimizers, the training loop, progress, and how a program
//! ends.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod device;
mod failure;
pub mod interrupt;
pub mod optim;
pub mod options;
pub mod progress;
pub mod run_dir;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "train")]
pub mod training;

pub use failure::{Failure, parse, run_program};

/// Burn allocates a fresh buffer for every result. With glibc's allocator each large one is new pages from the kernel;
/// mimalloc hands the same pages out again (a layer that takes 24 ms takes 33 without it).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Says something on stderr. That nobody can read it is no reason to stop, so it does not panic as `eprintln!` does.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($part)*);
    }};
}

/// Prints `value` as one line of JSON on stdout.
///
/// # Errors
/// If stdout cannot be written.
pub fn json_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    use std::io::Write;
    let line = serde_json::to_string(value).map_err(|e| Failure::failed(format!("JSON: {e}")))?;
    writeln!(std::io::stdout(), "{line}").map_err(Failure::from)
}
