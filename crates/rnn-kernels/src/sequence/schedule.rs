//! Which rows a thread has at which step. Work is done for rows at steps that count and for nothing else: at each step
//! these rows stand side by side at *places* 0, 1, …, and one step follows upon the other without a gap.
//!
//! Where all steps count, a row keeps its place. With lengths or a mask rows are ordered by where they begin and end,
//! so that those that end leave from the last places; where a mask makes a hole, the last row moves there. A row that
//! rests has its state in a table of all rows.

mod share;

pub(crate) use share::counted;

use crate::args::{Counted, Sequence};
use crate::sequence::plan::Plan;
use std::ops::Range;

/// The rows of one thread and their steps. Steps are numbered as the layer does them. A *packed row* is one row at one
/// step that counts; they are numbered step by step, and place by place within a step.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// The rows of the batch; in order and side by side where all steps count.
    pub(crate) rows: Vec<usize>,
    time: usize,
    /// The first packed row of each step, and their number; empty where all steps count.
    starts: Vec<usize>,
    /// The row of the batch of each packed row; empty where all steps count.
    packed: Vec<u32>,
    /// Steps and places before which the state becomes zero, in order.
    resets: Vec<[usize; 2]>,
    /// The steps of each chunk.
    pub(crate) chunks: Vec<Range<usize>>,
    /// The most rows of a step.
    pub(crate) most: usize,
}

/// Those of all threads.
pub(crate) fn schedules<T>(plan: &Plan, sequence: &Sequence<T>, least_steps: usize) -> Vec<Schedule> {
    let &Sequence { batch, time, .. } = sequence;
    let parts = match all_count(sequence) {
        true => crate::threads::ranges(batch, plan.threads).into_iter().map(|part| part.collect()).collect(),
        false => share::parts(sequence, plan.threads),
    };
    let schedule = |rows: Vec<usize>| {
        let mut schedule = Schedule {
            time,
            starts: Vec::new(),
            packed: Vec::new(),
            resets: Vec::new(),
            chunks: Vec::new(),
            most: rows.len(),
            rows,
        };
        if !all_count(sequence) {
            schedule.pack(sequence);
        }
        if let Some(resets) = sequence.resets {
            schedule.resets = (0..time)
                .flat_map(|s| (0..schedule.count(s)).map(move |place| [s, place]))
                .filter(|&[s, place]| resets[schedule.row(s, place) * time + sequence.step(s)])
                .collect();
        }
        schedule.cut(plan, size_of::<T>(), least_steps);
        schedule
    };
    parts.into_iter().map(schedule).collect()
}

fn all_count<T>(sequence: &Sequence<T>) -> bool {
    match sequence.counted {
        Counted::All => true,
        Counted::Lengths(lengths) => lengths.iter().all(|&length| length == sequence.time),
        Counted::Mask(mask) => mask.iter().all(|&counts| counts),
    }
}

impl Schedule {
    /// Finds the rows of each step.
    fn pack<T>(&mut self, sequence: &Sequence<T>) {
        let spans: Vec<Range<usize>> = self.rows.iter().map(|&b| share::span(sequence, b)).collect();
        let counts = |b: usize, s: usize| sequence.counts(b, sequence.step(s));
        let (mut next, mut begun): (usize, Vec<usize>) = (0, Vec::new());
        let mut now: Vec<u32> = Vec::new();
        (self.starts, self.most) = (vec![0], 0);
        for s in 0..self.time {
            while next < spans.len() && spans[next].start <= s {
                begun.push(next);
                next += 1;
            }
            begun.retain(|&i| s < spans[i].end);
            let mut place = 0;
            while place < now.len() {
                match counts(now[place] as usize, s) {
                    true => place += 1,
                    false => drop(now.swap_remove(place)),
                }
            }
            let joins = |&b: &usize| counts(b, s) && (s == 0 || !counts(b, s - 1));
            now.extend(begun.iter().map(|&i| self.rows[i]).filter(joins).map(|b| b as u32));
            self.packed.extend_from_slice(&now);
            self.starts.push(self.packed.len());
            self.most = self.most.max(now.len());
        }
    }

    /// Cuts the steps into chunks of at least `least` steps.
    fn cut(&mut self, plan: &Plan, element: usize, least: usize) {
        let mut from = 0;
        while from < self.time {
            let mut to = from + 1;
            let rows = |to: usize| self.start(to) - self.start(from);
            while to < self.time && (to - from < least || plan.takes_more(element, rows(to), rows(to + 1))) {
                to += 1;
            }
            self.chunks.push(from..to);
            from = to;
        }
    }

