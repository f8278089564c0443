//! How the rows of a ragged batch are shared among threads.

use crate::args::{Counted, Sequence};
use std::cmp::Reverse;
use std::ops::Range;

/// What a step costs beside its rows, in rows: reading the recurrent weights, and the tile that is not full.
const STEP: usize = 2;

/// From the first step that counts of a row to behind the last one, as the layer numbers steps; where none counts, the
/// empty range behind all steps.
pub(super) fn span<T>(sequence: &Sequence<T>, b: usize) -> Range<usize> {
    let time = sequence.time;
    let (first, end) = match sequence.counted {
        Counted::All => (0, time),
        Counted::Lengths(lengths) => (0, lengths[b]),
        Counted::Mask(mask) => {
            let row = &mask[b * time..][..time];
            let end = row.iter().rposition(|&counts| counts).map_or(0, |last| last + 1);
            (row.iter().position(|&counts| counts).unwrap_or(end), end)
        }
    };
    match (first == end, sequence.reverse) {
        (true, _) => time..time,
        (false, false) => first..end,
        (false, true) => time - end..time - first,
    }
}

/// A row of the batch.
struct Row {
    number: usize,
    span: Range<usize>,
    /// How many of its steps count.
    counted: usize,
}

/// The rows of each thread, those that begin first first, and of these those that end last. Rows next to each other in
/// this order go to the same thread, whose tiles are full for longest then; the threads' shares of the work are as
/// equal as that allows.
pub(super) fn parts<T>(sequence: &Sequence<T>, threads: usize) -> Vec<Vec<usize>> {
    let row = |number| Row { number, span: span(sequence, number), counted: counted(sequence, number) };
    let mut rows: Vec<Row> = (0..sequence.batch).map(row).collect();
    rows.sort_by_key(|row| (row.span.start, Reverse(row.span.end)));
    // The least bound of a thread's work that is enough for so many threads.
    let (mut low, mut high) = (0, rows.len().saturating_mul(sequence.time).saturating_mul(STEP + 1));
    while low < high {
        let middle = low + (high - low) / 2;
        match cut(&rows, middle).len() <= threads {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    cut(&rows, high).into_iter().map(|part| rows[part].iter().map(|row| row.number).collect()).collect()
}

/// Cuts `rows` into parts that cost at most `bound`, or have one row.
fn cut(rows: &[Row], bound: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::from([Range { start: 0, end: 0 }]);
    let (mut held, mut steps) = (0, 0..0);
    for (i, Row { span, counted, .. }) in rows.iter().enumerate() {
        let both = if steps.is_empty() { span.clone() } else { steps.start..steps.end.max(span.end) };
        if i > 0 && held + counted + STEP * both.len() > bound {
            parts.push(i..i);
            (held, steps) = (0, span.clone());
        } else {
            steps = both;
        }
        held += counted;
        if let Some(part) = parts.last_mut() {
            part.end = i + 1;
        }
    }
    parts
}

/// How many steps of a row count.
pub(crate) fn counted<T>(sequence: &Sequence<T>, b: usize) -> usize {
    match sequence.counted {
        Counted::All => sequence.time,
        Counted::Lengths(lengths) => lengths[b],
        Counted::Mask(mask) => mask[b * sequence.time..][..sequence.time].iter().filter(|&&counts| counts).count(),
    }
}
