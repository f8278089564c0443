//! Rounds of A B A B …: the contestants take turns, so that a machine whose speed drifts slows all of them alike. The
//! figure that counts is the median over the rounds of ours ÷ theirs. A turn of short work begins with untimed calls:
//! the contestant before has filled the caches, and while its threads still spin the system may put two of the next
//! one's on one core.

use crate::load::{ALLOWED, Watch, wait_for_idle};
use crate::records::row::{Row, Series};
use crate::stats::{ratios, spread};
use std::time::{Duration, Instant};

/// A single measurement takes at least this long; short work is called as often as that needs.
const SHORTEST: f64 = 0.02;
/// A call that takes longer is warm after one.
const SLOW: f64 = 0.5;
/// Seconds of untimed calls at the beginning of a turn.
const WARM_UP: f64 = 0.03;
/// A call that takes longer is hardly slowed by the turn before it.
const LONG: f64 = 0.1;
/// The greatest spread of the ratios: distance of the quartiles over the median.
const MOST_SPREAD: f64 = 0.3;
/// With fewer rounds a spread says nothing.
const SPREAD_NEEDS: usize = 3;

/// How long a row may take.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds stop when this many are done and `budget` is spent.
    pub least_rounds: usize,
    /// Time for all rounds of all contestants.
    pub budget: Duration,
    /// Rounds stop here at the latest.
    pub most_rounds: usize,
    /// Whether a turn begins with untimed calls, and short work is called more than once per turn.
    pub warm: bool,
}

/// What to do on a busy machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// Wait until it is idle, at most this long; then leave the row without figures.
    Refuse(Duration),
    /// Measure anyway, for work on the bench itself.
    Ignore,
}

/// One who takes part in a row.
pub struct Contestant<'a> {
    /// Such as `PyTorch, without oneDNN`.
    pub name: String,
    /// The column of its figures: of several with one column the fastest counts.
    pub column: &'static str,
    /// Makes a number of calls, and returns the mean of their figures.
    pub sample: Box<dyn FnMut(u64) -> Result<f64, String> + 'a>,
}

impl<'a> Contestant<'a> {
    pub fn new(
        name: impl Into<String>,
        column: &'static str,
        sample: impl FnMut(u64) -> Result<f64, String> + 'a,
    ) -> Self {
        Self { name: name.into(), column, sample: Box::new(sample) }
    }
}

/// Fills `row` with figures, or with the reason why there are none.
///
/// # Errors
/// What a contestant says when it breaks.
pub fn measure(row: Row, mut contestants: Vec<Contestant>, effort: Effort, busy: Busy) -> Result<Row, String> {
    if let Some(refused) = refused_before(busy) {
        return Ok(row.refuse(refused));
    }
    // Timed calls per turn, and the untimed ones before them.
    let mut turns = vec![(1, 0); contestants.len()];
    if effort.warm {
        for (contestant, turn) in contestants.iter_mut().zip(&mut turns) {
            let first = (contestant.sample)(1)?;
            // Slow work is warm after one call.
            let once = if first > SLOW { first } else { (contestant.sample)(1)? };
            let calls = |seconds: f64| (seconds / once).ceil().clamp(1.0, 100_000.0) as u64;
            *turn = (calls(SHORTEST), if once < LONG { calls(WARM_UP) } else { 0 });
        }
    }
    let mut figures = vec![Vec::new(); contestants.len()];
    let (watch, start) = (Watch::start(), Instant::now());
    for round in 0..effort.most_rounds {
        if round >= effort.least_rounds && start.elapsed() >= effort.budget {
            break;
        }
        for ((contestant, &(calls, warm_up)), figures) in contestants.iter_mut().zip(&turns).zip(&mut figures) {
            if warm_up > 0 {
                (contestant.sample)(warm_up)?;
            }
            figures.push((contestant.sample)(calls)?);
        }
    }
    let series: Vec<Series> = contestants
        .iter()
        .zip(figures)
        .map(|(contestant, figures)| Series::new(contestant.name.clone(), contestant.column, figures))
        .collect();
    let row = match refused_after(&watch, &series, busy) {
        Some(refused) => row.refuse(refused),
        None => row,
    };
    Ok(Row { series, ..row })
}

