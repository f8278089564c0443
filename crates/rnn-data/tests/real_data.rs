//! Against the real corpora, where `RNN_DATASETS` says that they are; without it each test says so and ends.

use npyz::{Deserialize, NpyFile};
use rnn_data::words::{self, Tokenizer, Vocabulary};
use rnn_data::{Places, chars, reviews, text};
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use zip::ZipArchive;

fn datasets() -> Option<PathBuf> {
    let folder = std::env::var_os("RNN_DATASETS").filter(|v| !v.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("RNN_DATASETS is not set: nothing to compare with");
    }
    folder
}

fn places(folder: &std::path::Path) -> Places {
    Places { datasets: Some(folder.to_path_buf()), ..Places::default() }
}

/// An array of an npz file.
fn array<T: Deserialize>(archive: &mut ZipArchive<File>, name: &str) -> Vec<T> {
    let file = archive.by_name(&format!("{name}.npy")).expect("there");
    NpyFile::new(BufReader::new(file)).expect("npy").into_vec().expect("the type")
}

/// Keras' words by rank.
fn keras_words(folder: &std::path::Path) -> Vec<String> {
    let file = File::open(folder.join("imdb/imdb_word_index.json")).expect("the word index");
    let ranks: HashMap<String, usize> = serde_json::from_reader(BufReader::new(file)).expect("JSON");
    let mut words = vec![String::new(); ranks.len()];
    for (word, rank) in ranks {
        words[rank - 1] = word;
    }
    words
}

#[test]
fn all_50_000_reviews_give_keras_sequences() {
    let Some(folder) = datasets() else { return };
    let keras = Vocabulary::from_ranked(keras_words(&folder).iter().map(String::as_str));
    let reviews = reviews::load(&places(&folder)).expect("IMDb");
    assert_eq!((reviews.train.len(), reviews.test.len()), (25_000, 25_000));
    assert_eq!(reviews.source.corpus, "imdb");
    let file = File::open(folder.join("imdb/imdb_keras_rebuilt.npz")).expect("the sequences");
    let mut archive = ZipArchive::new(file).expect("npz");
    let mut compared = 0;
    for (part, reviews) in [("train", &reviews.train), ("test", &reviews.test)] {
        let labels: Vec<i64> = array(&mut archive, &format!("y_{part}"));
        let tokens: Vec<i32> = array(&mut archive, &format!("x_{part}_tokens"));
        let offsets: Vec<i64> = array(&mut archive, &format!("x_{part}_offsets"));
        for (i, review) in reviews.iter().enumerate() {
            let want = &tokens[offsets[i] as usize..offsets[i + 1] as usize];
            let found = keras.encode(&review.text, u32::MAX);
            assert_eq!(found[0], words::START);
            assert!(found[1..].iter().map(|&id| id as i32 - 3).eq(want.iter().copied()), "{part} {i}");
            assert_eq!(review.class as i64, labels[i]);
            compared += want.len();
        }
    }
    assert_eq!(compared, 5_942_841 + 5_745_105);
}

#[test]
fn the_training_texts_give_keras_vocabulary_up_to_ties() {
    let Some(folder) = datasets() else { return };
    let keras = keras_words(&folder);
    let reviews = reviews::load(&places(&folder)).expect("IMDb");
    let texts = || reviews.train.iter().map(|review| review.text.as_str());
    let ours = Vocabulary::build(texts());
    let mut counts: HashMap<String, u64> = HashMap::new();
    for token in texts().flat_map(words::tokens) {
        *counts.entry(token).or_default() += 1;
    }
    let ours: Vec<String> = ours.words().map(str::to_string).collect();
    assert_eq!((ours.len(), keras.len()), (88_584, 88_584));
    let by_rank = |words: &[String]| words.iter().map(|word| counts[word]).collect::<Vec<_>>();
    assert_eq!(by_rank(&ours), by_rank(&keras)); // at each rank a word of the same count
    let mut sets = [ours, keras];
    sets.iter_mut().for_each(|set| set.sort_unstable());
    assert_eq!(sets[0], sets[1]);
}

#[test]
fn alice_has_the_lessons_windows_and_symbols() {
    let Some(folder) = datasets() else { return };
    let alice = text::lesson(&text::load("alice", &places(&folder)).expect("Alice").text);
    assert_eq!(alice.len() - 10, 158_773);
    assert_eq!(chars::Vocabulary::build(&alice).len(), 55);
    let shakespeare = text::load("tinyshakespeare", &places(&folder)).expect("Shakespeare").text;
    assert_eq!(shakespeare.len(), 1_115_394);
    assert_eq!(chars::Vocabulary::build(&shakespeare).len(), 65);
}

/// Of those with characters other than printable ASCII; docs/words.md says how many.
#[test]
fn few_reviews_of_imdb_have_other_words_by_unicode() {
    let Some(folder) = datasets() else { return };
    let keras = Vocabulary::from_ranked(keras_words(&folder).iter().map(String::as_str));
    let reviews = reviews::load(&places(&folder)).expect("IMDb");
    let different = [&reviews.train, &reviews.test].map(|reviews| {
        let texts = || reviews.iter().map(|review| review.text.as_str());
        assert_eq!(Tokenizer::of(texts()), Tokenizer::Keras);
        assert_eq!(Tokenizer::of(texts().skip(1)), Tokenizer::Unicode);
        let ids = |tokenizer, text| keras.look_up(tokenizer, text, 20_000).into_iter().flatten().collect::<Vec<_>>();
        let is_plain = |text: &&str| text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n'));
        let others = texts().filter(|text| !is_plain(text));
        others.filter(|text| ids(Tokenizer::Keras, text) != ids(Tokenizer::Unicode, text)).count()
    });
    assert_eq!(different, [971, 925]);
}
