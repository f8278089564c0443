//! PyTorch on CUDA, where `python3` (or the interpreter in `RNN_BENCH_PYTHON`) has it.

use super::model::Lesson;
use std::process::{Command, Output};

const SCRIPT: &str = include_str!("torch_gpu.py");

/// An interpreter that has it.
pub struct Torch {
    python: String,
    /// Its version and the card's name.
    pub about: String,
}

impl Torch {
    /// `None` where there is none.
    pub fn find() -> Option<Self> {
        let python = std::env::var("RNN_BENCH_PYTHON").unwrap_or_else(|_| "python3".into());
        let about = said(&python, &["about"]).ok()?;
        Some(Self { python, about })
    }

    /// The least seconds of a pass of one layer.
    pub fn layer(&self, cell: &str, shape: [usize; 4], backward: bool, ragged: bool) -> Result<f64, String> {
        let shape = shape.map(|n| n.to_string()).join(",");
        self.seconds(&["layer", &cell.to_lowercase(), &shape, &backward.to_string(), &ragged.to_string()])
    }

    /// The least seconds of a training step.
    pub fn lesson(&self, lesson: Lesson) -> Result<f64, String> {
        self.seconds(&[if lesson == Lesson::Sentiment { "sentiment" } else { "chargen" }])
    }

    fn seconds(&self, args: &[&str]) -> Result<f64, String> {
        let said = said(&self.python, args)?;
        said.parse().map_err(|_| format!("PyTorch said {said:?} of {}", args.join(" ")))
    }
}

fn said(python: &str, args: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        Command::new(python).arg("-c").arg(SCRIPT).args(args).output().map_err(|e| format!("{python}: {e}"))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        return Err(format!("PyTorch: {}", stderr.lines().last().unwrap_or("no word")));
    }
    Ok(String::from_utf8_lossy(&stdout).trim().to_string())
}
