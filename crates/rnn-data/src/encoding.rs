//! What encoding a file may have that is no UTF-8 text, though each of its bytes is UTF-8.

use crate::{DataError, show};
use std::path::Path;

/// Bytes that a guess is made from.
const SEEN: usize = 1 << 12;

/// Refuses a text with NUL bytes: UTF-16 or UTF-32 without a byte order mark, or something binary.
///
/// # Errors
/// A NUL byte.
pub(crate) fn no_nul(path: &Path, text: &str) -> Result<(), DataError> {
    let Some(at) = memchr::memchr(0, text.as_bytes()) else { return Ok(()) };
    let problem = match guess(text.as_bytes()) {
        Some(name) => {
            format!("byte {at} is NUL, as in {name}; convert it to UTF-8, as iconv -f {name} -t UTF-8 does")
        }
        None => {
            let line = 1 + text[..at].bytes().filter(|&byte| byte == b'\n').count();
            let before: String = text[..at].chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
            format!(
                "byte {at}, in line {line} behind {}, is NUL, which no text has; the file is damaged or no text",
                show::quoted(&before)
            )
        }
    };
    Err(DataError::content(path, problem))
}

/// The encoding whose NUL bytes lie as those of `bytes` do, if nearly every character is an ASCII one.
fn guess(bytes: &[u8]) -> Option<&'static str> {
    let seen = &bytes[..bytes.len().min(SEEN)];
    let mut nul = [0; 4];
    for (i, _) in seen.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        nul[i % 4] += 1;
    }
    let most = |i: usize| 8 * nul[i] >= 5 * (seen.len() / 4).max(1);
    match [0, 1, 2, 3].map(most) {
        [false, true, true, true] => Some("UTF-32LE"),
        [true, true, true, false] => Some("UTF-32BE"),
        [false, true, false, true] => Some("UTF-16LE"),
        [true, false, true, false] => Some("UTF-16BE"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_guessed_from_their_nul_bytes() {
        let error = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("ASCII");
            no_nul(Path::new("x"), &text).expect_err("NUL").to_string()
        };
        let table = "text,label\ngood film,1\n";
        let utf16le = error(table.encode_utf16().flat_map(u16::to_le_bytes).collect());
        assert_eq!(
            utf16le,
            "x: byte 1 is NUL, as in UTF-16LE; convert it to UTF-8, as iconv -f UTF-16LE -t UTF-8 does"
        );
        assert!(error(table.encode_utf16().flat_map(u16::to_be_bytes).collect()).contains("as in UTF-16BE"));
        let utf32 = |bytes: fn(u32) -> [u8; 4]| error(table.chars().flat_map(|c| bytes(c as u32)).collect());
        assert!(utf32(u32::to_le_bytes).contains("as in UTF-32LE"));
        assert!(utf32(u32::to_be_bytes).contains("as in UTF-32BE"));
        assert!(error(b"a\nb\0c".to_vec()).contains("byte 3, in line 2 behind \"a\\nb\", is NUL"));
        no_nul(Path::new("x"), table).expect("no NUL");
    }
}
