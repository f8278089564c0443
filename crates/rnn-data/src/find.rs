//! Where a corpus comes from, in this order: a path, `$RNN_DATASETS`, the cache, the network, the built-in sample.

use crate::download::{check, download};
use crate::registry::{Corpus, CorpusFile};
use crate::{DataError, show};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The name of the built-in samples, as `--data` takes it and as results give it.
pub const SAMPLE: &str = "sample";

/// The places that are searched for a corpus. The default has only the built-in sample.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// What `--data` says: a file or folder, or `sample` for the built-in one.
    pub data: Option<PathBuf>,
    /// `$RNN_DATASETS`: a folder with files laid out as the registry says.
    pub datasets: Option<PathBuf>,
    /// The folder where downloads go.
    pub cache: Option<PathBuf>,
    /// Whether to download what no other place has. Needs a cache.
    pub network: bool,
}

impl Places {
    /// `data`, `$RNN_DATASETS`, the user's cache folder (`~/.cache/rnn-data` on Linux), the network.
    pub fn from_env(data: Option<PathBuf>) -> Self {
        let datasets = std::env::var_os("RNN_DATASETS").filter(|v| !v.is_empty()).map(PathBuf::from);
        let cache = dirs::cache_dir().map(|cache| cache.join("rnn-data"));
        Self { data, datasets, cache, network: true }
    }

    /// The folders that may hold corpora.
    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.datasets.iter().chain(&self.cache)
    }
}

/// Where a corpus came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name: one of the registry's, a path, or [`SAMPLE`].
    pub corpus: String,
    /// The file or folder; `None` for the built-in sample.
    pub path: Option<PathBuf>,
    /// Why the sample was taken, if it was not asked for.
    pub note: Option<String>,
}

impl Source {
    /// Whether this is the built-in sample, which is too small for meaningful figures.
    pub fn is_sample(&self) -> bool {
        self.path.is_none()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            None => write!(f, "the built-in sample"),
            Some(path) if path.to_string_lossy() == self.corpus => write!(f, "{}", show::path(path)),
            Some(path) => write!(f, "{} ({})", self.corpus, show::path(path)),
        }
    }
}

/// Finds `corpus` in `places`. Files of the registry are checked against their hashes.
pub(crate) fn find(corpus: &Corpus, places: &Places) -> Result<Source, DataError> {
    let sample = |note| Source { corpus: SAMPLE.into(), path: None, note };
    if let Some(data) = &places.data {
        if data.as_os_str() == SAMPLE {
            return Ok(sample(None));
        }
        match data.metadata() {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let problem =
                    "there is no such file or folder; give the path of one, or \"sample\" for the built-in sample";
                return Err(DataError::content(data, problem));
            }
            found => found.map_err(|e| DataError::io(data, e))?,
        };
        return Ok(Source { corpus: data.display().to_string(), path: Some(data.clone()), note: None });
    }
    if let Some(folder) = &places.datasets
        && !folder.is_dir()
    {
        return Err(DataError::content(folder, "RNN_DATASETS must be the path of a folder, but this is none"));
    }
    let found = |path| Source { corpus: corpus.name.clone(), path: Some(path), note: None };
    for folder in places.folders() {
        for file in &corpus.files {
            let path = folder.join(&file.path);
            if path.exists() {
                check(&path, file)?;
                return Ok(found(path));
            }
        }
    }
    match &places.cache {
        Some(cache) if places.network => match fetch(corpus, cache) {
            Ok(path) => Ok(found(path)),
            // A broken download or a wrong file is an error: falling back to the sample would hide it.
            Err(error @ DataError::Download { answered: false, .. }) => Ok(sample(Some(error.to_string()))),
            Err(error) => Err(error),
        },
        _ => Ok(sample(Some(format!("{} is in none of the folders and downloads are off", corpus.name)))),
    }
}

/// The file that is downloaded, and from where.
fn addressed(corpus: &Corpus) -> (&CorpusFile, &str) {
    let addressed = corpus.files.iter().find_map(|file| Some((file, file.address.as_deref()?)));
    addressed.expect("every corpus has an address: a test of the registry sees to it")
}

/// Downloads `corpus` into `cache` unless the cache has it, and returns its path.
///
/// # Errors
/// An address that does not answer, a download that stops, a file with another hash than the registry's.
pub fn fetch(corpus: &Corpus, cache: &Path) -> Result<PathBuf, DataError> {
    let (file, address) = addressed(corpus);
    let target = cache.join(&file.path);
    if target.exists() {
        check(&target, file)?;
    } else {
        download(address, file, &target)?;
    }
    Ok(target)
}

