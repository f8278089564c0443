//! Mini-batches of contiguous text: each row reads on where it stopped in the mini-batch before, and every character is
//! predicted (truncated backpropagation through time).
//!
//! ```text
//! text, B = 3      |---- row 0 ----|---- row 1 ----|---- row 2 ----|
//! mini-batch 1      ~~~~            ~~~~            ~~~~              from a zero state
//! mini-batch 2          ~~~~            ~~~~            ~~~~          from the state after mini-batch 1
//! ```

use crate::data::characters;
use crate::model::{Batch, Reading};
use burn::tensor::{Device, Tensor, TensorData};
use rnn_data::Ids;
use rnn_harness::Failure;
use rnn_train::{Batches, Keys};
use std::ops::Range;
use std::sync::Arc;

/// The rows of a validation, and of a test. Fewer would leave the cores idle, more would begin more often.
const ROWS: usize = 16;
/// The characters before its part that a row of a validation reads first, so that it does not begin from nothing.
const WARM_UP: usize = 256;
/// The steps of a mini-batch of a validation.
const STEPS: usize = 128;
/// The rows begin elsewhere in each epoch, by up to this part of the text.
const SHIFT: usize = 20;

/// Rows of contiguous text.
#[derive(Debug, Clone, Copy)]
struct Rows {
    /// The place that the first row reads first.
    first: usize,
    /// How many there are.
    count: usize,
    /// The characters that each reads.
    columns: usize,
}

impl Rows {
    /// The ids at columns `columns` of each row, `ahead` characters further on, row by row.
    fn ids(self, ids: &Ids, columns: Range<usize>, ahead: usize) -> impl Iterator<Item = u32> {
        let starts = (0..self.count).map(move |row| self.first + row * self.columns + ahead);
        starts.flat_map(move |start| ids.range(start + columns.start..start + columns.end))
    }

    /// Columns `columns` with the characters after them.
    fn batch(self, ids: &Ids, columns: Range<usize>, keys: (Keys, u64), reading: Reading, device: &Device) -> Batch {
        let next: Vec<i32> = self.ids(ids, columns.clone(), 1).map(|id| id as i32).collect();
        let items = next.len();
        Batch {
            symbols: self.ids(ids, columns, 0).collect(),
            rows: self.count,
            reading,
            next: Tensor::from_data(TensorData::new(next, [items]), device),
            dropout: keys.0.dropout.child(keys.1),
        }
    }
}

/// Mini-batches of `rows` rows and `steps` characters that train on the characters of `part`. In each epoch the rows begin
/// elsewhere, so that the gradients are not always cut at the same characters.
///
/// # Errors
/// A part that has not `steps` characters for each row.
pub fn train(
    ids: &Arc<Ids>,
    part: Range<usize>,
    [rows, steps]: [usize; 2],
    keys: Keys,
    device: &Device,
) -> Result<Batches<Batch>, Failure> {
    let (first, read) = (part.start, part.len().saturating_sub(1)); // the last one has no successor
    let shift = steps.min(read / SHIFT);
    let columns = (read - shift) / rows;
    if columns < steps {
        return Err(Failure::input(format!(
            "the part to train on has {}, too few for --batch {rows} rows of --window {steps}; give smaller ones, \
             or a longer text",
            characters(part.len())
        )));
    }
    let ids = ids.clone();
    let steps_per_epoch = columns.div_ceil(steps) as u64;
    Ok(Batches::new(columns * rows, steps * rows, None, device, move |items, step, device| {
        let start = items[0] / rows;
        let by = keys.order.child(step / steps_per_epoch).uniforms(1).sum::<f64>() * (shift + 1) as f64;
        let rows = Rows { first: first + by as usize, count: rows, columns };
        let reading = Reading::Stream { begins: start == 0, before: Vec::new() };
        rows.batch(&ids, start..start + items.len() / rows.count, (keys, step), reading, device)
    }))
}

