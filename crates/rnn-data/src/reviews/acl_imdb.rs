//! The layout of Maas et al. (2011): `{train,test}/{pos,neg}/ID_RATING.txt`, in a tar.gz or in a folder.

use super::folder::is_hidden;
use super::{EMPTY, Parts, Review};
use crate::text::utf8;
use crate::{DataError, show};
use flate2::read::MultiGzDecoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The four parts, in Keras' order.
const PARTS: [&str; 4] = ["train/pos", "train/neg", "test/pos", "test/neg"];

/// The largest total size of an archive's reviews in bytes, against archives that inflate without end.
const MOST_BYTES: u64 = 4 << 30;

/// The file of a review; sorted by name, as Keras does.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ReviewFile {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The files of the four parts.
#[derive(Default)]
struct Files {
    parts: [Vec<ReviewFile>; 4],
    /// The number of other files among them.
    others: usize,
}

/// Reads the archive without unpacking it to disk, up to the checksum, which must be its end. `unsup` and other files
/// are skipped.
pub(super) fn archive(path: &Path) -> Result<Parts, DataError> {
    let broken = |e: std::io::Error| {
        DataError::content(path, format!("the archive is truncated or damaged ({e}); download it again"))
    };
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file)));
    let mut files = Files::default();
    let (mut roots, mut all) = (BTreeSet::new(), 0u64);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let inside = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let Some((root, part, name)) = place(&inside).filter(|_| !entry.header().entry_type().is_dir()) else {
            continue;
        };
        if !is_review(name) {
            files.others += 1;
            continue;
        }
        all = all.saturating_add(entry.size());
        if all > MOST_BYTES {
            let problem = format!("the reviews in it take more than the {MOST_BYTES} bytes that are possible here");
            return Err(DataError::content(path, problem));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        files.parts[part].push(ReviewFile { name: name.to_string(), path: path.join(&inside), bytes });
        if !roots.contains(root) {
            roots.insert(root.to_string());
        }
    }
    // The checksum follows the end of the tar. Until it is read, the reviews may be damaged.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(broken)?;
    if roots.len() > 1 {
        let problem = format!(
            "there are reviews under {} at once; which of them are meant? Leave the others out",
            show::list(roots.iter().map(String::as_str))
        );
        return Err(DataError::content(path, problem));
    }
    files.assemble(path)
}

/// Splits `aclImdb/train/pos/0_9.txt` into the root `aclImdb`, part 0 and the name `0_9.txt`. `None` for files of the
/// operating system.
fn place(inside: &str) -> Option<(&str, usize, &str)> {
    let inside = inside.strip_prefix("./").unwrap_or(inside);
    let (folder, name) = inside.rsplit_once('/')?;
    let under = |part: &&str| {
        let root = folder.strip_suffix(*part)?;
        if root.is_empty() { Some(root) } else { root.strip_suffix('/') }
    };
    let (part, root) = PARTS.iter().enumerate().find_map(|(i, part)| Some((i, under(part)?)))?;
    (!is_hidden(name) && !root.split('/').any(is_hidden)).then_some((root, part, name))
}

fn is_review(name: &str) -> bool {
    name.len() > 4 && name.as_bytes()[name.len() - 4..].eq_ignore_ascii_case(b".txt")
}

/// The folders with `train` or `test`: `path`, or the folder in it that the archive unpacks to.
pub(super) fn roots(path: &Path) -> Vec<PathBuf> {
    let holds = |root: &PathBuf| PARTS.iter().any(|part| root.join(part).is_dir());
    [path.to_path_buf(), path.join("aclImdb")].into_iter().filter(holds).collect()
}