/// What [`verify`] found about one file.
#[derive(Debug)]
pub struct Verdict {
    /// The file.
    pub path: PathBuf,
    /// Whether its size and hash are those of the registry.
    pub result: Result<(), DataError>,
}

/// Checks every file of `corpus` that lies in one of the folders of `places`.
pub fn verify(corpus: &Corpus, places: &Places) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for folder in places.folders() {
        for file in &corpus.files {
            let path = folder.join(&file.path);
            if path.exists() {
                let result = check(&path, file);
                verdicts.push(Verdict { path, result });
            }
        }
    }
    verdicts
}

/// `path` as an absolute path if something is there; a name such as `sample` stays.
pub fn absolute(path: PathBuf) -> PathBuf {
    if path.exists() { std::path::absolute(&path).unwrap_or(path) } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Kind;
    use sha2::{Digest, Sha256};
    use std::time::Instant;

    fn corpus(content: &[u8], address: &str) -> Corpus {
        let sha256 = Sha256::digest(content).iter().map(|b| format!("{b:02x}")).collect();
        let file = CorpusFile {
            path: "text/x.txt".into(),
            address: Some(address.into()),
            bytes: content.len() as u64,
            sha256,
        };
        let text = String::new;
        let files = vec![file];
        Corpus { name: "x".into(), kind: Kind::Text, about: text(), terms: text(), citation: text(), files }
    }

    #[test]
    fn places_are_searched_in_order_and_checked() {
        let folder = tempfile::tempdir().expect("folder");
        let (datasets, cache) = (folder.path().join("datasets"), folder.path().join("cache"));
        for folder in [&datasets, &cache] {
            std::fs::create_dir_all(folder.join("text")).expect("made");
            std::fs::write(folder.join("text/x.txt"), b"right").expect("written");
        }
        let corpus = corpus(b"right", "http://127.0.0.1:9/x");
        let mut places =
            Places { data: None, datasets: Some(datasets.clone()), cache: Some(cache.clone()), network: true };
        let path = |places: &Places| find(&corpus, places).expect("found").path;
        assert_eq!(path(&places), Some(datasets.join("text/x.txt")));
        std::fs::remove_file(datasets.join("text/x.txt")).expect("removed");
        assert_eq!(path(&places), Some(cache.join("text/x.txt")));

        std::fs::write(datasets.join("text/x.txt"), b"wrong").expect("written");
        let error = find(&corpus, &places).expect_err("wrong hash").to_string();
        assert!(error.contains("text/x.txt: its SHA-256 is"), "{error}");
        std::fs::write(datasets.join("text/x.txt"), b"short").expect("written");
        assert_eq!(verify(&corpus, &places).iter().map(|v| v.result.is_ok()).collect::<Vec<_>>(), [false, true]);

        places.data = Some(SAMPLE.into());
        assert!(find(&corpus, &places).expect("sample").is_sample());
        places.data = Some(folder.path().join("nowhere"));
        let error = find(&corpus, &places).expect_err("nowhere").to_string();
        assert!(error.contains("no such file or folder"), "{error}");
        places = Places { datasets: Some(folder.path().join("nowhere")), ..Places::default() };
        let error = find(&corpus, &places).expect_err("no folder").to_string();
        assert!(error.contains("RNN_DATASETS must be the path of a folder"), "{error}");
    }

    #[test]
    fn without_a_network_the_sample_serves_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = folder.path().join("cache");
        let places = Places { cache: Some(cache.clone()), network: true, ..Places::default() };
        let start = Instant::now();
        // Port 9 of this machine refuses at once; 192.0.2.1 is nobody's (RFC 5737).
        for address in ["http://127.0.0.1:9/x", "http://192.0.2.1/x"] {
            let source = find(&corpus(b"right", address), &places).expect("sample");
            assert!(source.is_sample());
            assert!(source.note.expect("a reason").starts_with(address));
        }
        assert!(start.elapsed().as_secs_f64() < 6.0);
        assert!(!cache.exists());
        // A partial file from an earlier download changes nothing and is kept.
        std::fs::create_dir_all(cache.join("text")).expect("made");
        std::fs::write(cache.join("text/x.txt.part"), b"ri").expect("written");
        assert!(find(&corpus(b"right", "http://127.0.0.1:9/x"), &places).expect("sample").is_sample());
        assert_eq!(std::fs::read(cache.join("text/x.txt.part")).expect("kept"), b"ri");
    }
}
