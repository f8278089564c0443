//! Files that a person asked for, such as `--svg FILE`.

use crate::Failure;
use crate::arguments::given::also_named;
use rnn_train::durable::{System, replace};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes `bytes` as the file `path`, whole or not at all; a file of that name is replaced, and a link stays one. What
/// is there and is no file, such as `/dev/stdout` or a pipe, is written to.
///
/// # Errors
/// A path without a file name, or one that cannot be written; a file that another option names too.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let cannot = |problem: String| Failure::input(format!("cannot write {}: {problem}", path.display()));
    let there = path.metadata().ok();
    if there.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        return Err(cannot("it is a folder; give the name of a file".into()));
    }
    // A name under /dev may stand for a file that a shell has opened, and must keep open.
    let is_device = |metadata: &std::fs::Metadata| {
        !metadata.is_file() || ["/dev", "/proc"].iter().any(|above| path.starts_with(above))
    };
    if there.as_ref().is_some_and(is_device) {
        let opened = std::fs::File::options().append(true).open(path);
        return match opened.and_then(|mut file| file.write_all(bytes.as_ref())) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(e.into()),
            written => written.map_err(|e| cannot(e.to_string())),
        };
    }
    if let Some(options) = also_named(path) {
        let named = if options.len() > 1 { "name the same file" } else { "names it too" };
        return Err(cannot(format!("{} {named}; give another name", options.join(" and "))));
    }
    // Through a link, which itself stays.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = target.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| cannot("it has no file name in UTF-8; give one such as out.svg".into()))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    replace(&System, folder, &[(name, bytes.as_ref())]).map_err(|e| cannot(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.svg");
        for content in ["old", "new"] {
            write_file(&path, content).expect("written");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
        for wrong in [folder.path().join("none/a.svg"), "..".into(), folder.path().to_path_buf()] {
            let error = write_file(&wrong, "x").expect_err("not possible").to_string();
            assert!(error.starts_with(&format!("cannot write {}: ", wrong.display())), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_what_is_no_file_is_written_to() {
        let folder = tempfile::tempdir().expect("folder");
        let [file, link, pipe] = ["a.svg", "link.svg", "pipe"].map(|name| folder.path().join(name));
        std::fs::write(&file, "old").expect("written");
        std::os::unix::fs::symlink("a.svg", &link).expect("a link");
        write_file(&link, "new").expect("written");
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&file).expect("there"), "new");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            let reader = std::thread::spawn({
                let pipe = pipe.clone();
                move || std::fs::read_to_string(pipe).expect("read")
            });
            write_file(&pipe, "through").expect("written");
            assert_eq!(reader.join().expect("no panic"), "through");
            assert!(!pipe.metadata().expect("there").is_file());
        }
        write_file(Path::new("/dev/null"), "nothing").expect("written");
        assert!(!Path::new("/dev/null").metadata().expect("there").is_file());
    }
}
