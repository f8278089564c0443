//! The regular times of a series, and the rows that are not there.

use super::time::{Precision, Read, Step, moment, month_of, months_after, offset, read, written};
use super::{Table, number};
use crate::{DataError, show};
use std::collections::HashMap;

/// Rows that a regular step would have and the table has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The line of the table before the gap.
    pub after_line: u64,
    /// The time of that line.
    pub after: String,
    /// Rows that are missing.
    pub rows: usize,
}

/// The times of a series at a regular step.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The step.
    pub step: Step,
    /// For each time the row of the table; `None` in a gap.
    pub rows: Vec<Option<usize>>,
    /// The gaps.
    pub gaps: Vec<Gap>,
    /// Of a table whose times have offsets from UTC: one of them as the table has it, and in UTC.
    pub converted: Option<[String; 2]>,
    /// The first time: seconds since 1970, or a plain number.
    start: f64,
    precision: Precision,
    /// Whether months are given by their last day.
    at_end: bool,
}

/// Times that a gap may add for each row of the table.
const MOST_ADDED: usize = 4;

impl Grid {
    /// The times in the columns `time` of `table`: one column with dates or rising numbers, or several with year,
    /// month, day, hour and minute in this order. Without columns each row is a step.
    ///
    /// # Errors
    /// A cell that is no time, times that do not rise, an irregular step: each with its line.
    pub fn of(table: &Table, time: &[usize]) -> Result<Self, DataError> {
        let rows = table.rows();
        if rows == 1 && !time.is_empty() {
            return Err(table.wrong("the table has one row, and one time has no step; give two rows or more"));
        }
        match *time {
            [] => Ok(Self {
                step: Step::Rows,
                rows: (0..rows).map(Some).collect(),
                gaps: Vec::new(),
                converted: None,
                start: 1.0,
                precision: Precision::Day,
                at_end: false,
            }),
            [column] if table.is_numeric(column) && !table.is_time(column) => numbers(table, column),
            [column] => {
                let name = show::quoted(&table.names[column]);
                let (mut moments, mut finest) = (Vec::with_capacity(rows), Precision::Month);
                for (cell, line) in table.cells(column).iter().zip(&table.lines) {
                    match read(cell) {
                        Read::Moment(seconds, precision) => {
                            finest = finest.max(precision);
                            moments.push(seconds);
                        }
                        Read::Ambiguous => {
                            return Err(table.wrong(format!(
                                "line {line}: {} in column {name} can be read with the day or with the month first; \
                                 write it as 2020-01-31",
                                show::quoted(cell)
                            )));
                        }
                        Read::No => {
                            return Err(table.wrong(format!(
                                "line {line}: {} in column {name} is no time; write it as 2020-01-31, 2020-01 or \
                                 2020-01-31 12:00",
                                show::quoted(cell)
                            )));
                        }
                    }
                }
                let converted = converted(table, column)?;
                let converted =
                    converted.map(|row| [table.cells(column)[row].to_string(), written(moments[row], finest)]);
                match moments_at_steps(table, &moments, finest) {
                    Ok(grid) => Ok(Self { converted, ..grid }),
                    Err(error) => Err(regular_here(table, column, &moments).unwrap_or(error)),
                }
            }
            _ => moments_at_steps(
                table,
                &parts(table, time)?,
                if time.len() > 3 { Precision::Second } else { Precision::Day },
            ),
        }
    }

    /// The number of times.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Without the first `count` times.
    pub fn skip(mut self, count: usize) -> Self {
        self.start = match self.seconds(count) {
            Some(seconds) => seconds as f64,
            None => self.number(count),
        };
        self.rows.drain(..count);
        self
    }

    /// The seconds since 1970 of time `index`, which may lie behind the last; `None` for plain numbers and rows.
    pub fn seconds(&self, index: usize) -> Option<i64> {
        let (start, index) = (self.start as i64, index as i64);
        match self.step {
            Step::Seconds(step) => Some(start + index * step),
            Step::Months(step) => Some(months_after(start, index * step, self.at_end)),
            Step::Rows | Step::Number(_) => None,
        }
    }

