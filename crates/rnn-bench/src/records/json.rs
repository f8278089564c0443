//! `run.json` as text: indented, but with all figures of a series on one line.

use super::run::Run;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::io::{Result, Write};

/// Reads a record.
pub fn parse(text: &str) -> serde_json::Result<Run> {
    serde_json::from_str(text)
}

/// Writes a record.
pub fn text(run: &Run) -> std::result::Result<String, String> {
    let mut bytes = Vec::new();
    run.serialize(&mut Serializer::with_formatter(&mut bytes, Lines::default())).map_err(|e| e.to_string())?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|e| e.to_string())
}

/// Every value on a line of its own, except numbers in arrays.
#[derive(Debug, Default)]
struct Lines {
    depth: usize,
    /// An array's value follows, whose comma is not written yet: whether it needs one.
    waiting: Option<bool>,
    /// Whether what was written last in the innermost array or object stands on the line of its bracket.
    inline: bool,
}

impl Lines {
    fn line<W: ?Sized + Write>(&self, out: &mut W) -> Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }

    /// Before anything but a number.
    fn open<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        if let Some(comma) = self.waiting.take() {
            out.write_all(if comma { b"," } else { b"" })?;
            self.line(out)?;
            self.inline = false;
        }
        Ok(())
    }

    fn begin<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> Result<()> {
        self.open(out)?;
        self.depth += 1;
        self.inline = true;
        out.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> Result<()> {
        self.depth -= 1;
        if !self.inline {
            self.line(out)?;
        }
        self.inline = false;
        out.write_all(bracket)
    }
}

impl Formatter for Lines {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> Result<()> {
        if let Some(true) = self.waiting.take() {
            out.write_all(b", ")?;
        }
        write!(out, "{value:?}")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, _: &mut W, first: bool) -> Result<()> {
        self.waiting = Some(!first);
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> Result<()> {
        out.write_all(if first { b"" } else { b"," })?;
        self.inline = false;
        self.line(out)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        out.write_all(b": ")
    }

    fn begin_string<W: ?Sized + Write>(&mut self, out: &mut W) -> Result<()> {
        self.open(out)?;
        out.write_all(b"\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stay_on_one_line() {
        let value = serde_json::json!({"a": [1.5, 2e-6, 3.0], "b": [], "c": [{"d": 1.0}, {}], "e": ["x", "y"]});
        let mut bytes = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut bytes, Lines::default())).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        let want = "{\n  \"a\": [1.5, 2e-6, 3.0],\n  \"b\": [],\n  \
                    \"c\": [\n    {\n      \"d\": 1.0\n    },\n    {}\n  ],\n  \
                    \"e\": [\n    \"x\",\n    \"y\"\n  ]\n}";
        assert_eq!(text, want);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }
}