/// Reads an unpacked archive: `root` has `train` or `test`, `path` is the path given by the user.
pub(super) fn folder(path: &Path, root: &Path) -> Result<Parts, DataError> {
    let mut files = Files::default();
    for (part, reviews) in PARTS.iter().zip(&mut files.parts) {
        let folder = root.join(part);
        if !folder.is_dir() {
            continue;
        }
        let io = |e| DataError::io(&folder, e);
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if is_hidden(&name) || path.is_dir() {
                continue;
            }
            if is_review(&name) {
                let bytes = std::fs::read(&path).map_err(|e| DataError::io(&path, e))?;
                reviews.push(ReviewFile { name, path, bytes });
            } else {
                files.others += 1;
            }
        }
    }
    files.assemble(path)
}

impl Files {
    fn assemble(self, path: &Path) -> Result<Parts, DataError> {
        // Either set may be missing: the other one is still useful.
        let missing = match self.parts.each_ref().map(Vec::is_empty) {
            [true, true, true, true] => Some("any of its folders"),
            [true, false, ..] => Some(PARTS[0]),
            [false, true, ..] => Some(PARTS[1]),
            _ => None,
        };
        if let Some(part) = missing {
            let problem = format!("there is no review in {part}; it must hold {} with .txt files", PARTS.join(", "));
            return Err(DataError::content(path, problem));
        }
        let mut parts = Parts::default();
        match self.parts.each_ref().map(Vec::is_empty) {
            [_, _, true, false] => parts.notes.push(format!("there is no review in {}", PARTS[2])),
            [_, _, false, true] => parts.notes.push(format!("there is no review in {}", PARTS[3])),
            _ => (),
        }
        if self.others > 0 {
            parts.notes.push(format!("left out, because their names do not end in .txt: {} of the files", self.others));
        }
        for ((i, part), mut files) in PARTS.iter().enumerate().zip(self.parts) {
            files.sort_unstable();
            if let Some(twice) = files.windows(2).find(|pair| pair[0].name == pair[1].name) {
                let problem = format!("{} is there twice in {part}; keep one of them", show::quoted(&twice[0].name));
                return Err(DataError::content(path, problem));
            }
            let reviews = if i < 2 { &mut parts.train } else { &mut parts.test };
            reviews.reserve(files.len());
            for file in files {
                reviews.push(review(file, 1 - i % 2)?);
            }
        }
        Ok(parts)
    }
}

