//! Ctrl-C, SIGTERM and SIGHUP: what runs stops at its next step, so that nothing is lost. A second Ctrl-C ends the
//! process at once. A signal that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored.

use crate::Failure;
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
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
    let ignored = Ignored::now();
    if !ignored.has(SIGINT) {
        // Not for SIGTERM: some who send it send it to the process and to its group, twice at once.
        flag::register_conditional_shutdown(SIGINT, 130, stopped.clone())?;
    }
    let signals = [
        SIGINT,
        SIGTERM,
        #[cfg(unix)]
        SIGHUP,
    ];
    for signal in signals.into_iter().filter(|&signal| !ignored.has(signal)) {
        flag::register(signal, stopped.clone())?;
    }
    Ok(stopped)
}

/// Whether somebody asked the process to end.
pub fn stopped() -> bool {
    matches!(STOPPED.get(), Some(Ok(stopped)) if stopped.load(Ordering::Relaxed))
}

/// The signals that the process ignores.
pub(crate) struct Ignored(Option<u64>);

impl Ignored {
    pub(crate) fn now() -> Self {
        // Asking the system itself takes `unsafe`; Linux writes it down too.
        Self(std::fs::read_to_string("/proc/self/status").ok().and_then(|status| mask(&status)))
    }

    pub(crate) fn has(&self, signal: i32) -> bool {
        match self.0 {
            Some(mask) => mask >> (signal - 1) & 1 == 1,
            None => self.is_left_alone(signal),
        }
    }

    /// Where nobody says what is ignored, SIGHUP is left as it is for a process without a terminal, such as one under
    /// `nohup`.
    #[cfg(unix)]
    fn is_left_alone(&self, signal: i32) -> bool {
        use std::io::IsTerminal;
        signal == SIGHUP && !std::io::stderr().is_terminal()
    }

    #[cfg(not(unix))]
    fn is_left_alone(&self, _: i32) -> bool {
        false
    }
}

/// The bits of `SigIgn`, signal 1 the lowest.
fn mask(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_read() {
        let nohup = Ignored(mask("Name:\tadder\nSigBlk:\t0000000000000003\nSigIgn:\t0000000000001001\n"));
        assert!(nohup.has(1) && !nohup.has(SIGINT) && !nohup.has(SIGTERM) && nohup.has(13));
        assert_eq!((mask("Name:\tadder\n"), mask("SigIgn:\tx\n")), (None, None));
    }
}
