//! The names of runs.

use crate::Failure;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a run's name; the names beside it have a few more.
const LONGEST_NAME: usize = 200;

/// The folder of the run `name`.
pub(crate) fn named(runs: &Path, name: &str) -> Result<PathBuf, Failure> {
    let is_plain = !name.contains(|c: char| c.is_control() || c == '/' || c == '\\');
    if name.is_empty() || name.len() > LONGEST_NAME || name.starts_with(['.', '-']) || !is_plain {
        return Err(Failure::input(format!(
            "--name {name:?} is not a plain folder name of at most {LONGEST_NAME} bytes; begin with a letter or a digit and \
             use letters, digits, '-' and '_'"
        )));
    }
    Ok(runs.join(name))
}

/// `2026-11-24T12-50-39`, UTC: sorts by time and is a file name everywhere.
pub fn timestamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}-{:02}-{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn timestamps_are_dates() {
        let at = |s| timestamp(UNIX_EPOCH + Duration::from_secs(s));
        assert_eq!(at(0), "1970-01-01T00-00-00");
        assert_eq!(at(951_827_696), "2000-02-29T12-34-56");
        assert_eq!(at(1_795_524_639), "2026-11-24T12-50-39");
    }
}
