//! `adder inspect`: what a training sees, before it trains.

use crate::config::Keys;
use crate::data::{Pair, bits_of, carries, check_pairs, largest_operand, sum};
use crate::model::BITS;
use rnn_harness::{Failure, histogram, json_line, whole};
use serde::Serialize;

/// The examples that are shown.
const SHOWN: usize = 3;

/// Shows what a training sees: ranges, how often there is a carry and how far it goes, three examples.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Bits of the sum; the operands have one less
    #[arg(long, default_value_t = 8, value_parser = whole::<u32>(BITS))]
    bits: u32,
    /// Seed of the examples
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the results as a JSON object in the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Seen {
    bits: u32,
    largest_operand: u64,
    largest_sum: u128,
    pairs: usize,
    /// The share of ones among the bits of the sums.
    ones: f64,
    /// The share of steps into which a one is carried.
    carries: f64,
    longest_carry: usize,
}

/// The steps through which the longest run of carries of `pair` goes.
fn longest_carry(pair: Pair, bits: u32) -> usize {
    let carries: Vec<u8> = carries(pair, bits).collect();
    carries.split(|&carry| carry == 0).map(<[u8]>::len).max().unwrap_or(0)
}

/// Prints it.
pub fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let (bits, keys) = (args.bits, Keys::new(args.seed));
    let pairs = check_pairs(bits, keys.checks);
    let share = |count: usize| count as f64 / (pairs.len() * bits as usize) as f64;
    let ones = pairs.iter().flat_map(|&pair| bits_of(sum(pair), bits)).filter(|&bit| bit == 1).count();
    let carried = pairs.iter().flat_map(|&pair| carries(pair, bits)).filter(|&bit| bit == 1).count();
    let longest: Vec<usize> = pairs.iter().map(|&pair| longest_carry(pair, bits)).collect();
    let seen = Seen {
        bits,
        largest_operand: largest_operand(bits),
        largest_sum: 2 * u128::from(largest_operand(bits)),
        pairs: pairs.len(),
        ones: share(ones),
        carries: share(carried),
        longest_carry: longest.iter().copied().max().unwrap_or(0),
    };
    let Seen { largest_operand, largest_sum, pairs: checked, ones, carries: share, .. } = &seen;
    println!("operands 0 to {largest_operand}, sums 0 to {largest_sum}: {bits} steps of 2 bits each");
    let all = if bits <= crate::data::ALL_PAIRS_BITS { "all" } else { "drawn by the seed" };
    println!("checked after each epoch: {checked} pairs, {all}");
    println!(
        "{:.1} % of the sums' bits are ones; a one is carried into {:.1} % of the steps",
        100.0 * ones,
        100.0 * share
    );
    println!("steps in a row into which a one is carried, the most of each of these pairs:");
    print!("{}", histogram(&longest));
    println!("\nThe first {SHOWN} additions of a training with --seed {}, the least significant bit first:", args.seed);
    for (a, b) in crate::data::random_pairs(bits, SHOWN, keys.additions.child(0)) {
        let line =
            |digits: &mut dyn Iterator<Item = u8>| digits.map(|bit| bit.to_string()).collect::<Vec<_>>().join(" ");
        println!("\n  a       {}   {a}", line(&mut bits_of(a, bits)));
        println!("  b       {}   {b}", line(&mut bits_of(b, bits)));
        println!("  (carry) {}", line(&mut carries((a, b), bits).take(bits as usize)));
        println!("  target  {}   {}", line(&mut bits_of(sum((a, b)), bits)), sum((a, b)));
    }
    if args.json {
        json_line(&seen)?;
    }
    Ok(())
}
