//! The progress line: on a terminal rewritten in place, elsewhere a plain line now and then.

mod line;
mod pace;
mod renderer;
mod waiting;

use crate::shown::figure;
use line::Part;
use pace::Pace;
pub(crate) use renderer::Renderer;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
pub use waiting::{Waiting, waiting};

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// An epoch of training.
    Train,
    /// The validation after an epoch.
    Validation,
    /// A test.
    Test,
}

/// Says on stderr how a training goes:
/// `epoch 1/5  step 120/500  loss 0.5321  accuracy 0.7310  1234 reviews/s  0:31 left`.
///
/// The time is that of all epochs. On a terminal that is too narrow, what matters least is left out.
#[derive(Debug)]
pub struct Progress {
    unit: &'static str,
    batch: usize,
    epochs: usize,
    pass: Pass,
    epoch: usize,
    /// Of this pass.
    items: usize,
    done: usize,
    pace: Pace,
    may_end_sooner: bool,
    shown: Option<Instant>,
    pause: Duration,
    output: Output,
    first_step: Option<Waiting>,
}

/// Whether stderr is a terminal on which a line can be rewritten.
fn rewrites() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Removes the line, so that another one can be printed in its place. It comes back below that when it is next due.
pub(crate) fn clear() {
    if rewrites() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

/// Between two lines of which the second begins a pass.
const NEW_PASS: Duration = Duration::from_secs(1);

/// Where the line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    /// A terminal, where it is rewritten; `open` while the cursor is behind it.
    Terminal { open: bool },
    /// A file or a pipe, or a terminal that cannot rewrite a line.
    Lines,
}

impl Progress {
    /// A line for `epochs` epochs of mini-batches of `batch` items called `unit` (`reviews`, `windows`).
    pub fn new(unit: &'static str, epochs: usize, batch: usize) -> Self {
        let rewrites = rewrites();
        Self {
            unit,
            batch: batch.max(1),
            epochs,
            pass: Pass::Train,
            epoch: 1,
            items: 0,
            done: 0,
            pace: Pace::default(),
            may_end_sooner: false,
            shown: None,
            pause: Duration::from_millis(if rewrites { 100 } else { 5000 }),
            output: if rewrites { Output::Terminal { open: false } } else { Output::Lines },
            first_step: None,
        }
    }

    /// A training that ends before its last step when it has learnt enough: the time left is said to be a bound.
    pub fn may_end_sooner(mut self, may: bool) -> Self {
        self.may_end_sooner = may;
        self
    }

    /// Starts a pass over `items` items, in epoch `epoch`, counted from 1. If the first step of all takes long, the
    /// line is shown before its end.
    pub fn begin(&mut self, pass: Pass, epoch: usize, items: usize) {
        self.end();
        (self.pass, self.epoch, self.items, self.done) = (pass, epoch, items, 0);
        self.pace.begin_pass(pass != Pass::Validation);
        if !self.pace.has_begun() {
            self.first_step = Some(Waiting::new(line::fit(&self.parts(&[]), self.columns())));
        }
    }

    /// Goes on to `done` items of this pass. Returns whether a line is due: on a terminal at the first step of a
    /// pass, at the last, and every so often; elsewhere at the first step of all, and every few seconds.
    pub fn advance(&mut self, done: usize) -> bool {
        self.first_step = None;
        self.pace.advance(done.saturating_sub(self.done));
        let is_first = self.done == 0;
        self.done = done;
        let is_end = is_first || done >= self.items;
        let pause = match self.output {
            Output::Terminal { .. } if is_end => Duration::ZERO,
            Output::Lines if is_first => self.pause.min(NEW_PASS),
            _ => self.pause,
        };
        self.shown.is_none_or(|at| at.elapsed() >= pause)
    }