    fn number(&self, index: usize) -> f64 {
        let step = if let Step::Number(step) = self.step { step } else { 1.0 };
        self.start + index as f64 * step
    }

    /// Time `index` as the table would write it.
    pub fn label(&self, index: usize) -> String {
        match self.seconds(index) {
            Some(seconds) => written(seconds, self.precision),
            None => format!("{}", self.number(index)),
        }
    }
}

/// Offsets of one place differ by this many seconds at most, in summer and winter.
const SUMMER: i64 = 2 * 3600;

/// The first row of a column of times whose offset from UTC is not zero.
///
/// # Errors
/// A time without an offset where another has one; offsets that are those of several places.
fn converted(table: &Table, column: usize) -> Result<Option<usize>, DataError> {
    let (cells, name) = (table.cells(column), show::quoted(&table.names[column]));
    let of_first = offset(&cells[0]);
    for (cell, line) in cells.iter().zip(&table.lines).skip(1) {
        let problem = match (of_first, offset(cell)) {
            (Some(first), Some(other)) if (first - other).abs() > SUMMER => {
                "another offset from UTC than one place has"
            }
            (Some(_), Some(_)) | (None, None) => continue,
            (Some(_), None) => "no offset from UTC",
            (None, Some(_)) => "an offset from UTC",
        };
        return Err(table.wrong(format!(
            "line {line}: {} in column {name} has {problem}, unlike {} in line {}; write all times alike",
            show::quoted(cell),
            show::quoted(&cells[0]),
            table.lines[0]
        )));
    }
    Ok(cells.iter().position(|cell| offset(cell).is_some_and(|offset| offset != 0)))
}

/// What to say of times at no regular step in UTC, if they are at one by their own clock, such as days from midnight to
/// midnight in a country with summer time.
fn regular_here(table: &Table, column: usize, moments: &[i64]) -> Option<DataError> {
    let offsets: Vec<i64> = table.cells(column).iter().map(|cell| offset(cell)).collect::<Option<_>>()?;
    let other = offsets.iter().position(|offset| *offset != offsets[0])?;
    let here: Vec<i64> = moments.iter().zip(&offsets).map(|(moment, offset)| moment + offset).collect();
    moments_at_steps(table, &here, Precision::Second).ok()?;
    Some(table.wrong(format!(
        "line {}: {} has another offset than the times before, and the step is regular by the local clock, but not in UTC, \
         in which times with offsets are read; leave out the offsets to read them as local times",
        table.lines[other],
        show::quoted(&table.cells(column)[other])
    )))
}

/// The moments of columns with year, month, day, hour, minute.
fn parts(table: &Table, time: &[usize]) -> Result<Vec<i64>, DataError> {
    if time.len() > 5 {
        return Err(table.wrong("give at most five columns of time: year, month, day, hour, minute"));
    }
    let columns = time.iter().map(|&column| table.numbers(column)).collect::<Result<Vec<_>, _>>()?;
    let at = |row: usize| {
        let part = |place: usize, default: i64| match columns.get(place) {
            Some(column) if column[row].fract() == 0.0 => Some(column[row] as i64),
            Some(_) => None,
            None => Some(default),
        };
        let date = [part(0, 1)?, part(1, 1)?, part(2, 1)?];
        moment(date, [part(3, 0)?, part(4, 0)?, 0])
    };
    let names = || show::list(time.iter().map(|&column| table.names[column].as_str()));
    (0..table.rows())
        .map(|row| {
            at(row).ok_or_else(|| {
                table.wrong(format!(
                    "line {}: the columns {} are no moment; give year, month, day, hour, minute in this order",
                    table.lines[row],
                    names()
                ))
            })
        })
        .collect()
}

/// The most frequent of the differences.
fn most_frequent(differences: impl Iterator<Item = i64>) -> i64 {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    differences.for_each(|difference| *counts.entry(difference).or_default() += 1);
    counts.into_iter().max_by_key(|&(difference, count)| (count, -difference)).map_or(1, |(difference, _)| difference)
}

