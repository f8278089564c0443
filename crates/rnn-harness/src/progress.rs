//! The progress line: on a terminal rewritten in place, elsewhere a plain line now and then.

mod line;
mod pace;
mod waiting;

use crate::Failure;
use line::Part;
use pace::Pace;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
pub use waiting::{Waiting, waiting};

/// Says on stderr how a training goes:
/// `epoch 1/5  step 120/500  loss 0.5321  accuracy 0.731  1234 reviews/s  0:31 left`.
///
/// The time is that of all epochs. On a terminal that is too narrow, what matters least is left out.
#[derive(Debug)]
pub struct Progress {
    unit: &'static str,
    epochs: usize,
    epoch: usize,
    steps: u64,
    step: u64,
    pace: Pace,
    may_end_sooner: bool,
    shown: Option<Instant>,
    pause: Duration,
    output: Output,
    first_step: Option<Waiting>,
}

/// Where the line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    /// A terminal, where it is rewritten; `open` while the cursor is behind it.
    Terminal { open: bool },
    /// A file or a pipe, or a terminal that cannot rewrite a line.
    Lines,
}

impl Progress {
    /// A line for `epochs` epochs of `steps` steps, counting items called `unit` (`reviews`, `windows`).
    pub fn new(unit: &'static str, epochs: usize, steps: u64) -> Self {
        let rewrites = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            unit,
            epochs,
            epoch: 1,
            steps,
            step: 0,
            pace: Pace::default(),
            may_end_sooner: false,
            shown: None,
            pause: Duration::from_millis(if rewrites { 100 } else { 5000 }),
            output: if rewrites { Output::Terminal { open: false } } else { Output::Lines },
            first_step: None,
        }
    }

    /// A training that ends before its last step when it has learnt enough: the time left is said to be a bound.
    pub fn may_end_sooner(mut self) -> Self {
        self.may_end_sooner = true;
        self
    }

    /// Starts epoch `epoch`, counted from 1. If the first step of all takes long, the line is shown before its end.
    pub fn begin_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
        self.step = 0;
        self.shown = None;
        self.pace.begin_epoch();
        if !self.pace.has_begun() {
            self.first_step = Some(Waiting::new(line::fit(&self.parts(None), self.columns())));
        }
    }

    /// Counts a step of `items` items. Returns whether a line is due: the first step, the last, and every so often.
    pub fn step(&mut self, items: u64) -> bool {
        self.first_step = None;
        self.step += 1;
        self.pace.step(items);
        self.step == self.steps || self.shown.is_none_or(|at| at.elapsed() >= self.pause)
    }

    /// Shows the line with the loss and a metric, such as `accuracy 0.731`.
    ///
    /// # Errors
    /// If the loss is not finite: training can only get worse from there.
    pub fn show(&mut self, loss: f64, metric: &str) -> Result<(), Failure> {
        self.shown = Some(Instant::now());
        self.write(&line::fit(&self.parts(Some((loss, metric))), self.columns()));
        if loss.is_finite() {
            return Ok(());
        }
        self.end();
        Err(Failure::failed(format!(
            "the loss became {loss} at epoch {} step {}: training has diverged; try a smaller --learning-rate",
            self.epoch, self.step
        )))
    }

    /// Leaves the line where it is; what follows starts on a new one.
    pub fn end(&mut self) {
        self.first_step = None;
        if let Output::Terminal { open: open @ true } = &mut self.output {
            *open = false;
            let _ = writeln!(std::io::stderr());
        }
    }

    /// The line's parts and what they are worth where not all have room.
    fn parts(&self, result: Option<(f64, &str)>) -> Vec<Part> {
        let mut parts = vec![
            Part::new(if self.epochs > 1 { 3 } else { 5 }, format!("epoch {}/{}", self.epoch, self.epochs)),
            Part::new(0, format!("step {}/{}", self.step, self.steps)),
        ];
        if let Some((loss, metric)) = result {
            parts.push(Part::new(1, format!("loss {loss:.4}")));
            parts.push(Part::new(6, metric.to_string()));
        }
        if let Some(rate) = self.pace.rate() {
            parts.push(Part::new(7, format!("{rate:.0} {}/s", self.unit)));
        }
        let later = self.epochs.saturating_sub(self.epoch) as u64;
        let steps = self.steps.saturating_mul(later).saturating_add(self.steps.saturating_sub(self.step));
        if let Some(left) = self.pace.time_for(steps) {
            let bound = if self.may_end_sooner { "at most " } else { "" };
            parts.push(Part::new(4, format!("{bound}{} left", pace::written(left))));
        }
        parts
    }

    /// The columns that a line may take; asked each time, as a window changes its size.
    fn columns(&self) -> usize {
        line::columns_of_stderr().unwrap_or(match self.output {
            Output::Terminal { .. } => line::USUAL_COLUMNS,
            Output::Lines => usize::MAX,
        })
    }

    fn write(&mut self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        // A closed stderr is no reason to stop a training.
        let _ = match &mut self.output {
            Output::Terminal { open } => {
                *open = true;
                write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush())
            }
            Output::Lines => writeln!(stderr, "{line}"),
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(progress: &Progress, columns: usize) -> String {
        line::fit(&progress.parts(Some((0.25, "accuracy 0.5000"))), columns)
    }

    #[test]
    fn the_first_and_the_last_step_are_shown() {
        let mut progress = Progress::new("items", 1, 3);
        progress.pause = Duration::from_secs(3600);
        assert!(progress.step(1));
        progress.show(1.0, "right 3").expect("finite");
        assert!(!progress.step(1));
        assert!(progress.step(1));
    }

    #[test]
    fn a_loss_that_is_not_a_number_stops_training() {
        let mut progress = Progress::new("items", 1, 3);
        progress.step(1);
        let error = progress.show(f64::NAN, "right 0").expect_err("NaN");
        assert!(error.to_string().starts_with("the loss became NaN at epoch 1 step 1"));
    }

    #[test]
    fn the_time_left_is_that_of_all_epochs_and_comes_after_the_first_step() {
        let mut progress = Progress::new("items", 3, 10);
        progress.begin_epoch(1);
        progress.step(5);
        assert_eq!(shown(&progress, 200), "epoch 1/3  step 1/10  loss 0.2500  accuracy 0.5000");
        progress.pace.advance(1, 5, Duration::from_secs(2));
        progress.step = 2;
        let line = shown(&progress, 200);
        assert!(line.ends_with("  0:56 left"), "{line}"); // 8 and 20 steps of two seconds
        progress.may_end_sooner = true;
        let line = shown(&progress, 200);
        assert!(line.ends_with("  at most 0:56 left"), "{line}");
    }

    #[test]
    fn a_narrow_terminal_has_what_matters_most() {
        let mut progress = Progress::new("reviews", 12, 1000);
        progress.begin_epoch(11);
        progress.step(50);
        progress.pace.advance(999, 49_950, Duration::from_secs(999));
        progress.step = 1000;
        for (columns, expected) in [
            (120, "epoch 11/12  step 1000/1000  loss 0.2500  accuracy 0.5000  50 reviews/s  16:40 left"),
            (80, "epoch 11/12  step 1000/1000  loss 0.2500  accuracy 0.5000  16:40 left"),
            (60, "epoch 11/12  step 1000/1000  loss 0.2500  16:40 left"),
            (45, "epoch 11/12  step 1000/1000  loss 0.2500"),
            (30, "step 1000/1000  loss 0.2500"),
            (20, "step 1000/1000"),
            (8, "step 10"),
            (1, ""),
            (0, ""),
        ] {
            assert_eq!(shown(&progress, columns), expected, "{columns} columns");
        }
    }
}
