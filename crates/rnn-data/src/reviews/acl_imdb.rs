//! The layout of Maas et al. (2011): `{train,test}/{pos,neg}/ID_RATING.txt`, in a tar.gz or in a folder.

use super::{EMPTY, Review, Split};
use crate::DataError;
use crate::text::utf8;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The four parts, in Keras' order.
const PARTS: [&str; 4] = ["train/pos", "train/neg", "test/pos", "test/neg"];

/// The file of a review; by name, as Keras orders them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ReviewFile {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

type Parts = [Vec<ReviewFile>; 4];

/// Reads the archive without unpacking it to disk, to the checksum at its very end, behind which there may be nothing;
/// `unsup` and the other files are skipped.
pub(super) fn archive(path: &Path) -> Result<Split, DataError> {
    let broken =
        |e: std::io::Error| DataError::content(path, format!("the archive is truncated or damaged ({e}); get it anew"));
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)));
    let mut parts = Parts::default();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let inside = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        if let Some((part, name)) = place(&inside) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            parts[part].push(ReviewFile { name: name.to_string(), path: path.join(&inside), bytes });
        }
    }
    // The checksum comes last, behind what ends the tar: nothing above is sure before it was read.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(broken)?;
    assemble(path, parts)
}

/// `aclImdb/train/pos/0_9.txt` is in part 0 and named `0_9.txt`.
fn place(inside: &str) -> Option<(usize, &str)> {
    let (folder, name) = inside.rsplit_once('/')?;
    let part = PARTS.iter().position(|part| folder == *part || folder.ends_with(&format!("/{part}")))?;
    name.ends_with(".txt").then_some((part, name))
}

/// Reads an unpacked archive: the folder that holds `train` and `test`, or the one above it.
pub(super) fn folder(path: &Path) -> Result<Split, DataError> {
    let inner = path.join("aclImdb");
    let root = if inner.is_dir() { inner } else { path.to_path_buf() };
    let mut parts = Parts::default();
    for (part, texts) in PARTS.iter().zip(&mut parts) {
        let folder = root.join(part);
        if !folder.is_dir() {
            let problem =
                format!("there is no folder {part} in it; give the aclImdb folder, with {}", PARTS.join(", "));
            return Err(DataError::content(path, problem));
        }
        let io = |e| DataError::io(&folder, e);
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.ends_with(".txt") {
                let bytes = std::fs::read(&path).map_err(|e| DataError::io(&path, e))?;
                texts.push(ReviewFile { name, path, bytes });
            }
        }
    }
    assemble(path, parts)
}

fn assemble(path: &Path, parts: Parts) -> Result<Split, DataError> {
    if let Some((part, _)) = PARTS.iter().zip(&parts).find(|(_, texts)| texts.is_empty()) {
        let problem = format!("there is no review in {part}; it must hold {} with .txt files", PARTS.join(", "));
        return Err(DataError::content(path, problem));
    }
    let [train_pos, train_neg, test_pos, test_neg] = parts.map(|mut files| {
        files.sort_unstable();
        files
    });
    let join = |pos: Vec<ReviewFile>, neg: Vec<ReviewFile>| {
        let positive = pos.into_iter().map(|file| review(file, true));
        let negative = neg.into_iter().map(|file| review(file, false));
        positive.chain(negative).collect::<Result<_, _>>()
    };
    Ok((join(train_pos, train_neg)?, join(test_pos, test_neg)?))
}

