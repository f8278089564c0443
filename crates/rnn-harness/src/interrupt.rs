//! Ctrl-C and the signals that ask a process to end: what runs stops at its next step, so that nothing is lost. A second
//! one ends the process at once.

use crate::Failure;
use std::process::exit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Listens from now on; who calls it must ask [`stopped`] often.
///
/// # Errors
/// If the system has no such thing.
pub fn listen() -> Result<(), Failure> {
    static LISTENING: OnceLock<Result<(), String>> = OnceLock::new();
    let signal = || {
        if STOPPED.swap(true, Ordering::Relaxed) {
            exit(130);
        }
    };
    let listening = || ctrlc::set_handler(signal).map_err(|e| format!("cannot listen for Ctrl-C: {e}"));
    LISTENING.get_or_init(listening).clone().map_err(Failure::Failed)
}

/// Whether somebody asked the process to end.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}