    /// Whether all steps of all rows count.
    #[inline(always)]
    pub(crate) fn is_regular(&self) -> bool {
        self.starts.is_empty()
    }

    /// The first packed row of step `s`; their number for s = time.
    #[inline(always)]
    pub(crate) fn start(&self, s: usize) -> usize {
        if self.is_regular() { s * self.rows.len() } else { self.starts[s] }
    }

    /// The number of rows at step `s`.
    #[inline(always)]
    pub(crate) fn count(&self, s: usize) -> usize {
        self.start(s + 1) - self.start(s)
    }

    /// The number of packed rows of `steps`.
    pub(crate) fn count_of(&self, steps: &Range<usize>) -> usize {
        self.start(steps.end) - self.start(steps.start)
    }

    /// The number of packed rows.
    pub(crate) fn total(&self) -> usize {
        self.start(self.time)
    }

    /// The most packed rows of a chunk.
    pub(crate) fn chunk_rows(&self) -> usize {
        self.chunks.iter().map(|steps| self.count_of(steps)).max().unwrap_or(0)
    }

    /// The number of the chunk that has packed row `q`.
    pub(crate) fn chunk_of(&self, q: usize) -> usize {
        self.chunks.partition_point(|steps| self.start(steps.end) <= q)
    }

    /// The row of the batch that [`at`](Self::at) and [`row_of`](Self::row_of) count from.
    #[inline(always)]
    pub(crate) fn base(&self) -> usize {
        if self.is_regular() { self.rows[0] } else { 0 }
    }

    /// The rows at step `s`, counted from the base; null where they are their places.
    #[inline(always)]
    pub(crate) fn at(&self, s: usize) -> *const u32 {
        if self.is_regular() { std::ptr::null() } else { self.packed[self.starts[s]..].as_ptr() }
    }

    /// The row of packed row `q`, counted from the base.
    #[inline(always)]
    pub(crate) fn row_of(&self, q: usize) -> usize {
        if self.is_regular() { q % self.rows.len() } else { self.packed[q] as usize }
    }

    /// The row of the batch at a place of step `s`.
    #[inline(always)]
    pub(crate) fn row(&self, s: usize, place: usize) -> usize {
        if self.is_regular() { self.rows[place] } else { self.packed[self.starts[s] + place] as usize }
    }

    /// The step and the row of the batch of all packed rows of `steps`.
    #[inline(always)]
    pub(crate) fn entries(&self, steps: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        steps.flat_map(move |s| (0..self.count(s)).map(move |place| (s, self.row(s, place))))
    }

    /// `steps` cut where rows join, leave or move.
    pub(crate) fn runs(&self, steps: Range<usize>) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for s in steps {
            match runs.last_mut() {
                Some(run) if self.is_regular() || self.list(Some(s - 1)) == self.list(Some(s)) => run.end = s + 1,
                _ => runs.push(s..s + 1),
            }
        }
        runs
    }

    /// The rows of a step that is not regular; of none there are none.
    fn list(&self, s: Option<usize>) -> &[u32] {
        s.map_or(&[], |s| &self.packed[self.starts[s]..self.starts[s + 1]])
    }

    /// The places, and their rows of the batch, that have at step `s` other rows than at step `other`, which may be
    /// none.
    pub(crate) fn others(&self, s: Option<usize>, other: Option<usize>) -> impl Iterator<Item = (usize, usize)> {
        let regular = if self.is_regular() && s.is_some() && other.is_none() { &self.rows[..] } else { &[] };
        let (now, other) = if self.is_regular() { (&[][..], &[][..]) } else { (self.list(s), self.list(other)) };
        let same = now == other;
        let packed = now.iter().enumerate().filter(move |&(place, b)| !same && other.get(place) != Some(b));
        regular.iter().copied().enumerate().chain(packed.map(|(place, &b)| (place, b as usize)))
    }

    /// The places at step `s` whose state becomes zero before it.
    pub(crate) fn resets(&self, s: usize) -> impl Iterator<Item = usize> {
        let from = self.resets.partition_point(|&[step, _]| step < s);
        self.resets[from..].iter().take_while(move |&&[step, _]| step == s).map(|&[_, place]| place)
    }
}