    /// Shows the line with figures, such as `loss 0.5321`.
    pub fn show(&mut self, figures: &[(&str, f64)]) {
        self.shown = Some(Instant::now());
        self.write(&line::fit(&self.parts(figures), self.columns()));
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
    fn parts(&self, figures: &[(&str, f64)]) -> Vec<Part> {
        let mut parts = match self.pass {
            Pass::Train => {
                let rank = if self.epochs > 1 { 3 } else { 5 };
                vec![Part::new(rank, format!("epoch {}/{}", self.epoch, self.epochs))]
            }
            Pass::Validation => vec![Part::new(2, "validation".to_string())],
            Pass::Test => vec![Part::new(2, "test".to_string())],
        };
        let (step, steps) = (self.done.div_ceil(self.batch), self.items.div_ceil(self.batch));
        parts.push(Part::new(0, format!("step {step}/{steps}")));
        for (number, (name, value)) in figures.iter().enumerate() {
            parts.push(Part::new(if number == 0 { 1 } else { 6 }, format!("{name} {}", figure(*value))));
        }
        if let Some(rate) = self.pace.rate() {
            parts.push(Part::new(7, format!("{rate:.0} {}/s", self.unit)));
        }
        let later = if self.pass == Pass::Train { self.epochs.saturating_sub(self.epoch) } else { 0 };
        let items = self.items.saturating_mul(later).saturating_add(self.items.saturating_sub(self.done));
        if let Some(left) = self.pace.time_for(items).filter(|_| self.pass != Pass::Validation) {
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

    const FIGURES: [(&str, f64); 2] = [("loss", 0.25), ("accuracy", 0.5)];

    fn shown(progress: &Progress, columns: usize) -> String {
        line::fit(&progress.parts(&FIGURES), columns)
    }

    #[test]
    fn the_first_and_the_last_step_are_shown() {
        let mut progress = Progress::new("items", 1, 1);
        progress.pause = Duration::from_secs(3600);
        for output in [Output::Terminal { open: false }, Output::Lines] {
            let on_terminal = output != Output::Lines;
            (progress.output, progress.shown) = (output, None);
            progress.begin(Pass::Train, 1, 3);
            assert!(progress.advance(1));
            progress.shown = Some(Instant::now());
            assert!(!progress.advance(2));
            assert_eq!(progress.advance(3), on_terminal);
            progress.begin(Pass::Train, 2, 3);
            assert_eq!(progress.advance(1), on_terminal);
        }
    }

    #[test]
    fn the_time_left_is_that_of_all_epochs_and_comes_after_the_first_step() {
        let mut progress = Progress::new("items", 3, 5);
        progress.begin(Pass::Train, 1, 50);
        progress.advance(5);
        assert_eq!(shown(&progress, 200), "epoch 1/3  step 1/10  loss 0.2500  accuracy 0.5000");
        progress.pace.pass_time(5, Duration::from_secs(2));
        progress.done = 10;
        let line = shown(&progress, 200);
        assert!(line.ends_with("  0:56 left"), "{line}"); // 40 and 100 items, five in two seconds
        progress.may_end_sooner = true;
        let line = shown(&progress, 200);
        assert!(line.ends_with("  at most 0:56 left"), "{line}");
    }

    #[test]
    fn a_validation_counts_neither_for_the_rate_nor_for_the_time() {
        let mut progress = Progress::new("items", 3, 5);
        progress.begin(Pass::Train, 1, 10);
        progress.advance(5);
        progress.pace.pass_time(5, Duration::from_secs(1));
        progress.advance(10);
        progress.begin(Pass::Validation, 1, 20);
        progress.advance(5);
        progress.advance(10);
        let line = shown(&progress, 200);
        assert!(line.starts_with("validation  step 2/4  loss 0.2500") && !line.contains("left"), "{line}");
        progress.begin(Pass::Train, 2, 10);
        let line = shown(&progress, 200);
        assert!(line.starts_with("epoch 2/3  step 0/2") && line.contains(" left"), "{line}");
    }

    #[test]
    fn a_narrow_terminal_has_what_matters_most() {
        let mut progress = Progress::new("reviews", 12, 50);
        progress.begin(Pass::Train, 11, 50_000);
        progress.advance(50);
        progress.pace.pass_time(49_950, Duration::from_secs(999));
        progress.done = 50_000;
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
