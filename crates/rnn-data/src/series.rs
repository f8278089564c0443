//! Tables of numbers over time: columns by name or number, missing values, a regular step with its gaps.

mod grid;
pub mod time;

use crate::find::find;
use crate::reviews::records::{Fault, Format, Record, Records};
use crate::{DataError, Places, Source, registry, show, text};
pub use grid::{Gap, Grid};
use std::path::{Path, PathBuf};
use time::Read;

/// The series made for this project. With `r` the next number of `s ← 16807 s mod 2147483647` from `s = 1`, divided by
/// 2147483647, on day `t` from 2021-01-01: `e ← 0.7 e + 4 (r − ½)`, temperature
/// `12 + 9 sin(2π (t − 100) / 365.25) + e`, sales `60 + 2.2 temperature + 25 (at weekends) + 0.02 t + 12 (r − ½)`.
const SAMPLE_SERIES: &str = include_str!("../../../datasets/sample/series.csv");

/// What stands for a value that is not there.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"];

/// A table of text cells with named columns.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where it came from.
    pub source: Source,
    /// The names of the columns, as the first line has them.
    pub names: Vec<String>,
    path: PathBuf,
    /// By column.
    cells: Vec<Vec<Box<str>>>,
    /// The line of each row.
    lines: Vec<u64>,
}

/// The corpus `name` of the registry, or what `places.data` names, or the built-in series.
///
/// # Errors
/// A name that the registry does not have; a file that cannot be read or is no table: no header, a row of another
/// width, a quote that is not closed.
pub fn load(name: &str, places: &Places) -> Result<Table, DataError> {
    let source = find(registry::corpus(name)?, places)?;
    match source.path.clone() {
        None => Table::read(SAMPLE_SERIES, source, Path::new("sample")),
        Some(path) => Table::read(&text::read_as(&path, "a table in CSV, which is UTF-8 text")?, source, &path),
    }
}

/// Whether `cell` stands for a value that is not there.
pub fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.trim())
}

impl Table {
    fn read(text: &str, source: Source, path: &Path) -> Result<Self, DataError> {
        let wrong = |problem: String| DataError::content(path, problem);
        let fault = |Fault { line, problem }: Fault| wrong(format!("line {line}: {problem}"));
        let format = separator(text, path).map_err(wrong)?;
        let mut records = Records::new(text, 1, format);
        let mut record = Record::default();
        if !records.read(&mut record).map_err(fault)? {
            return Err(wrong("the table is blank; its first line must name the columns".into()));
        }
        let names: Vec<String> = record.fields.iter().map(|name| name.trim().to_string()).collect();
        if names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(wrong("the first line has only numbers; it must name the columns, as in: date,value".into()));
        }
        if let Some(date) = names.iter().find(|name| matches!(time::read(name), Read::Moment(..))) {
            let date = show::quoted(date);
            return Err(wrong(format!("line 1 has the date {date}; it must name the columns, as in: date,value")));
        }
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(wrong(format!("line 1 names the column {} twice; name each once", show::quoted(twice.1))));
        }
        let mut cells = vec![Vec::new(); names.len()];
        let mut lines = Vec::new();
        while records.read(&mut record).map_err(fault)? {
            if record.fields.len() != names.len() {
                return Err(wrong(format!(
                    "line {}: {} fields, where the first line has {}",
                    record.line,
                    record.fields.len(),
                    names.len()
                )));
            }
            for (column, field) in cells.iter_mut().zip(&record.fields) {
                column.push(field.trim().into());
            }
            lines.push(record.line);
        }
        if lines.is_empty() {
            return Err(wrong("the table has a header, but no rows".into()));
        }
        Ok(Self { source, names, path: path.to_path_buf(), cells, lines })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// The line of the file that a row begins in.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The cells of a column.
    pub fn cells(&self, column: usize) -> &[Box<str>] {
        &self.cells[column]
    }

    /// An error about this table.
    pub fn wrong(&self, problem: impl Into<String>) -> DataError {
        DataError::content(&self.path, problem)
    }

    /// The column with this name, or with this number, counted from 1.
    ///
    /// # Errors
    /// No such column; a number that is also the name of another column.
    pub fn column(&self, which: &str) -> Result<usize, DataError> {
        let which = which.trim();
        let named = self.names.iter().position(|name| name == which);
        let numbered = which.parse::<usize>().ok().filter(|n| (1..=self.names.len()).contains(n)).map(|n| n - 1);
        match (named, numbered) {
            (Some(named), Some(numbered)) if named != numbered => Err(self.wrong(format!(
                "{} can be read as the name of column {} or as the number of column {}; rename the column",
                show::quoted(which),
                named + 1,
                show::quoted(&self.names[numbered])
            ))),
            (Some(column), _) | (None, Some(column)) => Ok(column),
            (None, None) => Err(self.wrong(format!(
                "there is no column {}; the columns are {}",
                show::quoted(which),
                show::list(self.names.iter().map(String::as_str))
            ))),
        }
    }

    /// Whether all cells of the column that are not missing are numbers, and at least one is.
    pub fn is_numeric(&self, column: usize) -> bool {
        let mut present = self.cells[column].iter().filter(|cell| !is_missing(cell)).peekable();
        present.peek().is_some() && present.all(|cell| number(cell).is_some())
    }

    /// Whether most cells of the column that are not missing are numbers, if with a decimal comma.
    pub fn looks_numeric(&self, column: usize) -> bool {
        let is_number = |cell: &str| number(cell).or_else(|| number(&cell.replace(',', "."))).is_some();
        let present = self.cells[column].iter().filter(|cell| !is_missing(cell));
        let (numbers, others) = present.fold((0, 0), |(yes, no), cell| match is_number(cell) {
            true => (yes + 1, no),
            false => (yes, no + 1),
        });
        numbers > others
    }

    /// Whether most cells of the column are dates, if with the day or month first.
    pub fn looks_like_time(&self, column: usize) -> bool {
        let dates = self.cells[column].iter().filter(|cell| time::read(cell) != Read::No).count();
        2 * dates > self.rows()
    }

    /// Whether all cells of the column are dates.
    pub fn is_time(&self, column: usize) -> bool {
        self.cells[column].iter().all(|cell| matches!(time::read(cell), Read::Moment(..)))
    }

    /// The numbers of a column; NaN where they are missing.
    ///
    /// # Errors
    /// A cell that is no number, with its line.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>, DataError> {
        let value = |(row, cell): (usize, &str)| match number(cell) {
            _ if is_missing(cell) => Ok(f64::NAN),
            Some(value) => Ok(value),
            None => {
                let comma = number(&cell.replace(',', ".")).is_some() && cell.matches(',').count() == 1;
                let advice = if comma { "; write the decimal point as ." } else { "; leave it empty if it is missing" };
                Err(self.wrong(format!(
                    "line {}: {} in column {} is no number{advice}",
                    self.lines[row],
                    show::quoted(cell),
                    show::quoted(&self.names[column])
                )))
            }
        };
        self.cells[column].iter().map(AsRef::as_ref).enumerate().map(value).collect()
    }
}

