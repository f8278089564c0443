//! The progress line: on a terminal rewritten in place, elsewhere a plain line now and then.

use crate::{Failure, say};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says on stderr how a training goes:
/// `epoch 1/5  step 120/500  loss 0.5321  accuracy 0.731  1234 reviews/s  0:31 left`.
#[derive(Debug)]
pub struct Progress {
    unit: &'static str,
    epochs: usize,
    epoch: usize,
    steps: u64,
    step: u64,
    items: u64,
    started: Instant,
    shown: Option<Instant>,
    pause: Duration,
    terminal: bool,
}

impl Progress {
    /// A line for `epochs` epochs of `steps` steps, counting items called `unit` (`reviews`, `windows`).
    pub fn new(unit: &'static str, epochs: usize, steps: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            unit,
            epochs,
            epoch: 1,
            steps,
            step: 0,
            items: 0,
            started: Instant::now(),
            shown: None,
            pause: Duration::from_millis(if terminal { 100 } else { 5000 }),
            terminal,
        }
    }

    /// Starts epoch `epoch`, counted from 1.
    pub fn begin_epoch(&mut self, epoch: usize) {
        self.epoch = epoch;
        (self.step, self.items) = (0, 0);
        self.started = Instant::now();
        self.shown = None;
    }

    /// Counts a step of `items` items. Returns whether a line is due: the first step, the last, and every so often.
    pub fn step(&mut self, items: u64) -> bool {
        self.step += 1;
        self.items += items;
        self.step == self.steps || self.shown.is_none_or(|at| at.elapsed() >= self.pause)
    }

    /// Shows the line with the loss and a metric, such as `accuracy 0.731`.
    ///
    /// # Errors
    /// If the loss is not finite: training can only get worse from there.
    pub fn show(&mut self, loss: f64, metric: &str) -> Result<(), Failure> {
        self.shown = Some(Instant::now());
        let line = format!(
            "epoch {}/{}  step {}/{}  loss {loss:.4}  {metric}  {}",
            self.epoch,
            self.epochs,
            self.step,
            self.steps,
            self.pace()
        );
        self.write(&line);
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
        if self.terminal && self.shown.is_some() {
            say!();
        }
    }

    fn pace(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-9);
        let left = seconds / self.step.max(1) as f64 * self.steps.saturating_sub(self.step) as f64;
        let left = left.round() as u64;
        format!("{:.0} {}/s  {}:{:02} left", self.items as f64 / seconds, self.unit, left / 60, left % 60)
    }

    fn write(&self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        // A closed stderr is no reason to stop a training.
        let _ = if self.terminal {
            write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
