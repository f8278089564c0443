//! Ctrl-C and SIGTERM: what runs stops at its next step, so that nothing is lost. A second Ctrl-C ends the process at once.

use crate::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static STOPPED: OnceLock<Result<Arc<AtomicBool>, String>> = OnceLock::new();

/// Listens from now on; who calls it must ask [`stopped`] often.
///
/// # Errors
/// If the system has no such thing.
pub fn listen() -> Result<(), Failure> {
    let listening = || register().map_err(|e| format!("cannot listen for Ctrl-C: {e}"));
    STOPPED.get_or_init(listening).as_ref().map(|_| ()).map_err(Failure::failed)
}

fn register() -> std::io::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    // Not for SIGTERM: some who send it send it to the process and to its group, twice at once.
    flag::register_conditional_shutdown(SIGINT, 130, stopped.clone())?;
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, stopped.clone())?;
    }
    Ok(stopped)
}

/// Whether somebody asked the process to end.
pub fn stopped() -> bool {
    matches!(STOPPED.get(), Some(Ok(stopped)) if stopped.load(Ordering::Relaxed))
}
