//! Additions as sequences of bits, the least significant first, so that the carry flows forward in time.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rnn_core::Key;

/// Two numbers to add, each of at most 64 bits.
pub type Pair = (u64, u64);

/// The largest number of bits for which the check covers every pair of operands.
pub const ALL_PAIRS_BITS: u32 = 10;
/// The number of random pairs in a check of more bits.
const SAMPLED_PAIRS: usize = 100_000;
/// The number of random pairs in a check of additions longer than [`LONG_BITS`].
const LONG_PAIRS: usize = 10_000;
/// The largest number of bits of additions that are not long.
const LONG_BITS: u32 = 24;
/// The number of random bits in a random number.
const RANDOM_BITS: u32 = 53;

/// The largest operand of which two have a sum of `bits` bits: operands have one bit less.
pub fn largest_operand(bits: u32) -> u64 {
    u64::MAX >> (65 - bits)
}

/// The sum of a pair.
pub fn sum((a, b): Pair) -> u128 {
    u128::from(a) + u128::from(b)
}

/// `count` pairs of operands drawn from `key`.
pub fn random_pairs(bits: u32, count: usize, key: Key) -> Vec<Pair> {
    let largest = largest_operand(bits);
    let numbers: Vec<u64> = match bits - 1 <= RANDOM_BITS {
        true => key.uniforms(2 * count).map(|u| (u * (largest + 1) as f64) as u64).collect(),
        false => {
            let halves: Vec<u64> = key.uniforms(4 * count).map(|u| (u * f64::from(u32::MAX)).round() as u64).collect();
            halves.chunks_exact(2).map(|half| (half[0] << 32 | half[1]) & largest).collect()
        }
    };
    numbers.chunks_exact(2).map(|p| (p[0], p[1])).collect()
}

/// The pairs a model of `bits` bits is checked on: all of them up to 10 bits, else 100,000 drawn from `key`, of long
/// additions 10,000.
pub fn check_pairs(bits: u32, key: Key) -> Vec<Pair> {
    if bits > ALL_PAIRS_BITS {
        return random_pairs(bits, if bits > LONG_BITS { LONG_PAIRS } else { SAMPLED_PAIRS }, key);
    }
    let largest = largest_operand(bits);
    (0..=largest).flat_map(|a| (0..=largest).map(move |b| (a, b))).collect()
}

/// The bit of `number` at each step.
pub fn bits_of(number: impl Into<u128>, bits: u32) -> impl Iterator<Item = u8> {
    let number = number.into();
    (0..bits).map(move |t| (number >> t & 1) as u8)
}

/// The bit that is carried into each step, and at last the one that is left over: `bits` + 1 of them.
pub fn carries((a, b): Pair, bits: u32) -> impl Iterator<Item = u8> {
    // The sum's bit is the sum of the operands' bits and the carry, without carrying.
    bits_of(u128::from(a) ^ u128::from(b) ^ sum((a, b)), bits + 1)
}

/// Pairs as `[batch, bits, 2]`.
pub fn inputs(pairs: &[Pair], bits: u32, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = pairs
        .iter()
        .flat_map(|&(a, b)| bits_of(a, bits).zip(bits_of(b, bits)))
        .flat_map(|(a, b)| [f32::from(a), f32::from(b)])
        .collect();
    let shape = [pairs.len(), bits as usize, 2];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The bits of the sums, `[batch, bits]`.
pub fn targets(pairs: &[Pair], bits: u32, device: &Device) -> Tensor<2, Int> {
    let values: Vec<i32> = pairs.iter().flat_map(|&pair| bits_of(sum(pair), bits).map(i32::from)).collect();
    let shape = [pairs.len(), bits as usize];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Predicted bits, least significant first, as a number.
pub fn number(bits: &[bool]) -> u128 {
    bits.iter().rev().fold(0, |sum, &bit| sum << 1 | u128::from(bit))
}

/// `number` as a person writes it in binary, most significant bit first: `0 1 0 1`.
pub fn written(number: impl Into<u128>, bits: u32) -> String {
    let mut digits: Vec<String> = bits_of(number, bits).map(|bit| bit.to_string()).collect();
    digits.reverse();
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
        assert_eq!(written(6_u64, 4), "0 1 1 0");
    }

    #[test]
    fn eight_bits_are_checked_on_all_16384_pairs() {
        let pairs = check_pairs(8, Key::new(0));
        assert_eq!(pairs.len(), 16_384);
        assert!(pairs.iter().all(|&(a, b)| a < 128 && b < 128));
        assert_eq!(check_pairs(12, Key::new(0)).len(), 100_000);
    }

    #[test]
    fn operands_of_64_bits_fill_their_range() {
        assert_eq!((largest_operand(2), largest_operand(65)), (1, u64::MAX));
        assert_eq!(number(&bits_of(sum((u64::MAX, 1)), 65).map(|bit| bit == 1).collect::<Vec<_>>()), 1 << 64);
        for bits in [25, 54, 55, 65] {
            let pairs = random_pairs(bits, 2_000, Key::new(3));
            for t in 0..bits - 1 {
                let ones = pairs.iter().filter(|(a, _)| a >> t & 1 == 1).count();
                assert!((850..1150).contains(&ones), "{bits} bits, bit {t}: {ones} of 2000");
            }
            assert!(pairs.iter().all(|&(a, b)| a <= largest_operand(bits) && b <= largest_operand(bits)));
        }
    }

    #[test]
    fn the_carry_is_that_of_the_bits_before() {
        assert_eq!(carries((0b011, 0b001), 4).collect::<Vec<_>>(), [0, 1, 1, 0, 0]);
        assert_eq!(carries((u64::MAX, 1), 65).map(usize::from).sum::<usize>(), 64);
    }
}
