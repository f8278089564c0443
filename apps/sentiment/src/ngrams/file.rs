//! The n-gram part as a file: sizes, then the table as it lies in memory, in little-endian order.

use super::{Ngrams, ORDERS};

/// What the file begins with: its name and version.
const MAGIC: [u8; 4] = *b"ngr1";
/// Bytes in front of the table.
const HEAD: usize = 16;

impl Ngrams {
    /// The content of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let sizes = [self.order as u32, self.outputs as u32, self.prints.len().trailing_zeros()];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
        bytes.extend(self.prints.iter().flat_map(|print| print.to_le_bytes()));
        bytes.extend(self.weights.iter().chain(&self.bias).flat_map(|weight| weight.to_le_bytes()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    ///
    /// # Errors
    /// Bytes that it cannot have given; weights that are not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("it {what}; restore the file, or train again"));
        if bytes.len() < HEAD || bytes[..4] != MAGIC {
            return wrong("is no table of n-grams of this version");
        }
        let words = |bytes: &[u8]| bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]).collect();
        let sizes: Vec<[u8; 4]> = words(&bytes[4..HEAD]);
        let [order, outputs, log_rows] = [0, 1, 2].map(|i| u64::from(u32::from_le_bytes(sizes[i])));
        let rows = 1u64 << log_rows.min(40);
        let all = rows.checked_mul(1 + outputs).and_then(|n| n.checked_add(outputs)).and_then(|n| n.checked_mul(4));
        if !ORDERS.contains(&order) || outputs == 0 || all != Some((bytes.len() - HEAD) as u64) {
            return wrong("has another size than its head says");
        }
        let (rows, outputs) = (rows as usize, outputs as usize);
        let (prints, weights) = bytes[HEAD..].split_at(4 * rows);
        let prints: Vec<u32> = words(prints).into_iter().map(u32::from_le_bytes).collect();
        let mut weights: Vec<f32> = words(weights).into_iter().map(f32::from_le_bytes).collect();
        if !prints.contains(&0) || !weights.iter().all(|weight| weight.is_finite()) {
            return wrong("has values that no training gives");
        }
        let bias = weights.split_off(rows * outputs);
        Ok(Self { order: order as usize, outputs, prints, weights, bias })
    }
}
