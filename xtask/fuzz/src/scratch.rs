//! Where the files go that are read, and what counts as a finding.

use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

/// The folder that `cargo xtask fuzz` made for this process.
pub fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| std::env::var_os("RNN_FUZZ_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from))
}

/// Writes a file there.
#[allow(dead_code)] // one of the two programs does not
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("the folder of `cargo xtask fuzz`");
    path
}

/// What the last panic said.
static LAST: Mutex<String> = Mutex::new(String::new());

/// Calls `target`. A panic that leaves it is a finding; libFuzzer's own hook would also take those that are caught, as
/// `RNN_FUZZ_STRICT` asks for.
pub fn run(target: impl FnOnce()) {
    static HOOK: OnceLock<()> = OnceLock::new();
    HOOK.get_or_init(|| {
        let strict = std::env::var_os("RNN_FUZZ_STRICT").is_some();
        std::panic::set_hook(Box::new(move |info| {
            let backtrace = std::backtrace::Backtrace::force_capture();
            if strict {
                eprintln!("{info}\n{backtrace}");
                std::process::abort();
            }
            if let Ok(mut last) = LAST.lock() {
                *last = format!("{info}\n{backtrace}");
            }
        }));
    });
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(target)).is_err() {
        eprintln!("{}", LAST.lock().map(|last| last.clone()).unwrap_or_default());
        std::process::abort();
    }
}
