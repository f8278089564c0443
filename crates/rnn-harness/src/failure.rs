//! How a program ends: one line that says what was wrong, and an exit code.

use crate::say;
use rnn_train::TrainError;
use std::any::Any;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Why a program stops before its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the person gave is wrong: exit code 2.
    #[error("{0}")]
    Input(String),
    /// Something else went wrong: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// A device failed, for want of memory for example: exit code 1.
    #[error("{0}")]
    Device(String),
    /// The person pressed Ctrl-C, or a signal came that asks to end: exit code 130, as shells give it.
    #[error("{0}")]
    Interrupted(String),
    /// Whoever read stdout went away (`| head`): an end, but no failure.
    #[error("stdout was closed")]
    ClosedPipe,
}

impl Failure {
    /// What the person gave is wrong.
    pub fn input(message: impl Display) -> Self {
        Self::Input(message.to_string())
    }

    /// Something else went wrong.
    pub fn failed(message: impl Display) -> Self {
        Self::Failed(message.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Failed(_) | Self::Device(_) => 1,
            Self::Interrupted(_) => 130,
            Self::ClosedPipe => 0,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<TrainError> for Failure {
    /// A setting is named by its option.
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Setting { name, problem } => {
                let option = if name == "max_steps" { "steps".into() } else { name.replace('_', "-") };
                Self::Input(format!("--{option} {problem}"))
            }
            TrainError::Diverged { .. } | TrainError::Weights { .. } => {
                Self::Failed(format!("{error} (--learning-rate, --clip-norm)"))
            }
            TrainError::Checkpoint { .. } => Self::Input(error.to_string()),
            TrainError::Hook(error) => match error.downcast::<Failure>() {
                Ok(failure) => *failure,
                Err(error) => Self::Failed(error.to_string()),
            },
            error => Self::Failed(error.to_string()),
        }
    }
}

/// Runs a program's body. A failure or a panic becomes one line on stderr and an exit code.
pub fn run_program(body: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    watch_devices();
    let failure = match caught(body) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    let label = match failure {
        Failure::Interrupted(_) => "interrupted",
        Failure::ClosedPipe => "stopped",
        _ => "error",
    };
    say!("{label}: {failure}");
    if let Failure::Device(_) = failure {
        // The device's threads may still be at work, and a driver whose memory the process' end takes away crashes.
        let _ = std::io::stdout().flush();
        signal_hook::low_level::exit(failure.exit_code().into());
    }
    ExitCode::from(failure.exit_code())
}

/// Runs `body`; a panic becomes the failure that it stands for.
pub(crate) fn caught<R>(body: impl FnOnce() -> Result<R, Failure>) -> Result<R, Failure> {
    let panic = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(result) => return result,
        Err(panic) => panic,
    };
    let message = message(&*panic);
    if is_closed_pipe(&message) {
        return Err(Failure::ClosedPipe);
    }
    if message.contains("Killing training from user input") {
        return Err(Failure::Interrupted(
            "ended at once from the dashboard; if the run folder has a checkpoint, --resume DIR continues from it"
                .into(),
        ));
    }
    if message.starts_with("failed printing to stdout") {
        return Err(Failure::Failed(message));
    }
    // What failed first may have failed in a thread of the device; what reached this one is that it is gone.
    let first = DEVICE.lock().unwrap_or_else(PoisonError::into_inner).take();
    Err(match first.or_else(|| of_device(&message)) {
        Some(of_device) => Failure::Device(of_device),
        None => Failure::Failed(format!(
            "a defect of this program, please report it: {message} (RUST_BACKTRACE=1 shows where)"
        )),
    })
}

/// The first failure of a device in any thread.
static DEVICE: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics off stderr, unless a backtrace is wanted, and remembers the first one of a device.
fn watch_devices() {
    let with_backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0");
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if let Some(failure) = of_device(&message(panic.payload())) {
            DEVICE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        }
        // That whoever read stdout went away is no defect, so that it has no place.
        if with_backtrace && !is_closed_pipe(&message(panic.payload())) {
            shown(panic);
        }
    }));
}

/// Whether nobody reads stdout any more: `println!` panics where `writeln!` gives an error.
fn is_closed_pipe(message: &str) -> bool {
    message.contains("Broken pipe")
}

/// What a panic says.
fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// What a panic of Burn's GPU backends says to a person, if it is one that no program can help: they come back as panics,
/// often where a result is read and not where the device failed.
fn of_device(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let said = || message.lines().next().unwrap_or_default().trim();
    let help = "give a smaller --batch or a smaller model, or --device flex";
    for asked in ["can't allocate buffer of size: ", "out of device memory allocating "] {
        if let Some(at) = lower.find(asked) {
            let bytes: String = lower[at + asked.len()..].chars().take_while(char::is_ascii_digit).collect();
            let megabytes = bytes.parse::<f64>().map_or(0.0, |bytes| bytes / 1e6);
            return Some(format!("the device has no room for a buffer of {megabytes:.0} MB; {help}"));
        }
    }
    if any(&["out of memory", "out-of-memory", "out_of_memory", "not enough memory"]) {
        return Some(format!("the device's memory does not suffice ({}); {help}", said()));
    }
    if any(&["device was lost", "device is lost", "was poisoned"]) {
        return Some(format!(
            "the device was lost ({}); a training goes on from its checkpoint with --resume DIR",
            said()
        ));
    }
    if any(&["unable to acquire wgpu device", "no possible adapter"]) {
        return Some(format!("the device cannot be opened ({}); is its driver installed?", said()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_a_device_are_no_defects() {
        let told = |panic: &'static str| caught(|| -> Result<(), Failure> { panic!("{panic}") }).expect_err("a panic");
        let buffer = told("Error while reading data:\nCaused by:\n  can't allocate buffer of size: 640000000\nmore");
        assert!(
            buffer.to_string().starts_with("the device has no room for a buffer of 640 MB; give a smaller --batch")
        );
        let memory = told("wgpu error: Out of Memory\nmore");
        assert_eq!(memory.exit_code(), 1);
        assert!(
            memory.to_string().starts_with("the device's memory does not suffice (wgpu error: Out of Memory); give")
        );
        assert!(told("The device was poisoned during launch").to_string().starts_with("the device was lost"));
        assert!(told("index out of bounds").to_string().starts_with("a defect of this program"));
        assert!(matches!(told("failed printing to stdout: Broken pipe"), Failure::ClosedPipe));
    }
}