fn review(ReviewFile { path, bytes, .. }: ReviewFile, positive: bool) -> Result<Review, DataError> {
    let text = utf8(&path, bytes)?;
    if text.trim().is_empty() {
        return Err(DataError::content(&path, EMPTY));
    }
    Ok(Review { text, positive })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const FILES: [(&str, &str); 7] = [
        ("aclImdb/test/neg/0_2.txt", "dull"),
        ("aclImdb/train/pos/10_7.txt", "good"),
        ("aclImdb/train/pos/0_9.txt", "great"),
        ("aclImdb/train/neg/0_1.txt", "bad"),
        ("aclImdb/test/pos/0_8.txt", "fine"),
        ("aclImdb/train/unsup/0_0.txt", "nobody knows"),
        ("aclImdb/train/urls_pos.txt", "http://example.com"),
    ];

    fn gz(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), compression);
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, *content).expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }

    fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
        gz(&tar(files), Compression::fast())
    }

    /// [`FILES`], one of them with another content.
    fn with(name: &str, content: &'static [u8]) -> [(&'static str, &'static [u8]); 7] {
        FILES.map(|(file, text)| (file, if file == name { content } else { text.as_bytes() }))
    }

    fn check(split: Split) {
        let texts = |part: &[Review]| part.iter().map(|r| (r.text.clone(), r.positive)).collect::<Vec<_>>();
        let pair = |text: &str, positive| (text.to_string(), positive);
        assert_eq!(texts(&split.0), [pair("great", true), pair("good", true), pair("bad", false)]);
        assert_eq!(texts(&split.1), [pair("fine", true), pair("dull", false)]);
    }

    #[test]
    fn archive_and_folder_give_the_same_in_keras_order() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let tar = tar(&with("", b""));
        // Some compressors write several members; gzip takes them for one.
        for at in [0, 700, 1024] {
            let members = [gz(&tar[..at], Compression::fast()), gz(&tar[at..], Compression::none())].concat();
            std::fs::write(&path, members).expect("written");
            check(archive(&path).expect("whole"));
        }
        for (name, text) in FILES {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        check(super::folder(folder.path()).expect("whole"));
        check(super::folder(&folder.path().join("aclImdb")).expect("whole"));
        std::fs::remove_dir_all(folder.path().join("aclImdb/train/pos")).expect("removed");
        let error = super::folder(folder.path()).expect_err("no train/pos").to_string();
        assert!(error.contains("there is no folder train/pos in it; give the aclImdb folder"), "{error}");
    }

    #[test]
    fn broken_archives_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let wrong = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            archive(&path).expect_err("broken").to_string()
        };
        let whole = tar_gz(&with("", b""));
        for bytes in [whole.len() / 2, whole.len() - 8, whole.len() - 1] {
            assert!(wrong(&whole[..bytes]).contains("a.tar.gz: the archive is truncated or damaged"), "{bytes}");
        }
        let stored = gz(&tar(&with("", b"")), Compression::none());
        let great = stored.windows(5).position(|bytes| bytes == b"great").expect("there");
        assert!(wrong(&[&stored[..great], b"gREAT", &stored[great + 5..]].concat()).contains("truncated or damaged"));
        assert!(wrong(b"no archive at all").contains("truncated or damaged"));
        assert!(wrong(&tar_gz(&[("train/pos/1_9.txt", b"good")])).contains("there is no review in train/neg"));
        let latin1 = wrong(&tar_gz(&with("aclImdb/train/pos/0_9.txt", b"caf\xe9")));
        assert!(latin1.contains("a.tar.gz/aclImdb/train/pos/0_9.txt: byte 3 is not UTF-8"), "{latin1}");
    }

    #[test]
    fn no_flipped_bit_changes_a_review() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let mut bytes = tar_gz(&with("", b""));
        std::fs::write(&path, &bytes).expect("written");
        let whole = archive(&path).expect("whole");
        for bit in 0..8 * bytes.len() {
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).expect("written");
            match archive(&path) {
                Ok(read) => assert!(read == whole, "{bit}"), // of the header, or of a code that nothing has
                Err(error) => assert!(error.to_string().contains("truncated or damaged"), "{bit}: {error}"),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn blank_reviews_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let blank = with("aclImdb/test/pos/0_8.txt", b"\xef\xbb\xbf \n");
        std::fs::write(&path, tar_gz(&blank)).expect("written");
        for (name, content) in blank {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("made");
            std::fs::write(file, content).expect("written");
        }
        for error in [archive(&path), super::folder(folder.path())] {
            let error = error.expect_err("blank").to_string();
            assert!(error.contains("aclImdb/test/pos/0_8.txt: the text is empty"), "{error}");
        }
    }
}
