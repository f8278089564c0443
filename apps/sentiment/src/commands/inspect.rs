//! `sentiment inspect`: what the program sees in the data before it trains.

use crate::data::{DataArgs, DataConfig, texts, vocabulary};
use crate::words::{Totals, encode};
use rnn_data::reviews::Review;
use rnn_data::words::{OFFSET, OUT_OF_RANGE, Vocabulary};
use rnn_harness::{Failure, histogram, print_line, whole};
use std::path::PathBuf;

/// Shows counts, classes, lengths, unknown words, and three examples as the model gets them.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Reviews to test on instead of a part of --data
    #[arg(long, value_name = "PATH")]
    test: Option<PathBuf>,
    /// Size of the vocabulary
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = whole::<u64>(crate::model::WORDS))]
    words: u64,
    /// Number of words that the model reads of a review: its last ones
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = rnn_harness::options::size())]
    tokens: u64,
}

/// Reads the data and describes it.
pub fn inspect(args: &InspectArgs) -> Result<(), Failure> {
    let mut config = DataConfig::new(&args.data, args.test.as_deref());
    let data = config.load()?;
    let vocabulary = vocabulary(&data.train, config.tokenizer);
    print_line!("{}: {} classes: {}", data.source, config.classes.len(), config.classes.join(", "));
    let sizes = (args.words as usize, args.tokens as usize);
    for (name, reviews) in [("to train", &data.train), ("to test", &data.test)] {
        if reviews.is_empty() {
            print_line!("none {name}");
            continue;
        }
        print_line!("{} {name}: {}", reviews.len(), shares(reviews, &config.classes));
        let totals = counts(reviews, &vocabulary, sizes);
        let words = totals.words;
        print_line!(
            "  {} of {} words read are known ({:.2} %); {} reviews have none; {} are longer than {} words",
            words.known_words,
            words.words_read,
            100.0 * words.known_words as f64 / words.words_read.max(1) as f64,
            totals.unknown_texts,
            totals.cut_texts,
            args.tokens
        );
    }
    print_line!("{} different words to train, of which the model knows {}", vocabulary.words().len(), {
        vocabulary.words().len().min((args.words as usize).saturating_sub(OFFSET as usize + 1))
    });
    let tokenizer = vocabulary.tokenizer();
    let lengths: Vec<usize> = texts(&data.train).map(|text| tokenizer.tokens(text).len()).collect();
    print_line!("words of a review to train:\n{}", histogram(&lengths).trim_end());
    print_line!("three of them as the model gets them (□ is a rare word, ▸ the start):");
    for i in [0, data.train.len() / 2, data.train.len().saturating_sub(1)] {
        let review = &data.train[i];
        let (ids, _) = encode(&review.text, &vocabulary, tokenizer, sizes.0, sizes.1);
        let shown: Vec<&str> = ids.iter().map(|&id| word(&vocabulary, id)).collect();
        print_line!("  {}: {}", config.classes[review.class], shown.join(" "));
    }
    Ok(())
}

fn word(vocabulary: &Vocabulary, id: u32) -> &str {
    match id {
        OUT_OF_RANGE => "□",
        id if id > OFFSET => vocabulary.word(id - OFFSET).unwrap_or("□"),
        _ => "▸",
    }
}

fn shares(reviews: &[Review], classes: &[String]) -> String {
    let count = |class: usize| reviews.iter().filter(|review| review.class == class).count();
    let shown = |(class, name): (usize, &String)| {
        format!("{name} {} ({:.1} %)", count(class), 100.0 * count(class) as f64 / reviews.len() as f64)
    };
    classes.iter().enumerate().map(shown).collect::<Vec<_>>().join(", ")
}

fn counts(reviews: &[Review], vocabulary: &Vocabulary, (words, tokens): (usize, usize)) -> Totals {
    let tokenizer = vocabulary.tokenizer_for(texts(reviews));
    let mut totals = Totals::default();
    texts(reviews).for_each(|text| totals.add(encode(text, vocabulary, tokenizer, words, tokens).1));
    totals
}