fn number(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// How the fields of `text` are separated: a .tsv by tabs, else as the first line says.
fn separator(text: &str, path: &Path) -> Result<Format, String> {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv")) {
        return Ok(Format::TSV);
    }
    let header = text.split(['\n', '\r']).next().unwrap_or_default();
    let mut quoted = false;
    let plain: String = header
        .chars()
        .filter(|&c| {
            quoted ^= c == '"';
            !quoted
        })
        .collect();
    let found: Vec<char> = [',', ';', '\t', '|'].into_iter().filter(|separator| plain.contains(*separator)).collect();
    match found[..] {
        [] => Ok(Format::CSV),
        [separator] => Ok(Format { separator: separator as u8, quoting: true }),
        _ => Err(format!(
            "line 1 can be split at {}; put names that hold one of them in quotes",
            found.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(" or at ")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn table(text: &str) -> Result<Table, DataError> {
        let source = Source { corpus: "x.csv".into(), path: Some("x.csv".into()), note: None };
        Table::read(text, source, Path::new("x.csv"))
    }

    #[test]
    fn columns_are_found_by_name_or_number() {
        let table = table("date;a;\"b;c\"\n2020-01-01;1;NA\n2020-01-02;2,5;3\n").expect("a table");
        assert_eq!(table.column("a").expect("there"), 1);
        assert_eq!(table.column("3").expect("there"), 2);
        let told = table.column("d").expect_err("not there").to_string();
        assert!(told.starts_with("x.csv: there is no column \"d\"; the columns are"), "{told}");
        assert!(table.is_time(0) && !table.is_numeric(0) && table.is_numeric(2));
        assert!(table.looks_like_time(0) && !table.looks_numeric(0) && !table.is_numeric(1) && table.looks_numeric(1));
        let told = table.numbers(1).expect_err("a comma").to_string();
        assert!(told.contains("line 3: \"2,5\" in column \"a\" is no number; write the decimal point as ."), "{told}");
        let numbers = table.numbers(2).expect("numbers");
        assert!(numbers[0].is_nan() && numbers[1] == 3.0);
    }

    #[test]
    fn what_is_no_table_is_told() {
        let told = |text| table(text).expect_err("no table").to_string();
        assert!(told("1,2\n3,4\n").contains("the first line has only numbers"));
        assert!(told("2020-01-01,2\n2020-01-02,4\n").contains("line 1 has the date \"2020-01-01\""));
        assert!(told("a,b\n1\n").contains("line 2: 1 fields, where the first line has 2"));
        assert!(told("a;b,c\n1;2,3\n").contains("line 1 can be split at ',' or at ';'"));
        assert!(told("a,a\n1,2\n").contains("twice"));
        assert!(told("a,b\n").contains("no rows"));
    }
}