fn moments_at_steps(table: &Table, moments: &[i64], precision: Precision) -> Result<Grid, DataError> {
    let label = |row: usize| written(moments[row], precision);
    rising(table, moments.len(), |row| moments[row] > moments[row - 1], label)?;
    let months: Vec<(i64, i64, bool)> = moments.iter().map(|&seconds| month_of(seconds)).collect();
    let at_end = months.iter().all(|month| month.2);
    let same_clock = moments.iter().all(|seconds| seconds.rem_euclid(86_400) == moments[0].rem_euclid(86_400));
    let by_month = same_clock && moments.len() > 1 && (at_end || months.iter().all(|month| month.1 == months[0].1));
    let places: Vec<i64> = if by_month { months.iter().map(|month| month.0).collect() } else { moments.to_vec() };
    let step = most_frequent(places.windows(2).map(|pair| pair[1] - pair[0]));
    let step_of = if by_month { Step::Months(step) } else { Step::Seconds(step) };
    let (rows, gaps) = spread(table, &places, step, &step_of.times(1), label)?;
    let at_end = by_month && at_end;
    Ok(Grid { step: step_of, rows, gaps, converted: None, start: moments[0] as f64, precision, at_end })
}

fn numbers(table: &Table, column: usize) -> Result<Grid, DataError> {
    let missing = table.cells(column).iter().position(|cell| number(cell).is_none());
    if let Some(row) = missing {
        return Err(table.wrong(format!(
            "line {}: the time in column {} is missing",
            table.lines[row],
            show::quoted(&table.names[column])
        )));
    }
    let times = table.numbers(column)?;
    let label = |row: usize| times[row].to_string();
    rising(table, times.len(), |row| times[row] > times[row - 1], label)?;
    // In millionths of the smallest difference, so that decimal fractions have a regular step too.
    let smallest = times.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let unit = if smallest.is_finite() { smallest } else { 1.0 };
    let places: Vec<i64> = times.iter().map(|time| ((time - times[0]) / unit * 1000.0).round() as i64).collect();
    let step = most_frequent(places.windows(2).map(|pair| pair[1] - pair[0]));
    let size = unit * step as f64 / 1000.0;
    let (rows, gaps) = spread(table, &places, step, &size.to_string(), label)?;
    let (step, start) = (Step::Number(size), times[0]);
    Ok(Grid { step, rows, gaps, converted: None, start, precision: Precision::Day, at_end: false })
}

fn rising(
    table: &Table,
    rows: usize,
    rises: impl Fn(usize) -> bool,
    label: impl Fn(usize) -> String,
) -> Result<(), DataError> {
    match (1..rows).find(|&row| !rises(row)) {
        None => Ok(()),
        Some(row) => Err(table.wrong(format!(
            "line {}: {} does not come after {} in line {}; sort the rows by time, with one row a time",
            table.lines[row],
            label(row),
            label(row - 1),
            table.lines[row - 1]
        ))),
    }
}

type Spread = (Vec<Option<usize>>, Vec<Gap>);

