//! The records of a CSV (RFC 4180) or TSV (IANA text/tab-separated-values) table.
//!
//! Where other readers could find other records in the same bytes, this one reports an error: a review that swallows
//! the thousand after it would be a valid table, too.

use crate::show;
use memchr::{memchr, memchr2, memchr2_iter, memchr3};
use std::borrow::Cow;

/// How the fields of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// The separator of fields.
    pub separator: u8,
    /// Whether a field may stand in quotes. In TSV a quote is a character like any other.
    pub quoting: bool,
}

impl Format {
    pub const CSV: Self = Self { separator: b',', quoting: true };
    pub const TSV: Self = Self { separator: b'\t', quoting: false };
}

/// A record. Its fields borrow from the table where possible.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    /// The number of its first line, counted from 1.
    pub line: u64,
    /// The number of its lines: more than one if a field contains line ends.
    pub lines: u64,
    /// Its fields.
    pub fields: Vec<Cow<'a, str>>,
    /// The record as written, without the final line end.
    pub raw: &'a str,
}

/// An error that ends reading: the line and the problem.
#[derive(Debug)]
pub(crate) struct Fault {
    pub line: u64,
    pub problem: String,
}

/// Reads records one by one. `\n`, `\r\n` and `\r` end a line; empty lines are skipped.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    format: Format,
}

impl<'a> Records<'a> {
    /// The records of `text`, whose first line is number `line` of the file.
    pub fn new(text: &'a str, line: u64, format: Format) -> Self {
        Self { text, at: 0, line, format }
    }

    /// Reads the next record; `false` at the end.
    ///
    /// # Errors
    /// Quotes that break RFC 4180 or are ambiguous. Reading cannot continue after them.
    pub fn read(&mut self, record: &mut Record<'a>) -> Result<bool, Fault> {
        while let Some(length) = self.line_end(self.at) {
            self.at += length;
            self.line += 1;
        }
        record.fields.clear();
        if self.at == self.text.len() {
            return Ok(false);
        }
        let start = self.at;
        record.line = self.line;
        loop {
            record.fields.push(self.field()?);
            if self.text.as_bytes().get(self.at) != Some(&self.format.separator) {
                break;
            }
            self.at += 1;
        }
        record.raw = &self.text[start..self.at];
        self.at += self.line_end(self.at).unwrap_or(0);
        self.line += 1;
        record.lines = self.line - record.line;
        Ok(true)
    }

    /// The bytes of the line end at `at`, if there is one.
    fn line_end(&self, at: usize) -> Option<usize> {
        match self.text.as_bytes()[at..] {
            [b'\r', b'\n', ..] => Some(2),
            [b'\r' | b'\n', ..] => Some(1),
            _ => None,
        }
    }

    /// Whether a field ends at `at`.
    fn ends(&self, at: usize) -> bool {
        self.text.as_bytes().get(at).is_none_or(|&byte| byte == self.format.separator || matches!(byte, b'\r' | b'\n'))
    }

    fn field(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.format.quoting && self.text.as_bytes().get(self.at) == Some(&b'"') {
            return self.quoted_field();
        }
        let (start, separator) = (self.at, self.format.separator);
        let rest = &self.text.as_bytes()[start..];
        let end = memchr3(separator, b'\n', b'\r', rest);
        self.at = start + end.unwrap_or(rest.len());
        let field = &self.text[start..self.at];
        if self.format.quoting && field.starts_with([' ', '\t']) && field.trim_start().starts_with('"') {
            let problem = format!(
                "a quote behind a space, in {}: it can be read as the text's own or as the field's; put the quote right \
                 behind the separator",
                show::quoted(field)
            );
            return Err(Fault { line: self.line, problem });
        }
        Ok(Cow::Borrowed(field))
    }

    /// A field in quotes, in which a quote is written twice.
    fn quoted_field(&mut self) -> Result<Cow<'a, str>, Fault> {
        let (opened, start) = (self.line, self.at + 1);
        let bytes = self.text.as_bytes();
        let mut doubled = false;
        let mut at = start;
        loop {
            let Some(quote) = memchr(b'"', &bytes[at..]) else {
                let problem = "the quote opened here is not closed before the end of the file; a quote in a text is \
                               written twice, and the text in quotes"
                    .to_string();
                return Err(Fault { line: opened, problem });
            };
            at += quote;
            let is_doubled = bytes.get(at + 1) == Some(&b'"');
            // For a writer that escapes quotes with a backslash, this field ends elsewhere.
            if at > start && bytes[at - 1] == b'\\' && (!is_doubled || self.ends(at + 2)) {
                let problem = format!(
                    "\\\" in the field opened here, in {}: in CSV a quote in a text is written twice, \"\", not behind a \
                     backslash",
                    show::quoted(self.around(at))
                );
                return Err(Fault { line: opened, problem });
            }
            if !is_doubled {
                break;
            }
            doubled = true;
            at += 2;
        }
        let field = &self.text[start..at];
        self.line += line_ends(field);
        self.at = at + 1;
        if !self.ends(self.at) {
            let problem = format!(
                "text behind the closing quote of the field opened here, in {} (line {}); a quote in a text is written \
                 twice, and the text in quotes",
                show::quoted(self.around(at)),
                self.line
            );
            return Err(Fault { line: opened, problem });
        }
        Ok(if doubled { Cow::Owned(field.replace("\"\"", "\"")) } else { Cow::Borrowed(field) })
    }

    /// A few characters around the byte `at`, which must be a whole character.
    fn around(&self, at: usize) -> &'a str {
        let start = self.text[..at].char_indices().rev().take(20).last().map_or(at, |(i, _)| i);
        let length = self.text[at..].chars().take(10).map(char::len_utf8).sum::<usize>();
        &self.text[start..at + length]
    }
}

