//! Batches whose rows have lengths of their own, forward and backward, beside the same batches without lengths, which
//! go over the padding, and beside PyTorch's packing. Backward starts from the last h of each row.

use super::{Case, corpus};
use crate::bench::Bench;
use crate::contestants::Engine;
use crate::contestants::protocol::{self, Ragged, Spec};
use crate::measure::Contestant;
use crate::records::row::{Row, Unit};
use std::cell::Cell;
use std::rc::Rc;

/// The column of our layer over the padding.
const PADDED: &str = "ours, padded";
/// The column of its time, times the share of the steps that the rows hold: what a layer would take that did nothing for
/// padding and the same for all else.
const SHARE: &str = "ours, padded × share";
/// Features and units.
const SIZE: usize = 128;
/// Reviews of a batch, words that are read of each, and batches of IMDb's that are measured.
const REVIEWS: (usize, usize, usize) = (50, 400, 10);

pub fn run(bench: &mut Bench) -> Result<(), String> {
    let threads = bench.most_threads();
    let mut one = vec![10; 64];
    one[17] = 2000;
    // In no order of their lengths.
    let half = |batch: usize, time: usize| (0..batch).map(|b| ((b * 19 % batch) + 1) * time / batch).collect();
    let mut rows: Vec<(String, protocol::Cell, Vec<Vec<usize>>)> = Vec::new();
    for cell in [protocol::Cell::Lstm, protocol::Cell::Gru] {
        rows.push((format!("{} 64,2000, one row of 2000 and 63 of 10", cell.name()), cell, vec![one.clone()]));
        rows.push((format!("{} 50,80, mean half of the longest", cell.name()), cell, vec![half(50, 80)]));
    }
    let (batch, most, count) = REVIEWS;
    match corpus::review_lengths(most)? {
        Some(lengths) => {
            // Spread over the file, whose reviews are sorted by their class.
            let batches: Vec<&[usize]> = lengths.chunks_exact(batch).collect();
            let batches = batches.iter().step_by((batches.len() / count).max(1)).take(count);
            let name = format!("LSTM {count} IMDb batches of {batch}, cut at {most} words");
            rows.push((name, protocol::Cell::Lstm, batches.map(|batch| batch.to_vec()).collect()));
        }
        None => bench.say("IMDb is not here, and its batches are left out"),
    }
    bench.progress.inc_length(rows.len() as u64);
    for (name, cell, batches) in rows {
        let name = format!("{name} forward+backward");
        bench.say(format!("{name}, {threads} threads"));
        let spec = |told| Spec::Ragged(Ragged { cell, input: SIZE, hidden: SIZE, batches: batches.clone(), told });
        let held: usize = batches.iter().flatten().sum();
        let all: usize = batches.iter().map(|batch| batch.len() * batch.iter().max().unwrap_or(&0)).sum();
        let share = held as f64 / all as f64;
        let mut contestants = bench.contestants(Engine::RnnCore, threads, |_| spec(true))?;
        for padded in bench.contestants(Engine::RnnCore, threads, |_| spec(false))? {
            let (mut sample, last) = (padded.sample, Rc::new(Cell::new(0.0)));
            let seen = last.clone();
            contestants
                .push(Contestant::new(PADDED, PADDED, move |calls| sample(calls).inspect(|&time| seen.set(time))));
            // Its turn comes after that of the padded batch, whose time it takes.
            contestants.push(Contestant::new(SHARE, SHARE, move |_| Ok(last.get() * share)));
        }
        for engine in bench.engines(&[Engine::PyTorch]) {
            contestants.extend(bench.contestants(engine, threads, |_| spec(true))?.into_iter().take(1));
        }
        bench.measure(Row::new(Case::Ragged, name, threads, Unit::Seconds), contestants, bench.effort())?;
    }
    Ok(())
}
