//! The corpora the programs know: `datasets/datasets.toml`.

use crate::DataError;
use serde::Deserialize;
use std::sync::OnceLock;

/// A corpus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    /// Its name.
    pub name: String,
    /// The form of its files.
    pub kind: Kind,
    /// What it is, in one line.
    pub about: String,
    /// The terms of its use.
    pub terms: String,
    /// The publication to cite.
    pub citation: String,
    /// Its files; each one alone is the whole corpus.
    #[serde(rename = "file")]
    pub files: Vec<CorpusFile>,
}

/// How a corpus is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A tar.gz of `{train,test}/{pos,neg}/ID_RATING.txt`.
    Reviews,
    /// UTF-8 text.
    Text,
    /// A CSV table of numbers over time, with a header line.
    Series,
}

/// A file of a corpus.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusFile {
    /// Its path under `$RNN_DATASETS` and in the cache.
    pub path: String,
    /// The address to download it from; `None` if it cannot be downloaded.
    pub address: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal digits.
    pub sha256: String,
}

/// All corpora.
pub fn corpora() -> &'static [Corpus] {
    #[derive(Deserialize)]
    struct Registry {
        corpus: Vec<Corpus>,
    }
    static CORPORA: OnceLock<Vec<Corpus>> = OnceLock::new();
    CORPORA.get_or_init(|| {
        let text = include_str!("../../../datasets/datasets.toml");
        let registry: Registry = toml::from_str(text).expect("the test below reads it");
        registry.corpus
    })
}

/// The corpus of that name.
///
/// # Errors
/// If there is none.
pub fn corpus(name: &str) -> Result<&'static Corpus, DataError> {
    corpora().iter().find(|corpus| corpus.name == name).ok_or_else(|| DataError::Unknown {
        name: name.to_string(),
        known: corpora().iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_corpus_has_one_address_and_whole_hashes() {
        assert!(corpora().len() >= 3);
        for corpus in corpora() {
            let addresses = corpus.files.iter().filter(|file| file.address.is_some()).count();
            assert_eq!(addresses, 1, "{}", corpus.name);
            for file in &corpus.files {
                let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                assert!(file.sha256.len() == 64 && file.sha256.bytes().all(hex), "{}", file.path);
            }
        }
        let error = corpus("imbd").expect_err("mistyped").to_string();
        assert_eq!(
            error,
            "there is no corpus \"imbd\"; the corpora are imdb, alice, tinyshakespeare, temperatures, pollution, passengers"
        );
    }
}
