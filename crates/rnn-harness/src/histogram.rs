//! A histogram of counts as text, for `inspect`.

use std::fmt::Write;

/// Bars of a histogram.
const BARS: usize = 10;
/// Characters of the longest bar.
const WIDTH: usize = 40;

/// How often `values`, such as lengths, fall into each of at most ten ranges of equal width: a line each, with its bar.
/// Empty without values.
pub fn histogram(values: &[usize]) -> String {
    let (Some(&low), Some(&high)) = (values.iter().min(), values.iter().max()) else { return String::new() };
    let width = (high - low + 1).div_ceil(BARS);
    let mut counts = vec![0usize; (high - low) / width + 1];
    for value in values {
        counts[(value - low) / width] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(1);
    let digits = (low + counts.len() * width).to_string().len();
    let mut text = String::new();
    for (number, &count) in counts.iter().enumerate() {
        let from = low + number * width;
        let to = (from + width - 1).min(high);
        let bar = "█".repeat((count * WIDTH).div_ceil(most.max(1)));
        let _ =
            writeln!(text, "{from:>digits$} to {to:>digits$} {bar}{}{count}", if bar.is_empty() { "" } else { " " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bar() {
        assert_eq!(histogram(&[]), "");
        assert_eq!(histogram(&[7, 7]), format!("7 to 7 {} 2\n", "█".repeat(40)));
        let values: Vec<usize> = (0..1000).map(|i| i * i % 977).collect();
        let text = histogram(&values);
        let counts: usize =
            text.lines().map(|line| line.rsplit(' ').next().unwrap_or("").parse::<usize>().unwrap_or(0)).sum();
        assert_eq!((text.lines().count(), counts), (10, 1000), "{text}");
    }
}
