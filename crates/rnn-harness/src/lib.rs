//! What the programs share on the terminal: options, device choice, progress, run folders, and how a program ends.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod arguments;
pub mod device;
pub mod export;
mod failure;
mod histogram;
pub mod html;
pub mod input;
pub mod interrupt;
pub mod options;
mod output;
pub mod progress;
mod report;
pub mod run_dir;
mod runs;
mod shown;
#[cfg(feature = "testing")]
pub mod testing;
pub mod training;

pub use arguments::{check_range, parse, whole};
pub use failure::{Failure, run_program};
pub use histogram::histogram;
pub use output::write_file;
pub use runs::RunsCommand;
pub use shown::printable_text;
#[doc(hidden)]
pub use shown::say_line;

/// Burn allocates a fresh buffer for every result. With glibc's allocator each large one is new pages from the kernel;
/// mimalloc hands the same pages out again (a layer that takes 24 ms takes 33 without it).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Says a line on stderr. What others wrote may stand in it: control characters are escaped, and a long line is
/// shortened. That nobody can read it is no reason to stop, so it does not panic as `eprintln!` does.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::say_line(format_args!($($part)*)) };
}

/// Prints a line on stdout as `println!` does, with control characters other than line ends and tabs escaped: for
/// lines that name what others named.
#[macro_export]
macro_rules! print_line {
    ($($part:tt)*) => { println!("{}", $crate::printable_text(&format!($($part)*))) };
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
