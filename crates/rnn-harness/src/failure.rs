//! How a program ends: one line that says what was wrong, and an exit code.

use crate::say;
use rnn_train::TrainError;
use std::fmt::Display;
use std::process::ExitCode;

/// Why a program stops before its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What the person gave is wrong: exit code 2.
    #[error("{0}")]
    Input(String),
    /// Something else went wrong: exit code 1.
    #[error("{0}")]
    Failed(String),
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
            Self::Failed(_) => 1,
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
    let with_backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0");
    if !with_backtrace {
        std::panic::set_hook(Box::new(|_| ()));
    }
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure @ Failure::ClosedPipe)) => {
            say!("stopped: {failure}");
            ExitCode::SUCCESS
        }
        Ok(Err(failure)) => {
            let label = match failure {
                Failure::Interrupted(_) => "interrupted",
                _ => "error",
            };
            say!("{label}: {failure}");
            ExitCode::from(failure.exit_code())
        }
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_string())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            if message.contains("Broken pipe") {
                say!("stopped: {}", Failure::ClosedPipe); // println! panics where writeln! gives an error
                return ExitCode::SUCCESS;
            }
            if message.contains("Killing training from user input") {
                say!(
                    "interrupted: ended at once from the dashboard; if the run folder has a checkpoint, --resume DIR continues from it"
                );
                return ExitCode::from(130);
            }
            if message.starts_with("failed printing to stdout") {
                say!("error: {message}");
                return ExitCode::FAILURE;
            }
            say!("error: a defect of this program, please report it: {message} (RUST_BACKTRACE=1 shows where)");
            ExitCode::FAILURE
        }
    }
}
