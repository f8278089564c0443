//! Files that a person asked for, such as `--svg FILE`.

use crate::Failure;
use rnn_train::durable::{System, replace};
use std::path::Path;

/// Writes `bytes` as the file `path`, whole or not at all; a file of that name is replaced.
///
/// # Errors
/// A path without a file name, or one that cannot be written.
pub fn write_file(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let cannot = |problem: String| Failure::input(format!("cannot write {}: {problem}", path.display()));
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| cannot("it has no file name in UTF-8; give one such as out.svg".into()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
}
