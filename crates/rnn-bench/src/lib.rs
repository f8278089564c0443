//! The benchmark that `cargo xtask bench` starts: our layers and programs beside burn-nn's layers and, with `--peers`,
//! beside PyTorch, Keras and NumPy. All take turns in one run, because a machine's speed drifts.
//!
//! - [`cases`]: what is measured; a file per case, which says what rows it has and who takes part;
//! - [`contestants`]: who is measured, and how each is run: processes that wait on their stdin, and the programs;
//! - [`records`]: what is kept: `run.json`, and the page and chart that are rendered from it; the targets.
//!
//! [`measure`] is the loop over rounds, [`load`] says whether the machine is idle, [`Bench`](bench::Bench) holds
//! what the cases share.

pub mod args;
pub mod bench;
pub mod cases;
pub mod contestants;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod gpu;
pub mod load;
pub mod machine;
pub mod measure;
pub mod records;
pub mod stats;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root, two folders above this package's.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Cargo, without the variables that `cargo run` sets for its program: build scripts that watch them would run again
/// each time, and what depends on them would be built again.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if of_package.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