/// The number of line ends in `text`.
fn line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    memchr2_iter(b'\n', b'\r', bytes).filter(|&i| bytes[i] == b'\n' || bytes.get(i + 1) != Some(&b'\n')).count() as u64
}

/// The lines of `text`, with any kind of line end.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.filter(|text| !text.is_empty())?;
        let end = memchr2(b'\n', b'\r', text.as_bytes());
        let Some(end) = end else { return rest.take() };
        let next = end + if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[next..]);
        Some(&text[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line and the fields of each record.
    type All = Vec<(u64, Vec<String>)>;

    fn read(text: &str, format: Format) -> Result<All, (u64, String)> {
        let mut records = Records::new(text, 1, format);
        let (mut record, mut all) = (Record::default(), Vec::new());
        while records.read(&mut record).map_err(|fault| (fault.line, fault.problem))? {
            all.push((record.line, record.fields.iter().map(|field| field.to_string()).collect()));
        }
        Ok(all)
    }

    fn fields(records: &[(u64, &[&str])]) -> All {
        records.iter().map(|(line, fields)| (*line, fields.iter().map(|field| field.to_string()).collect())).collect()
    }

    #[test]
    fn fields_are_those_of_rfc_4180() {
        let text = "a,\"b, \"\"c\"\"\r\nd\",\r\n\n\"\",\"\"\"\"\r e ,19\" wide\n,";
        let expected: [(u64, &[&str]); 4] =
            [(1, &["a", "b, \"c\"\r\nd", ""]), (4, &["", "\""]), (5, &[" e ", "19\" wide"]), (6, &["", ""])];
        assert_eq!(read(text, Format::CSV), Ok(fields(&expected)));
        assert_eq!(read("", Format::CSV), Ok(Vec::new()));
        let semicolons = Format { separator: b';', quoting: true };
        assert_eq!(read("a,b;\"c;d\"", semicolons), Ok(fields(&[(1, &["a,b", "c;d"])])));
    }

    #[test]
    fn a_quote_in_tsv_is_a_character() {
        let expected: [(u64, &[&str]); 2] = [(1, &["\"a", "b\""]), (3, &["c\\\"", "\"\"d"])];
        assert_eq!(read("\"a\tb\"\r\n\rc\\\"\t\"\"d\n", Format::TSV), Ok(fields(&expected)));
    }

    #[test]
    fn quotes_that_are_no_csv_are_told_where_they_open() {
        let fault = |text: &str, line: u64, what: &str| {
            let (at, problem) = read(text, Format::CSV).expect_err(text);
            assert_eq!(at, line, "{problem}");
            assert!(problem.contains(what), "{problem}");
        };
        fault("a,b\n1,\"c\n2,d\n", 2, "the quote opened here is not closed");
        fault("\"c", 1, "not closed");
        fault(
            "a\n\"b\n\nc\" d,1\n",
            2,
            "text behind the closing quote of the field opened here, in \"a\\n\"b\\n\\nc\" d,1\\n\" (line 4)",
        );
        fault("\"a\" ,1", 1, "text behind the closing quote");
        fault("1,\"on 12\\\"\"\n2,x", 1, "\\\" in the field opened here, in \"1,\"on 12\\\"\"\\n2,x\"");
        fault("\"on 12\\\"\",1\n\"x\",2", 1, "written twice");
        fault("\"he said \\\"wow\\\"\",1", 1, "\\\" in the field");
        fault("\"C:\\\",1", 1, "\\\" in the field");
        fault("1, \"a, b\"", 1, "a quote behind a space");
        // Only RFC 4180 can read this: with backslash escapes there would be text after a closing quote.
        assert_eq!(read("\"\\\"\"wow\\\"\" x\"", Format::CSV), Ok(fields(&[(1, &["\\\"wow\\\" x"])])));
    }

    #[test]
    fn every_line_end_ends_a_line() {
        assert_eq!(lines("a\n\r\nb\rc\r\n").collect::<Vec<_>>(), ["a", "", "b", "c"]);
        assert_eq!(lines("a").collect::<Vec<_>>(), ["a"]);
        assert_eq!(lines("").count(), 0);
        for text in ["a\n\r\nb\rc\r\n", "\r\r\n", ""] {
            assert_eq!(line_ends(text), lines(text).count() as u64, "{text:?}");
        }
    }
}