/// Mini-batches that predict the characters of `part` in order; none if it is empty. Each of a few rows first reads what
/// stands before it. If the characters do not come out even, the first ones are left to that.
pub fn in_order(ids: &Arc<Ids>, part: Range<usize>, keys: Keys, device: &Device) -> Option<Batches<Batch>> {
    let part = part.start.max(1)..part.end; // nothing predicts the first character of a text
    let count = ROWS.min(part.len().div_ceil(STEPS));
    if count == 0 {
        return None;
    }
    let columns = part.len() / count;
    let rows = Rows { first: part.end - count * columns - 1, count, columns };
    let warm = WARM_UP.min(rows.first);
    let ids = ids.clone();
    Some(Batches::new(count * columns, count * STEPS, None, device, move |items, step, device| {
        let start = items[0] / count;
        let begins = start == 0;
        let before = match begins {
            true => Rows { first: rows.first - warm, ..rows }.ids(&ids, 0..warm, 0).collect(),
            false => Vec::new(),
        };
        let columns = start..start + items.len() / count;
        rows.batch(&ids, columns, (keys, step), Reading::Stream { begins, before }, device)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rnn_data::chars::Vocabulary;

    fn text(length: usize) -> Arc<Ids> {
        let text: String = (0..length).filter_map(|i| char::from_u32(0x4e00 + i as u32)).collect();
        Arc::new(Ids::encode(&Vocabulary::build(&text), &text).expect("its own text")) // the id is the place
    }

    fn places(batch: &Batch) -> (Vec<Vec<u32>>, Vec<i32>) {
        let rows = batch.symbols.chunks(batch.symbols.len() / batch.rows).map(<[u32]>::to_vec).collect();
        (rows, batch.next.to_data().iter::<i32>().collect())
    }

    #[test]
    fn a_row_reads_on_where_it_stopped() {
        let device = Device::default();
        let batches = train(&text(1000), 0..900, [4, 16], Keys::new(0), &device).expect("long enough");
        let firsts: Vec<u32> = [0, 1, 2, 3]
            .map(|epoch| {
                let mut ends: Vec<Option<u32>> = vec![None; 4];
                let mut first = None;
                for (number, batch) in batches.epoch(epoch, 0).enumerate() {
                    let (rows, next) = places(&batch);
                    first = first.or(Some(rows[0][0]));
                    assert!(matches!(batch.reading, Reading::Stream { begins, .. } if begins == (number == 0)));
                    for (row, end) in rows.iter().zip(&mut ends) {
                        assert!(end.is_none_or(|end| end + 1 == row[0]), "{rows:?}");
                        *end = row.last().copied();
                    }
                    let after: Vec<i32> = rows.concat().iter().map(|&place| place as i32 + 1).collect();
                    assert_eq!(next, after);
                    assert!(next.iter().all(|&place| place < 900));
                }
                first.expect("a mini-batch")
            })
            .into();
        assert!(firsts.iter().any(|first| *first != firsts[0]), "{firsts:?}");
    }

    #[test]
    fn every_character_of_a_part_is_predicted_in_order() {
        let ids = text(5000);
        let batches = in_order(&ids, 3000..4003, Keys::new(0), &Device::default()).expect("some");
        let mut all: Vec<i32> = batches.epoch(0, 0).flat_map(|batch| places(&batch).1).collect();
        all.sort_unstable();
        let left_out = 1003 - all.len();
        assert!(left_out < 8, "{left_out}");
        assert_eq!(all, (3000 + left_out as i32..4003).collect::<Vec<_>>());
        let first = batches.epoch(0, 0).next().expect("a mini-batch");
        let Reading::Stream { begins: true, before } = &first.reading else { panic!("the first one") };
        assert_eq!(before.len(), WARM_UP * first.rows);
        assert_eq!(before[WARM_UP - 1] + 1, first.symbols[0]);
        assert!(in_order(&ids, 7..7, Keys::new(0), &Device::default()).is_none());
        let from_the_start = in_order(&ids, 0..100, Keys::new(0), &Device::default()).expect("some");
        assert_eq!(from_the_start.items(), 99);
    }
}
