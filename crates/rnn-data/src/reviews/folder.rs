//! Folders: aclImdb, or tables named `train` and `test`.

use super::labels::Part;
use super::{Parts, Reading, Review, acl_imdb, is_table, read_table};
use crate::{DataError, show};
use std::path::{Path, PathBuf};

/// Whether the operating system makes files or folders of this name: `.DS_Store`, `._1_9.txt`, `__MACOSX`.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

/// Reads the folder `path`.
///
/// # Errors
/// A folder of neither kind or of both, or two tables for one part.
pub(super) fn read(path: &Path, reading: Reading) -> Result<Parts, DataError> {
    let wrong = |problem: String| Err(DataError::content(path, problem));
    let (tables, roots) = (tables(path)?, acl_imdb::roots(path));
    match (&tables[..], &roots[..]) {
        ([], [root]) => acl_imdb::folder(path, root),
        ([], []) => wrong(
            "there are neither reviews in train/pos, train/neg, test/pos, test/neg, as aclImdb has them, nor files train \
             and test with the endings .csv, .tsv or .jsonl"
                .into(),
        ),
        (tables, []) => read_tables(path, tables, reading),
        ([], roots) => wrong(format!("there are reviews both in {} and in it; give one of them", show::path(&roots[1]))),
        ([(_, table), ..], [root, ..]) => {
            wrong(format!("there are reviews both in {} and in {}; give one of them", show::path(root), show::path(table)))
        }
    }
}

/// The tables in the folder that are named after a part, sorted by name.
fn tables(path: &Path) -> Result<Vec<(Part, PathBuf)>, DataError> {
    let io = |e| DataError::io(path, e);
    let mut tables = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let part = Part::parse(&file.file_stem().unwrap_or_default().to_string_lossy());
        if let Some(part) = part.filter(|_| is_table(&name) && !is_hidden(&name)) {
            tables.push((part, file));
        }
    }
    tables.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(tables)
}

fn read_tables(path: &Path, tables: &[(Part, PathBuf)], reading: Reading) -> Result<Parts, DataError> {
    let mut all = Parts::default();
    for part in [Part::Train, Part::Test, Part::Validation] {
        let files: Vec<&PathBuf> = tables.iter().filter(|(of, _)| *of == part).map(|(_, file)| file).collect();
        let file = match files[..] {
            [] => continue,
            [file] => file,
            [one, other, ..] => {
                let problem = format!("{} or {}? Give one file for a part", show::path(one), show::path(other));
                return Err(DataError::content(path, problem));
            }
        };
        if part == Part::Validation {
            all.notes.push(format!("{} is neither trained nor tested on", show::path(file)));
            continue;
        }
        // The test's labels name the classes of the training.
        let known = (!all.classes.is_empty()).then(|| all.classes.clone());
        let mut read = read_table(file, Reading { classes: known.as_deref().or(reading.classes), ..reading })?;
        all.classes = std::mem::take(&mut read.classes);
        let (own, other) = if part == Part::Train { (read.train, read.test) } else { (read.test, read.train) };
        if !other.is_empty() || read.validation > 0 {
            let problem = "some of its rows have the split of another part than its name says; give the file alone, or \
                           leave the split column out";
            return Err(DataError::content(file, problem));
        }
        let reviews: Vec<Review> = own.into_iter().chain(read.whole).collect();
        all.notes.append(&mut read.notes);
        let [train, test] = read.tables;
        match part {
            Part::Train => (all.train, all.tables[0]) = (reviews, train),
            _ => (all.test, all.tables[1]) = (reviews, test),
        }
    }
    Ok(all)
}
