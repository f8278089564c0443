//! Additions as sequences of bits, the least significant first, so that the carry flows forward in time.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::Key;

/// The largest number of bits for which the check covers every pair of operands.
pub const ALL_PAIRS_BITS: u32 = 10;
/// The number of random pairs in a check of more bits.
const SAMPLED_PAIRS: usize = 100_000;

/// Operands below half the range, so that the sum fits in `bits` bits.
pub fn operand_limit(bits: u32) -> u32 {
    1 << (bits - 1)
}

/// `count` pairs of operands drawn from `key`.
pub fn random_pairs(bits: u32, count: usize, key: Key) -> Vec<(u32, u32)> {
    let limit = f64::from(operand_limit(bits));
    let numbers: Vec<u32> = key.uniforms(2 * count).map(|u| (u * limit) as u32).collect();
    numbers.chunks_exact(2).map(|p| (p[0], p[1])).collect()
}

/// The pairs a model of `bits` bits is checked on: all of them up to 10 bits, else 100,000 drawn from `key`.
pub fn check_pairs(bits: u32, key: Key) -> Vec<(u32, u32)> {
    if bits > ALL_PAIRS_BITS {
        return random_pairs(bits, SAMPLED_PAIRS, key);
    }
    let limit = operand_limit(bits);
    (0..limit).flat_map(|a| (0..limit).map(move |b| (a, b))).collect()
}

/// The bit of `number` at each step.
fn bits_of(number: u32, bits: u32) -> impl Iterator<Item = u32> {
    (0..bits).map(move |t| number >> t & 1)
}

/// Pairs as `[batch, bits, 2]`.
pub fn inputs(pairs: &[(u32, u32)], bits: u32, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = pairs
        .iter()
        .flat_map(|&(a, b)| bits_of(a, bits).zip(bits_of(b, bits)))
        .flat_map(|(a, b)| [a as f32, b as f32])
        .collect();
    let shape = [pairs.len(), bits as usize, 2];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The bits of the sums, `[batch, bits]`.
pub fn targets(pairs: &[(u32, u32)], bits: u32, device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = pairs.iter().flat_map(|&(a, b)| bits_of(a + b, bits).map(|bit| bit as i32)).collect();
    let shape = [pairs.len(), bits as usize];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Predicted bits, least significant first, as a number.
pub fn number(bits: &[bool]) -> u32 {
    bits.iter().rev().fold(0, |sum, &bit| sum << 1 | u32::from(bit))
}

/// `number` as a person writes it in binary, most significant bit first: `0 1 0 1`.
pub fn written(number: u32, bits: u32) -> String {
    let digits: Vec<String> = (0..bits).rev().map(|t| (number >> t & 1).to_string()).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_significant_bit_comes_first() {
        let device = Device::default();
        let x: Vec<f32> = inputs(&[(1, 6)], 4, &device).into_data().try_to_vec().expect("f32");
        assert_eq!(x, [1., 0., 0., 1., 0., 1., 0., 0.]);
        let y: Vec<i64> = targets(&[(1, 6)], 4, &device).into_data().convert::<i64>().try_to_vec().expect("i64");
        assert_eq!(y, [1, 1, 1, 0]);
        assert_eq!(number(&[true, true, true, false]), 7);
        assert_eq!(written(6, 4), "0 1 1 0");
    }

    #[test]
    fn eight_bits_are_checked_on_all_16384_pairs() {
        let pairs = check_pairs(8, Key::new(0));
        assert_eq!(pairs.len(), 16_384);
        assert!(pairs.iter().all(|&(a, b)| a < 128 && b < 128));
        assert_eq!(check_pairs(12, Key::new(0)).len(), 100_000);
    }
}