/// Why a row cannot be measured now, if it cannot.
pub fn refused_before(busy: Busy) -> Option<String> {
    let Busy::Refuse(patience) = busy else { return None };
    wait_for_idle(patience).err().map(refusal)
}

/// Why figures that were measured do not count, if they do not.
pub fn refused_after(watch: &Watch, series: &[Series], busy: Busy) -> Option<String> {
    if busy == Busy::Ignore {
        return None;
    }
    if let Some(foreign) = watch.foreign().filter(|&foreign| foreign > ALLOWED) {
        return Some(refusal(foreign));
    }
    let (ours, theirs) = series.split_first()?;
    theirs.iter().filter(|theirs| theirs.figures.len() >= SPREAD_NEEDS).find_map(|theirs| {
        let spread = spread(&ratios(&ours.figures, &theirs.figures));
        (spread > MOST_SPREAD)
            .then(|| format!("not measured: the ratio to {} varies by {:.0} %", theirs.name, spread * 100.0))
    })
}

fn refusal(foreign: f64) -> String {
    format!("not measured: other work had {:.0} % of the cores", foreign * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;
    use crate::contestants::OURS;
    use crate::records::row::Unit;

    fn effort() -> Effort {
        Effort { least_rounds: 4, budget: Duration::ZERO, most_rounds: 9, warm: false }
    }

    #[test]
    fn contestants_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let contestant = |name: &'static str| {
            let order = &order;
            Contestant::new(name, OURS, move |_| {
                order.borrow_mut().push(name);
                Ok(1.0)
            })
        };
        let row = Row::new(Case::Layers, "x", 1, Unit::Seconds);
        let row = measure(row, vec![contestant("a"), contestant("b")], effort(), Busy::Ignore).expect("measured");
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b", "a", "b"]);
        assert_eq!(row.series[1].figures.len(), 4);
    }

    #[test]
    fn a_turn_of_short_work_begins_with_untimed_calls() {
        let calls = std::cell::RefCell::new(Vec::new());
        let contestant = |seconds: f64| {
            let calls = &calls;
            Contestant::new("x", OURS, move |n| {
                calls.borrow_mut().push((seconds, n));
                Ok(seconds)
            })
        };
        let effort = Effort { least_rounds: 2, warm: true, ..effort() };
        let row = Row::new(Case::Layers, "x", 1, Unit::Seconds);
        let row = measure(row, vec![contestant(0.005), contestant(0.2)], effort, Busy::Ignore).expect("measured");
        let of = |seconds: f64| -> Vec<u64> { calls.borrow().iter().filter(|c| c.0 == seconds).map(|c| c.1).collect() };
        assert_eq!(of(0.005), [1, 1, 6, 4, 6, 4]);
        assert_eq!(of(0.2), [1, 1, 1, 1]);
        assert_eq!(row.series[0].figures.len(), 2);
    }

    #[test]
    fn figures_that_vary_are_refused() {
        let series = |column, figures: &[f64]| Series::new("x", column, figures.to_vec());
        let (ours, theirs) = (series(OURS, &[1.0; 4]), series("PyTorch", &[1.0, 5.0, 1.0, 5.0]));
        let busy = Busy::Refuse(Duration::ZERO);
        let idle = Watch::unknown();
        assert!(refused_after(&idle, &[ours.clone(), theirs.clone()], busy).is_some());
        assert!(refused_after(&idle, &[ours.clone(), ours.clone()], busy).is_none());
        assert!(refused_after(&idle, &[ours, theirs], Busy::Ignore).is_none());
    }
}
