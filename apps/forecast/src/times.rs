//! The columns that hold times: `--time` names them, and without it the only column of dates is taken. A message names a
//! column that seems to hold times but is not read as such.

use rnn_data::series::time::{Read, read};
use rnn_data::series::{Table, is_missing};
use rnn_harness::{Failure, say};

/// Words in the names of columns that say when a row was.
const NAMES: [&str; 14] = [
    "date",
    "time",
    "datetime",
    "timestamp",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "hour",
    "minute",
    "second",
    "period",
    "ds",
];

/// The columns of the time: those of `asked`, else the only one of dates.
///
/// # Errors
/// A column that is not there; several of dates.
pub fn columns(asked: Option<&str>, table: &Table) -> Result<Vec<usize>, Failure> {
    match asked {
        Some("none") => Ok(Vec::new()),
        Some(columns) => columns.split(',').map(|which| table.column(which).map_err(Failure::input)).collect(),
        None => match (0..table.names.len()).filter(|&i| table.looks_like_time(i)).collect::<Vec<_>>()[..] {
            [] => Ok(Vec::new()),
            [one] => Ok(vec![one]),
            [one, two, ..] => {
                let (one, two) = (&table.names[one], &table.names[two]);
                let problem = format!("{one:?} and {two:?} are columns of dates; choose one: --time {one}");
                Err(Failure::input(table.wrong(problem)))
            }
        },
    }
}

/// Says on stderr which column seems to be the time, but is not read as it, so that rows are steps; `used` are read as
/// something else.
pub fn tell_unread(table: &Table, used: &[usize]) {
    let unread = |&column: &usize| {
        let named = words(&table.names[column]).any(|word| NAMES.contains(&word.as_str()));
        let nearly = !table.is_numeric(column) && first_unread(table, column).is_some_and(is_nearly_a_time);
        !used.contains(&column) && (named || nearly)
    };
    let Some(column) = (0..table.names.len()).find(unread) else { return };
    let name = &table.names[column];
    let why = match first_unread(table, column) {
        _ if table.is_numeric(column) => {
            let first = table.cells(column).iter().find(|cell| !is_missing(cell)).map_or("", AsRef::as_ref);
            format!(
                "its values, the first {first:?}, are numbers, which are times only where --time names their columns"
            )
        }
        Some(cell) => format!(
            "{cell:?} is not written as 2020-01-31, 31.01.2020, 2020-01, 2020Q1, 2020-01-31 12:30 or 2020-01-31 \
             12:30:15"
        ),
        None => "it has no values".into(),
    };
    say!(
        "the column {name:?} is not read as the time: {why}; so each row is a step ({}, or --time none)",
        option(table)
    );
}

/// The option that reads the columns of year, month, day and so on together, if there are some.
fn option(table: &Table) -> String {
    let named = |part: &str| table.names.iter().find(|name| name.eq_ignore_ascii_case(part)).map(String::as_str);
    let parts: Vec<&str> = ["year", "month", "day", "hour", "minute"].into_iter().map_while(named).collect();
    format!("--time {}", if parts.len() > 1 { parts.join(",") } else { "COLUMN".into() })
}

fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase)
}

/// The first cell of a column that is no time.
fn first_unread(table: &Table, column: usize) -> Option<&str> {
    table.cells(column).iter().map(AsRef::as_ref).find(|cell| !is_missing(cell) && read(cell) == Read::No)
}

/// Whether `cell` has the digits and the marks of a date or of a time of day.
fn is_nearly_a_time(cell: &str) -> bool {
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let digits = cell.bytes().filter(u8::is_ascii_digit).count();
    let marks = cell.chars().filter(|c| matches!(c, '-' | '/' | '.' | ':')).count();
    let has_month = words(cell).any(|word| MONTHS.iter().any(|month| word.starts_with(month)));
    digits >= 3 && cell.len() <= 40 && (marks >= 2 || has_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearly_a_time_is_seen() {
        for cell in ["01-Jan-2020", "Jan 1, 2020", "2020-01-01T00:00+01:00", "1.1.20 5:00 PM", "2020-01-01 00:00:00.5"]
        {
            assert!(is_nearly_a_time(cell), "{cell}");
        }
        for cell in ["shop 1", "12.5", "-3", "march", "A-12"] {
            assert!(!is_nearly_a_time(cell), "{cell}");
        }
    }
}
