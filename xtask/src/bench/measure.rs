//! Rounds of A B A B …: the contestants take turns, so that a machine whose speed drifts slows all of them alike, and the
//! figure that counts is the median over the rounds of the quotient. A turn of short work begins with calls off the
//! clock: whose turn it was before has had the caches, its threads may still spin, and until they stop the system may put two
//! of the next one's on one core.

use super::load::{ALLOWED, Watch, wait_for_idle};
use super::row::{Row, Series};
use super::stats::{ratios, spread};
use std::time::{Duration, Instant};

/// A single measurement takes at least this long; short work is called as often as that needs.
const SHORTEST: f64 = 0.02;
/// A call that takes longer is warm after one.
const SLOW: f64 = 0.5;
/// Seconds of calls off the clock with which a turn begins.
const WARM_UP: f64 = 0.03;
/// A call that takes longer hardly feels whose turn it was before.
const LONG: f64 = 0.1;
/// The quartiles of the quotients may lie so far apart.
const MOST_SPREAD: f64 = 0.3;
/// Rounds from which on a spread says anything.
const SPREAD_NEEDS: usize = 3;

/// How long a row may take.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds stop when both are reached.
    pub least_rounds: usize,
    pub budget: Duration,
    pub most_rounds: usize,
    /// Whether the work is called before the clock counts, and more than once a round if it is short.
    pub warm: bool,
}

/// Whether a machine that is busy matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// Wait for it so long, then refuse.
    Refuse(Duration),
    /// Measure anyway: for work on the bench itself.
    Ignore,
}

/// One who takes part in a row.
pub struct Contestant<'a> {
    pub name: String,
    pub column: &'static str,
    /// The figure of one call, the mean of so many.
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
    // How often each is called in its turn, and how often before that, off the clock.
    let mut turns = vec![(1, 0); contestants.len()];
    if effort.warm {
        for (contestant, turn) in contestants.iter_mut().zip(&mut turns) {
            let first = (contestant.sample)(1)?;
            // What takes long has no more to gain from a second call before the clock counts.
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
        .map(|(contestant, figures)| Series { name: contestant.name.clone(), column: contestant.column, figures })
        .collect();
    let row = match refused_after(&watch, &series, busy) {
        Some(refused) => row.refuse(refused),
        None => row,
    };
    Ok(Row { series, ..row })
}

/// Why a row cannot be measured now.
pub fn refused_before(busy: Busy) -> Option<String> {
    let Busy::Refuse(patience) = busy else { return None };
    wait_for_idle(patience).err().map(refusal)
}

/// Why what was measured is worthless.
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
            .then(|| format!("not measured: the quotients to {} are {:.0} % apart", theirs.name, spread * 100.0))
    })
}

fn refusal(foreign: f64) -> String {
    format!("not measured: the machine is busy ({:.0} % of it with other things)", foreign * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::{OURS, Unit};

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
        let row = Row::new("layers", "x", 1, Unit::Time);
        let row = measure(row, vec![contestant("a"), contestant("b")], effort(), Busy::Ignore).expect("measured");
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b", "a", "b"]);
        assert_eq!(row.series[1].figures.len(), 4);
    }

    #[test]
    fn a_turn_of_short_work_begins_with_calls_off_the_clock() {
        let calls = std::cell::RefCell::new(Vec::new());
        let contestant = |seconds: f64| {
            let calls = &calls;
            Contestant::new("x", OURS, move |n| {
                calls.borrow_mut().push((seconds, n));
                Ok(seconds)
            })
        };
        let effort = Effort { least_rounds: 2, warm: true, ..effort() };
        let row = Row::new("layers", "x", 1, Unit::Time);
        let row = measure(row, vec![contestant(0.005), contestant(0.2)], effort, Busy::Ignore).expect("measured");
        let of = |seconds: f64| -> Vec<u64> { calls.borrow().iter().filter(|c| c.0 == seconds).map(|c| c.1).collect() };
        assert_eq!(of(0.005), [1, 1, 6, 4, 6, 4]);
        assert_eq!(of(0.2), [1, 1, 1, 1]);
        assert_eq!(row.series[0].figures.len(), 2);
    }

    #[test]
    fn figures_that_scatter_are_refused() {
        let series = |column, figures: &[f64]| Series { name: "x".into(), column, figures: figures.into() };
        let (ours, theirs) = (series(OURS, &[1.0; 4]), series("PyTorch", &[1.0, 5.0, 1.0, 5.0]));
        let busy = Busy::Refuse(Duration::ZERO);
        let idle = Watch::unknown();
        assert!(refused_after(&idle, &[ours.clone(), theirs.clone()], busy).is_some());
        assert!(refused_after(&idle, &[ours.clone(), ours.clone()], busy).is_none());
        assert!(refused_after(&idle, &[ours, theirs], Busy::Ignore).is_none());
    }
}