fn review(ReviewFile { path, bytes, .. }: ReviewFile, class: usize) -> Result<Review, DataError> {
    let text = utf8(&path, bytes)?;
    if text.trim().is_empty() {
        return Err(DataError::content(&path, EMPTY));
    }
    Ok(Review { text, class })
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

    /// [`FILES`] with one file's content changed.
    fn with(name: &str, content: &'static [u8]) -> [(&'static str, &'static [u8]); 7] {
        FILES.map(|(file, text)| (file, if file == name { content } else { text.as_bytes() }))
    }

    fn check(split: Parts) {
        let texts = |part: &[Review]| part.iter().map(|r| (r.text.clone(), r.class == 1)).collect::<Vec<_>>();
        let pair = |text: &str, positive| (text.to_string(), positive);
        assert_eq!(texts(&split.train), [pair("great", true), pair("good", true), pair("bad", false)]);
        assert_eq!(texts(&split.test), [pair("fine", true), pair("dull", false)]);
    }

    #[test]
    fn archive_and_folder_give_the_same_in_keras_order() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let tar = tar(&with("", b""));
        // Some compressors write several members, which gzip reads as one.
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
        std::fs::remove_file(&path).expect("removed");
        let read = |path: &Path| super::super::read(path, super::super::Reading::default());
        check(read(folder.path()).expect("whole"));
        check(read(&folder.path().join("aclImdb")).expect("whole"));
        std::fs::remove_dir_all(folder.path().join("aclImdb/train/pos")).expect("removed");
        let error = read(folder.path()).expect_err("no train/pos").to_string();
        assert!(error.contains("there is no review in train/pos; it must hold train/pos, train/neg"), "{error}");
        // A folder with a test set only, and one with a single class.
        std::fs::remove_dir_all(folder.path().join("aclImdb/train")).expect("removed");
        let parts = read(folder.path()).expect("a test");
        assert_eq!((parts.train.len(), parts.test.len(), parts.notes.len()), (0, 2, 0));
        std::fs::remove_dir_all(folder.path().join("aclImdb/test/neg")).expect("removed");
        let parts = read(folder.path()).expect("a test");
        assert_eq!((parts.test.len(), parts.notes), (1, vec!["there is no review in test/neg".to_string()]));
        std::fs::remove_dir_all(folder.path().join("aclImdb/test")).expect("removed");
        let error = read(folder.path()).expect_err("nothing").to_string();
        assert!(
            error.contains("there are neither reviews in train/pos") && error.contains("nor files train"),
            "{error}"
        );
    }

    #[test]
    fn what_the_system_put_there_is_skipped() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let others: [(&str, &[u8]); 7] = [
            ("__MACOSX/aclImdb/train/pos/._0_9.txt", b"\x00\x05\x16\x07\xff"),
            ("__MACOSX/aclImdb/train/pos/1_9.txt", b"x"),
            ("aclImdb/train/pos/._0_9.txt", b"ASCII only"),
            ("aclImdb/train/neg/.hidden.txt", b"x"),
            ("aclImdb/test/neg/.DS_Store", b"\0"),
            (".backup/aclImdb/train/pos/0_9.txt", b"x"),
            ("._aclImdb", b"x"),
        ];
        for prefix in ["", "./"] {
            let all = [&with("", b"")[..], &others[..]].concat();
            let named: Vec<(String, &[u8])> =
                all.iter().map(|(name, text)| (format!("{prefix}{name}"), *text)).collect();
            let named: Vec<(&str, &[u8])> = named.iter().map(|(name, text)| (name.as_str(), *text)).collect();
            std::fs::write(&path, tar_gz(&named)).expect("written");
            check(archive(&path).expect("whole"));
        }
        for (name, text) in [&with("", b"")[..], &others[..]].concat() {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        check(super::super::read(folder.path(), super::super::Reading::default()).expect("whole"));
        // The user's files that are not reviews are counted.
        let more = [&with("", b"")[..], &[("aclImdb/test/pos/notes.doc", b"x")]].concat();
        std::fs::write(&path, tar_gz(&more)).expect("written");
        assert_eq!(
            archive(&path).expect("whole").notes,
            ["left out, because their names do not end in .txt: 1 of the files"]
        );
    }

    #[test]
    fn reviews_that_are_there_twice_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tar.gz");
        let with_another = |name: &'static str| {
            let all = [&with("", b"")[..], &[(name, b"great")]].concat();
            std::fs::write(&path, tar_gz(&all)).expect("written");
            archive(&path).expect_err("twice").to_string()
        };
        let error = with_another("old/aclImdb/train/pos/0_9.txt");
        assert!(error.contains("there are reviews under \"aclImdb\", \"old/aclImdb\" at once; which"), "{error}");
        let error = with_another("aclImdb/train/pos/0_9.txt");
        assert!(error.contains("\"0_9.txt\" is there twice in train/pos"), "{error}");
        for (name, text) in [("train/pos/1.txt", "x"), ("aclImdb/train/pos/1.txt", "y")] {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().expect("parent")).expect("made");
            std::fs::write(file, text).expect("written");
        }
        let error = super::super::read(folder.path(), super::super::Reading::default()).expect_err("two").to_string();
        assert!(error.contains("aclImdb and in it; give one of them"), "{error}");
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
        let read = super::super::read(&folder.path().join("aclImdb"), super::super::Reading::default());
        for error in [archive(&path), read] {
            let error = error.expect_err("blank").to_string();
            assert!(error.contains("aclImdb/test/pos/0_8.txt: the text is empty"), "{error}");
        }
    }
}
