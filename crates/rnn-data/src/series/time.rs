//! Moments of a calendar, in UTC where they have offsets from it, and the regular step between them.

use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;

/// How much of a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `1949-01`
    Month,
    /// `1949-01-31`
    Day,
    /// `1949-01-31 12:00:00`
    Second,
}

/// What a cell of a time column says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Read {
    /// Seconds since 1970-01-01 00:00, and how much of them was written.
    Moment(i64, Precision),
    /// `1/2/2020` can be read as January 2 or 1 February.
    Ambiguous,
    /// No date.
    No,
}

/// The days from 1970-01-01 to a date (Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil).
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of the days since 1970-01-01 (civil_from_days).
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days - era * 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days(next_year, next, 1) - days(year, month, 1)
}

/// Seconds since 1970 of a date and a time of day; `None` if the calendar has no such moment.
pub fn moment(date: [i64; 3], time: [i64; 3]) -> Option<i64> {
    let [year, month, day] = date;
    let [hour, minute, second] = time;
    let exists = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    exists.then(|| days(year, month, day) * DAY + hour * 3600 + minute * 60 + second)
}

/// Reads `2020-01-31`, `2020/01/31`, `31.01.2020`, `2020-01`, `2020Q1`, with or without a time of day behind a space or
/// a T. A time of day may end with `Z` or an offset such as `+02:00`: the moment is then the one in UTC.
pub fn read(text: &str) -> Read {
    let (text, offset) = split_offset(text.trim());
    let (date, time) = text.split_once(['T', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let Some(time) = time.map_or(Some([0; 3]), clock) else { return Read::No };
    let precision = |least: Precision| if text.contains(':') { Precision::Second } else { least };
    let found = |date: [i64; 3], least| match moment(date, time) {
        Some(seconds) => Read::Moment(seconds - offset.unwrap_or(0), precision(least)),
        None => Read::No,
    };
    if let Some((year, quarter)) = date.split_once(['Q', 'q']) {
        return match (number(year.trim_end_matches('-')), number(quarter)) {
            (Some(year), Some(quarter @ 1..=4)) => found([year, 3 * quarter - 2, 1], Precision::Month),
            _ => Read::No,
        };
    }
    let separator = date.chars().find(|c| !c.is_ascii_digit());
    let Some(separator) = separator.filter(|c| matches!(c, '-' | '/' | '.')) else { return Read::No };
    let parts: Vec<&str> = date.split(separator).collect();
    let Some(numbers) = parts.iter().map(|part| number(part)).collect::<Option<Vec<i64>>>() else { return Read::No };
    match (numbers[..].as_ref(), parts[0].len(), separator) {
        (&[year, month], 4, '-' | '/') => found([year, month, 1], Precision::Month),
        (&[year, month, day], 4, _) => found([year, month, day], Precision::Day),
        (&[day, month, year], ..=2, '.') if parts[2].len() == 4 => found([year, month, day], Precision::Day),
        (&[_, _, _], ..=2, _) => Read::Ambiguous,
        _ => Read::No,
    }
}

/// The seconds that the time `text` is ahead of UTC; `None` if it does not say.
pub fn offset(text: &str) -> Option<i64> {
    split_offset(text.trim()).1
}

/// A time without its offset, and the offset in seconds.
fn split_offset(text: &str) -> (&str, Option<i64>) {
    if let Some(text) = text.strip_suffix('Z') {
        return (text, Some(0));
    }
    let split = || {
        let clock = text.find(['T', ' '])? + 1;
        let sign = clock + text[clock..].rfind(['+', '-'])?;
        text[sign..].is_ascii().then_some(())?;
        let (hours, minutes) = match text.as_bytes()[sign + 1..] {
            [_, _] => (&text[sign + 1..], "0"),
            [_, _, b':', _, _] => (&text[sign + 1..sign + 3], &text[sign + 4..]),
            [_, _, _, _] => (&text[sign + 1..sign + 3], &text[sign + 3..]),
            _ => return None,
        };
        let seconds = number(hours)? * 3600 + number(minutes)? * 60;
        // No place is further behind than 12 hours or further ahead than 14: `13:00-14:00` is no time.
        let (factor, most) = if text[sign..].starts_with('-') { (-1, 12) } else { (1, 14) };
        let has_clock = !text[clock..sign].trim().is_empty();
        let exists = has_clock && number(minutes)? < 60 && seconds <= most * 3600;
        exists.then(|| (text[..sign].trim_end(), Some(factor * seconds)))
    };
    split().unwrap_or((text, None))
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// `12:30` or `12:30:15`, also with a fraction of zeros.
fn clock(text: &str) -> Option<[i64; 3]> {
    let text = text.trim();
    let text =
        text.split_once('.').map_or(Some(text), |(text, rest)| rest.bytes().all(|b| b == b'0').then_some(text))?;
    let parts = text.split(':').map(number).collect::<Option<Vec<i64>>>()?;
    match parts[..] {
        [hour, minute] => Some([hour, minute, 0]),
        [hour, minute, second] => Some([hour, minute, second]),
        _ => None,
    }
}

/// The regular distance between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Rows are counted; nothing says when they were.
    Rows,
    /// A difference of plain numbers.
    Number(f64),
    /// Seconds.
    Seconds(i64),
    /// Months of the calendar.
    Months(i64),
}

impl Step {
    /// `n` steps in words: `7 days`.
    pub fn times(self, n: usize) -> String {
        let plural = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
        let n = n as i64;
        match self {
            Self::Rows => plural(n, "row"),
            Self::Number(step) => format!("{}", step * n as f64),
            Self::Months(step) if step % 12 == 0 => plural(step / 12 * n, "year"),
            Self::Months(step) => plural(step * n, "month"),
            Self::Seconds(step) => {
                let units = [(DAY, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
                let (size, unit) = units.into_iter().find(|(size, _)| step % size == 0).unwrap_or((1, "second"));
                plural(step / size * n, unit)
            }
        }
    }

    /// The number of steps after which such series usually repeat: a day of hours, a week of days, a year of months;
    /// 1 where nothing is usual.
    pub fn season(self) -> usize {
        match self {
            Self::Months(step @ (1 | 2 | 3 | 4 | 6)) => 12 / step as usize,
            Self::Seconds(step) if step < DAY && DAY % step == 0 => (DAY / step) as usize,
            Self::Seconds(DAY) => 7,
            Self::Seconds(step) if step == 7 * DAY => 52,
            _ => 1,
        }
    }
}

/// Where a calendar stands: the shares of the day, the week and the year that have passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// Of the day, from 0 at midnight.
    pub day: f64,
    /// Of the week, from 0 on Monday.
    pub week: f64,
    /// Of the year, from 0 on January 1.
    pub year: f64,
}

/// The phases of a moment.
pub fn phase(seconds: i64) -> Phase {
    let day = seconds.div_euclid(DAY);
    let of_day = seconds.rem_euclid(DAY) as f64 / DAY as f64;
    let (year, ..) = date(day);
    let first = days(year, 1, 1);
    let length = days(year + 1, 1, 1) - first;
    Phase {
        day: of_day,
        week: ((day + 3).rem_euclid(7) as f64 + of_day) / 7.0, // 1970-01-01 was a Thursday
        year: ((day - first) as f64 + of_day) / length as f64,
    }
}

/// `seconds` as `precision` writes it.
pub fn written(seconds: i64, precision: Precision) -> String {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    match precision {
        Precision::Month => format!("{year:04}-{month:02}"),
        Precision::Day => format!("{year:04}-{month:02}-{day:02}"),
        Precision::Second => {
            let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
            let second = if second == 0 { String::new() } else { format!(":{second:02}") };
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}{second}")
        }
    }
}

/// `count` months after `seconds`; a day that the month does not have becomes its last, and a month's last day stays
/// the last if `at_end`.
pub fn months_after(seconds: i64, count: i64, at_end: bool) -> i64 {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let months = year * 12 + month - 1 + count;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let last = days_in_month(year, month);
    days(year, month, if at_end { last } else { day.min(last) }) * DAY + seconds.rem_euclid(DAY)
}

/// The months since year 0 of a moment, and whether it is its month's last day.
pub(super) fn month_of(seconds: i64) -> (i64, i64, bool) {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    (year * 12 + month - 1, day, day == days_in_month(year, month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_one_way_or_not_at_all() {
        let second = |text| match read(text) {
            Read::Moment(seconds, precision) => written(seconds, precision),
            other => format!("{other:?}"),
        };
        for (text, expected) in [
            ("1981-01-01", "1981-01-01"),
            ("1949-12", "1949-12"),
            ("29.02.2024", "2024-02-29"),
            ("2023-02-29", "No"),
            ("2014-12-31T23:00:00Z", "2014-12-31 23:00"),
            ("2014/12/31 23:05:07", "2014-12-31 23:05:07"),
            ("2020Q3", "2020-07"),
            ("1/2/2020", "Ambiguous"),
            ("20.7", "No"),
            ("2024-01-01T00:00:00+02:00", "2023-12-31 22:00"),
            ("2024-01-01 00:00-0530", "2024-01-01 05:30"),
            ("31.12.2023 23:30:15.000 -01", "2024-01-01 00:30:15"),
            ("2024-01-01 00:00+14:30", "No"),
            ("2024-01-01 13:00-14:00", "No"),
            ("2024-01-01T00:00+02:60", "No"),
            ("2024-01-01+02:00", "No"),
            ("2024-01-01 +02:00", "No"),
            ("2024-01-01T00:00+0é0", "No"),
            ("112", "No"),
        ] {
            assert_eq!(second(text), expected, "{text}");
        }
        for day in (-200_000..200_000).step_by(97) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
        assert_eq!(phase(0).week, 3.0 / 7.0);
        assert_eq!(date(months_after(days(2023, 1, 31) * DAY, 1, true) / DAY), (2023, 2, 28));
    }
}
