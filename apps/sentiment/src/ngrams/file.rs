//! The n-gram part as a file: its name and sizes, then the table, in little-endian order.

use super::{Ngrams, ORDERS};

/// What the file begins with: its name and version.
const MAGIC: [u8; 4] = *b"ngr1";
/// Bytes in front of the table.
const HEAD: usize = 16;

/// The content of the file.
pub fn bytes(order: usize, outputs: usize, prints: &[u32], weights: &[f32], bias: &[f32]) -> Vec<u8> {
    let sizes = [order as u32, outputs as u32, prints.len().trailing_zeros()];
    let mut bytes = MAGIC.to_vec();
    bytes.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    bytes.extend(prints.iter().flat_map(|print| print.to_le_bytes()));
    bytes.extend(weights.iter().chain(bias).flat_map(|weight| weight.to_le_bytes()));
    bytes
}

/// Groups of four bytes.
fn words(bytes: &[u8]) -> &[[u8; 4]] {
    bytes.as_chunks().0
}

impl Ngrams {
    /// The content of the file.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What stands in the table for the n-gram of a row.
    pub(super) fn print(&self, row: usize) -> u32 {
        u32::from_le_bytes(words(&self.bytes[HEAD..])[row])
    }

    /// The weights and behind them the bias, from this one on.
    fn floats(&self, from: usize) -> impl Iterator<Item = f32> {
        let all = &words(&self.bytes[HEAD..])[self.rows..];
        all[from..from + self.outputs].iter().map(|&weight| f32::from_le_bytes(weight))
    }

    /// The weights of a row, one an output.
    pub(super) fn weights(&self, row: usize) -> impl Iterator<Item = f32> {
        self.floats(row * self.outputs)
    }

    /// The bias, one an output.
    pub(super) fn bias(&self) -> impl Iterator<Item = f32> {
        self.floats(self.rows * self.outputs)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// Bytes that it cannot have given; weights that are not finite.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("it {what}; restore the file, or train again"));
        if bytes.len() < HEAD || bytes[..4] != MAGIC {
            return wrong("is no table of n-grams of this version");
        }
        let size = |i: usize| u64::from(u32::from_le_bytes(words(&bytes[4..HEAD])[i]));
        let [order, outputs, log_rows] = [0, 1, 2].map(size);
        let rows = 1u64 << log_rows.min(40);
        let all = rows.checked_mul(1 + outputs).and_then(|n| n.checked_add(outputs)).and_then(|n| n.checked_mul(4));
        if !ORDERS.contains(&order) || outputs == 0 || all != Some((bytes.len() - HEAD) as u64) {
            return wrong("has another size than its head says");
        }
        let (prints, weights) = words(&bytes[HEAD..]).split_at(rows as usize);
        let is_finite = |weight: &[u8; 4]| f32::from_le_bytes(*weight).is_finite();
        // Without a free row a search would never end.
        if !prints.contains(&[0; 4]) || !weights.iter().all(is_finite) {
            return wrong("has values that no training gives");
        }
        Ok(Self { order: order as usize, outputs: outputs as usize, rows: rows as usize, bytes })
    }
}