/// Puts the rows at the multiples of `step`.
fn spread(
    table: &Table,
    places: &[i64],
    step: i64,
    words: &str,
    label: impl Fn(usize) -> String,
) -> Result<Spread, DataError> {
    let (mut rows, mut gaps) = (vec![Some(0)], Vec::new());
    for row in 1..places.len() {
        let distance = places[row] - places[row - 1];
        if distance % step != 0 {
            return Err(table.wrong(format!(
                "line {}: the step is irregular: from {} to {} is no multiple of the usual step of {words}; bring the \
                 rows to a regular step",
                table.lines[row],
                label(row - 1),
                label(row)
            )));
        }
        let absent = (distance / step - 1) as usize;
        if absent > 0 {
            gaps.push(Gap { after_line: table.lines[row - 1], after: label(row - 1), rows: absent });
            if absent + rows.len() > MOST_ADDED * places.len() + 1000 {
                return Err(table.wrong(format!(
                    "line {}: {absent} rows are missing before it at a step of {words}; the table has too few for \
                     such a step",
                    table.lines[row]
                )));
            }
            rows.extend(std::iter::repeat_n(None, absent));
        }
        rows.push(Some(row));
    }
    Ok((rows, gaps))
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    fn grid(times: &[&str]) -> Result<Grid, DataError> {
        let rows: Vec<String> = times.iter().map(|time| format!("{time},1\n")).collect();
        Grid::of(&table(&format!("t,x\n{}", rows.concat()))?, &[0])
    }

    #[test]
    fn steps_are_found_and_gaps_told() {
        let days = grid(&["1984-12-29", "1984-12-30", "1985-01-01", "1985-01-02"]).expect("regular");
        assert_eq!(days.step, Step::Seconds(86_400));
        assert_eq!(days.rows, [Some(0), Some(1), None, Some(2), Some(3)]);
        assert_eq!(days.gaps, [Gap { after_line: 3, after: "1984-12-30".into(), rows: 1 }]);
        assert_eq!(days.label(5), "1985-01-03");
        let months = grid(&["1949-11", "1949-12", "1950-01"]).expect("regular");
        assert_eq!((months.step, months.label(14).as_str()), (Step::Months(1), "1951-01"));
        let ends = grid(&["2023-01-31", "2023-02-28", "2023-03-31"]).expect("regular");
        assert_eq!((ends.step, ends.label(3).as_str()), (Step::Months(1), "2023-04-30"));
        let numbers = grid(&["0.1", "0.2", "0.3", "0.5"]).expect("regular");
        assert_eq!(numbers.rows, [Some(0), Some(1), Some(2), None, Some(3)]);
    }

    #[test]
    fn an_irregular_step_is_told_with_its_line() {
        let told = |times: &[&str]| grid(times).expect_err("irregular").to_string();
        let told_step = told(&["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 02:00", "2020-01-01 02:30"]);
        assert!(told_step.contains("line 5: the step is irregular: from 2020-01-01 02:00 to 2020-01-01 02:30"));
        assert!(
            told(&["2020-01-02", "2020-01-01"]).contains("line 3: 2020-01-01 does not come after 2020-01-02 in line 2")
        );
        assert!(told(&["1/2/2020", "2/2/2020"]).contains("with the day or with the month first"));
        assert!(told(&["2020-01-02", "soon"]).contains("line 3: \"soon\" in column \"t\" is no time"));
    }

    /// The hour that a clock skips or repeats is neither a gap nor a second row.
    #[test]
    fn times_with_offsets_are_read_in_utc_and_not_mixed_with_others() {
        let winter = ["2024-03-31T00:00:00+01:00", "2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00"];
        let hours = grid(&winter).expect("regular");
        assert_eq!(
            (hours.step, hours.gaps.len(), hours.label(2).as_str()),
            (Step::Seconds(3600), 0, "2024-03-31 01:00")
        );
        assert_eq!(hours.converted, Some([winter[0].to_string(), "2024-03-30 23:00".into()]));
        let zulu = grid(&["2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"]).expect("regular");
        assert_eq!(zulu.converted, None);
        let told = |times: &[&str]| grid(times).expect_err("mixed").to_string();
        let mixed = told(&[winter[0], "2024-03-31 01:00"]);
        assert!(
            mixed.contains("line 3: \"2024-03-31 01:00\" in column \"t\" has no offset from UTC, unlike"),
            "{mixed}"
        );
        assert!(told(&["2024-03-31 00:00", winter[1]]).contains("line 3: \"2024-03-31T01:00:00+01:00\" in column"));
        let days = ["2024-03-30T00:00:00+01:00", "2024-03-31T00:00:00+01:00", "2024-04-01T00:00:00+02:00"];
        let local = told(&[&days[..], &["2024-04-02T00:00:00+02:00", "2024-04-03T00:00:00+02:00"]].concat());
        assert!(
            local.contains("line 4: \"2024-04-01T00:00:00+02:00\" has another offset") && local.contains("leave out")
        );
        // From ten to eleven, which looks like an offset.
        let ranges = told(&["2024-03-31 07:00-08:00", "2024-03-31 08:00-09:00", "2024-03-31 10:00-11:00"]);
        assert!(ranges.contains("line 4") && ranges.contains("another offset from UTC than one place has"), "{ranges}");
    }
}
