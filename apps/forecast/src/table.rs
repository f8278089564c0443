//! Numbers and tables as the terminal and the pages show them.

use unicode_width::UnicodeWidthStr;

/// Numbers from here on are written without an exponent.
const LEAST: f64 = 1e-4;

/// `x` with four decimals; a small one with four digits that count, a huge one with an exponent; `–` if it is no
/// number.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if !x.is_finite() {
        "–".into()
    } else if size == 0.0 || (0.01..1e12).contains(&size) {
        format!("{x:.4}")
    } else if (LEAST..0.01).contains(&size) {
        let decimals = (3.0 - size.log10().floor()) as usize;
        format!("{x:.decimals$}")
    } else {
        format!("{x:.3e}")
    }
}

/// Lines with a space between columns, each as wide as its widest cell and at least as `least` says. The first `left`
/// columns stand at the left of their width.
pub fn lines(rows: &[Vec<String>], least: &[usize], left: usize) -> Vec<String> {
    let widest = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let widths: Vec<usize> = least.iter().enumerate().map(|(column, least)| widest(column).max(*least)).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| {
            let gap = " ".repeat(widths[column] - cell.width());
            if column < left { cell.clone() + &gap } else { gap + cell }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join(" ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_huge_numbers_keep_their_digits() {
        for (x, expected) in [
            (14.05263, "14.0526"),
            (0.0, "0.0000"),
            (-0.25, "-0.2500"),
            (0.001234567, "0.001235"),
            (0.000123456, "0.0001235"),
            (4.5126e-7, "4.513e-7"),
            (25_000_209.045, "25000209.0450"),
            (1.5e25, "1.500e25"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(number(x), expected);
        }
    }

    #[test]
    fn columns_are_apart_however_wide_their_cells() {
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        let rows = [row(["time", "a", "b"]), row(["2020-01-01", "25000209.0450", "25000294.9779"])];
        assert_eq!(
            lines(&rows, &[6, 3, 3], 1),
            ["time                   a             b", "2020-01-01 25000209.0450 25000294.9779"]
        );
    }
}
