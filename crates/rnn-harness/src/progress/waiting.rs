//! What takes long says so, and what does not says nothing.

use crate::say;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// After this time something is said: a person sees it within a second.
const PATIENCE: Duration = Duration::from_millis(700);

/// While it lives somebody waits for something. If that takes long, its line is said, once.
#[derive(Debug)]
pub struct Waiting {
    /// Closed when the waiting ends.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Says on stderr what is being done, such as `reading the reviews`, if it takes longer than a moment. It has come to
/// its end when what this returns is dropped.
#[must_use]
pub fn waiting(what: &str) -> Waiting {
    Waiting::new(format!("{what} …"))
}

impl Waiting {
    pub(super) fn new(line: String) -> Self {
        Self::saying(PATIENCE, move || say!("{line}"))
    }

    fn saying(patience: Duration, say: impl FnOnce() + Send + 'static) -> Self {
        let (end, waits) = channel::<()>();
        let thread = std::thread::Builder::new().name("waiting".into()).spawn(move || {
            if waits.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        Self { end: Some(end), thread: thread.ok() } // without a thread nothing is said
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.end.take());
        // What it says stands before what is said next.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_said() {
        let (said, saying) = channel();
        let tell = |what: &'static str| {
            let said = said.clone();
            move || said.send(what).expect("somebody listens")
        };
        drop(Waiting::saying(Duration::from_secs(3600), tell("quick")));
        let long = Waiting::saying(Duration::from_millis(1), tell("long"));
        assert_eq!(saying.recv(), Ok("long"));
        drop(long);
        assert!(saying.try_recv().is_err());
    }
}
