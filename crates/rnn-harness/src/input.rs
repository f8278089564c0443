//! Files and lines that a person gave to read: of a device that never ends no more is read than has a place.

use crate::Failure;
use std::io::{BufRead, Read};
use std::path::Path;

/// The UTF-8 file `path` of at most `most` bytes.
///
/// # Errors
/// What is wrong with it.
pub fn read_text(path: &Path, most: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|e| e.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it has more than the {most} bytes that are possible here"));
    }
    String::from_utf8(bytes).map_err(|e| format!("it is not UTF-8 (byte {})", e.utf8_error().valid_up_to()))
}

/// The next line of `reader` into `line`, with its end if it has one; `false` if there is none.
///
/// # Errors
/// A line of more than `most` bytes; what the system says.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, most: u64) -> Result<bool, Failure> {
    line.clear();
    let length = reader.take(most + 1).read_until(b'\n', line)?;
    match length as u64 > most {
        true => Err(Failure::input(format!("a line of stdin has more than the {most} bytes that are possible here"))),
        false => Ok(length > 0),
    }
}
