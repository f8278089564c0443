//! How fast a training goes.

use std::time::{Duration, Instant};

/// The first step is left out of every figure: it fills caches, and on a GPU it compiles the kernels.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// From the end of the first step on. What stands between two epochs is included, since it comes again.
    training: Option<Count>,
    pass: Option<Count>,
    /// Whether this pass is a part of the training whose end is estimated.
    is_training: bool,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    from: Instant,
    items: usize,
}

/// What must have been measured before a time is said.
const SHORTEST: Duration = Duration::from_millis(500);
/// What must have been measured before a rate is said: the figures of several steps come at once.
const SHORTEST_RATE: Duration = Duration::from_millis(50);

impl Pace {
    pub(super) fn begin_pass(&mut self, is_training: bool) {
        self.is_training = is_training;
        self.pass = self.training.map(|_| Count::new());
    }

    /// Whether there has been a step.
    pub(super) fn has_begun(&self) -> bool {
        self.training.is_some()
    }

    pub(super) fn advance(&mut self, items: usize) {
        for (count, counts) in [(&mut self.training, self.is_training), (&mut self.pass, true)] {
            match count {
                _ if !counts => {}
                None => *count = Some(Count::new()),
                Some(count) => count.items += items,
            }
        }
    }

    /// Items a second in this pass.
    pub(super) fn rate(&self) -> Option<f64> {
        let count = self.pass.filter(|count| count.items > 0 && count.from.elapsed() >= SHORTEST_RATE)?;
        Some(count.items as f64 / count.from.elapsed().as_secs_f64())
    }

    /// The time that `items` more items take, once enough of them have been measured to say it.
    pub(super) fn time_for(&self, items: usize) -> Option<Duration> {
        let count = self.training.filter(|count| count.items > 0 && count.from.elapsed() >= SHORTEST)?;
        let seconds = count.from.elapsed().as_secs_f64() / count.items as f64 * items as f64;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Lets `items` items pass in `time`.
    #[cfg(test)]
    pub(super) fn pass_time(&mut self, items: usize, time: Duration) {
        for count in [&mut self.training, &mut self.pass].into_iter().flatten() {
            count.from = count.from.checked_sub(time).expect("a time after the machine's start");
            count.items += items;
        }
    }
}

impl Count {
    fn new() -> Self {
        Self { from: Instant::now(), items: 0 }
    }
}

/// `0:31`, `12:05`, `3:00:00`.
pub(super) fn written(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_of_the_first_step() {
        let mut pace = Pace::default();
        pace.begin_pass(true);
        pace.advance(10);
        assert_eq!((pace.rate(), pace.time_for(50)), (None, None));
        pace.pass_time(10, Duration::from_millis(100));
        assert!(pace.rate().is_some_and(|rate| (99.0..101.0).contains(&rate)));
        assert_eq!(pace.time_for(50), None, "too soon");
        pace.pass_time(30, Duration::from_millis(1900));
        assert!(pace.time_for(50).is_some_and(|time| (2.5..2.51).contains(&time.as_secs_f64())));
        // Another epoch has its own rate; the time goes on.
        pace.begin_pass(true);
        assert_eq!(pace.rate(), None);
        assert!(pace.time_for(50).is_some());
    }

    #[test]
    fn times_are_written_as_on_a_clock() {
        let at = |seconds| written(Duration::from_secs(seconds));
        assert_eq!([at(0), at(31), at(725), at(10_800)], ["0:00", "0:31", "12:05", "3:00:00"]);
    }
}
