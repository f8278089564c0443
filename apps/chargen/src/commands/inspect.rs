//! `chargen inspect`: what the program sees in a text before it trains.

use crate::data::{DataArgs, DataConfig, characters};
use rnn_data::chars::name;
use rnn_harness::options::size;
use rnn_harness::{Failure, histogram, print_line};

/// Shows a text as a model gets it.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Characters in each example
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = size())]
    window: u64,
}

/// The most frequent characters that are listed.
const LISTED: usize = 12;
/// A character that occurs less often is rare: a model hardly learns it.
const RARE: u64 = 10;
/// The rare ones that are named.
const NAMED: usize = 20;
/// The examples.
const EXAMPLES: usize = 3;

pub fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let data = DataConfig::new(&args.data).load()?;
    let (ids, vocabulary) = (&data.ids, &data.vocabulary);
    let all = ids.len();
    let mut counts = vec![0u64; vocabulary.len()];
    let (mut lines, mut length) = (Vec::new(), 0);
    for id in ids.range(0..all) {
        counts[id as usize] += 1;
        length += 1;
        if vocabulary.decode(id) == '\n' {
            lines.push(length - 1);
            length = 0;
        }
    }
    if length > 0 {
        lines.push(length);
    }
    print_line!("{}, {} distinct, {} lines", characters(all), vocabulary.len(), lines.len());
    let mut order: Vec<u32> = (0..vocabulary.len() as u32).collect();
    order.sort_by_key(|&id| std::cmp::Reverse(counts[id as usize]));
    let share = |id: u32| counts[id as usize] as f64 / all as f64;
    let entropy: f64 = order.iter().map(|&id| -share(id) * share(id).log2()).sum();
    print_line!("{entropy:.4} bits a character if each were drawn by its frequency alone; a model must be below that");
    print_line!("most frequent:");
    for &id in order.iter().take(LISTED) {
        print_line!("  {:<6} {:>9}  {:.4}", format!("{:?}", vocabulary.decode(id)), counts[id as usize], share(id));
    }
    let rare: Vec<u32> = order.iter().rev().copied().filter(|&id| counts[id as usize] < RARE).collect();
    if !rare.is_empty() {
        let named = rare.iter().take(NAMED).map(|&id| {
            let c = vocabulary.decode(id);
            format!("{c:?} ({}) {}", name(c), counts[id as usize])
        });
        let named: Vec<String> = named.collect();
        let more = if rare.len() > NAMED { ", …" } else { "" };
        print_line!("{} occur less than {RARE} times: {}{more}", rare.len(), named.join(", "));
    }
    if lines.len() > 1 {
        print_line!("lengths of the lines:\n{}", histogram(&lines).trim_end());
    }
    let window = args.window as usize;
    if all <= window {
        return Err(Failure::input(format!(
            "the text has {}, too few for --window {window} and the character after it; give a smaller one",
            characters(all)
        )));
    }
    print_line!("examples (--window {window}), and what follows:");
    for number in 0..EXAMPLES {
        let start = (all - window - 1) * number / (EXAMPLES - 1);
        let read: Vec<u32> = ids.range(start..start + window).collect();
        let next = ids.get(start + window);
        let numbers: Vec<String> = read.iter().map(u32::to_string).collect();
        print_line!(
            "  {:?} → {:?}\n  {} → {next}",
            data.decode(start..start + window),
            vocabulary.decode(next),
            numbers.join(" ")
        );
    }
    Ok(())
}
